//! The command line. Long flags only; the environment is read in one place, not here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// PostgreSQL changes into Kafka, exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "tributary",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 misused, 3 timed out.\n\
                  Data goes to stdout, everything else to stderr.\n\
                  DATABASE_URL and KAFKA_URL stand in for --source and --store; Heroku's KAFKA_CLIENT_CERT,\n\
                  KAFKA_CLIENT_CERT_KEY, KAFKA_TRUSTED_CERT and KAFKA_PREFIX are understood.\n\
                  RUST_LOG sets what is logged, NO_COLOR turns colours off."
)]
pub(crate) struct Arguments {
    /// Form of the data on stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORM", display_order = 100)]
    pub(crate) output: Format,
    /// Form of the log on stderr
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORM", display_order = 100)]
    pub(crate) log_format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one connector until it is told to stop
    #[command(after_help = RUN_EXAMPLES)]
    Run(ConnectorArguments),
    /// Look at both sides and report every problem at once, each with the statement that mends it
    Check(ConnectorArguments),
    /// Print the events of a topic
    Tail(TailArguments),
    /// Start a PostgreSQL, a Kafka, a small shop with customers, and a connector between them
    Dev(DevArguments),
    /// Say what an error code means and how to mend it
    Explain(ExplainArguments),
}

const RUN_EXAMPLES: &str = "Examples:\n  \
    tributary run --config connector.json --store kafka://localhost:9092\n  \
    tributary run --source postgres://cdc@localhost/shop --store kafka://localhost:9092 \\\n                --table public.orders --table public.customers\n\n\
    The JSON is a Debezium connector as it is: {\"name\": …, \"config\": {…}} or the inner map.\n\
    All keys: docs/reference/settings.md.";

/// What describes a connector: a JSON, or flags.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConnectorArguments {
    /// Connector JSON, as Kafka Connect takes it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tables", "exclude_columns"])]
    pub(crate) config: Option<PathBuf>,
    /// Where the source is
    #[arg(
        long,
        value_name = "URL",
        help = "Where the source is: postgres://user:password@host/database or libpq keywords"
    )]
    pub(crate) source: Option<String>,
    /// Where Kafka is: kafka://host:port,host:port or kafka+ssl://…
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Table to capture; may be given several times
    #[arg(long = "table", value_name = "SCHEMA.TABLE")]
    pub(crate) tables: Vec<String>,
    /// Column not to capture; may be given several times
    #[arg(long = "exclude-column", value_name = "SCHEMA.TABLE.COLUMN")]
    pub(crate) exclude_columns: Vec<String>,
    /// Name of the connector; without it one is derived from database and tables
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Any further key; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    /// Topic to read
    pub(crate) topic: String,
    /// Where Kafka is: kafka://host:port,host:port or kafka+ssl://…
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Property of the Kafka client, for example sasl.mechanism; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Where to begin: beginning, end or an offset. Without it: beginning, with --follow end
    #[arg(long, value_name = "WHERE", value_parser = start)]
    pub(crate) from: Option<From>,
    /// Stop after this many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Wait for more at the end
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Where `tail` begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Beginning,
    End,
    Offset(i64),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DevArguments {
    /// End by itself after this time and check that every change arrived exactly once (30s, 5m)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Source transactions per second
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) rate: u32,
    /// Seed of the workload; without it another one each time
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The code in brackets in front of an error, for example CF001
    pub(crate) code: String,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

fn start(text: &str) -> Result<From, String> {
    match text {
        "beginning" => Ok(From::Beginning),
        "end" => Ok(From::End),
        number => match number.parse::<i64>() {
            Ok(offset) if offset >= 0 => Ok(From::Offset(offset)),
            _ => Err("write beginning, end or an offset".to_owned()),
        },
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| "write a time such as 30s or 5m".to_owned())?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => return Err("units are s, m and h".to_owned()),
    };
    if seconds == 0 {
        Err("it must be longer than nothing".to_owned())
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert!(duration("0s").is_err() && duration("5d").is_err() && duration("s").is_err());
    }

    #[test]
    fn a_value_may_contain_equals_signs() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=b").is_err() && pair("a").is_err());
    }
}
