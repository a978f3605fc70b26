//! Holds topics against tables: whether every event is there once and in order, and whether they fold to what the table is.
//!
//! In: the settings of a connector, running or not. Out: a [`Report`]. Topics are read `read_committed`; tables at one moment, which the
//! connector's checkpoint must have passed. An event counts if the snapshot of that moment sees its transaction, so the tables may be
//! written to meanwhile, and no event counts that the rows do not have.
//! Both sides go through the same encoder: what is held against each other is what was delivered, not how it looks.
//! Never: a record or a position written, a slot made.
//! Source: `docs/guides/verify.md`.

mod event;
pub(crate) mod fuzzing;
mod json;
mod order;
mod state;
mod table;

use std::time::Duration;

use kafka::Client;
use pgoutput::Lsn;
use postgres::Moment;
use postgres::catalog::{self, TableSummary};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::captured;
use crate::checkpoint::CheckpointLog;
use crate::error::ConnectorError;
use crate::position::{Position, SnapshotProgress};
use crate::settings::Settings;
pub use json::ReportJson;
use table::Subject;

/// Code of [`ConnectorError::NotCaughtUp`].
pub const BEHIND: &str = "CO027";
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Tables and topics are compared as of here.
    pub lsn: Lsn,
    /// Each captured table.
    pub tables: Vec<TableReport>,
}

/// What was found of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TableReport {
    /// `schema.table`.
    pub table: String,
    /// Its topic.
    pub topic: String,
    /// Rows of the table.
    pub rows: u64,
    /// Events that counted.
    pub events: u64,
    /// Events that were there before.
    pub repeated: u64,
    /// Events behind later ones.
    pub out_of_order: u64,
    /// Rows that no event tells of.
    pub missing: u64,
    /// Rows whose newest event says something else.
    pub different: u64,
    /// What the topic has and the table has not.
    pub phantom: u64,
    /// Records that are no events of this table.
    pub unreadable: u64,
    /// Values that could not be compared: no event has told them.
    pub unknown_values: u64,
    /// Whether events have ids, so that a repetition is told from disorder.
    pub has_event_ids: bool,
    /// A few of the differences, in words.
    pub examples: Vec<String>,
    /// Why it was not compared, or not all of it.
    pub not_compared: Option<String>,
}

/// How far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyProgress {
    /// What is being done, in words.
    pub what: String,
    /// Of how many.
    pub total: u64,
    /// How many are done.
    pub done: u64,
}

impl Report {
    /// Whether anything is wrong.
    pub fn is_clean(&self) -> bool {
        self.tables.iter().all(TableReport::is_clean)
    }
}

impl TableReport {
    /// Whether anything is wrong.
    pub fn is_clean(&self) -> bool {
        let Self { repeated, out_of_order, missing, different, phantom, unreadable, .. } = self;
        [repeated, out_of_order, missing, different, phantom, unreadable]
            .into_iter()
            .all(|count| *count == 0)
    }
}

/// Compares every captured table with its topic.
///
/// Errors: [`ConnectorError::NothingToVerify`]; [`ConnectorError::NotCaughtUp`] if the connector does not come as far as the
/// tables are within `wait_max`; those of both servers.
pub async fn verify(
    settings: &Settings,
    wait_max: Duration,
    progress: &watch::Sender<VerifyProgress>,
) -> Result<Report, ConnectorError> {
    let client = Client::connect(settings.store.clone()).await?;
    let nothing = || ConnectorError::NothingToVerify { connector: settings.name.to_string() };
    client.topic(&settings.offsets_topic).await?.ok_or_else(nothing)?;
    let log = CheckpointLog::open(&client, settings).await?;
    log.read(&client).await?.ok_or_else(nothing)?;
    let control = postgres::connect(&settings.source).await?;
    let moment = Moment::take(&settings.source).await?;
    wait_for(&log, &client, moment.lsn, wait_max, progress).await?;
    let tables = captured::select(catalog::list_tables(&control).await?, settings);
    let mut report = Report { lsn: moment.lsn, tables: Vec::new() };
    for summary in &tables {
        let (settings, client) = (settings, &client);
        let subject = Subject { settings, client, control: &control, moment: &moment, progress };
        report.tables.push(Box::pin(of_table(&subject, summary)).await?);
    }
    Ok(report)
}

async fn of_table(
    subject: &Subject<'_>,
    summary: &TableSummary,
) -> Result<TableReport, ConnectorError> {
    let table = format!("{}.{}", summary.schema, summary.name);
    let settings = subject.settings;
    let skipped = settings.encoder.skipped_operations;
    let reason = if skipped.create || skipped.update || skipped.delete {
        Some("skipped.operations leaves events out")
    } else if settings.snapshot.select_override(&summary.schema, &summary.name).is_some() {
        Some("snapshot.select.statement.overrides lets other rows stand for those of the table")
    } else if !settings.snapshot.mode.reads_tables() {
        Some("snapshot.mode reads no tables, so the topic has only what changed since")
    } else if !settings.encoder.is_json() {
        Some("its records are in Avro, which is not read yet")
    } else {
        None
    };
    match reason {
        Some(reason) => {
            let not_compared = Some(reason.to_owned());
            Ok(TableReport { table, not_compared, ..TableReport::default() })
        }
        None => subject.verify(summary, table).await,
    }
}

/// Waits until Kafka has everything that committed before a position.
async fn wait_for(
    log: &CheckpointLog,
    client: &Client,
    lsn: Lsn,
    wait_max: Duration,
    progress: &watch::Sender<VerifyProgress>,
) -> Result<(), ConnectorError> {
    let deadline = Instant::now() + wait_max;
    loop {
        let position = log.read(client).await?;
        if position.as_ref().is_some_and(|position| has_passed(position, lsn)) {
            return Ok(());
        }
        let at = position.map_or(Lsn::ZERO, |position| position.end_lsn);
        if Instant::now() >= deadline {
            return Err(ConnectorError::NotCaughtUp { at, lsn });
        }
        let what = format!("waits for the connector: it is at {at}, the tables at {lsn}");
        progress.send_replace(VerifyProgress { what, ..VerifyProgress::default() });
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

fn has_passed(position: &Position, lsn: Lsn) -> bool {
    position.snapshot == SnapshotProgress::Completed
        && position.gap.is_none()
        && position.requests.is_empty()
        && position.end_lsn >= lsn
}
