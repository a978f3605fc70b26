//! Reads every topic back and compares it with the journal and with the tables.

use std::collections::HashMap;

use connector::settings::Settings;
use kafka::reader::StartAt;
use kafka::{Client, KafkaError};
use postgres::{Connection, PostgresError};
use serde_json::{Map, Value};

use super::journal::{Journal, Row, Step, Verdict};
use super::shop::Table;
use crate::error::CliError;
use crate::event::Event;
use crate::readback::read_through;

/// What the topics hold.
#[derive(Debug, Default)]
pub(crate) struct ReadBack {
    seen: HashMap<Row, Vec<Step>>,
    folded: HashMap<Row, Map<String, Value>>,
    /// Records, tombstones included.
    pub(crate) records: u64,
    /// Rows of the snapshot among them.
    pub(crate) snapshot_rows: u64,
}

/// Compares what was committed with a `read_committed` read of everything in the topics, and the topics' fold with the
/// tables' content.
pub(crate) async fn verify(
    settings: &Settings,
    connection: &Connection,
    journal: &Journal,
) -> Result<(ReadBack, Verdict), CliError> {
    let client = Client::connect(settings.store.clone()).await?;
    let mut read = ReadBack::default();
    for table in Table::ALL {
        let name = settings.topic_of("public", table.name());
        let Some(topic) = client.topic(&name).await? else {
            return Err(KafkaError::TopicMissing { topic: name }.into());
        };
        read_through(&client, &topic.topic, StartAt::Earliest, |record| {
            read.take(table, &Event::read(record.key.as_deref(), record.value.as_deref()));
            true
        })
        .await?;
    }
    let mut verdict = journal.judge(&read.seen);
    for table in Table::ALL {
        read.compare(table, connection, &mut verdict).await?;
    }
    Ok((read, verdict))
}

impl ReadBack {
    fn take(&mut self, table: Table, event: &Event) {
        self.records += 1;
        let row = row(table, event);
        if let Some(step) = step(event) {
            self.snapshot_rows += u64::from(matches!(step, Step::Read(_)));
            self.seen.entry(row.clone()).or_default().push(step);
        }
        match &event.after {
            Some(after) => {
                self.folded.insert(row, after.clone());
            }
            None => {
                self.folded.remove(&row);
            }
        }
    }

    /// Every row of the table is what its topic says, and the topic has no other.
    async fn compare(
        &mut self,
        table: Table,
        connection: &Connection,
        verdict: &mut Verdict,
    ) -> Result<(), CliError> {
        let rows = connection
            .client()
            .query(table.content_query(), &[])
            .await
            .map_err(|error| PostgresError::from_sql("read the shop's tables", &error))?;
        for found in rows {
            let (key, content): (String, String) = (found.get(0), found.get(1));
            let content: Value = serde_json::from_str(&content).unwrap_or_default();
            let folded = self.folded.remove(&Row { table, key: key.clone() });
            let wanted = content.as_object();
            let same = folded.as_ref().zip(wanted).is_some_and(|(folded, wanted)| {
                wanted.iter().all(|(name, value)| folded.get(name) == Some(value))
            });
            if !same {
                let folded = folded.map_or(Value::Null, Value::Object);
                verdict.wrong(format!(
                    "{table} {key} is {content} in the table and {folded} by its topic"
                ));
            }
        }
        if let Some(row) = self.folded.keys().find(|row| row.table == table) {
            verdict.wrong(format!("{table} {} is in the topic and not in the table", row.key));
        }
        Ok(())
    }
}

/// The row an event is about.
fn row(table: Table, event: &Event) -> Row {
    let key = match &event.key {
        Some(Value::Object(fields)) => {
            fields.values().map(Value::to_string).collect::<Vec<_>>().join(",")
        }
        other => format!("{other:?}"),
    };
    Row { table, key }
}

fn step(event: &Event) -> Option<Step> {
    let version = || {
        let version = event.after.as_ref()?.get("version")?.as_i64()?;
        i32::try_from(version).ok()
    };
    match event.operation {
        Some('r') => version().map(Step::Read),
        Some('c') => version().map(Step::Create),
        Some('u') => version().map(Step::Update),
        Some('d') => Some(Step::Delete),
        None if event.is_tombstone() => Some(Step::Tombstone),
        _ => None,
    }
}
