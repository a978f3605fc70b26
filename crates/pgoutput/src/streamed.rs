//! Which transaction in progress a message belongs to, before it is decoded.
//!
//! In: the messages of one session with the option `streaming`, in order. Out: a [`Place`] for each: outside of streamed
//! transactions it is for the [`Assembler`](crate::Assembler) as it is; inside it is a [`Piece`], which can be kept and decoded
//! when its transaction has committed.
//! Never: I/O, memory of what was kept, decoding of rows.
//! Source: PostgreSQL manual, "Logical Streaming Replication Protocol", "Streaming of Transactions".

use crate::message::{StreamAbort, StreamCommit};
use crate::reader::Reader;
use crate::{AssembleError, DecodeError, Lsn, Message, Oid, Xid, decode};

const IN_PIECE: &str = "inside a piece of a streamed transaction";
const BETWEEN: &str = "outside the pieces of streamed transactions";

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// To no streamed transaction.
    Outside,
    /// A part of this transaction begins; everything up to [`Place::Stop`] belongs to it.
    Start(Xid),
    /// To the transaction whose part is open.
    Inside(Piece<'a>),
    /// The part ends.
    Stop,
    /// A streamed transaction has committed: what was kept of it counts.
    Commit(StreamCommit),
    /// A streamed transaction, or a subtransaction of it, has rolled back: what was kept of that never counts.
    Abort(StreamAbort),
}

/// A message of a transaction in progress. Tag and body are what it would be outside of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The transaction.
    pub xid: Xid,
    /// The transaction, or the subtransaction of it that wrote this.
    pub part: Xid,
    /// What the message is.
    pub tag: Tag,
    /// Everything behind its tag and its transaction id.
    pub body: &'a [u8],
}

/// What a message of a transaction in progress is, as far as its keeper has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// It describes this table.
    Relation(Oid),
    /// It describes a type.
    Type,
    /// The transaction came to this server by replication. Has no transaction id, and its position is zero: where it committed
    /// is known only when it has.
    Origin,
    /// A change, with the letter it begins with.
    Change(u8),
}

impl Tag {
    /// The letter of the message.
    pub fn letter(self) -> u8 {
        match self {
            Self::Relation(_) => b'R',
            Self::Type => b'Y',
            Self::Origin => b'O',
            Self::Change(letter) => letter,
        }
    }
}

/// Follows the parts of streamed transactions through one session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streams {
    open: Option<Xid>,
}

impl Streams {
    /// No part is open.
    pub fn new() -> Self {
        Self::default()
    }

    /// The transaction whose part is open.
    pub fn open(&self) -> Option<Xid> {
        self.open
    }

    /// Says where the next message belongs, which stood at `wal_start`.
    ///
    /// Errors: [`StreamsError`] when it cannot stand here, or is none. The stream is then not what PostgreSQL sends.
    #[inline]
    pub fn place<'a>(
        &mut self,
        wal_start: Lsn,
        payload: &'a [u8],
    ) -> Result<Place<'a>, StreamsError> {
        match (payload.first(), self.open) {
            (Some(b'S' | b'E' | b'c' | b'A'), _) => self.boundary(wal_start, payload),
            (_, None) => Ok(Place::Outside),
            (_, Some(xid)) => piece(xid, wal_start, payload).map(Place::Inside),
        }
    }

    fn boundary<'a>(&mut self, lsn: Lsn, payload: &'a [u8]) -> Result<Place<'a>, StreamsError> {
        let message = decode(payload, false)?;
        let place = match (message, self.open) {
            (Message::StreamStart(start), None) => {
                self.open = Some(start.xid);
                Place::Start(start.xid)
            }
            (Message::StreamStop(_), Some(_)) => {
                self.open = None;
                Place::Stop
            }
            (Message::StreamCommit(commit), None) => Place::Commit(commit),
            (Message::StreamAbort(abort), None) => Place::Abort(abort),
            (message, open) => {
                let place = if open.is_some() { IN_PIECE } else { BETWEEN };
                return Err(
                    AssembleError::OutOfOrder { message: message.name(), lsn, place }.into()
                );
            }
        };
        Ok(place)
    }
}

fn piece(xid: Xid, lsn: Lsn, payload: &[u8]) -> Result<Piece<'_>, StreamsError> {
    let mut reader = Reader::new("message of a streamed transaction", payload);
    let letter = reader.u8("tag")?;
    if letter == b'O' {
        return Ok(Piece { xid, part: xid, tag: Tag::Origin, body: reader.rest() });
    }
    let part = reader.xid()?;
    let body = reader.rest();
    let tag = match letter {
        b'R' => Tag::Relation(reader.oid("relation")?),
        b'Y' => Tag::Type,
        b'I' | b'U' | b'D' | b'T' | b'M' => Tag::Change(letter),
        _ => {
            let message = decode(payload, true)?.name();
            return Err(AssembleError::OutOfOrder { message, lsn, place: IN_PIECE }.into());
        }
    };
    Ok(Piece { xid, part, tag, body })
}

/// A message that does not belong where it stands, or is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamsError {
    /// It is none.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It does not belong here.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;
    use crate::message::{Insert, StreamStart, StreamStop};
    use crate::{TupleData, TupleValue};

    fn bytes(message: Message<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        encode::message(&message, &mut out);
        out
    }

    fn start() -> Vec<u8> {
        bytes(Message::StreamStart(StreamStart { xid: Xid(7), first_segment: true }))
    }

    #[test]
    fn a_piece_is_the_message_without_its_transaction() {
        let mut row = Vec::new();
        encode::tuple(&[TupleValue::Text(b"a")], &mut row);
        let insert = |xid| {
            let new = TupleData::parse(&row).unwrap();
            Message::Insert(Insert { xid, relation: Oid(3), new })
        };
        let mut streams = Streams::new();
        let outside = bytes(insert(None));
        assert_eq!(streams.place(Lsn::new(1), &outside), Ok(Place::Outside));
        assert_eq!(streams.place(Lsn::new(1), &start()), Ok(Place::Start(Xid(7))));
        let inside = bytes(insert(Some(Xid(9))));
        let Ok(Place::Inside(piece)) = streams.place(Lsn::new(1), &inside) else {
            panic!("inside of a part")
        };
        assert_eq!((piece.xid, piece.part, piece.tag), (Xid(7), Xid(9), Tag::Change(b'I')));
        let plain = [&[piece.tag.letter()], piece.body].concat();
        assert_eq!(plain, outside);
        let stop = bytes(Message::StreamStop(StreamStop));
        assert_eq!(streams.place(Lsn::new(1), &stop), Ok(Place::Stop));
        assert_eq!(streams.place(Lsn::new(1), &outside), Ok(Place::Outside));
    }

    #[test]
    fn a_part_inside_a_part_and_an_end_without_beginning_are_refused() {
        let code = |result: Result<Place<'_>, StreamsError>| match result {
            Err(StreamsError::Assemble(error)) => error.code(),
            other => panic!("{other:?}"),
        };
        let mut streams = Streams::new();
        let stop = bytes(Message::StreamStop(StreamStop));
        assert_eq!(code(streams.place(Lsn::new(1), &stop)), "WA020");
        streams.place(Lsn::new(1), &start()).unwrap();
        let again = start();
        assert_eq!(code(streams.place(Lsn::new(1), &again)), "WA020");
        assert_eq!(code(streams.place(Lsn::new(1), &[b'B'; 21])), "WA020");
    }
}
