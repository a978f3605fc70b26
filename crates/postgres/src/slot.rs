//! Replication slots, seen and handled from an SQL session.
//!
//! Creating and dropping go through the replication connection; this reads their state and frees a slot from a stale
//! reader of ours. Source: PostgreSQL manual, "`pg_replication_slots`".

use std::time::Duration;

use pgoutput::Lsn;

use crate::{Connection, PostgresError, SlotName};

/// Whether the WAL a slot needs is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalStatus {
    /// Within `max_wal_size`.
    Reserved,
    /// More than `max_wal_size`, but kept.
    Extended,
    /// No longer kept: the next checkpoint may remove it.
    Unreserved,
    /// Removed. The slot is dead.
    Lost,
    /// The server does not say.
    Unknown,
}

/// One slot, as `pg_replication_slots` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// Its name.
    pub name: SlotName,
    /// The output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
    /// Its database; `None` for a physical slot.
    pub database: Option<String>,
    /// Dropped with its session.
    pub temporary: bool,
    /// The walsender that reads it.
    pub active_pid: Option<i32>,
    /// The oldest WAL it keeps.
    pub restart_lsn: Option<Lsn>,
    /// Where it would continue: everything before was acknowledged.
    pub confirmed_flush_lsn: Option<Lsn>,
    /// Whether its WAL is still there.
    pub wal_status: WalStatus,
    /// WAL bytes until it is in danger; `None` without a limit, or when it is lost.
    pub safe_wal_size_bytes: Option<i64>,
    /// WAL bytes it keeps back now: from `restart_lsn` to the end of the log.
    pub retained_wal_bytes: Option<i64>,
    /// Decodes at PREPARE; PostgreSQL 14 and later.
    pub two_phase: bool,
    /// Synchronised to standbys; PostgreSQL 17 and later.
    pub failover: bool,
    /// Why it is dead; PostgreSQL 16 (`conflicting`) and 17 (`invalidation_reason`).
    pub invalidation_reason: Option<String>,
}

/// Reads a slot; `None` when there is none of this name.
pub async fn read(
    connection: &Connection,
    name: &SlotName,
) -> Result<Option<SlotState>, PostgresError> {
    Err(connection.pending(name))
}

/// Ends the walsender that holds the slot, if it is one of ours: same role, and `application_name` as given.
///
/// Out: whether one was ended. A walsender of anybody else is left alone.
pub async fn end_stale_walsender(
    connection: &Connection,
    slot: &SlotState,
    application_name: &str,
) -> Result<bool, PostgresError> {
    Err(connection.pending((slot, application_name)))
}

/// Waits until no walsender holds the slot. Errors: [`PostgresError::SlotActive`] after `deadline`,
/// [`PostgresError::SlotMissing`] if it vanishes.
pub async fn wait_until_inactive(
    connection: &Connection,
    name: &SlotName,
    deadline: Duration,
) -> Result<SlotState, PostgresError> {
    Err(connection.pending((name, deadline)))
}
