//! Waits for the end of a snapshot, as the connector's notifications tell of it.
//!
//! In: records of the topic of notifications from before the signal on. Out: an [`Ending`].
//! The id of a notification is that of its signal only while a snapshot is incremental, and the end is told once for all tables
//! that were waiting. So tables are counted as well.
//! Source: Debezium documentation, "Notifications".

use std::collections::BTreeSet;
use std::time::Duration;

use connector::WrittenSignal;
use connector::settings::Settings;
use envelope::NotificationPlan;
use kafka::reader::{StartAt, TopicReader};
use kafka::{Client, Isolation, KafkaError};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::error::CliError;
use crate::event::payload;

/// How long one request waits for more, and the pause between two looks for a topic.
const LOOK: Duration = Duration::from_millis(500);

/// How a snapshot ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Rows that were read.
    pub(crate) rows: u64,
    /// What was not read, if anything.
    pub(crate) missed: Option<String>,
}

/// The notifications from now on.
pub(super) struct Waiting {
    client: Client,
    topic: String,
    /// `None` while there is no such topic.
    reader: Option<TopicReader>,
    watch: Watch,
}

impl Waiting {
    /// Everything that is told after this is seen.
    pub(super) async fn open(
        settings: &Settings,
        signal: &WrittenSignal,
        id: &str,
    ) -> Result<Self, CliError> {
        let sink = settings.notifications.sink_topic.as_deref();
        let Some(sink) = sink.filter(|_| settings.encoder.is_json()) else {
            return Err(CliError::NoNotifications { connector: settings.name.to_string() });
        };
        let topic = NotificationPlan::topic_named(&settings.encoder, sink);
        let client = Client::connect(settings.store.clone()).await?;
        let reader = match client.topic(&topic).await? {
            Some(_) => Some(open(&client, &topic, StartAt::Latest).await?),
            None => None,
        };
        Ok(Self { client, topic, reader, watch: Watch::of(signal, id) })
    }

    /// Waits until it is over.
    pub(super) async fn until_over(self, most: Option<Duration>) -> Result<Ending, CliError> {
        let id = self.watch.id.clone();
        match most {
            None => Ok(self.follow().await?),
            Some(waited) => match timeout(waited, self.follow()).await {
                Ok(ending) => Ok(ending?),
                Err(_elapsed) => Err(CliError::SnapshotNotOver { id, waited }),
            },
        }
    }

    async fn follow(mut self) -> Result<Ending, KafkaError> {
        let mut reader = loop {
            if let Some(reader) = self.reader.take() {
                break reader;
            }
            if self.client.topic(&self.topic).await?.is_some() {
                break open(&self.client, &self.topic, StartAt::Earliest).await?;
            }
            sleep(LOOK).await;
        };
        loop {
            for record in reader.poll(LOOK).await? {
                let notification = record.value.as_deref().and_then(payload);
                if let Some(ending) = notification.and_then(|told| self.watch.hear(&told)) {
                    return Ok(ending);
                }
            }
        }
    }
}

async fn open(client: &Client, topic: &str, start: StartAt) -> Result<TopicReader, KafkaError> {
    TopicReader::open(client, topic, start, Isolation::ReadCommitted).await
}

/// What was heard of a snapshot. Pure.
#[derive(Debug)]
struct Watch {
    id: String,
    blocking: bool,
    /// Tables that were asked for and are not read, in lower case: a signal does not tell cases apart.
    left: BTreeSet<String>,
    asked: BTreeSet<String>,
    has_begun: bool,
    rows: u64,
    missed: Vec<String>,
}

impl Watch {
    fn of(signal: &WrittenSignal, id: &str) -> Self {
        let (tables, blocking) = match signal {
            WrittenSignal::Execute(wanted) => (wanted.tables.as_slice(), wanted.blocking),
            WrittenSignal::Stop(tables) => (tables.as_slice(), false),
            WrittenSignal::Pause | WrittenSignal::Resume => (&[][..], false),
        };
        let asked: BTreeSet<String> =
            tables.iter().map(|table| table.to_string().to_lowercase()).collect();
        Self {
            id: id.to_owned(),
            blocking,
            left: asked.clone(),
            asked,
            has_begun: false,
            rows: 0,
            missed: Vec::new(),
        }
    }

    /// A notification. Returns how it ended, once it has.
    fn hear(&mut self, told: &Value) -> Option<Ending> {
        let kind = told["type"].as_str()?;
        match told["aggregate_type"].as_str()? {
            "Incremental Snapshot" if !self.blocking => self.incremental(told, kind),
            "Initial Snapshot" if self.blocking => self.blocking(told, kind),
            _ => None,
        }
    }

    fn incremental(&mut self, told: &Value, kind: &str) -> Option<Ending> {
        let details = &told["additional_data"];
        if kind == "STARTED" && told["id"] == *self.id {
            self.has_begun = true;
        }
        if !self.has_begun {
            return None;
        }
        match kind {
            "TABLE_SCAN_COMPLETED" => self.scanned(details),
            "COMPLETED" => return Some(self.end()),
            "ABORTED" => {
                let names = tables(details);
                let stopped: Vec<String> = if names.is_empty() {
                    self.left.iter().cloned().collect()
                } else {
                    names.into_iter().filter(|name| self.left.contains(name)).collect()
                };
                for table in stopped {
                    self.left.remove(&table);
                    self.missed.push(format!("{table} was stopped"));
                }
            }
            _ => return None,
        }
        self.left.is_empty().then(|| self.end())
    }

    /// A blocking snapshot has no id: it is this one unless it is of other tables.
    fn blocking(&mut self, told: &Value, kind: &str) -> Option<Ending> {
        let details = &told["additional_data"];
        let all = tables(details);
        match kind {
            "STARTED" => {
                self.has_begun = true;
                (self.rows, self.missed) = (0, Vec::new());
            }
            _ if !all.is_empty() && !all.is_subset(&self.asked) => self.has_begun = false,
            "TABLE_SCAN_COMPLETED" if self.has_begun => self.scanned(details),
            "COMPLETED" if self.has_begun => return Some(self.end()),
            _ => {}
        }
        None
    }

    fn scanned(&mut self, details: &Value) {
        let table = details["scanned_collection"].as_str().unwrap_or_default().to_lowercase();
        self.left.remove(&table);
        if !self.asked.contains(&table) {
            return;
        }
        let rows = details["total_rows_scanned"].as_str().and_then(|rows| rows.parse::<u64>().ok());
        self.rows += rows.unwrap_or_default();
        match details["status"].as_str() {
            Some("SUCCEEDED" | "EMPTY") | None => {}
            Some(status) => self.missed.push(format!("{table} ended with {status}")),
        }
    }

    fn end(&self) -> Ending {
        let missed = (!self.missed.is_empty()).then(|| self.missed.join(", "));
        Ending { rows: self.rows, missed }
    }
}

/// The tables of a notification, in lower case.
fn tables(details: &Value) -> BTreeSet<String> {
    let names = details["data_collections"].as_str().unwrap_or_default().split(',');
    names.filter(|name| !name.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use connector::SnapshotWanted;
    use postgres::TableName;
    use serde_json::json;

    use super::*;

    fn watch(tables: &[&str], blocking: bool) -> Watch {
        let tables = tables.iter().map(|name| TableName::new("s", *name)).collect();
        let wanted = SnapshotWanted { tables, blocking, ..SnapshotWanted::default() };
        Watch::of(&WrittenSignal::Execute(wanted), "i")
    }

    fn told(id: &str, blocking: bool, kind: &str, details: &[(&str, &str)]) -> Value {
        let aggregate = if blocking { "Initial Snapshot" } else { "Incremental Snapshot" };
        let details: serde_json::Map<String, Value> =
            details.iter().map(|&(name, text)| (name.to_owned(), text.into())).collect();
        json!({"id": id, "type": kind, "aggregate_type": aggregate, "additional_data": details})
    }

    fn scanned(id: &str, table: &str, rows: &str, status: &str) -> Value {
        let details =
            [("scanned_collection", table), ("total_rows_scanned", rows), ("status", status)];
        told(id, false, "TABLE_SCAN_COMPLETED", &details)
    }

    #[test]
    fn it_is_over_when_its_tables_are_read_although_others_wait() {
        let mut watch = watch(&["a", "B"], false);
        assert_eq!(watch.hear(&scanned("h", "s.a", "9", "SUCCEEDED")), None, "an earlier one");
        assert_eq!(watch.hear(&told("i", false, "STARTED", &[])), None);
        assert_eq!(watch.hear(&scanned("h", "s.z", "9", "SUCCEEDED")), None);
        assert_eq!(watch.hear(&scanned("i", "s.a", "2", "SUCCEEDED")), None);
        let ending = watch.hear(&scanned("i", "s.B", "0", "EMPTY"));
        assert_eq!(ending, Some(Ending { rows: 2, missed: None }));
    }

    #[test]
    fn the_end_of_all_is_its_end_although_a_table_was_not_captured() {
        let mut watch = watch(&["a", "nowhere"], false);
        assert_eq!(watch.hear(&told("h", false, "COMPLETED", &[])), None, "of an earlier one");
        watch.hear(&told("i", false, "STARTED", &[]));
        watch.hear(&scanned("i", "s.a", "2", "SUCCEEDED"));
        let ending = watch.hear(&told("i", false, "COMPLETED", &[]));
        assert_eq!(ending, Some(Ending { rows: 2, missed: None }));
    }

    #[test]
    fn what_is_stopped_or_given_up_is_missed() {
        let mut watch = watch(&["a", "b"], false);
        watch.hear(&told("i", false, "STARTED", &[]));
        watch.hear(&scanned("i", "s.a", "2", "SQL_EXCEPTION"));
        let ending = watch.hear(&told("j", false, "ABORTED", &[("data_collections", "s.b")]));
        let missed = ending.unwrap().missed.unwrap();
        assert!(
            missed.contains("s.a ended with SQL_EXCEPTION") && missed.contains("s.b was stopped")
        );
    }

    #[test]
    fn a_blocking_one_is_told_from_others_by_its_tables() {
        let mut watch = watch(&["a"], true);
        let all = [("data_collections", "s.z"), ("scanned_collection", "s.z")];
        watch.hear(&told("x", true, "STARTED", &[]));
        watch.hear(&told("y", true, "TABLE_SCAN_COMPLETED", &all));
        assert_eq!(watch.hear(&told("z", true, "COMPLETED", &[])), None, "one of another table");
        watch.hear(&told("x", true, "STARTED", &[]));
        let own = [
            ("data_collections", "s.a"),
            ("scanned_collection", "s.a"),
            ("total_rows_scanned", "3"),
            ("status", "SUCCEEDED"),
        ];
        watch.hear(&told("y", true, "TABLE_SCAN_COMPLETED", &own));
        let ending = watch.hear(&told("z", true, "COMPLETED", &[]));
        assert_eq!(ending, Some(Ending { rows: 3, missed: None }));
    }
}
