//! The two readers of one database: the real Debezium in a Kafka Connect worker, and `tributary run`.
//!
//! In: a database with two slots made at the same place. Out: both streaming into topics that begin differently, and a wait
//! until both have read everything.
//! Never: a setting of one that the other lacks, where events could show it.

use std::time::{Duration, Instant};

use embedded::{Connect, ConnectOptions, Plugin, SchemaRegistry, Silent};
use serde_json::{Map, Value, json};

use super::{Converter, DEBEZIUM, OURS, Plan};
use crate::avro::Schemas;
use crate::connect::Client;
use crate::connector::{self, Connector, ConnectorProcess};
use crate::session::Session;
use crate::stack::{Database, MARKER_TABLE};
use crate::tail::Tail;
use crate::wait::{Seen, eventually};
use crate::{Failure, Result};

/// How long the slower one may need for what was written between two changes of a table.
const ARRIVAL_MAX: Duration = Duration::from_mins(5);
const CONNECT_MAX: Duration = Duration::from_mins(10);
const LOOK: Duration = Duration::from_millis(100);
const NAME: &str = "differential";

/// Both readers, streaming.
pub(super) struct Sides {
    connect: Connect,
    client: Client,
    ours: ConnectorProcess,
    session: Session,
    markers: [Tail; 2],
    registry: Option<SchemaRegistry>,
    /// Keeps the configuration and the log.
    _connector: Connector,
}

impl Sides {
    /// Makes both slots and starts both readers. Nothing may write to the database before this returns.
    pub(super) async fn start(database: &Database, publication: &str, plan: &Plan) -> Result<Self> {
        let settings = |prefix: &str| {
            let mut settings = settings(database, publication, prefix);
            let added = plan.settings.iter().cloned();
            settings.extend(added.map(|(key, value)| (key, Value::String(value))));
            settings
        };
        let registry = match plan.converter {
            Converter::Json => None,
            Converter::Avro => Some(SchemaRegistry::start(&Silent).await?),
        };
        let (mut theirs, mut own) = (debezium(settings(DEBEZIUM)), settings(OURS));
        let mut plugins = vec![Plugin::DebeziumPostgres];
        if let Some(registry) = &registry {
            plugins.push(Plugin::ApicurioConverter);
            theirs = in_avro(theirs, &apicurio(registry));
            own = in_avro(own, &confluent(registry));
        }
        let session = database.session().await?;
        for slot in [DEBEZIUM, OURS] {
            let made = format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')");
            session.text(&made).await?;
        }
        let mut options = ConnectOptions::new(database.bootstrap(), &plugins);
        // It looks into every class of the converters.
        options.deadline = CONNECT_MAX;
        let connect = Connect::start(options, &Silent).await?;
        let client = Client::new(&connect.url());
        client.create(NAME, theirs).await?;
        let connector = Connector::new(database.clone())?.named(NAME).with_settings(own);
        let ours = connector.start_streaming().await?;
        let marker = |prefix: &str| {
            Tail::open(database.bootstrap(), &format!("{prefix}.public.{MARKER_TABLE}"))
        };
        let markers = [marker(DEBEZIUM)?, marker(OURS)?];
        let mut sides =
            Self { connect, client, ours, session, markers, registry, _connector: connector };
        sides.catch_up().await?;
        Ok(sides)
    }

    /// Waits until both have sent everything that is committed now.
    pub(super) async fn catch_up(&mut self) -> Result<()> {
        let insert =
            format!("insert into public.{MARKER_TABLE}(note) values ('sync') returning id");
        let id: Option<i64> = self.session.text(&insert).await?.and_then(|id| id.parse().ok());
        let schemas = self.schemas();
        let (client, ours, connect) = (&self.client, &mut self.ours, &self.connect);
        for marker in &mut self.markers {
            let topic = marker.topic().to_owned();
            eventually(&format!("the marker row in `{topic}`"), ARRIVAL_MAX, async || {
                let slice = Instant::now() + LOOK;
                while let Some(event) = marker.next(slice).await? {
                    let event = match &schemas {
                        Some(schemas) => schemas.as_json(event).await?,
                        None => event,
                    };
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

    /// The schemas that both registered; `None` if records are no Avro.
    pub(super) fn schemas(&self) -> Option<Schemas> {
        self.registry.as_ref().map(|registry| Schemas::of(&registry.url()))
    }

    /// Ends both readers; what they had sent is in Kafka. Hands over the registry that knows their schemas.
    pub(super) async fn stop(mut self) -> (Result<()>, Option<SchemaRegistry>) {
        let registry = self.registry.take();
        (self.end().await, registry)
    }

    async fn end(mut self) -> Result<()> {
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

/// Options of Apicurio's converter, in the form of Confluent's.
fn apicurio(registry: &SchemaRegistry) -> Vec<(&'static str, String)> {
    vec![
        ("", "io.apicurio.registry.utils.converter.AvroConverter".to_owned()),
        (".apicurio.registry.url", registry.apicurio_url()),
        (".apicurio.registry.auto-register", "true".to_owned()),
        (".apicurio.registry.headers.enabled", "false".to_owned()),
        (".apicurio.registry.as-confluent", "true".to_owned()),
        (".apicurio.registry.use-id", "contentId".to_owned()),
    ]
}

/// Options of Confluent's converter.
fn confluent(registry: &SchemaRegistry) -> Vec<(&'static str, String)> {
    vec![
        ("", "io.confluent.connect.avro.AvroConverter".to_owned()),
        (".schema.registry.url", registry.url()),
    ]
}

/// Takes another converter for both sides of records.
fn in_avro(
    mut settings: Map<String, Value>,
    options: &[(&'static str, String)],
) -> Map<String, Value> {
    for side in ["key", "value"] {
        settings.remove(&format!("{side}.converter.schemas.enable"));
        for (option, value) in options {
            settings.insert(format!("{side}.converter{option}"), Value::String(value.clone()));
        }
    }
    settings
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
