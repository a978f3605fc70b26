//! Rows of a batch, cut from the socket's buffer.
//!
//! In: whole `CopyData` messages, each one row `(lsn, data)` of a binary COPY. Out: the same messages of the output plugin that
//! the walsender would send, with the same positions. Pure, and nothing is copied.
//! Source: PostgreSQL manual, `COPY`, "Binary Format"; `WalSndPrepareWrite` and `LogicalOutputWrite` in its source.

use bytes::Bytes;
use pgoutput::replication::{PrimaryKeepalive, ReplicationMessage, XLogData};
use pgoutput::{Lsn, PgTimestamp};
use tokio::sync::OwnedSemaphorePermit;

use crate::session::{HEADER_BYTES, frame_len};

/// What a binary COPY begins with, before flags and the length of what follows them.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Signature, flags, and the length of an extension that no version has.
pub(super) const COPY_HEADER_BYTES: usize = SIGNATURE.len() + 4 + 4;

/// Number of fields, length and value of `lsn`, length of `data`.
const ROW_HEADER_BYTES: usize = 2 + 4 + 8 + 4;

/// Rows of one batch, in order, or a part of them.
#[derive(Debug)]
pub struct BatchChunk {
    pub(super) rows: Bytes,
    pub(super) session_began: Option<Lsn>,
    pub(super) sent_at: PgTimestamp,
    pub(super) decoded_to: Option<Lsn>,
    /// The last position in it.
    pub(super) received: Lsn,
    /// Held for its drop: makes room for what follows.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

impl BatchChunk {
    /// A batch begins with this chunk: the server decodes in a new session, which describes every relation anew. What had
    /// been committed before this position, had been before that session began.
    pub fn session_began(&self) -> Option<Lsn> {
        self.session_began
    }

    /// The batch ends with this chunk, between two transactions.
    pub fn ends_batch(&self) -> bool {
        self.decoded_to.is_some()
    }

    /// The messages, as the walsender would send them; after the last of a batch how far the server has decoded.
    pub fn messages(&self) -> impl Iterator<Item = ReplicationMessage<'_>> {
        let end = self.decoded_to.map(|wal_end| {
            let sent_at = self.sent_at;
            let keepalive = PrimaryKeepalive { wal_end, sent_at, reply_requested: false };
            ReplicationMessage::PrimaryKeepalive(keepalive)
        });
        let rows = Rows { rest: &self.rows, sent_at: self.sent_at };
        rows.map(ReplicationMessage::XLogData).chain(end)
    }

    /// The chunk's size, with the frames around the rows.
    pub fn len_bytes(&self) -> usize {
        self.rows.len()
    }
}

/// One row: a message of the output plugin, and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchRow<'a> {
    pub(super) lsn: Lsn,
    pub(super) data: &'a [u8],
}

/// What one `CopyData` of a binary COPY holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CopyMessage<'a> {
    Row(BatchRow<'a>),
    /// After the last row.
    Trailer,
}

/// Reads the body of one `CopyData`, without what the COPY begins with; `None` if it has another shape.
pub(super) fn copy_message(body: &[u8]) -> Option<CopyMessage<'_>> {
    if body == (-1_i16).to_be_bytes() {
        return Some(CopyMessage::Trailer);
    }
    let (header, data) = body.split_at_checked(ROW_HEADER_BYTES)?;
    let [0, 2, 0, 0, 0, 8, lsn @ .., a, b, c, d] = header else { return None };
    let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?;
    let lsn = Lsn::new(u64::from_be_bytes(lsn.try_into().ok()?));
    (length == data.len()).then_some(CopyMessage::Row(BatchRow { lsn, data }))
}

/// Whether a COPY begins here as it should.
pub(super) fn is_copy_header(bytes: &[u8]) -> bool {
    bytes.split_at_checked(SIGNATURE.len()).is_some_and(|(signature, rest)| {
        signature == SIGNATURE && rest.len() == 8 && rest.iter().all(|byte| *byte == 0)
    })
}

/// Whether the message may not be the last of a chunk: what follows decides about its position.
pub(super) fn is_begin(data: &[u8]) -> bool {
    data.first() == Some(&b'B')
}

struct Rows<'a> {
    rest: &'a [u8],
    sent_at: PgTimestamp,
}

impl<'a> Rows<'a> {
    /// The row at the front and what follows it.
    fn split(&self) -> Option<(BatchRow<'a>, &'a [u8])> {
        let length = frame_len(self.rest).ok().flatten()?;
        let (frame, rest) = self.rest.split_at_checked(length)?;
        match copy_message(&frame[HEADER_BYTES..])? {
            CopyMessage::Row(row) => Some((row, rest)),
            CopyMessage::Trailer => None,
        }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = XLogData<'a>;

    fn next(&mut self) -> Option<XLogData<'a>> {
        let (BatchRow { lsn, data }, rest) = self.split()?;
        self.rest = rest;
        // The walsender leaves out positions of messages that are not the last of a write.
        let is_first_of_write = match data.first() {
            Some(b'R' | b'Y') => true,
            Some(b'B') => self.split().is_some_and(|(next, _)| next.data.first() == Some(&b'O')),
            _ => false,
        };
        let wal_start = if is_first_of_write { Lsn::ZERO } else { lsn };
        let sent_at = self.sent_at;
        Some(XLogData { wal_start, wal_end: wal_start, sent_at, payload: data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::COPY_DATA;

    fn body(lsn: u64, data: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 2, 0, 0, 0, 8];
        body.extend(lsn.to_be_bytes());
        body.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        body.extend(data);
        body
    }

    fn frame(lsn: u64, data: &[u8]) -> Vec<u8> {
        let body = body(lsn, data);
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[COPY_DATA][..], &length.to_be_bytes(), &body].concat()
    }

    fn positions(rows: &[(u64, &[u8])]) -> Vec<u64> {
        let frames: Vec<u8> = rows.iter().flat_map(|(lsn, data)| frame(*lsn, data)).collect();
        let chunk = BatchChunk {
            rows: Bytes::from(frames),
            session_began: None,
            sent_at: PgTimestamp::new(7),
            decoded_to: Some(Lsn::new(99)),
            received: Lsn::new(99),
            _room: None,
        };
        let messages = chunk.messages().map(|message| match message {
            ReplicationMessage::XLogData(data) => data.wal_start.as_u64(),
            ReplicationMessage::PrimaryKeepalive(keepalive) => keepalive.wal_end.as_u64(),
        });
        messages.collect()
    }

    #[test]
    fn positions_are_those_of_the_walsender() {
        let rows: [(u64, &[u8]); 5] = [(1, b"B"), (1, b"Y"), (1, b"R"), (2, b"I"), (3, b"C")];
        assert_eq!(positions(&rows), [1, 0, 0, 2, 3, 99]);
    }

    #[test]
    fn a_begin_that_an_origin_follows_has_no_position() {
        let rows: [(u64, &[u8]); 4] = [(1, b"B"), (1, b"O"), (2, b"I"), (3, b"C")];
        assert_eq!(positions(&rows), [0, 1, 2, 3, 99]);
    }

    #[test]
    fn a_row_of_another_shape_is_refused() {
        let whole = body(5, b"C");
        let row = BatchRow { lsn: Lsn::new(5), data: b"C" };
        assert_eq!(copy_message(&whole), Some(CopyMessage::Row(row)));
        assert_eq!(copy_message(&[0xFF, 0xFF]), Some(CopyMessage::Trailer));
        assert_eq!(copy_message(&whole[..whole.len() - 1]), None);
        assert_eq!(copy_message(&[0, 3]), None);
        assert_eq!(copy_message(&[]), None);
    }

    #[test]
    fn a_copy_begins_with_its_signature() {
        let header = [&SIGNATURE[..], &[0; 8]].concat();
        assert_eq!(header.len(), COPY_HEADER_BYTES);
        assert!(is_copy_header(&header));
        assert!(!is_copy_header(&header[1..]));
    }
}
