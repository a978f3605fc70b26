//! One moment of the database, held open: what is read of it by any session is of that moment.
//!
//! In: a connection. Out: the name of an exported snapshot, which transactions it sees, and where the log had come.
//! Never: a slot; it ends with its session.
//! Source: PostgreSQL manual, "Snapshot Synchronization Functions", "Transaction ID and Snapshot Information Functions".

use std::str::FromStr;
use std::time::Duration;

use pgoutput::Lsn;
use tokio::time::{Instant, sleep};

use crate::{Connection, ConnectionConfig, PostgresError, connect};

/// What an asynchronous commit has written reaches the disk within this, thrice the longest delay there is.
const FLUSH_MAX: Duration = Duration::from_secs(30);
/// A page of the log begins with a header, which nobody writes before something follows it.
const PAGE_HEADER_BYTES_MAX: u64 = 40;
const FLUSH_PAUSE: Duration = Duration::from_millis(20);

/// A transaction that sees one moment, and lets others see it.
pub struct Moment {
    /// Holds the snapshot.
    _session: Connection,
    /// Name of the exported snapshot.
    pub exported: String,
    /// Everything it sees committed before this position of the log.
    pub lsn: Lsn,
    xmin: u64,
    xmax: u64,
    in_progress: Vec<u64>,
}

impl Moment {
    /// Takes a snapshot and exports it.
    pub async fn take(config: &ConnectionConfig) -> Result<Self, PostgresError> {
        const ACTION: &str = "take a snapshot";
        let session = connect(config).await?;
        session.run(ACTION, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let sql = "SELECT pg_export_snapshot(), pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text";
        let rows = session.query(ACTION, sql, &[]).await?;
        let Some(row) = rows.first() else { return Err(malformed("no row")) };
        let (exported, snapshot, inserted): (String, String, String) =
            (row.get(0), row.get(1), row.get(2));
        let (xmin, xmax, in_progress) = parse(&snapshot).ok_or_else(|| malformed(&snapshot))?;
        let inserted = Lsn::from_str(&inserted).map_err(|_| malformed(&inserted))?;
        let lsn = flushed(&session, inserted).await?;
        Ok(Self { _session: session, exported, lsn, xmin, xmax, in_progress })
    }

    /// Whether it sees what a committed transaction did. Ids of events have 32 bits; they are taken for the nearest to now.
    pub fn sees(&self, xid: u32) -> bool {
        let epoch = self.xmax & !u64::from(u32::MAX);
        let candidates = [epoch.checked_sub(1 << 32), Some(epoch), epoch.checked_add(1 << 32)];
        let full = candidates.into_iter().flatten().map(|epoch| epoch + u64::from(xid));
        let nearest = full.min_by_key(|full| full.abs_diff(self.xmax)).unwrap_or_default();
        nearest < self.xmin || (nearest < self.xmax && !self.in_progress.contains(&nearest))
    }
}

/// Waits until the log is on disk up to here, since nobody is sent what is not. Out: how far it is then.
async fn flushed(session: &Connection, inserted: Lsn) -> Result<Lsn, PostgresError> {
    let deadline = Instant::now() + FLUSH_MAX;
    loop {
        let sql = "SELECT pg_current_wal_flush_lsn()::text";
        let rows = session.query("look how far the log is on disk", sql, &[]).await?;
        let text: &str = rows.first().map_or("", |row| row.get(0));
        let flushed = Lsn::from_str(text).map_err(|_| malformed(text))?;
        let is_there = flushed.as_u64() + PAGE_HEADER_BYTES_MAX >= inserted.as_u64();
        if is_there || Instant::now() >= deadline {
            return Ok(flushed.min(inserted));
        }
        sleep(FLUSH_PAUSE).await;
    }
}

/// `xmin:xmax:xip,xip`.
fn parse(snapshot: &str) -> Option<(u64, u64, Vec<u64>)> {
    let mut parts = snapshot.split(':');
    let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let in_progress = parts.next()?.split(',').filter(|xid| !xid.is_empty());
    Some((xmin, xmax, in_progress.map(|xid| xid.parse().ok()).collect::<Option<_>>()?))
}

fn malformed(found: &str) -> PostgresError {
    PostgresError::Protocol { what: format!("a snapshot is `{found}`") }
}
