//! What the catalog says of a table, read together with what it says of others that are likely to be described soon.
//!
//! In: the table that is described, those whose versions are kept. Out: [`Seen`]. Each batch of a slot describes every relation anew; one round
//! trip for each would take longer than their rows. A reading that shows a transaction is as good for it as a later one.
//! Never here: a reading ahead of the stream for a transaction that it does not show, one ahead of a stream that is even with the server, and
//! more tables that were not wanted than were.

use std::collections::HashMap;
use std::sync::Arc;

use pgoutput::Oid;
use postgres::catalog::{self, CatalogHorizon, TableDescription};

use super::Tables;
use crate::error::ConnectorError;
use crate::history::order::Point;

/// Tables that are read at once.
const TABLES_MAX: usize = 256;

/// What the catalog said of one table.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// `None` when there is no such table any more.
    pub(super) now: Option<TableDescription>,
    /// Asked after it was read.
    pub(super) horizon: Arc<CatalogHorizon>,
    /// Whether it shows the transaction being decoded.
    pub(super) is_visible: bool,
}

/// What was read and not used yet, in one session of the stream.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    session: u64,
    /// Tables that were read in this session, for use at once or later.
    tables: usize,
    unused: HashMap<Oid, Unused>,
}

#[derive(Debug)]
struct Unused {
    now: Option<TableDescription>,
    /// Asked before it was read.
    before: Arc<CatalogHorizon>,
    /// Asked after it was read.
    horizon: Arc<CatalogHorizon>,
}

impl Ahead {
    /// What was read of a table in this session, if it shows the transaction at this point.
    fn take(&mut self, session: u64, oid: Oid, point: Point) -> Option<Seen> {
        if self.session != session {
            *self = Self { session, ..Self::default() };
        }
        let Unused { now, before, horizon } = self.unused.remove(&oid)?;
        before.shows(point.xid).then_some(Seen { now, horizon, is_visible: true })
    }

    /// As many tables as were read so far, of those that may follow this one: tables that were made together have ids side by side.
    fn followers(&self, oid: Oid, mut others: Vec<Oid>) -> Vec<Oid> {
        others.retain(|other| *other != oid && !self.unused.contains_key(other));
        others.sort_unstable_by_key(|other| (*other < oid, *other));
        others.truncate(self.tables.min(TABLES_MAX));
        others
    }
}

impl Tables {
    /// Reads what the catalog says of a table, unless that was read ahead. `afresh` where nothing that was read before will do.
    pub(super) async fn see(
        &mut self,
        oid: Oid,
        point: Point,
        afresh: bool,
    ) -> Result<Seen, ConnectorError> {
        let ahead = self.ahead.take(self.session, oid, point);
        if let Some(seen) = ahead.filter(|_| !afresh) {
            return Ok(seen);
        }
        let before = self.horizon_that_shows(point).await?;
        let is_visible = before.shows(point.xid);
        let is_behind = point.commit_lsn < self.session_began;
        let followers = if is_behind && !afresh { self.followers(oid) } else { Vec::new() };
        let oids = [&[oid][..], &followers].concat();
        let mut described: HashMap<Oid, TableDescription> =
            catalog::describe_tables(&self.control, &oids)
                .await?
                .into_iter()
                .map(|table| (table.oid, table))
                .collect();
        let horizon = catalog::horizon(&self.control, &self.settings.slot.name).await?;
        let (before, horizon) = (Arc::new(before), Arc::new(horizon));
        self.ahead.tables += oids.len();
        for follower in followers {
            let (before, horizon) = (Arc::clone(&before), Arc::clone(&horizon));
            let now = described.remove(&follower);
            self.ahead.unused.insert(follower, Unused { now, before, horizon });
        }
        Ok(Seen { now: described.remove(&oid), horizon, is_visible })
    }

    fn followers(&self, oid: Oid) -> Vec<Oid> {
        let is_due = |table: &Oid| {
            let reading = self.readings.get(table);
            reading.is_none_or(|reading| reading.session != self.session)
        };
        let kept = self.history.iter().map(|(table, _)| table);
        self.ahead.followers(oid, kept.filter(is_due).collect())
    }
}

#[cfg(test)]
mod tests {
    use pgoutput::{Lsn, Xid};

    use super::*;

    fn horizon(next_xid: u64) -> Arc<CatalogHorizon> {
        let (settled_before, in_progress, read_at) = (None, Vec::new(), Lsn::ZERO);
        Arc::new(CatalogHorizon { settled_before, next_xid, in_progress, read_at })
    }

    fn at(xid: u32) -> Point {
        Point { xid: Xid(xid), commit_lsn: Lsn::ZERO }
    }

    fn read(oids: &[u32]) -> Ahead {
        let (before, horizon) = (horizon(100), horizon(110));
        let unused =
            || Unused { now: None, before: Arc::clone(&before), horizon: Arc::clone(&horizon) };
        let unused: HashMap<Oid, Unused> = oids.iter().map(|oid| (Oid(*oid), unused())).collect();
        Ahead { session: 1, tables: unused.len() + 1, unused }
    }

    #[test]
    fn what_was_read_serves_each_table_once() {
        let mut ahead = read(&[7]);
        assert!(ahead.take(1, Oid(8), at(99)).is_none());
        let seen = ahead.take(1, Oid(7), at(99)).unwrap();
        assert_eq!((seen.horizon.next_xid, seen.is_visible), (110, true));
        assert!(ahead.take(1, Oid(7), at(99)).is_none());
    }

    #[test]
    fn what_was_read_before_a_transaction_could_be_seen_does_not_serve_it() {
        assert!(read(&[7]).take(1, Oid(7), at(105)).is_none());
    }

    #[test]
    fn what_was_read_in_one_session_does_not_serve_another() {
        let mut ahead = read(&[7]);
        assert!(ahead.take(2, Oid(7), at(99)).is_none());
        assert_eq!((ahead.tables, ahead.unused.len()), (0, 0));
    }

    #[test]
    fn followers_are_no_more_than_were_read_and_those_with_the_next_ids() {
        let others = || (1..=9).map(Oid).collect();
        assert_eq!(Ahead::default().followers(Oid(7), others()), []);
        assert_eq!(read(&[8]).followers(Oid(7), others()), [Oid(9), Oid(1)]);
        let many = Ahead { tables: 10_000, ..Ahead::default() };
        assert_eq!(many.followers(Oid(0), (1..=1000).map(Oid).collect()).len(), TABLES_MAX);
    }
}
