//! `cargo xtask differential`: the real Debezium and us on the same random changes.
//!
//! In: a seed. Out: the report on standard output; exit 1 on any difference. Never: the work itself, which is in `testkit`.

use clap::Args;
use regex::Regex;
use testkit::differential::{Changes, Converter};
use testkit::stack::Stack;
use testkit::{Result, connector, differential};

use crate::broken_if;
use crate::output::{narrate, print};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Seed of every choice; several runs count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Transactions of row changes
    #[arg(long, default_value_t = 20_000)]
    transactions: u64,
    /// Runs with consecutive seeds
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Regular expression that must match the whole name of a type for it to get a column
    #[arg(long, default_value = ".*")]
    types: String,
    /// Regular expression that must not match it
    #[arg(long, default_value = "")]
    except: String,
    /// Connector settings both get, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
    /// Records in Avro, and a schema registry
    #[arg(long)]
    avro: bool,
    /// Leave the tables as they are at the beginning
    #[arg(long)]
    no_ddl: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    connector::use_binary(connector::build(false)?)?;
    let whole = |pattern: &str| Regex::new(&format!("^(?:{pattern})$"));
    let (types, except) = (whole(&arguments.types)?, whole(&arguments.except)?);
    let mut unclean = 0;
    for run in 0..arguments.runs {
        let plan = differential::Plan {
            seed: arguments.seed + run,
            transactions: arguments.transactions,
            types: types.clone(),
            except: except.clone(),
            settings: arguments.settings.clone(),
            converter: if arguments.avro { Converter::Avro } else { Converter::Json },
            changes: if arguments.no_ddl { Changes::None } else { Changes::All },
        };
        // Both topics of a run are large, and the next run needs none of them.
        let stack = Stack::start(&[("fsync", "off")]).await?;
        let report = differential::run(&stack, &plan, &narrate).await?;
        print(&report.to_string());
        unclean += u64::from(!report.is_clean());
        stack.stop().await?;
    }
    broken_if(unclean > 0, &format!("{unclean} of {} runs found differences", arguments.runs))
}
