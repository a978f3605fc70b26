//! The records of a connector as they come, for whoever looks on from outside: read back from its topics, whichever worker runs it.
//!
//! In: a connector's name, tables or all. Out: committed records of its topics from now on, and why there are no more.
//! A topic that is made later is read from its beginning; of one that joins later only what is written from then on.
//! Never: more records waiting than a reader may have; who reads slowly slows the reading of the topics, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use connector::settings::Settings;
use connector::{ConnectorError, table_typed};
use kafka::reader::{ConsumedRecord, StartAt, TopicReader};
use kafka::{Client, Isolation, KafkaError};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use utoipa::ToSchema;

use crate::clock::now_ms;
use crate::error::GroupError;
use crate::group::Group;
use crate::view::ConnectorView;

/// Records that wait for the one who looks on.
const WAITING_MAX: usize = 256;
/// How long one request waits for more.
const POLL: Duration = Duration::from_millis(500);
/// Between two looks for topics that are new.
const LOOK: Duration = Duration::from_secs(1);

/// What came.
#[derive(Debug)]
pub(crate) enum Came {
    /// These topics are read from here on.
    Reading(Vec<String>),
    /// A record of one of them.
    Record(String, ConsumedRecord),
    /// The connector is gone; nothing follows.
    Gone,
    /// What ended the reading; nothing follows.
    Failed(GroupError),
}

/// The records of one connector. Ends with its owner.
#[derive(Debug)]
pub(crate) struct Records {
    came: mpsc::Receiver<Came>,
    _reading: JoinSet<()>,
}

impl Group {
    /// The records of a connector from now on: those of some tables, or all.
    ///
    /// Errors: [`GroupError::NotFound`], [`GroupError::NotCaptured`], those of its configuration.
    pub(crate) fn records(&self, name: &str, tables: &[String]) -> Result<Records, GroupError> {
        let view = self.connector(name)?;
        let settings = self.settings(name, &view.wanted.config)?;
        for table in tables.iter().map(|typed| table_typed(typed)) {
            if !settings.tables.captures(&table.schema, &table.name) {
                let (name, table) = (name.to_owned(), table.to_string());
                return Err(GroupError::NotCaptured { name, table });
            }
        }
        let (sender, came) = mpsc::channel(WAITING_MAX);
        let following = Following {
            group: self.clone(),
            name: name.to_owned(),
            tables: tables.to_vec(),
            since_ms: None,
            open: BTreeSet::new(),
            readers: JoinSet::new(),
            sender,
        };
        let mut reading = JoinSet::new();
        reading.spawn(following.run(settings));
        Ok(Records { came, _reading: reading })
    }
}

impl Records {
    /// What comes next; `None` after the last. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Came> {
        self.came.recv().await
    }
}

struct Following {
    group: Group,
    name: String,
    /// Empty: all.
    tables: Vec<String>,
    /// What is older is not told, of topics that join later. `None` at the start, when topics are read from their ends.
    since_ms: Option<i64>,
    open: BTreeSet<String>,
    readers: JoinSet<Result<(), KafkaError>>,
    sender: mpsc::Sender<Came>,
}

impl Following {
    async fn run(mut self, settings: Settings) {
        let last = match Box::pin(self.follow(settings)).await {
            Ok(()) => Came::Gone,
            Err(failure) => Came::Failed(failure),
        };
        // Who looked on may have gone meanwhile.
        let _ = self.sender.send(last).await;
    }

    /// Until the connector is gone.
    async fn follow(&mut self, mut settings: Settings) -> Result<(), GroupError> {
        let client = Client::connect(settings.store.clone()).await.map_err(of_kafka)?;
        let mut changes = self.group.changes();
        let mut revision = None;
        loop {
            let Ok(view) = self.group.connector(&self.name) else { return Ok(()) };
            if revision.replace(view.wanted.config_revision) != Some(view.wanted.config_revision)
                && let Ok(newest) = self.group.settings(&self.name, &view.wanted.config)
            {
                settings = newest;
            }
            let opened = self.open_new(&client, &view, &settings).await.map_err(of_kafka)?;
            if (self.since_ms.is_none() || !opened.is_empty())
                && self.sender.send(Came::Reading(opened)).await.is_err()
            {
                return Ok(());
            }
            self.since_ms.get_or_insert_with(now_ms);
            let look = Instant::now() + LOOK;
            tokio::select! {
                Some(ended) = self.readers.join_next() => {
                    // With its topics the connector goes.
                    let is_going = |view: ConnectorView| view.wanted.destroy.is_some();
                    match failure_of(ended) {
                        Some(failure) if !self.group.connector(&self.name).is_ok_and(is_going) => {
                            return Err(of_kafka(failure));
                        }
                        _ => return Ok(()),
                    }
                }
                () = gone(&mut changes, &self.group, &self.name) => {}
                () = sleep_until(look) => {}
                () = self.sender.closed() => return Ok(()),
            }
        }
    }

    /// Begins to read the topics that are there and are not read yet.
    async fn open_new(
        &mut self,
        client: &Client,
        view: &ConnectorView,
        settings: &Settings,
    ) -> Result<Vec<String>, KafkaError> {
        let mut opened = Vec::new();
        for topic in self.topics(view, settings) {
            if self.open.contains(&topic) || client.topic(&topic).await?.is_none() {
                continue;
            }
            let (start, since_ms) = match self.since_ms {
                None => (StartAt::Latest, 0),
                Some(since_ms) => (StartAt::Earliest, since_ms),
            };
            let committed = Isolation::ReadCommitted;
            let reader = TopicReader::open(client, &topic, start, committed).await?;
            self.readers.spawn(read(reader, topic.clone(), since_ms, self.sender.clone()));
            self.open.insert(topic.clone());
            opened.push(topic);
        }
        Ok(opened)
    }

    /// The topics that are wanted, whether they are there or not.
    fn topics(&self, view: &ConnectorView, settings: &Settings) -> BTreeSet<String> {
        if self.tables.is_empty() {
            let listed = view.literal_tables();
            let listed = listed.iter().map(|(schema, table)| settings.topic_of(schema, table));
            return listed.chain(view.topics().iter().cloned()).collect();
        }
        let tables = self.tables.iter().map(|typed| table_typed(typed));
        tables.map(|table| settings.topic_of(&table.schema, &table.name)).collect()
    }
}

/// Returns once the connector is not there any more. Cancel-safe.
async fn gone(changes: &mut watch::Receiver<u64>, group: &Group, name: &str) {
    while group.connector(name).is_ok() {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn read(
    mut reader: TopicReader,
    topic: String,
    since_ms: i64,
    sender: mpsc::Sender<Came>,
) -> Result<(), KafkaError> {
    loop {
        for record in reader.poll(POLL).await? {
            if record.timestamp_ms >= since_ms
                && sender.send(Came::Record(topic.clone(), record)).await.is_err()
            {
                return Ok(());
            }
        }
    }
}

fn failure_of(ended: Result<Result<(), KafkaError>, JoinError>) -> Option<KafkaError> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(_panic) => Some(KafkaError::Interrupted),
    }
}

fn of_kafka(failure: KafkaError) -> GroupError {
    GroupError::Connector(ConnectorError::Kafka(failure))
}

/// One record for programs: JSON where it is JSON, text where it is text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Record)]
pub(crate) struct RecordJson {
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    /// null is Kafka's null.
    key: Value,
    /// null is Kafka's null: a tombstone.
    value: Value,
    headers: Vec<HeaderJson>,
}

/// A header of a record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordHeader)]
struct HeaderJson {
    name: String,
    #[schema(required)]
    value: Option<String>,
}

impl From<&ConsumedRecord> for RecordJson {
    fn from(record: &ConsumedRecord) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let decoded = |bytes: &[u8]| {
            serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(text(bytes)))
        };
        let headers = record.headers.iter().map(|(name, value)| HeaderJson {
            name: name.clone(),
            value: value.as_deref().map(text),
        });
        Self {
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref().map_or(Value::Null, decoded),
            value: record.value.as_deref().map_or(Value::Null, decoded),
            headers: headers.collect(),
        }
    }
}

/// The same as a value.
pub fn record_json(record: &ConsumedRecord) -> Value {
    json!(RecordJson::from(record))
}
