//! One row-level change and the name it keeps for ever.
//!
//! In: nothing; [`Assembler`](crate::Assembler) makes them. Out: plain data that borrows the frame.
//! Never: anything from a clock or from a counter that a restart would set back.
//! Source: `docs/ARCHITECTURE.md`; PostgreSQL manual, "Replica Identity".

use std::fmt;
use std::sync::Arc;

use crate::{Lsn, OldTuple, PgTimestamp, Relation, TupleData, Xid};

/// Names one change for ever, from the WAL only: the same change gets the same id after any restart.
///
/// Shape: shown as `commit_lsn:change_lsn:repeat`, like `0/16B3748:0/16B3700:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Where the transaction's commit record begins; of a message outside transactions, its own position.
    pub commit_lsn: Lsn,
    /// Position of the change.
    pub change_lsn: Lsn,
    /// How many changes just before it in the transaction share `change_lsn`: the rows of one `COPY` block do, and
    /// a logical message with the change behind it.
    pub repeat: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.commit_lsn, self.change_lsn, self.repeat)
    }
}

/// One change of a committed transaction, or a message outside transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Its name.
    pub id: EventId,
    /// How many changes pgoutput sent before it in its transaction, counted before anything is filtered.
    pub ordinal: u64,
    /// Its transaction; `None` for a message outside transactions.
    pub xid: Option<Xid>,
    /// When its transaction committed; `None` for a message outside transactions, which has no time of its own.
    pub committed_at: Option<PgTimestamp>,
    /// The server its transaction came from by replication; `None` if it began here.
    pub origin: Option<Arc<Origin>>,
    /// What happened.
    pub kind: ChangeKind<'a>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind<'a> {
    /// A new row.
    Insert {
        /// The table.
        relation: Arc<Relation>,
        /// The row.
        after: TupleData<'a>,
    },
    /// A changed row.
    Update {
        /// The table.
        relation: Arc<Relation>,
        /// What was logged about the row before.
        before: Before<'a>,
        /// The row as it is now.
        after: TupleData<'a>,
    },
    /// A row that is gone.
    Delete {
        /// The table.
        relation: Arc<Relation>,
        /// What was logged about the row; never [`Before::Absent`], the server sends no delete without it.
        before: Before<'a>,
    },
    /// Tables emptied by one command.
    Truncate {
        /// The tables.
        relations: Vec<Arc<Relation>>,
        /// `TRUNCATE … CASCADE`.
        cascade: bool,
        /// `TRUNCATE … RESTART IDENTITY`.
        restart_identity: bool,
    },
    /// What `pg_logical_emit_message` wrote.
    LogicalMessage {
        /// Whether it belongs to its transaction.
        transactional: bool,
        /// Whom it is for.
        prefix: &'a str,
        /// What it says.
        content: &'a [u8],
    },
}

/// What REPLICA IDENTITY let the server log about the old row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before<'a> {
    /// Nothing: the replica identity's columns did not change.
    Absent,
    /// The columns of the replica identity; the others are null.
    Key(TupleData<'a>),
    /// All columns.
    Full(TupleData<'a>),
}

impl<'a> From<Option<OldTuple<'a>>> for Before<'a> {
    fn from(old: Option<OldTuple<'a>>) -> Self {
        match old {
            None => Self::Absent,
            Some(OldTuple::Key(tuple)) => Self::Key(tuple),
            Some(OldTuple::Full(tuple)) => Self::Full(tuple),
        }
    }
}

/// The server a transaction came from by replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its commit on that server.
    pub commit_lsn: Lsn,
    /// Name of the replication origin.
    pub name: String,
}
