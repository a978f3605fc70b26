//! The bytes of every message: what PostgreSQL would send. For tests of whoever reads them, for a scripted server, and for the
//! beginning and end of a streamed transaction that is told as an ordinary one.
//!
//! In: a message. Out: its bytes, appended to a buffer. Never: I/O.
//! The inverse of [`crate::decode`] and [`crate::replication::decode`]; what each message looks like is told there.
//! Source: PostgreSQL manual, "Logical Replication Message Formats" and "Streaming Replication Protocol".

use crate::message::{
    Delete, Insert, LogicalMessage, Message, Relation, RelationColumn, StreamAbort, Truncate, Type,
    Update,
};
use crate::replication::ReplicationMessage;
use crate::{Lsn, Oid, OldTuple, PgTimestamp, TupleData, TupleValue, Xid};

/// Appends the bytes of one pgoutput message.
///
/// # Panics
/// When a name contains a zero byte, or content is longer than an `Int32` can say: no such message exists.
pub fn message(message: &Message<'_>, out: &mut Vec<u8>) {
    let mut w = Writer { out };
    match *message {
        Message::Begin(m) => w.tag(b'B').lsn(m.final_lsn).time(m.committed_at).xid(m.xid),
        Message::Commit(m) => {
            w.tag(b'C').no_flags().lsn(m.commit_lsn).lsn(m.end_lsn).time(m.committed_at)
        }
        Message::Origin(m) => w.tag(b'O').lsn(m.commit_lsn).string(m.name),
        Message::Relation(m) => relation(&mut w, &m),
        Message::Type(m) => type_(&mut w, &m),
        Message::Insert(m) => insert(&mut w, &m),
        Message::Update(m) => update(&mut w, &m),
        Message::Delete(m) => delete(&mut w, &m),
        Message::Truncate(m) => truncate(&mut w, &m),
        Message::LogicalMessage(m) => logical_message(&mut w, &m),
        Message::StreamStart(m) => w.tag(b'S').xid(m.xid).flag(m.first_segment),
        Message::StreamStop(_) => w.tag(b'E'),
        Message::StreamCommit(m) => {
            w.tag(b'c').xid(m.xid).no_flags();
            w.lsn(m.commit_lsn).lsn(m.end_lsn).time(m.committed_at)
        }
        Message::StreamAbort(m) => stream_abort(&mut w, &m),
        Message::BeginPrepare(m) => {
            w.tag(b'b').lsn(m.prepare_lsn).lsn(m.end_lsn).time(m.prepared_at);
            w.xid(m.xid).string(m.gid)
        }
        Message::Prepare(m) => {
            w.tag(b'P').no_flags().lsn(m.prepare_lsn).lsn(m.end_lsn).time(m.prepared_at);
            w.xid(m.xid).string(m.gid)
        }
        Message::CommitPrepared(m) => {
            w.tag(b'K').no_flags().lsn(m.commit_lsn).lsn(m.end_lsn).time(m.committed_at);
            w.xid(m.xid).string(m.gid)
        }
        Message::RollbackPrepared(m) => {
            w.tag(b'r').no_flags().lsn(m.prepare_end_lsn).lsn(m.rollback_end_lsn);
            w.time(m.prepared_at).time(m.rolled_back_at).xid(m.xid).string(m.gid)
        }
        Message::StreamPrepare(m) => {
            w.tag(b'p').no_flags().lsn(m.prepare_lsn).lsn(m.end_lsn).time(m.prepared_at);
            w.xid(m.xid).string(m.gid)
        }
    };
}

/// Appends the body of one `CopyData` of the server.
pub fn replication_message(message: &ReplicationMessage<'_>, out: &mut Vec<u8>) {
    let mut w = Writer { out };
    match *message {
        ReplicationMessage::XLogData(m) => {
            w.tag(b'w').lsn(m.wal_start).lsn(m.wal_end).time(m.sent_at).bytes(m.payload)
        }
        ReplicationMessage::PrimaryKeepalive(m) => {
            w.tag(b'k').lsn(m.wal_end).time(m.sent_at).flag(m.reply_requested)
        }
    };
}

/// Appends one row; [`TupleData::parse`] reads it.
///
/// # Panics
/// When there are more than 65,535 values, or one is longer than an `Int32` can say.
pub fn tuple(values: &[TupleValue<'_>], out: &mut Vec<u8>) {
    let mut w = Writer { out };
    w.column_count(values.len());
    for value in values {
        match *value {
            TupleValue::Null => w.tag(b'n'),
            TupleValue::UnchangedToast => w.tag(b'u'),
            TupleValue::Text(bytes) => w.tag(b't').counted_bytes(bytes),
            TupleValue::Binary(bytes) => w.tag(b'b').counted_bytes(bytes),
        };
    }
}

/// Appends the columns of a Relation message;
/// [`RelationColumns::parse`](crate::message::RelationColumns::parse) reads them.
///
/// # Panics
/// When there are more than 65,535 columns, or a name contains a zero byte.
pub fn relation_columns(columns: &[RelationColumn<'_>], out: &mut Vec<u8>) {
    let mut w = Writer { out };
    w.column_count(columns.len());
    for column in columns {
        w.flag(column.is_identity).string(column.name);
        w.oid(column.type_oid).bytes(&column.type_modifier.to_be_bytes());
    }
}

fn relation<'w, 'o>(w: &'w mut Writer<'o>, m: &Relation<'_>) -> &'w mut Writer<'o> {
    w.tag(b'R').stream_xid(m.xid).oid(m.oid).string(m.namespace).string(m.name);
    // The four letters are ASCII.
    w.tag(m.replica_identity.letter() as u8);
    w.column_count(m.columns.len()).bytes(m.columns.columns())
}

fn type_<'w, 'o>(w: &'w mut Writer<'o>, m: &Type<'_>) -> &'w mut Writer<'o> {
    w.tag(b'Y').stream_xid(m.xid).oid(m.oid).string(m.namespace).string(m.name)
}

fn insert<'w, 'o>(w: &'w mut Writer<'o>, m: &Insert<'_>) -> &'w mut Writer<'o> {
    w.tag(b'I').stream_xid(m.xid).oid(m.relation).tag(b'N').row(m.new)
}

fn update<'w, 'o>(w: &'w mut Writer<'o>, m: &Update<'_>) -> &'w mut Writer<'o> {
    w.tag(b'U').stream_xid(m.xid).oid(m.relation);
    if let Some(old) = m.old {
        w.old_row(old);
    }
    w.tag(b'N').row(m.new)
}

fn delete<'w, 'o>(w: &'w mut Writer<'o>, m: &Delete<'_>) -> &'w mut Writer<'o> {
    w.tag(b'D').stream_xid(m.xid).oid(m.relation).old_row(m.old)
}

fn truncate<'w, 'o>(w: &'w mut Writer<'o>, m: &Truncate<'_>) -> &'w mut Writer<'o> {
    w.tag(b'T').stream_xid(m.xid).count(m.relations.len());
    w.tag(u8::from(m.cascade) | u8::from(m.restart_identity) << 1);
    m.relations.iter().fold(w, Writer::oid)
}

fn logical_message<'w, 'o>(w: &'w mut Writer<'o>, m: &LogicalMessage<'_>) -> &'w mut Writer<'o> {
    w.tag(b'M').stream_xid(m.xid).flag(m.transactional).lsn(m.lsn);
    w.string(m.prefix).counted_bytes(m.content)
}

fn stream_abort<'w, 'o>(w: &'w mut Writer<'o>, m: &StreamAbort) -> &'w mut Writer<'o> {
    w.tag(b'A').xid(m.xid).xid(m.sub_xid);
    match m.aborted {
        Some(aborted) => w.lsn(aborted.lsn).time(aborted.at),
        None => w,
    }
}

/// Appends fields, each as the wire has it.
struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    fn tag(&mut self, tag: u8) -> &mut Self {
        self.bytes(&[tag])
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.tag(u8::from(flag))
    }

    fn no_flags(&mut self) -> &mut Self {
        self.tag(0)
    }

    fn lsn(&mut self, lsn: Lsn) -> &mut Self {
        self.bytes(&lsn.as_u64().to_be_bytes())
    }

    fn time(&mut self, time: PgTimestamp) -> &mut Self {
        self.bytes(&time.micros().to_be_bytes())
    }

    fn xid(&mut self, xid: Xid) -> &mut Self {
        self.bytes(&xid.0.to_be_bytes())
    }

    fn stream_xid(&mut self, xid: Option<Xid>) -> &mut Self {
        match xid {
            Some(xid) => self.xid(xid),
            None => self,
        }
    }

    fn oid(&mut self, oid: Oid) -> &mut Self {
        self.bytes(&oid.0.to_be_bytes())
    }

    fn string(&mut self, text: &str) -> &mut Self {
        assert!(!text.contains('\0'), "a protocol string ends at its first zero byte: {text:?}");
        self.bytes(text.as_bytes()).tag(0)
    }

    fn count(&mut self, count: usize) -> &mut Self {
        let count = i32::try_from(count).expect("a message longer than 2 GB does not exist");
        self.bytes(&count.to_be_bytes())
    }

    fn column_count(&mut self, count: usize) -> &mut Self {
        let count = u16::try_from(count).expect("PostgreSQL has at most 1,600 columns in a table");
        self.bytes(&count.to_be_bytes())
    }

    fn counted_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len()).bytes(bytes)
    }

    fn row(&mut self, row: TupleData<'_>) -> &mut Self {
        self.column_count(row.column_count()).bytes(row.values())
    }

    fn old_row(&mut self, old: OldTuple<'_>) -> &mut Self {
        match old {
            OldTuple::Key(row) => self.tag(b'K').row(row),
            OldTuple::Full(row) => self.tag(b'O').row(row),
        }
    }
}
