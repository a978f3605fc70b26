//! Replication slots, seen and handled from an SQL session.
//!
//! Creating and dropping go through the replication connection; this reads their state and frees a slot from a stale
//! reader of ours. Source: PostgreSQL manual, "`pg_replication_slots`".

use std::time::Duration;

use pgoutput::Lsn;
use tokio::time::{Instant, sleep};
use tokio_postgres::types::ToSql;

use crate::{Connection, PostgresError, SlotName};

/// Looking again is cheap at first, when the slot is about to become free.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);

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

/// `to_jsonb` reads columns that not every version has.
const READ: &str = "\
SELECT plugin::text, database::text, temporary, active_pid, restart_lsn::text, confirmed_flush_lsn::text, wal_status, \
       safe_wal_size, \
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, \
                       restart_lsn)::int8, \
       coalesce((to_jsonb(s) ->> 'two_phase')::bool, false), \
       coalesce((to_jsonb(s) ->> 'failover')::bool, false), \
       coalesce(to_jsonb(s) ->> 'invalidation_reason', \
                CASE WHEN to_jsonb(s) ->> 'conflicting' = 'true' THEN 'conflict with recovery' END) \
FROM pg_replication_slots s WHERE slot_name = $1::text::name";

/// Reads a slot; `None` when there is none of this name.
pub async fn read(
    connection: &Connection,
    name: &SlotName,
) -> Result<Option<SlotState>, PostgresError> {
    let rows = connection.query("read the replication slot", READ, &[&name.as_str()]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(SlotState {
        name: name.clone(),
        plugin: row.get(0),
        database: row.get(1),
        temporary: row.get(2),
        active_pid: row.get(3),
        restart_lsn: lsn(row.get(4))?,
        confirmed_flush_lsn: lsn(row.get(5))?,
        wal_status: wal_status(row.get(6)),
        safe_wal_size_bytes: row.get(7),
        retained_wal_bytes: row.get(8),
        two_phase: row.get(9),
        failover: row.get(10),
        invalidation_reason: row.get(11),
    }))
}

fn lsn(text: Option<&str>) -> Result<Option<Lsn>, PostgresError> {
    let parsed = text.map(str::parse).transpose();
    parsed
        .map_err(|error| PostgresError::Protocol { what: format!("pg_replication_slots: {error}") })
}

fn wal_status(text: Option<&str>) -> WalStatus {
    match text {
        Some("reserved") => WalStatus::Reserved,
        Some("extended") => WalStatus::Extended,
        Some("unreserved") => WalStatus::Unreserved,
        Some("lost") => WalStatus::Lost,
        Some(_) | None => WalStatus::Unknown,
    }
}

impl SlotState {
    /// Whether a stream of pgoutput in this database can start on it; what holds it now does not count.
    ///
    /// Errors: [`PostgresError::SlotLost`] and [`PostgresError::SlotForeign`].
    pub fn check_usable(&self, database: &str) -> Result<(), PostgresError> {
        let slot = || self.name.clone();
        if self.is_lost() {
            let cause = self.invalidation_reason.as_deref();
            let reason = cause.map_or_else(String::new, |cause| format!(", {cause}"));
            let reason = format!("wal_status = lost{reason}");
            return Err(PostgresError::SlotLost { slot: slot(), reason });
        }
        match self.foreign(database) {
            None => Ok(()),
            Some(reason) => Err(PostgresError::SlotForeign { slot: slot(), reason }),
        }
    }

    /// The server has removed WAL it needs, or has invalidated it: it can never be read again.
    pub fn is_lost(&self) -> bool {
        self.wal_status == WalStatus::Lost || self.invalidation_reason.is_some()
    }

    /// Why it cannot give what a stream of pgoutput in this database reads; `None` if it can.
    pub fn foreign(&self, database: &str) -> Option<String> {
        match (self.plugin.as_deref(), self.database.as_deref()) {
            (None, _) => Some("it is a physical slot".to_owned()),
            (_, other) if other != Some(database) => {
                Some(format!("it belongs to database `{}`", other.unwrap_or("none")))
            }
            (Some("pgoutput"), _) => self.two_phase.then(|| {
                "it decodes prepared transactions at PREPARE (two_phase), which is not asked for"
                    .to_owned()
            }),
            (Some(plugin), _) => Some(format!("its output plugin is `{plugin}`, not pgoutput")),
        }
    }
}

/// The slot is named once more, so that a process that has taken the number over meanwhile is safe.
const END_WALSENDER: &str = "\
SELECT pg_terminate_backend(a.pid) \
FROM pg_stat_activity a JOIN pg_replication_slots s ON s.active_pid = a.pid \
WHERE s.slot_name = $1::text::name AND a.pid = $2 AND a.application_name = $3 AND a.usename = current_user";

/// Ends the walsender that holds the slot, if it is one of ours: same role, and `application_name` as given.
///
/// Out: whether one was ended. A walsender of anybody else is left alone. It needs a moment to be gone:
/// [`wait_until_inactive`].
pub async fn end_stale_walsender(
    connection: &Connection,
    slot: &SlotState,
    application_name: &str,
) -> Result<bool, PostgresError> {
    let Some(pid) = slot.active_pid else {
        return Ok(false);
    };
    let parameters: [&(dyn ToSql + Sync); 3] = [&slot.name.as_str(), &pid, &application_name];
    let rows = connection.query("end a stale walsender", END_WALSENDER, &parameters).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Waits until no walsender holds the slot. Errors: [`PostgresError::SlotActive`] after `deadline`,
/// [`PostgresError::SlotMissing`] if it vanishes.
pub async fn wait_until_inactive(
    connection: &Connection,
    name: &SlotName,
    deadline: Duration,
) -> Result<SlotState, PostgresError> {
    let end = Instant::now() + deadline;
    let mut pause = PAUSE_MIN;
    loop {
        let Some(state) = read(connection, name).await? else {
            return Err(PostgresError::SlotMissing { slot: name.clone(), source: None });
        };
        match state.active_pid {
            None => return Ok(state),
            Some(_) if Instant::now() < end => {}
            pid => {
                return Err(PostgresError::SlotActive { slot: name.clone(), pid });
            }
        }
        // PostgreSQL tells nobody when a slot becomes free.
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
