//! What a replication slot keeps of the log, and who keeps it from letting go.
//!
//! In: an SQL session. Out: [`Retention`], bytes and the oldest transactions. Never: the text of anybody's statement.
//! Source: PostgreSQL manual, "`pg_replication_slots`", "`pg_stat_replication`", "`pg_stat_activity`", "`pg_prepared_xacts`".

use std::time::Duration;

use crate::{Connection, PostgresError, SlotName};

/// A slot and the log it keeps. All bytes are of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// From `restart_lsn` to the end: what cannot be removed.
    pub retained_bytes: u64,
    /// From `confirmed_flush_lsn` to the end: what was not acknowledged.
    pub unacknowledged_bytes: u64,
    /// From what the walsender has sent to the end; `None` if none reads the slot, or it may not be seen.
    pub unsent_bytes: Option<u64>,
    /// Until the server gives the slot up (`max_slot_wal_keep_size`); `None` without a limit.
    pub safe_bytes: Option<u64>,
    /// The transaction that has been writing for longest.
    pub oldest: Option<OldTransaction>,
}

/// A transaction under way: the log is kept from its beginning on, since a decoder may have to start there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldTransaction {
    /// Of a session.
    Session {
        /// Its process.
        pid: i32,
        /// `application_name`, or the role if it has none.
        application: String,
        /// `state` of `pg_stat_activity`.
        state: String,
        /// Since it began.
        age: Duration,
    },
    /// Prepared, and forgotten perhaps.
    Prepared {
        /// Its global identifier.
        gid: String,
        /// Since it was prepared.
        age: Duration,
    },
}

/// A standby has no `pg_current_wal_lsn()`.
const READ: &str = "\
WITH here AS MATERIALIZED (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) \
SELECT greatest(pg_wal_lsn_diff(h.lsn, s.restart_lsn), 0)::int8, \
       greatest(pg_wal_lsn_diff(h.lsn, s.confirmed_flush_lsn), 0)::int8, \
       greatest(pg_wal_lsn_diff(h.lsn, r.sent_lsn), 0)::int8, \
       s.safe_wal_size, \
       a.pid, coalesce(nullif(a.application_name, ''), a.usename::text, ''), coalesce(a.state, ''), \
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8, \
       p.gid, extract(epoch FROM clock_timestamp() - p.prepared)::float8 \
FROM here h CROSS JOIN pg_replication_slots s \
LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid \
LEFT JOIN LATERAL (SELECT * FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start LIMIT 1) a ON true \
LEFT JOIN LATERAL (SELECT * FROM pg_prepared_xacts ORDER BY prepared LIMIT 1) p ON true \
WHERE s.slot_name = $1::text::name";

/// Reads what a slot keeps; `None` when there is none of this name.
pub async fn read(
    connection: &Connection,
    slot: &SlotName,
) -> Result<Option<Retention>, PostgresError> {
    let rows = connection.query("read what the slot keeps", READ, &[&slot.as_str()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let bytes = |index| row.get::<_, Option<i64>>(index).map(|n| u64::try_from(n).unwrap_or(0));
    let age = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let session = match (row.get(4), row.get(7)) {
        (Some(pid), Some(seconds)) => Some(OldTransaction::Session {
            pid,
            application: row.get(5),
            state: row.get(6),
            age: age(seconds),
        }),
        _ => None,
    };
    let prepared = match (row.get(8), row.get(9)) {
        (Some(gid), Some(seconds)) => Some(OldTransaction::Prepared { gid, age: age(seconds) }),
        _ => None,
    };
    Ok(Some(Retention {
        retained_bytes: bytes(0).unwrap_or(0),
        unacknowledged_bytes: bytes(1).unwrap_or(0),
        unsent_bytes: bytes(2),
        safe_bytes: bytes(3),
        oldest: session.into_iter().chain(prepared).max_by_key(OldTransaction::age),
    }))
}

impl OldTransaction {
    /// How long it has been there.
    pub fn age(&self) -> Duration {
        match self {
            Self::Session { age, .. } | Self::Prepared { age, .. } => *age,
        }
    }
}
