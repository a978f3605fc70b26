//! What a connector's worker tells of it: one record of the status topic.
//!
//! In: the status a running connector reports. Out: [`Told`], which every worker of the group can read.
//! Never: a value of the configuration; causes name keys and places only.
//! Source: Kafka Connect, `status.storage.topic`.

use connector::status::{
    IncrementalStatus, RetentionStatus, SignalsStatus, SnapshotStatus, State, Status,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a connector is doing, in words for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its worker let go of it, and nobody has it yet.
    Unassigned,
    /// It takes over.
    Starting,
    /// It reads the captured tables for the first time.
    Snapshotting,
    /// It follows the log.
    Streaming,
    /// It failed in a way that may pass, and takes over again after a pause.
    Retrying,
    /// It was asked to pause, and does.
    Paused,
    /// It was asked to stop, and has.
    Stopped,
    /// It cannot go on until somebody changes something.
    Failed,
    /// Its configuration cannot be used.
    Invalid,
    /// It is being taken away, at the source too.
    Destroying,
}

/// Why a connector does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// Code, as `tributary explain` knows it.
    pub code: String,
    /// What, where, why and what to do.
    pub text: String,
    /// How often in a row it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attempt: Option<u32>,
}

/// How far a first reading of the tables has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SnapshotProgress)]
pub struct SnapshotTold {
    /// Tables to read.
    pub tables_total: usize,
    /// Tables read completely.
    pub tables_done: usize,
    /// Rows read.
    pub rows_read: u64,
    /// Rows to read, as the planner's statistics estimate them.
    pub rows_estimated: u64,
    /// Bytes of the tables.
    pub bytes_total: u64,
    /// Bytes of them that are read.
    pub bytes_done: u64,
    /// How long it will take at the pace it had so far.
    #[schema(required)]
    pub seconds_left: Option<u64>,
}

/// What the slot keeps of the source's log, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Retention)]
pub struct RetentionTold {
    /// Bytes of the log that cannot be removed.
    pub retained_bytes: u64,
    /// Bytes of the log that were not acknowledged.
    pub unacknowledged_bytes: u64,
    /// Where trouble begins.
    #[schema(required)]
    pub limit_bytes: Option<u64>,
    /// How fast it grows.
    pub growth_bytes_per_second: u64,
    /// How long until the limit at that pace.
    #[schema(required)]
    pub seconds_until_limit: Option<u64>,
    /// Why it is kept.
    pub cause: String,
}

/// Something the user should know that does not stop the connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Notice)]
pub struct NoticeTold {
    /// Code, as `tributary explain` knows it.
    pub code: String,
    /// What it is about.
    pub subject: String,
    /// What it is, and what can be done.
    pub text: String,
}

/// One connector's record in the status topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Who tells it: the worker's id, `host:port` of its API.
    pub worker: String,
    /// Grows each time a worker gets the connector: of two workers' records that of the later term counts.
    pub term: i64,
    /// When the connector this is about was made: of an earlier one of the same name it says nothing about this.
    pub created_at_ms: i64,
    /// The revision of what is wanted that this is about.
    pub revision: u64,
    /// The restarts of what is wanted that were heeded.
    pub restarts: u64,
    /// When the phase began; milliseconds since 1970.
    pub since_ms: i64,
    /// When this was written; milliseconds since 1970.
    pub at_ms: i64,
    /// What it is doing.
    pub phase: Phase,
    /// Why it does not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// How far the first reading has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotTold>,
    /// Tables that are read while the stream runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<IncrementalStatus>,
    /// Snapshots that signals have asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<SignalsStatus>,
    /// What the slot keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionTold>,
    /// Kafka holds everything before this position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_lsn: Option<String>,
    /// Records in committed Kafka transactions since it was started here.
    #[serde(default)]
    pub records_committed: u64,
    /// From the commit of the newest transaction at the source, by its clock, until Kafka had committed it; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// What the user should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeTold>,
    /// Topics it has written to since they were reset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
}

/// What a status says, without who says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) cause: Option<Cause>,
    pub(crate) snapshot: Option<SnapshotTold>,
}

/// The phase a running connector is in, with what belongs to it.
pub(crate) fn phase(state: &State) -> (Phase, Said) {
    let said = Said::default();
    match state {
        State::Starting => (Phase::Starting, said),
        State::Snapshotting(snapshot) => {
            (Phase::Snapshotting, Said { snapshot: Some(snapshot_told(snapshot)), ..said })
        }
        State::Streaming => (Phase::Streaming, said),
        State::Retrying { code, cause, attempt, .. } => {
            let cause =
                Cause { code: (*code).to_owned(), text: cause.clone(), attempt: Some(*attempt) };
            (Phase::Retrying, Said { cause: Some(cause), ..said })
        }
        State::Stopped => (Phase::Stopped, said),
        State::Failed { code, cause } => {
            let cause = Cause { code: (*code).to_owned(), text: cause.clone(), attempt: None };
            (Phase::Failed, Said { cause: Some(cause), ..said })
        }
    }
}

fn snapshot_told(snapshot: &SnapshotStatus) -> SnapshotTold {
    SnapshotTold {
        tables_total: snapshot.tables_total,
        tables_done: snapshot.tables_done,
        rows_read: snapshot.rows_read,
        rows_estimated: snapshot.rows_estimated,
        bytes_total: snapshot.bytes_total,
        bytes_done: snapshot.bytes_done,
        seconds_left: snapshot.remaining().map(|left| left.as_secs()),
    }
}

/// The parts that do not depend on the phase.
pub(crate) fn fill(told: &mut Told, status: &Status) {
    told.incremental.clone_from(&status.incremental);
    told.signals = (status.signals != SignalsStatus::default()).then(|| status.signals.clone());
    told.retention = status.retention.as_ref().map(retention_told);
    told.committed_lsn = status.committed.map(|lsn| lsn.to_string());
    told.records_committed = status.records_committed;
    let latency = status.measured.latency_last;
    told.latency_ms = latency.and_then(|latency| u64::try_from(latency.as_millis()).ok());
    told.notices = status
        .notices
        .iter()
        .map(|notice| NoticeTold {
            code: notice.code.to_owned(),
            subject: notice.subject.clone(),
            text: notice.text.clone(),
        })
        .collect();
}

fn retention_told(retention: &RetentionStatus) -> RetentionTold {
    RetentionTold {
        retained_bytes: retention.retained_bytes,
        unacknowledged_bytes: retention.unacknowledged_bytes,
        limit_bytes: retention.limit_bytes,
        growth_bytes_per_second: retention.growth_bytes_per_second,
        seconds_until_limit: retention.until_limit().map(|left| left.as_secs()),
        cause: retention.cause.to_string(),
    }
}
