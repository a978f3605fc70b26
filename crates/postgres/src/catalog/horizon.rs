//! How new the catalog is that was just read, and which of its rows a slot's stream cannot precede.
//!
//! In: a session that has read the catalog, and a slot. Out: a [`CatalogHorizon`]. Never here: what follows from it.
//! Source: PostgreSQL manual, `pg_replication_slots.catalog_xmin`, "Transaction ID and Snapshot Information Functions".

use std::str::FromStr;

use pgoutput::{Lsn, Xid};

use crate::{Connection, PostgresError, SlotName};

/// Between what the catalog was and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogHorizon {
    /// Every transaction before it had ended where the slot stands; `None` without such a slot.
    pub settled_before: Option<u64>,
    /// The transaction id that comes next, with its epoch.
    pub next_xid: u64,
    /// Transactions before it that were still under way, with their epochs.
    pub in_progress: Vec<u64>,
    /// Whatever was seen in the catalog before this was asked had been committed before this position.
    pub read_at: Lsn,
}

/// Ids are given out ahead of the next one that a snapshot tells of, as many as there are transactions under way.
const UNDER_WAY_MAX: u64 = 1 << 20;

impl CatalogHorizon {
    /// A transaction id with its epoch: the last one with these 32 bits that can have been given out.
    ///
    /// A row that was written more than 2^32 transactions ago shows an id that has come around, and looks newer than it is.
    pub fn full(&self, xid: Xid) -> u64 {
        let newest = self.next_xid + UNDER_WAY_MAX;
        let epoch = newest & !u64::from(u32::MAX);
        let full = epoch | u64::from(xid.0);
        if full <= newest { full } else { full.saturating_sub(1 << 32) }
    }

    /// Whether the work of a transaction of the log can be seen. It is in the log a moment earlier, and longer than a
    /// moment while it waits for a synchronous standby.
    pub fn shows(&self, xid: Xid) -> bool {
        let full = self.full(xid);
        full < self.next_xid && !self.in_progress.contains(&full)
    }
}

const HORIZON: &str = "\
SELECT (SELECT r.catalog_xmin::text::int8 FROM pg_replication_slots r WHERE r.slot_name = $1::text::name), \
       txid_snapshot_xmax(s.now), ARRAY(SELECT txid_snapshot_xip(s.now)), \
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text \
FROM (SELECT txid_current_snapshot() AS now) s";

/// Reads the horizon. Ask after the catalog was read: statements of one session run in order.
pub async fn horizon(
    connection: &Connection,
    slot: &SlotName,
) -> Result<CatalogHorizon, PostgresError> {
    const ACTION: &str = "read the age of the catalog";
    let run = async {
        let client = connection.client();
        let statement =
            connection.catalog.horizon.get_or_try_init(|| client.prepare(HORIZON)).await?;
        client.query_one(statement, &[&slot.as_str()]).await
    };
    let row = connection.answered(ACTION, run).await?;
    let (settled, next): (Option<i64>, i64) = (row.get(0), row.get(1));
    let (in_progress, read_at): (Vec<i64>, Option<&str>) = (row.get(2), row.get(3));
    let unsigned = |xid: i64| u64::try_from(xid).unwrap_or_default();
    let mut horizon = CatalogHorizon {
        settled_before: None,
        next_xid: unsigned(next),
        in_progress: in_progress.into_iter().map(unsigned).collect(),
        read_at: read_at.and_then(|text| Lsn::from_str(text).ok()).unwrap_or(Lsn::ZERO),
    };
    let settled = settled.and_then(|xid| u32::try_from(xid).ok());
    horizon.settled_before = settled.map(|xid| horizon.full(Xid(xid)));
    Ok(horizon)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn horizon(next_xid: u64) -> CatalogHorizon {
        let in_progress = vec![next_xid.saturating_sub(2)];
        CatalogHorizon { settled_before: None, next_xid, in_progress, read_at: Lsn::ZERO }
    }

    #[test]
    fn ids_get_the_epoch_in_which_they_were_given_out() {
        let old = horizon((3 << 32) + 100);
        assert_eq!(old.full(Xid(99)), (3 << 32) + 99);
        assert_eq!(old.full(Xid(130)), (3 << 32) + 130, "under way");
        assert_eq!(old.full(Xid(u32::MAX)), (3 << 32) - 1);
        assert_eq!(horizon(800).full(Xid(740)), 740);
        assert_eq!(horizon((3 << 32) - 5).full(Xid(4)), (3 << 32) + 4);
    }

    #[test]
    fn what_is_under_way_is_not_shown() {
        let horizon = horizon(100);
        assert!(horizon.shows(Xid(99)));
        assert!(!horizon.shows(Xid(98)));
        assert!(!horizon.shows(Xid(100)));
    }
}
