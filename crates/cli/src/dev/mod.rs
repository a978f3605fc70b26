//! `tributary dev`: everything in one command, and the proof at the end.
//!
//! In: nothing. Out: a real PostgreSQL, a real Kafka, a shop whose customers never stop, a connector by the same code path
//! as `run`, its events on stdout, and a verdict: were all committed changes delivered exactly once?
//! Never here: a shortcut between workload and topics; they meet again only in the verification.

mod journal;
mod live;
mod screen;
mod shop;
mod summary;
mod verify;
mod watch;
mod workload;

use std::process::ExitCode;
use std::time::Instant;

use connector::settings::{Environment, Settings};
use connector::spec::{Flags, Spec};
use embedded::{Kafka, KafkaOptions, Postgres, PostgresOptions, StopMode};
use postgres::{Connection, ConnectionConfig, PostgresError};

use crate::args::DevArguments;
use crate::error::CliError;
use crate::output::Output;
use crate::progress::Bars;
use crate::signals::Signals;
use journal::{Journal, Row, Step};
use live::Live;
use shop::Table;
use summary::Summary;

pub(crate) async fn run(arguments: &DevArguments, output: Output) -> Result<ExitCode, CliError> {
    let mut signals = Signals::listen()?;
    let bars = Bars::new(output);
    let started = tokio::select! {
        started = Servers::start(&bars) => started?,
        signal = signals.next() => {
            output.note(&format!("{signal}: stopping"));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let outcome = Box::pin(open(&started, arguments, output, &mut signals)).await;
    started.stop().await;
    outcome
}

/// Both servers.
struct Servers {
    postgres: Postgres,
    kafka: Kafka,
}

impl Servers {
    async fn start(bars: &Bars) -> Result<Self, CliError> {
        let (postgres, kafka) = tokio::join!(
            Postgres::start(PostgresOptions::default(), bars),
            Kafka::start(KafkaOptions::default(), bars),
        );
        Ok(Self { postgres: postgres?, kafka: kafka? })
    }

    fn database_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.postgres.port(), shop::DATABASE)
    }

    fn store_url(&self) -> String {
        format!("kafka://{}", self.kafka.bootstrap())
    }

    /// Temporary servers: when one does not stop politely, its end by our end is as good.
    async fn stop(self) {
        let (postgres, kafka) = tokio::join!(self.postgres.stop(StopMode::Fast), self.kafka.stop());
        for error in [postgres.err(), kafka.err()].into_iter().flatten() {
            tracing::warn!("{error}");
        }
    }
}

/// The shop is open until the time is over or somebody says so; then it is counted.
async fn open(
    servers: &Servers,
    arguments: &DevArguments,
    output: Output,
    signals: &mut Signals,
) -> Result<ExitCode, CliError> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let mut journal = Journal::default();
    let connection = furnish(servers, &mut journal).await?;
    let settings = settings(servers)?;
    welcome(servers, &settings, output);

    let started = Instant::now();
    let mut live =
        Live::start(&servers.database_url(), arguments.rate, settings.clone(), seed).await?;
    live.watch(arguments.duration, output, signals).await?;
    let open_for = started.elapsed();
    output.note("closing: waiting for the last changes to arrive …");
    live.close(&connection, &mut journal).await?;
    let (read, verdict) = verify::verify(&settings, &connection, &journal).await?;
    Summary::new(&journal, &read, &verdict, &mut live.latencies, (open_for, seed)).show(output);
    match verdict.example {
        None => Ok(ExitCode::SUCCESS),
        Some(what) => Err(CliError::NotExactlyOnce { what, seed }),
    }
}

/// Makes the database, its tables and the rows of the first day.
async fn furnish(servers: &Servers, journal: &mut Journal) -> Result<Connection, CliError> {
    let refused =
        |error: tokio_postgres::Error| PostgresError::from_sql("furnish the shop", &error);
    let outside = postgres::connect(&ConnectionConfig::parse(&servers.postgres.url())?).await?;
    let create = format!("CREATE DATABASE {}", shop::DATABASE);
    outside.client().batch_execute(&create).await.map_err(refused)?;
    let connection = postgres::connect(&ConnectionConfig::parse(&servers.database_url())?).await?;
    connection.client().batch_execute(shop::SCHEMA).await.map_err(refused)?;
    connection.client().batch_execute(shop::FIRST_ROWS).await.map_err(refused)?;
    let first =
        [(Table::Customers, shop::CUSTOMERS_AT_FIRST), (Table::Products, shop::PRODUCTS_AT_FIRST)];
    for (table, count) in first {
        let rows = (1..=count).map(|id| (Row { table, key: id.to_string() }, Step::Create(1)));
        journal.commit(rows.collect());
    }
    Ok(connection)
}

/// The connector's, as `run` would make them from flags; keys that make its events easier to read are set.
fn settings(servers: &Servers) -> Result<Settings, CliError> {
    let set = [
        ("topic.creation.default.partitions", "3"),
        ("key.converter.schemas.enable", "false"),
        ("value.converter.schemas.enable", "false"),
        ("decimal.handling.mode", "string"),
        ("snapshot.max.threads", "2"),
        ("tributary.checkpoint.idle.interval.ms", "500"),
        ("status.update.interval.ms", "1000"),
    ];
    let flags = Flags {
        source: Some(servers.database_url()),
        store: Some(servers.store_url()),
        tables: Table::ALL.iter().map(|table| format!("public.{table}")).collect(),
        exclude_columns: vec!["public.products.purchase_price".to_owned()],
        name: Some(shop::DATABASE.to_owned()),
        set: set.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
    };
    Ok(Settings::resolve(&Spec::from_flags(&flags, None), &Environment::default())?)
}

fn welcome(servers: &Servers, settings: &Settings, output: Output) {
    let topic = settings.topic_of("public", Table::Orders.name());
    for line in [
        String::new(),
        format!("PostgreSQL {}:   psql {}", servers.postgres.version(), servers.database_url()),
        format!("Apache Kafka {}: {}", servers.kafka.version().as_str(), servers.kafka.bootstrap()),
        format!(
            "Follow a topic:    tributary tail {topic} --store {} --follow",
            servers.store_url()
        ),
        "Stop:              Ctrl-C".to_owned(),
        String::new(),
    ] {
        output.note(&line);
    }
}
