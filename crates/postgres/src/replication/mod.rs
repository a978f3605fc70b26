//! The walsender session: commands first, then the stream.
mod stream;

pub use stream::{ReplicationStream, WalChunk};

use std::time::Duration;

use pgoutput::Lsn;

use crate::{ConnectionConfig, PostgresError, SlotName};

/// Which server this is, and where its log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemIdentity {
    /// Unique per cluster, the same on its standbys.
    pub system_id: String,
    /// The timeline it is on.
    pub timeline: u32,
    /// The end of the flushed log.
    pub flushed: Lsn,
    /// The database of this session.
    pub database: String,
}

/// Where one timeline was left for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineSwitch {
    /// The timeline that ended.
    pub timeline: u32,
    /// What lies after this position on it does not exist on the next.
    pub switch_lsn: Lsn,
}

/// What becomes of the snapshot a new slot starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotAction {
    /// Other sessions can import it, as long as this session stays idle.
    Export,
    /// Nobody needs it.
    NoExport,
}

/// How a slot is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateSlot {
    /// Whether to export the snapshot.
    pub snapshot: SnapshotAction,
    /// Dropped with this session.
    pub temporary: bool,
    /// Synchronised to standbys; needs PostgreSQL 17.
    pub failover: bool,
}

/// A slot that was just created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedSlot {
    /// The stream begins here; what was committed before is in the snapshot.
    pub consistent_point: Lsn,
    /// The exported snapshot; alive while this connection is idle.
    pub snapshot_name: Option<String>,
}

/// What pgoutput shall send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgoutputOptions {
    /// 1 to 4.
    pub proto_version: u32,
    /// The publications, at least one.
    pub publications: Vec<String>,
    /// Also logical decoding messages; PostgreSQL 14 and later.
    pub messages: bool,
    /// `none` or `any`; PostgreSQL 16 and later.
    pub origin: Option<String>,
    /// Further options, as they are (`slot.stream.params`).
    pub extra: Vec<(String, String)>,
}

/// How progress is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// At least this often; shortened to a third of the server's `wal_sender_timeout` where that is less.
    pub status_interval: Duration,
}

/// The walsender session.
pub struct ReplicationConnection(());

impl ReplicationConnection {
    /// Opens a session with `replication=database`.
    pub async fn connect(config: &ConnectionConfig) -> Result<Self, PostgresError> {
        let _ = config;
        Err(PostgresError::StreamEnded)
    }

    /// `server_version_num` of the server: 150004 is 15.4.
    pub fn server_version_num(&self) -> u32 {
        0
    }

    /// The server process of this session.
    pub fn backend_pid(&self) -> i32 {
        0
    }

    /// `IDENTIFY_SYSTEM`.
    pub async fn identify_system(&mut self) -> Result<SystemIdentity, PostgresError> {
        Err(PostgresError::StreamEnded)
    }

    /// `TIMELINE_HISTORY`: where each timeline before `timeline` was left. Empty for timeline 1.
    pub async fn timeline_history(
        &mut self,
        timeline: u32,
    ) -> Result<Vec<TimelineSwitch>, PostgresError> {
        let _ = timeline;
        Err(PostgresError::StreamEnded)
    }

    /// `CREATE_REPLICATION_SLOT … LOGICAL pgoutput`. Waits for running transactions of the whole cluster to end.
    pub async fn create_slot(
        &mut self,
        name: &SlotName,
        options: CreateSlot,
    ) -> Result<CreatedSlot, PostgresError> {
        let _ = (name, options);
        Err(PostgresError::StreamEnded)
    }

    /// `DROP_REPLICATION_SLOT`; `wait` waits for its reader to leave instead of failing.
    pub async fn drop_slot(&mut self, name: &SlotName, wait: bool) -> Result<(), PostgresError> {
        let _ = (name, wait);
        Err(PostgresError::StreamEnded)
    }

    /// `START_REPLICATION`: the session becomes the stream.
    ///
    /// PostgreSQL begins at `confirmed_flush_lsn` if that is later than `start`, without a word: compare them first.
    pub async fn start_replication(
        self,
        slot: &SlotName,
        start: Lsn,
        options: &PgoutputOptions,
        feedback: Feedback,
    ) -> Result<ReplicationStream, PostgresError> {
        let _ = (slot, start, options, feedback);
        Err(PostgresError::StreamEnded)
    }
}
