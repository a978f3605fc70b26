//! Turns pgoutput messages into row changes.
//!
//! In: the [`Message`]s of one session, in order, each with its position. Out: [`Step`]s, among them [`Change`]s with the
//! id that survives every restart. Never: I/O, clocks, retries, filters; transactions in progress (option `streaming`).
//! Source: PostgreSQL manual, "Logical Streaming Replication Protocol".
//!
//! Two facts about positions carry the ids. The rows of one `COPY` block lie in one WAL record and share its position;
//! they follow one another. A logical message is placed at the *end* of its record, which may be where the next record
//! begins. In both cases [`EventId::repeat`] tells the changes apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::message::{self, Begin, Commit, LogicalMessage, Message};
use crate::{
    AssembleError, Before, Change, ChangeKind, EventId, Lsn, Oid, OldTuple, Origin, Relation,
    TupleData,
};

const INSIDE: &str = "inside a transaction";
const OUTSIDE: &str = "outside a transaction";

/// What one message comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing for the reader of the stream.
    Nothing,
    /// A transaction begins. It may be empty: the next step is then its commit.
    Begin(Begin),
    /// A table was described; the same `Arc` as before if nothing the stream knows has changed. Even then the catalog may
    /// say something new about it.
    Relation(Arc<Relation>),
    /// One change.
    Change(Change<'a>),
    /// The transaction is complete.
    Commit(Commit),
}

/// Messages of one session, in order, to steps.
///
/// Make a new one for each `START_REPLICATION`: the server describes every table anew. After an error it must not be
/// used further. Holds one [`Relation`] per table the server has described, however long ago, because the server will
/// not describe it again.
#[derive(Debug, Default)]
pub struct Assembler {
    relations: BTreeMap<Oid, Arc<Relation>>,
    open: Option<OpenTransaction>,
}

/// The transaction between its Begin and its Commit.
#[derive(Debug)]
struct OpenTransaction {
    begin: Begin,
    origin: Option<Arc<Origin>>,
    change_count: u64,
    /// Position and `repeat` of the last change.
    last: Option<(Lsn, u32)>,
}

impl Assembler {
    /// Knows no table yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a transaction has begun and not ended.
    pub fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// Takes the next message, which stood at `wal_start` (of its `XLogData`, or the `lsn` column when read by SQL).
    ///
    /// Errors: [`AssembleError`] when the message cannot stand here. The stream is then not what PostgreSQL sends:
    /// begin again at the last checkpoint with a new assembler.
    pub fn push<'a>(
        &mut self,
        wal_start: Lsn,
        message: Message<'a>,
    ) -> Result<Step<'a>, AssembleError> {
        let name = message.name();
        match message {
            Message::Insert(insert) => {
                let relation =
                    self.relation_of_row(insert.relation, insert.new, name, wal_start)?;
                self.change(wal_start, name, ChangeKind::Insert { relation, after: insert.new })
            }
            Message::Update(update) => {
                let relation =
                    self.relation_of_row(update.relation, update.new, name, wal_start)?;
                if let Some(old) = update.old {
                    check_columns(&relation, old_row(old), name, wal_start)?;
                }
                let before = Before::from(update.old);
                self.change(
                    wal_start,
                    name,
                    ChangeKind::Update { relation, before, after: update.new },
                )
            }
            Message::Delete(delete) => {
                let row = old_row(delete.old);
                let relation = self.relation_of_row(delete.relation, row, name, wal_start)?;
                let before = Before::from(Some(delete.old));
                self.change(wal_start, name, ChangeKind::Delete { relation, before })
            }
            Message::Begin(begin) => self.begin(begin, wal_start),
            Message::Commit(commit) => self.commit(commit, wal_start),
            Message::Origin(origin) => self.origin(origin, wal_start),
            Message::Relation(relation) => Ok(Step::Relation(self.describe(&relation))),
            Message::Type(_) => Ok(Step::Nothing),
            Message::Truncate(truncate) => {
                let kind = self.truncate(&truncate, wal_start)?;
                self.change(wal_start, name, kind)
            }
            Message::LogicalMessage(message) => self.logical_message(message, wal_start),
            Message::StreamStart(_)
            | Message::StreamStop(_)
            | Message::StreamCommit(_)
            | Message::StreamAbort(_)
            | Message::StreamPrepare(_) => {
                Err(AssembleError::StreamingNotRequested { message: name, lsn: wal_start })
            }
            Message::BeginPrepare(_)
            | Message::Prepare(_)
            | Message::CommitPrepared(_)
            | Message::RollbackPrepared(_) => {
                Err(AssembleError::TwoPhaseNotRequested { message: name, lsn: wal_start })
            }
        }
    }

    fn begin<'a>(&mut self, begin: Begin, lsn: Lsn) -> Result<Step<'a>, AssembleError> {
        if self.open.is_some() {
            return Err(AssembleError::OutOfOrder { message: "Begin", lsn, place: INSIDE });
        }
        self.open = Some(OpenTransaction { begin, origin: None, change_count: 0, last: None });
        Ok(Step::Begin(begin))
    }

    fn commit<'a>(&mut self, commit: Commit, lsn: Lsn) -> Result<Step<'a>, AssembleError> {
        let Some(open) = self.open.take() else {
            return Err(AssembleError::OutOfOrder { message: "Commit", lsn, place: OUTSIDE });
        };
        let expected = open.begin.final_lsn;
        if commit.commit_lsn != expected {
            return Err(AssembleError::CommitMismatch { found: commit.commit_lsn, expected });
        }
        Ok(Step::Commit(commit))
    }

    fn origin<'a>(
        &mut self,
        origin: message::Origin<'_>,
        lsn: Lsn,
    ) -> Result<Step<'a>, AssembleError> {
        let Some(open) = &mut self.open else {
            return Err(AssembleError::OutOfOrder { message: "Origin", lsn, place: OUTSIDE });
        };
        let name = origin.name.to_owned();
        open.origin = Some(Arc::new(Origin { commit_lsn: origin.commit_lsn, name }));
        Ok(Step::Nothing)
    }

    fn describe(&mut self, message: &message::Relation<'_>) -> Arc<Relation> {
        if let Some(known) = self.relations.get(&message.oid)
            && known.is_described_by(message)
        {
            return Arc::clone(known);
        }
        let relation = Arc::new(Relation::from(message));
        self.relations.insert(message.oid, Arc::clone(&relation));
        relation
    }

    fn logical_message<'a>(
        &mut self,
        message: LogicalMessage<'a>,
        wal_start: Lsn,
    ) -> Result<Step<'a>, AssembleError> {
        let LogicalMessage { transactional, lsn, prefix, content, .. } = message;
        let kind = ChangeKind::LogicalMessage { transactional, prefix, content };
        if transactional {
            return self.change(wal_start, "Message", kind);
        }
        // The server sends these while it reads the log and transactions only when it has read them whole.
        if self.open.is_some() {
            let message = "Message outside transactions";
            return Err(AssembleError::OutOfOrder { message, lsn: wal_start, place: INSIDE });
        }
        let id = EventId { commit_lsn: lsn, change_lsn: lsn, repeat: 0 };
        let (xid, committed_at, origin) = (None, None, None);
        Ok(Step::Change(Change { id, ordinal: 0, xid, committed_at, origin, kind }))
    }

    fn truncate<'a>(
        &self,
        truncate: &message::Truncate<'_>,
        lsn: Lsn,
    ) -> Result<ChangeKind<'a>, AssembleError> {
        let relations = truncate.relations.iter().map(|oid| self.relation(oid, "Truncate", lsn));
        Ok(ChangeKind::Truncate {
            relations: relations.collect::<Result<_, _>>()?,
            cascade: truncate.cascade,
            restart_identity: truncate.restart_identity,
        })
    }

    /// The next change of the open transaction.
    #[inline]
    fn change<'a>(
        &mut self,
        lsn: Lsn,
        message: &'static str,
        kind: ChangeKind<'a>,
    ) -> Result<Step<'a>, AssembleError> {
        let Some(open) = &mut self.open else {
            return Err(AssembleError::OutOfOrder { message, lsn, place: OUTSIDE });
        };
        let repeat = match open.last {
            Some((last, repeat)) if last == lsn => repeat + 1,
            _ => 0,
        };
        open.last = Some((lsn, repeat));
        let ordinal = open.change_count;
        open.change_count += 1;
        Ok(Step::Change(Change {
            id: EventId { commit_lsn: open.begin.final_lsn, change_lsn: lsn, repeat },
            ordinal,
            xid: Some(open.begin.xid),
            committed_at: Some(open.begin.committed_at),
            origin: open.origin.clone(),
            kind,
        }))
    }

    #[inline]
    fn relation_of_row(
        &self,
        oid: Oid,
        row: TupleData<'_>,
        message: &'static str,
        lsn: Lsn,
    ) -> Result<Arc<Relation>, AssembleError> {
        let relation = self.relation(oid, message, lsn)?;
        check_columns(&relation, row, message, lsn)?;
        Ok(relation)
    }

    #[inline]
    fn relation(
        &self,
        oid: Oid,
        message: &'static str,
        lsn: Lsn,
    ) -> Result<Arc<Relation>, AssembleError> {
        match self.relations.get(&oid) {
            Some(relation) => Ok(Arc::clone(relation)),
            None => Err(AssembleError::UnknownRelation { message, lsn, oid }),
        }
    }
}

fn old_row(old: OldTuple<'_>) -> TupleData<'_> {
    match old {
        OldTuple::Key(row) | OldTuple::Full(row) => row,
    }
}

#[inline]
fn check_columns(
    relation: &Relation,
    row: TupleData<'_>,
    message: &'static str,
    lsn: Lsn,
) -> Result<(), AssembleError> {
    let (found, expected) = (row.column_count(), relation.columns.len());
    if found == expected {
        return Ok(());
    }
    let relation = format!("{}.{}", relation.namespace, relation.name);
    Err(AssembleError::ColumnCount { message, lsn, relation, found, expected })
}
