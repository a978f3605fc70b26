//! One pgoutput message from its bytes: which one, and those about tables and rows.
//!
//! In: the payload of an `XLogData`. Out: a [`Message`] that borrows it. Never: panics, allocates, remembers.
//! Strict: a message that is short, goes on after its last field, or has a flag we do not know is an error, because
//! what is misread here would be wrong data in every topic. So `encode(decode(bytes)) == bytes`.
//! Source: PostgreSQL manual, "Logical Replication Message Formats".

mod transaction;

use crate::message::{
    Delete, Insert, LogicalMessage, Message, Relation, RelationColumns, RelationOids, StreamStop,
    Truncate, Type, Update,
};
use crate::reader::Reader;
use crate::{DecodeError, OldTuple, ReplicaIdentity, TupleData};

/// Reads one pgoutput message.
///
/// `in_stream`: whether it stands between Stream Start and Stream Stop, where messages carry the transaction's id.
/// Errors: [`DecodeError`] with the offset in `payload`; never panics, whatever the bytes.
/// Source: PostgreSQL manual, "Logical Replication Message Formats".
pub fn decode(payload: &[u8], in_stream: bool) -> Result<Message<'_>, DecodeError> {
    let mut reader = Reader::new("pgoutput message", payload);
    let tag = reader.u8("tag")?;
    let named = |message| reader.renamed(message);
    match tag {
        b'I' => insert(named("Insert"), in_stream).map(Message::Insert),
        b'U' => update(named("Update"), in_stream).map(Message::Update),
        b'D' => delete(named("Delete"), in_stream).map(Message::Delete),
        b'B' => transaction::begin(named("Begin")).map(Message::Begin),
        b'C' => transaction::commit(named("Commit")).map(Message::Commit),
        b'O' => transaction::origin(named("Origin")).map(Message::Origin),
        b'R' => relation(named("Relation"), in_stream).map(Message::Relation),
        b'Y' => type_(named("Type"), in_stream).map(Message::Type),
        b'T' => truncate(named("Truncate"), in_stream).map(Message::Truncate),
        b'M' => logical_message(named("Message"), in_stream).map(Message::LogicalMessage),
        b'S' => transaction::stream_start(named("Stream Start")).map(Message::StreamStart),
        b'E' => stream_stop(named("Stream Stop")).map(Message::StreamStop),
        b'c' => transaction::stream_commit(named("Stream Commit")).map(Message::StreamCommit),
        b'A' => transaction::stream_abort(named("Stream Abort")).map(Message::StreamAbort),
        b'b' => transaction::begin_prepare(named("Begin Prepare")).map(Message::BeginPrepare),
        b'P' => transaction::prepare(named("Prepare")).map(Message::Prepare),
        b'K' => transaction::commit_prepared(named("Commit Prepared")).map(Message::CommitPrepared),
        b'r' => transaction::rollback_prepared(named("Rollback Prepared"))
            .map(Message::RollbackPrepared),
        b'p' => transaction::stream_prepare(named("Stream Prepare")).map(Message::StreamPrepare),
        tag => Err(DecodeError::UnknownMessage { protocol: "pgoutput", tag }),
    }
}

/// Shape: `Int32` xid (streamed only) · `Int32` relation oid · `Byte1('N')` · `TupleData`.
fn insert(mut reader: Reader<'_>, in_stream: bool) -> Result<Insert<'_>, DecodeError> {
    let xid = reader.stream_xid(in_stream)?;
    let relation = reader.oid("relation")?;
    let new = new_tuple(&mut reader)?;
    reader.finish()?;
    Ok(Insert { xid, relation, new })
}

/// Shape: `Int32` xid (streamed only) · `Int32` relation oid · optional `Byte1('K' | 'O')` · `TupleData` ·
/// `Byte1('N')` · `TupleData`.
fn update(mut reader: Reader<'_>, in_stream: bool) -> Result<Update<'_>, DecodeError> {
    let xid = reader.stream_xid(in_stream)?;
    let relation = reader.oid("relation")?;
    let (old, new) = match reader.u8("tuple kind")? {
        b'N' => (None, TupleData::read(&mut reader)?),
        b'K' => (Some(OldTuple::Key(TupleData::read(&mut reader)?)), new_tuple(&mut reader)?),
        b'O' => (Some(OldTuple::Full(TupleData::read(&mut reader)?)), new_tuple(&mut reader)?),
        found => return Err(reader.unexpected_tag("tuple kind", found, "`K`, `O` or `N`")),
    };
    reader.finish()?;
    Ok(Update { xid, relation, old, new })
}

/// Shape: `Int32` xid (streamed only) · `Int32` relation oid · `Byte1('K' | 'O')` · `TupleData`.
fn delete(mut reader: Reader<'_>, in_stream: bool) -> Result<Delete<'_>, DecodeError> {
    let xid = reader.stream_xid(in_stream)?;
    let relation = reader.oid("relation")?;
    let old = match reader.u8("tuple kind")? {
        b'K' => OldTuple::Key(TupleData::read(&mut reader)?),
        b'O' => OldTuple::Full(TupleData::read(&mut reader)?),
        found => return Err(reader.unexpected_tag("tuple kind", found, "`K` or `O`")),
    };
    reader.finish()?;
    Ok(Delete { xid, relation, old })
}

fn new_tuple<'a>(reader: &mut Reader<'a>) -> Result<TupleData<'a>, DecodeError> {
    reader.expect(b'N', "tuple kind", "`N`")?;
    TupleData::read(reader)
}

/// Shape: `Int32` xid (streamed only) · `Int32` relation count · `Int8` options (1 CASCADE, 2 RESTART IDENTITY) ·
/// `Int32` relation oid each.
fn truncate(mut reader: Reader<'_>, in_stream: bool) -> Result<Truncate<'_>, DecodeError> {
    let xid = reader.stream_xid(in_stream)?;
    let count = reader.u32("relation count")?;
    let options = reader.flags("options", 3)?;
    // Saturated, the count is longer than any message, which is what it must be.
    let length = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(4);
    let (oids, _) = reader.bytes(length, "relations")?.as_chunks::<4>();
    reader.finish()?;
    Ok(Truncate {
        xid,
        cascade: options & 1 != 0,
        restart_identity: options & 2 != 0,
        relations: RelationOids::new(oids),
    })
}

/// Shape: `Int32` xid (streamed only) · `Int32` relation oid · `String` namespace · `String` name ·
/// `Int8` replica identity · columns as in [`RelationColumns`].
fn relation(mut reader: Reader<'_>, in_stream: bool) -> Result<Relation<'_>, DecodeError> {
    let xid = reader.stream_xid(in_stream)?;
    let oid = reader.oid("relation")?;
    let namespace = reader.string("namespace")?;
    let name = reader.string("name")?;
    let letter = reader.u8("replica identity")?;
    let Some(replica_identity) = ReplicaIdentity::from_letter(char::from(letter)) else {
        return Err(reader.unexpected_tag("replica identity", letter, "`d`, `n`, `f` or `i`"));
    };
    let columns = RelationColumns::read(&mut reader)?;
    reader.finish()?;
    Ok(Relation { xid, oid, namespace, name, replica_identity, columns })
}

/// Shape: `Int32` xid (streamed only) · `Int32` type oid · `String` namespace · `String` name.
fn type_(mut reader: Reader<'_>, in_stream: bool) -> Result<Type<'_>, DecodeError> {
    let message = Type {
        xid: reader.stream_xid(in_stream)?,
        oid: reader.oid("type")?,
        namespace: reader.string("namespace")?,
        name: reader.string("name")?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int32` xid (streamed only) · `Int8` flags (1 transactional) · `Int64` lsn · `String` prefix ·
/// `Int32` length · content.
fn logical_message(
    mut reader: Reader<'_>,
    in_stream: bool,
) -> Result<LogicalMessage<'_>, DecodeError> {
    let message = LogicalMessage {
        xid: reader.stream_xid(in_stream)?,
        transactional: reader.flags("flags", 1)? == 1,
        lsn: reader.lsn("lsn")?,
        prefix: reader.string("prefix")?,
        content: reader.counted_bytes("content")?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: nothing after the tag.
fn stream_stop(reader: Reader<'_>) -> Result<StreamStop, DecodeError> {
    reader.finish()?;
    Ok(StreamStop)
}
