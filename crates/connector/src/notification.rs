//! How a snapshot goes, told in the log and in a topic.
//!
//! In: its stages. Out: a line in the log; a record in the open Kafka transaction, so that a reader sees it exactly when it
//! sees the rows it speaks of.
//! Source: Debezium documentation, "Notifications".

use std::sync::Arc;

use envelope::{EncoderSettings, Notification, NotificationPlan};
use kafka::{Topic, Transaction};
use tracing::info;

use crate::append::{Appender, no_change};
use crate::clock;
use crate::error::ConnectorError;
use crate::settings::Settings;

/// Which snapshot a notification is about.
const INITIAL: &str = "Initial Snapshot";

/// A stage of a snapshot. Tables are `schema.table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It begins.
    Started,
    /// The rows of a table are read from here on.
    InProgress { table: String },
    /// A table was read to its end.
    TableScanCompleted { table: String, rows: u64 },
    /// It is over.
    Completed,
    /// There was nothing to read.
    Skipped,
}

impl Stage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::InProgress { .. } => "IN_PROGRESS",
            Self::TableScanCompleted { .. } => "TABLE_SCAN_COMPLETED",
            Self::Completed => "COMPLETED",
            Self::Skipped => "SKIPPED",
        }
    }

    fn details(&self, tables: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::Started | Self::Completed | Self::Skipped => Vec::new(),
            Self::InProgress { table } => vec![
                ("current_collection_in_progress", table.clone()),
                ("data_collections", tables.to_owned()),
            ],
            Self::TableScanCompleted { table, rows } => vec![
                ("scanned_collection", table.clone()),
                ("total_rows_scanned", rows.to_string()),
                ("data_collections", tables.to_owned()),
                ("status", "SUCCEEDED".to_owned()),
            ],
        }
    }
}

/// The channels the settings ask for.
pub(crate) struct Notifications {
    log: bool,
    sink: Option<NotificationPlan>,
    connector_name: String,
    record_bytes_max: usize,
}

impl Notifications {
    /// `None` if nobody asks for any.
    pub(crate) fn new(settings: &Settings, encoder: &Arc<EncoderSettings>) -> Option<Self> {
        let wanted = &settings.notifications;
        let sink = wanted.sink_topic.as_deref();
        (wanted.log || sink.is_some()).then(|| Self {
            log: wanted.log,
            sink: sink.map(|topic| NotificationPlan::compile(encoder, topic)),
            connector_name: encoder.topic_prefix.clone(),
            record_bytes_max: settings.producer.request_bytes_max,
        })
    }

    /// The topic of the records; `None` if there are none.
    pub(crate) fn topic(&self) -> Option<&str> {
        self.sink.as_ref().map(NotificationPlan::topic)
    }

    /// Tells of a stage. `tables` are all of the snapshot, comma-separated; `topic` is that of [`Notifications::topic`].
    pub(crate) fn tell(
        &self,
        stage: &Stage,
        tables: &str,
        topic: Option<&Topic>,
        transaction: &mut Transaction,
    ) -> Result<(), ConnectorError> {
        let mut details = vec![("connector_name", self.connector_name.clone())];
        details.extend(stage.details(tables));
        if self.log {
            info!("notification: {INITIAL} {}: {details:?}", stage.kind());
        }
        let (Some(plan), Some(topic)) = (&self.sink, topic) else { return Ok(()) };
        let now_ns = clock::unix_ns();
        let id = uuid::Uuid::new_v4().to_string();
        let notification = Notification {
            id: &id,
            kind: stage.kind(),
            aggregate_type: INITIAL,
            additional_data: &details,
            unix_ms: now_ns / 1_000_000,
        };
        let at = no_change(now_ns / 1000);
        let mut appender = Appender::new(Some(transaction), topic, &at, self.record_bytes_max);
        plan.encode(&notification, &mut |record| appender.append(&record));
        appender.finish()
    }
}
