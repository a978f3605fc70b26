//! The two readers of one database: the real Debezium in a Kafka Connect worker, and `tributary run`.
//!
//! In: a database with two slots made at the same place. Out: both streaming into topics that begin differently, and a wait
//! until both have read everything.
//! Never: a setting of one that the other lacks, where events could show it.

use std::time::{Duration, Instant};

use embedded::{Connect, ConnectOptions, Plugin, Silent};
use serde_json::{Map, Value, json};

use super::{DEBEZIUM, OURS};
use crate::connect::Client;
use crate::connector::{self, Connector, ConnectorProcess};
use crate::session::Session;
use crate::stack::{Database, MARKER_TABLE};
use crate::tail::Tail;
use crate::wait::{Seen, eventually};
use crate::{Failure, Result};

/// How long the slower one may need for what was written between two changes of a table.
const ARRIVAL_MAX: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(100);
const NAME: &str = "differential";

/// Both readers, streaming.
pub(super) struct Sides {
    connect: Connect,
    client: Client,
    ours: ConnectorProcess,
    session: Session,
    markers: [Tail; 2],
    /// Keeps the configuration and the log.
    _connector: Connector,
}

impl Sides {
    /// Makes both slots and starts both readers. Nothing may write to the database before this returns.
    pub(super) async fn start(
        database: &Database,
        publication: &str,
        added: &[(String, String)],
    ) -> Result<Self> {
        let settings = |prefix: &str| {
            let mut settings = settings(database, publication, prefix);
            let added = added.iter().cloned();
            settings.extend(added.map(|(key, value)| (key, Value::String(value))));
            settings
        };
        let session = database.session().await?;
        for slot in [DEBEZIUM, OURS] {
            let made = format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')");
            session.text(&made).await?;
        }
        let options = ConnectOptions::new(database.bootstrap(), &[Plugin::DebeziumPostgres]);
        let connect = Connect::start(options, &Silent).await?;
        let client = Client::new(&connect.url());
        client.create(NAME, debezium(settings(DEBEZIUM))).await?;
        let connector = Connector::new(database.clone())?.named(NAME).with_settings(settings(OURS));
        let ours = connector.start_streaming().await?;
        let marker = |prefix: &str| {
            Tail::open(database.bootstrap(), &format!("{prefix}.public.{MARKER_TABLE}"))
        };
        let markers = [marker(DEBEZIUM)?, marker(OURS)?];
        let mut sides = Self { connect, client, ours, session, markers, _connector: connector };
        sides.catch_up().await?;
        Ok(sides)
    }

    /// Waits until both have sent everything that is committed now.
    pub(super) async fn catch_up(&mut self) -> Result<()> {
        let insert =
            format!("insert into public.{MARKER_TABLE}(note) values ('sync') returning id");
        let id: Option<i64> = self.session.text(&insert).await?.and_then(|id| id.parse().ok());
        let (client, ours, connect) = (&self.client, &mut self.ours, &self.connect);
        for marker in &mut self.markers {
            let topic = marker.topic().to_owned();
            eventually(&format!("the marker row in `{topic}`"), ARRIVAL_MAX, async || {
                let slice = Instant::now() + LOOK;
                while let Some(event) = marker.next(slice).await? {
                    if event.payload()["after"]["id"].as_i64() == id {
                        return Ok(Seen::Yes(()));
                    }
                }
                ours.expect_running()?;
                client.expect_not_failed(NAME).await?;
                Ok(Seen::NotYet(log_end(connect)))
            })
            .await?;
        }
        Ok(())
    }

    /// Ends both readers; what they had sent is in Kafka.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.client.delete(NAME).await?;
        self.connect.stop().await;
        let exit_code = self.ours.terminate().await?;
        if exit_code == 0 {
            Ok(())
        } else {
            Err(Failure::new(format!("SIGTERM ended the connector with {exit_code}")))
        }
    }
}

/// The configuration both get.
fn settings(database: &Database, publication: &str, prefix: &str) -> Map<String, Value> {
    let ours = json!({
        "publication.name": publication,
        "publication.autocreate.mode": "disabled",
        "snapshot.mode": "no_data",
        // Truncations are compared too; both leave them out by default.
        "skipped.operations": "none",
        "key.converter.schemas.enable": "true",
        "value.converter.schemas.enable": "true",
    });
    connector::settings(database, prefix, ours)
}

/// Adds what makes Debezium fast enough for a run of many changes; none of it shows in an event.
fn debezium(mut settings: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in [
        ("poll.interval.ms", "10"),
        ("producer.override.compression.type", "lz4"),
        ("producer.override.linger.ms", "5"),
        ("producer.override.batch.size", "1000000"),
        ("producer.override.max.request.size", "20000000"),
    ] {
        settings.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    settings
}

fn log_end(connect: &Connect) -> String {
    let log = std::fs::read_to_string(connect.log_file()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
