//! The messages of pgoutput, each as the manual lists it, borrowing the frame it came in.
//!
//! In: nothing; [`crate::decode`] makes them, [`crate::encode`] writes them. Out: plain data. Never: what a message
//! means after another (that is [`Assembler`](crate::Assembler)).
//! Source: PostgreSQL manual, "Logical Replication Message Formats". Fields stand in the order of the wire; `xid` is
//! there only inside a streamed transaction. All positions in bytes of WAL, all times in microseconds since 2000.

mod relation;

pub use relation::{Relation, RelationColumn, RelationColumns, RelationOids};

use crate::{Lsn, Oid, OldTuple, PgTimestamp, TupleData, Xid};

/// One pgoutput message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is its struct, documented there")]
pub enum Message<'a> {
    Begin(Begin),
    Commit(Commit),
    Origin(Origin<'a>),
    Relation(Relation<'a>),
    Type(Type<'a>),
    Insert(Insert<'a>),
    Update(Update<'a>),
    Delete(Delete<'a>),
    Truncate(Truncate<'a>),
    LogicalMessage(LogicalMessage<'a>),
    StreamStart(StreamStart),
    StreamStop(StreamStop),
    StreamCommit(StreamCommit),
    StreamAbort(StreamAbort),
    BeginPrepare(BeginPrepare<'a>),
    Prepare(Prepare<'a>),
    CommitPrepared(CommitPrepared<'a>),
    RollbackPrepared(RollbackPrepared<'a>),
    StreamPrepare(StreamPrepare<'a>),
}

impl Message<'_> {
    /// Its name in the manual.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begin(_) => "Begin",
            Self::Commit(_) => "Commit",
            Self::Origin(_) => "Origin",
            Self::Relation(_) => "Relation",
            Self::Type(_) => "Type",
            Self::Insert(_) => "Insert",
            Self::Update(_) => "Update",
            Self::Delete(_) => "Delete",
            Self::Truncate(_) => "Truncate",
            Self::LogicalMessage(_) => "Message",
            Self::StreamStart(_) => "Stream Start",
            Self::StreamStop(_) => "Stream Stop",
            Self::StreamCommit(_) => "Stream Commit",
            Self::StreamAbort(_) => "Stream Abort",
            Self::BeginPrepare(_) => "Begin Prepare",
            Self::Prepare(_) => "Prepare",
            Self::CommitPrepared(_) => "Commit Prepared",
            Self::RollbackPrepared(_) => "Rollback Prepared",
            Self::StreamPrepare(_) => "Stream Prepare",
        }
    }
}

/// `B`: a committed transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Where its commit record begins.
    pub final_lsn: Lsn,
    /// When it committed.
    pub committed_at: PgTimestamp,
    /// Its id.
    pub xid: Xid,
}

/// `C`: the transaction is complete. Its flags byte must be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Where its commit record begins; the `final_lsn` of its [`Begin`].
    pub commit_lsn: Lsn,
    /// Where its commit record ends.
    pub end_lsn: Lsn,
    /// When it committed.
    pub committed_at: PgTimestamp,
}

/// `O`: the transaction came to this server by replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Its commit on the server it came from.
    pub commit_lsn: Lsn,
    /// Name of the replication origin.
    pub name: &'a str,
}

/// `Y`: a type that is not built in, sent before the table that uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type<'a> {
    /// Of the streamed transaction.
    pub xid: Option<Xid>,
    /// The type's `pg_type.oid`; of a domain, the domain's.
    pub oid: Oid,
    /// Its schema; empty for `pg_catalog`.
    pub namespace: &'a str,
    /// Its name; of a domain, its base type's may stand here.
    pub name: &'a str,
}

/// `I`: a new row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insert<'a> {
    /// Of the streamed transaction, or of its part that a savepoint began.
    pub xid: Option<Xid>,
    /// The table.
    pub relation: Oid,
    /// `N`: the row.
    pub new: TupleData<'a>,
}

/// `U`: a changed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// Of the streamed transaction, or of its part that a savepoint began.
    pub xid: Option<Xid>,
    /// The table.
    pub relation: Oid,
    /// `K` or `O`: the old row, when the server logged it.
    pub old: Option<OldTuple<'a>>,
    /// `N`: the row as it is now.
    pub new: TupleData<'a>,
}

/// `D`: a row that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delete<'a> {
    /// Of the streamed transaction, or of its part that a savepoint began.
    pub xid: Option<Xid>,
    /// The table.
    pub relation: Oid,
    /// `K` or `O`: the old row.
    pub old: OldTuple<'a>,
}

/// `T`: tables emptied by one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncate<'a> {
    /// Of the streamed transaction, or of its part that a savepoint began.
    pub xid: Option<Xid>,
    /// Option 1.
    pub cascade: bool,
    /// Option 2.
    pub restart_identity: bool,
    /// The tables.
    pub relations: RelationOids<'a>,
}

/// `M`: what `pg_logical_emit_message` wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogicalMessage<'a> {
    /// Of the streamed transaction.
    pub xid: Option<Xid>,
    /// Flag 1: belongs to its transaction; otherwise it counts at once, even if the transaction rolls back.
    pub transactional: bool,
    /// Where its record ends; the next record may begin there.
    pub lsn: Lsn,
    /// Whom it is for.
    pub prefix: &'a str,
    /// What it says.
    pub content: &'a [u8],
}

/// `S`: a piece of a transaction in progress begins. Protocol 2 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// The transaction.
    pub xid: Xid,
    /// Whether this is its first piece.
    pub first_segment: bool,
}

/// `E`: the piece ends. Protocol 2 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStop;

/// `c`: a streamed transaction has committed. Its flags byte must be zero. Protocol 2 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCommit {
    /// The transaction.
    pub xid: Xid,
    /// Where its commit record begins.
    pub commit_lsn: Lsn,
    /// Where its commit record ends.
    pub end_lsn: Lsn,
    /// When it committed.
    pub committed_at: PgTimestamp,
}

/// `A`: a streamed transaction, or its part since a savepoint, has rolled back. Protocol 2 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamAbort {
    /// The transaction.
    pub xid: Xid,
    /// The part that rolled back; equal to `xid` for all of it.
    pub sub_xid: Xid,
    /// Where and when; only with `streaming = parallel`, protocol 4.
    pub aborted: Option<Aborted>,
}

/// Position and time of a [`StreamAbort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// Position of the abort.
    pub lsn: Lsn,
    /// When it happened.
    pub at: PgTimestamp,
}

/// `b`: a prepared transaction begins. Protocol 3 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginPrepare<'a> {
    /// Where its prepare record begins.
    pub prepare_lsn: Lsn,
    /// Where its prepare record ends.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepared_at: PgTimestamp,
    /// Its id.
    pub xid: Xid,
    /// Its name, from `PREPARE TRANSACTION`.
    pub gid: &'a str,
}

/// `P`: the prepared transaction is complete. Its flags byte must be zero. Protocol 3 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepare<'a> {
    /// Where its prepare record begins.
    pub prepare_lsn: Lsn,
    /// Where its prepare record ends.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepared_at: PgTimestamp,
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: &'a str,
}

/// `K`: a prepared transaction has committed. Its flags byte must be zero. Protocol 3 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPrepared<'a> {
    /// Where its commit record begins.
    pub commit_lsn: Lsn,
    /// Where its commit record ends.
    pub end_lsn: Lsn,
    /// When it committed.
    pub committed_at: PgTimestamp,
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: &'a str,
}

/// `r`: a prepared transaction has rolled back. Its flags byte must be zero. Protocol 3 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollbackPrepared<'a> {
    /// Where its prepare record ends.
    pub prepare_end_lsn: Lsn,
    /// Where its rollback record ends.
    pub rollback_end_lsn: Lsn,
    /// When it was prepared.
    pub prepared_at: PgTimestamp,
    /// When it was rolled back.
    pub rolled_back_at: PgTimestamp,
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: &'a str,
}

/// `p`: a streamed transaction has been prepared. Its flags byte must be zero. Protocol 3 and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPrepare<'a> {
    /// Where its prepare record begins.
    pub prepare_lsn: Lsn,
    /// Where its prepare record ends.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepared_at: PgTimestamp,
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: &'a str,
}
