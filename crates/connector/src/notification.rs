//! How a snapshot goes, told in the log and in a topic.
//!
//! In: its stages. Out: a line in the log; a record in the open Kafka transaction, so that a reader sees it exactly when it
//! sees the rows it speaks of.
//! Source: Debezium documentation, "Notifications".

use std::sync::Arc;

use envelope::{EncoderSettings, Notification, NotificationPlan};
use kafka::{ProducerSettings, Topic, Transaction};
use tracing::info;

use crate::append::{Appender, no_change};
use crate::clock;
use crate::error::ConnectorError;
use crate::oversized::RecordLimits;
use crate::schemas::Schemas;
use crate::settings::Settings;

/// Which snapshot a notification is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    /// The one before streaming, or one for which streaming stands still.
    Initial,
    /// One that is taken while streaming.
    Incremental {
        /// The signal that asked for it; its notifications have this id.
        signal: String,
    },
}

impl Aggregate {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Initial => "Initial Snapshot",
            Self::Incremental { .. } => "Incremental Snapshot",
        }
    }

    fn id(&self) -> String {
        match self {
            Self::Initial => uuid::Uuid::new_v4().to_string(),
            Self::Incremental { signal } => signal.clone(),
        }
    }
}

/// A stage of a snapshot. Tables are `schema.table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It begins.
    Started,
    /// Its reading is interrupted until it is resumed.
    Paused,
    /// Its reading goes on.
    Resumed,
    /// It was stopped before its end.
    Aborted,
    /// The rows of a table are read from here on.
    InProgress { table: String },
    /// A chunk of a table was read, up to a key.
    ChunkDone { table: String, maximum_key: String, last_processed_key: String },
    /// A table was read to its end, or cannot be read.
    TableScanCompleted { table: String, rows: u64, status: ScanStatus },
    /// It is over.
    Completed,
    /// There was nothing to read.
    Skipped,
}

/// How the reading of a table ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanStatus {
    /// All its rows were read.
    Succeeded,
    /// It has none.
    Empty,
    /// It is not captured any more, or is gone.
    UnknownSchema,
    /// The server refused the statement.
    SqlException,
}

impl ScanStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Empty => "EMPTY",
            Self::UnknownSchema => "UNKNOWN_SCHEMA",
            Self::SqlException => "SQL_EXCEPTION",
        }
    }
}

impl ScanStatus {
    /// Why not all rows of the table were read; `None` if they were.
    pub(crate) fn missed(self) -> Option<&'static str> {
        match self {
            Self::Succeeded | Self::Empty => None,
            Self::UnknownSchema => Some("is not captured or does not exist any more"),
            Self::SqlException => Some("cannot be read as asked for: the log says why"),
        }
    }
}

impl Stage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Paused => "PAUSED",
            Self::Resumed => "RESUMED",
            Self::Aborted => "ABORTED",
            Self::InProgress { .. } | Self::ChunkDone { .. } => "IN_PROGRESS",
            Self::TableScanCompleted { .. } => "TABLE_SCAN_COMPLETED",
            Self::Completed => "COMPLETED",
            Self::Skipped => "SKIPPED",
        }
    }

    fn details(&self, aggregate: &Aggregate, tables: &str) -> Vec<(&'static str, String)> {
        let collections = ("data_collections", tables.to_owned());
        match self {
            Self::Started if *aggregate == Aggregate::Initial => Vec::new(),
            Self::Aborted if tables.is_empty() => Vec::new(),
            Self::Started | Self::Paused | Self::Resumed | Self::Aborted => vec![collections],
            Self::Completed | Self::Skipped => Vec::new(),
            Self::InProgress { table } => {
                vec![("current_collection_in_progress", table.clone()), collections]
            }
            Self::ChunkDone { table, maximum_key, last_processed_key } => vec![
                collections,
                ("current_collection_in_progress", table.clone()),
                ("maximum_key", maximum_key.clone()),
                ("last_processed_key", last_processed_key.clone()),
            ],
            Self::TableScanCompleted { table, rows, status } => vec![
                ("scanned_collection", table.clone()),
                ("total_rows_scanned", rows.to_string()),
                collections,
                ("status", status.as_str().to_owned()),
            ],
        }
    }
}

/// The channels the settings ask for.
pub(crate) struct Notifications {
    log: bool,
    sink: Option<NotificationPlan>,
    connector_name: String,
    producer: ProducerSettings,
}

impl Notifications {
    /// `None` if nobody asks for any.
    pub(crate) fn new(
        settings: &Settings,
        encoder: &Arc<EncoderSettings>,
    ) -> Result<Option<Self>, ConnectorError> {
        let wanted = &settings.notifications;
        let sink = wanted.sink_topic.as_deref();
        let sink = sink.map(|topic| NotificationPlan::compile(encoder, topic)).transpose()?;
        Ok((wanted.log || sink.is_some()).then(|| Self {
            log: wanted.log,
            sink,
            connector_name: encoder.topic_prefix.clone(),
            producer: settings.producer.clone(),
        }))
    }

    /// Has the schemas of the records registered, the first time.
    pub(crate) async fn identify(&mut self, schemas: &mut Schemas) -> Result<(), ConnectorError> {
        match &mut self.sink {
            Some(plan) => schemas.identify(plan.frames()).await,
            None => Ok(()),
        }
    }

    /// The topic of the records; `None` if there are none.
    pub(crate) fn topic(&self) -> Option<&str> {
        self.sink.as_ref().map(NotificationPlan::topic)
    }

    /// Tells of a stage. `tables` are all of the snapshot, comma-separated; `topic` is that of [`Notifications::topic`].
    pub(crate) fn tell(
        &self,
        aggregate: &Aggregate,
        stage: &Stage,
        tables: &str,
        topic: Option<&Topic>,
        transaction: &mut Transaction,
    ) -> Result<(), ConnectorError> {
        let mut details = vec![("connector_name", self.connector_name.clone())];
        details.extend(stage.details(aggregate, tables));
        if self.log {
            info!("notification: {} {}: {details:?}", aggregate.as_str(), stage.kind());
        }
        let (Some(plan), Some(topic)) = (&self.sink, topic) else { return Ok(()) };
        let now_ns = clock::unix_ns();
        let id = aggregate.id();
        let notification = Notification {
            id: &id,
            kind: stage.kind(),
            aggregate_type: aggregate.as_str(),
            additional_data: &details,
            unix_ms: now_ns / 1_000_000,
        };
        let at = no_change(now_ns / 1000);
        let mut limits = RecordLimits::fixed(&self.producer);
        let mut appender = Appender::new(Some(transaction), topic, &at, &mut limits);
        plan.encode(&notification, &mut |record| appender.append(&record));
        appender.finish()
    }
}
