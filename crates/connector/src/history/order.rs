//! Whether a transaction that wrote to the catalog came before or after a point of the log. Pure.
//!
//! In: the transaction's id, the horizon of the catalog, the transaction that is being decoded. Out: its [`Age`].
//!
//! Four things are certain: what had ended where the slot stands; what an earlier reading showed that the stream has passed
//! by now; the creation of the very table whose row is decoded; and the transaction itself. For the rest the ids decide.
//! A row of a table and a change of its definition exclude each other by their locks, so that one of the two transactions
//! ended before the other touched the table; as long as both did not run at the same time, the ids tell which.
//! Source: PostgreSQL manual, "Explicit Locking", "Transactions and Identifiers".

use pgoutput::{Lsn, Xid};
use postgres::catalog::CatalogHorizon;

/// The first id of an ordinary transaction; those below wrote what every database is born with.
const FIRST_NORMAL_XID: u32 = 3;

/// Where in the log a table was described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// The transaction that is being decoded.
    pub(crate) xid: Xid,
    /// Where it committed.
    pub(crate) commit_lsn: Lsn,
}

/// When a transaction took place, seen from a point of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It had committed before.
    Past,
    /// It is the one being decoded.
    Own,
    /// It committed later.
    Future,
}

/// What is known about transactions at one point of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    /// How new the catalog is.
    pub(crate) horizon: &'a CatalogHorizon,
    /// The point.
    pub(crate) point: Point,
    /// The transaction that created the table.
    pub(crate) created_by: Option<Xid>,
    /// Transactions an earlier reading of the catalog showed, which the stream has passed since.
    pub(crate) settled: &'a [Xid],
}

impl Order<'_> {
    /// When a transaction took place whose work the catalog shows.
    pub(crate) fn age(&self, xid: Xid) -> Age {
        if xid == self.point.xid {
            return Age::Own;
        }
        let full = self.horizon.full(xid);
        let certainly_past = xid.0 < FIRST_NORMAL_XID
            || self.horizon.settled_before.is_some_and(|settled| full < settled)
            || self.created_by == Some(xid)
            || self.settled.contains(&xid);
        if certainly_past || full < self.horizon.full(self.point.xid) {
            Age::Past
        } else {
            Age::Future
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(xid: u32, settled: &[Xid], next_xid: u64) -> Age {
        let (in_progress, read_at) = (Vec::new(), Lsn::new(9));
        let horizon = CatalogHorizon { settled_before: Some(100), next_xid, in_progress, read_at };
        let order = Order {
            horizon: &horizon,
            point: Point { xid: Xid(150), commit_lsn: Lsn::new(5) },
            created_by: Some(Xid(160)),
            settled,
        };
        order.age(Xid(xid))
    }

    #[test]
    fn ids_tell_before_from_after() {
        assert_eq!(age(2, &[], 200), Age::Past, "frozen");
        assert_eq!(age(99, &[], 200), Age::Past);
        assert_eq!(age(149, &[], 200), Age::Past);
        assert_eq!(age(150, &[], 200), Age::Own);
        assert_eq!(age(151, &[], 200), Age::Future);
    }

    #[test]
    fn a_table_is_never_younger_than_its_rows() {
        assert_eq!(age(160, &[], 200), Age::Past);
    }

    #[test]
    fn what_the_stream_has_passed_is_past() {
        assert_eq!(age(170, &[Xid(170)], 200), Age::Past);
    }

    #[test]
    fn ids_of_an_earlier_epoch_are_past() {
        assert_eq!(age(u32::MAX - 5, &[], (1 << 32) + 200), Age::Past);
    }
}
