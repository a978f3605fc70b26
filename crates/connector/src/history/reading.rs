//! One reading of the catalog for one relation of the stream: what it showed, and how long to rely on what followed.

use std::sync::Arc;

use pgoutput::{Lsn, Relation, Xid};
use postgres::catalog::TableDescription;

use super::order::Point;
use super::resolve::Certainty;

/// What was read of a table when the stream described it.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What the stream said.
    pub(crate) relation: Arc<Relation>,
    /// What the catalog showed was committed before this.
    pub(crate) read_at: Lsn,
    /// The transactions that had written it.
    pub(crate) written_by: Vec<Xid>,
    /// The transaction that was being decoded.
    pub(crate) during: Xid,
    /// The session of the stream that described it.
    pub(crate) session: u64,
    /// How long to rely on it.
    pub(crate) certainty: Certainty,
}

impl Reading {
    /// From where on it is worth looking again.
    pub(crate) fn settles_at(&self) -> Option<Lsn> {
        match self.certainty {
            Certainty::Certain => None,
            Certainty::UntilRead => Some(self.read_at),
            Certainty::UntilEnd => Some(Lsn::ZERO),
        }
    }

    /// The stream has passed where the catalog was read: all it showed, and lacked, is true by then.
    pub(crate) fn is_passed(&self, point: Point) -> bool {
        self.read_at <= point.commit_lsn
    }

    /// The transactions that are over for certain where the stream is.
    pub(crate) fn settled_at(&self, point: Point) -> Vec<Xid> {
        let mut settled = if self.is_passed(point) { self.written_by.clone() } else { Vec::new() };
        if self.during != point.xid {
            settled.push(self.during);
        }
        settled
    }
}

/// All transactions that have written what the catalog shows of a table.
pub(crate) fn writers(table: &TableDescription) -> Vec<Xid> {
    let columns = table
        .columns
        .iter()
        .flat_map(|column| std::iter::once(column.written_by).chain(column.default_written_by));
    let keys = table.keys.iter().flat_map(|key| key.written_by.iter().copied());
    let mut writers: Vec<Xid> = columns.chain(keys).collect();
    writers.sort_unstable();
    writers.dedup();
    writers
}
