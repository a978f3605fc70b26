//! The replication stream: messages of the output plugin, alone and one after another.

use std::collections::BTreeMap;

use pgoutput::message::{StreamStart, StreamStop};
use pgoutput::{
    Assembler, Lsn, Message, OldTuple, Piece, Place, Step, Streams, Tag, TupleData, encode,
};

/// Any bytes are a message or an error, and a message says all its bytes say.
///
/// Shape: a byte whose lowest bit says whether the message is inside a stream · the message.
pub(crate) fn decode(bytes: &[u8]) {
    let Some((mode, payload)) = bytes.split_first() else { return };
    if let Ok(frame) = pgoutput::replication::decode(payload) {
        let mut again = Vec::new();
        encode::replication_message(&frame, &mut again);
        assert_eq!(again, payload);
    }
    if let Ok(message) = pgoutput::decode(payload, mode & 1 == 1) {
        let mut again = Vec::new();
        encode::message(&message, &mut again);
        assert_eq!(again, payload);
        read_values(&message);
    }
}

fn read_values(message: &Message<'_>) {
    match *message {
        Message::Insert(insert) => read_row(insert.new),
        Message::Update(update) => {
            read_row(update.new);
            update.old.into_iter().for_each(read_old);
        }
        Message::Delete(delete) => read_old(delete.old),
        Message::Relation(relation) => {
            assert_eq!(relation.columns.iter().count(), relation.columns.len());
        }
        _ => {}
    }
}

fn read_old(old: OldTuple<'_>) {
    match old {
        OldTuple::Key(row) | OldTuple::Full(row) => read_row(row),
    }
}

fn read_row(row: TupleData<'_>) {
    assert_eq!(row.iter().count(), row.column_count());
}

/// The next message of a session: how far behind the one before it lies, and its bytes.
///
/// Shape: `u8` distance · `u8` length · message.
fn next_message<'a>(rest: &mut &'a [u8], lsn: &mut u64) -> Option<&'a [u8]> {
    let (header, tail) = rest.split_first_chunk::<2>()?;
    let (payload, tail) = tail.split_at_checked(usize::from(header[1]))?;
    *lsn += u64::from(header[0]);
    *rest = tail;
    Some(payload)
}

/// Any messages in any order are steps or an error, and the steps are numbered without gaps.
pub(crate) fn assemble(bytes: &[u8]) {
    let (mut rest, mut lsn, mut expected) = (bytes, 0, 0);
    let mut assembler = Assembler::new();
    while let Some(payload) = next_message(&mut rest, &mut lsn) {
        let Ok(message) = pgoutput::decode(payload, false) else { return };
        match assembler.push(Lsn::new(lsn), message) {
            Ok(Step::Begin(_)) => expected = 0,
            Ok(Step::Change(change)) if change.xid.is_some() => {
                assert_eq!(change.ordinal, expected);
                expected += 1;
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// Any messages with streamed transactions among them: each has a place or is an error, and what is kept of one inside a
/// stream is the very message it would be outside.
pub(crate) fn streams(bytes: &[u8]) {
    let (mut rest, mut lsn) = (bytes, 0);
    let mut streams = Streams::new();
    let mut kept: BTreeMap<u32, u64> = BTreeMap::new();
    while let Some(payload) = next_message(&mut rest, &mut lsn) {
        let open = streams.open();
        let Ok(place) = streams.place(Lsn::new(lsn), payload) else { return };
        match place {
            Place::Outside => assert_eq!(open, None),
            Place::Start(xid) => assert_eq!((open, streams.open()), (None, Some(xid))),
            Place::Stop => assert!(open.is_some() && streams.open().is_none()),
            Place::Inside(piece) => {
                assert_eq!(Some(piece.xid), open);
                is_what_it_would_be(&piece, payload);
                *kept.entry(piece.part.0).or_default() += 1;
            }
            Place::Commit(commit) => drop(kept.remove(&commit.xid.0)),
            Place::Abort(abort) => drop(kept.remove(&abort.sub_xid.0)),
        }
        is_found_by_the_decoder(place, payload);
    }
}

fn is_what_it_would_be(piece: &Piece<'_>, payload: &[u8]) {
    let plain = [&[piece.tag.letter()], piece.body].concat();
    // Only the origin has no transaction id inside a stream, and only its position is another there.
    if piece.tag == Tag::Origin {
        return;
    }
    let (inside, outside) = (pgoutput::decode(payload, true), pgoutput::decode(&plain, false));
    assert_eq!(inside.is_ok(), outside.is_ok(), "{inside:?} {outside:?}");
    if let (Ok(inside), Ok(outside)) = (inside, outside) {
        assert_eq!(inside.name(), outside.name());
    }
}

fn is_found_by_the_decoder(place: Place<'_>, payload: &[u8]) {
    let decoded = || pgoutput::decode(payload, false);
    match place {
        Place::Start(xid) => assert!(
            matches!(decoded(), Ok(Message::StreamStart(StreamStart { xid: found, .. })) if found == xid)
        ),
        Place::Stop => assert_eq!(decoded(), Ok(Message::StreamStop(StreamStop))),
        Place::Commit(commit) => assert_eq!(decoded(), Ok(Message::StreamCommit(commit))),
        Place::Abort(abort) => assert_eq!(decoded(), Ok(Message::StreamAbort(abort))),
        Place::Outside | Place::Inside(_) => {}
    }
}
