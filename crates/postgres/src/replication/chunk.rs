//! Whole `CopyData` messages cut from the socket's buffer.
//!
//! In: bytes of the wire. Out: how far they are complete, and an iterator over their bodies. Pure.
//! Source: PostgreSQL manual, "Message Formats", `CopyData`.

use std::ops::Range;

use bytes::Bytes;
use pgoutput::DecodeError;
use pgoutput::replication::{ReplicationMessage, decode};

use crate::session::{HEADER_BYTES, LARGE_BYTES, frame_len};

/// Whole `CopyData` messages, as they came: a view of the receive buffer, nothing is copied.
#[derive(Clone, Debug)]
pub struct WalChunk(Bytes);

impl WalChunk {
    /// Takes bytes that the reader has walked: complete `CopyData` messages and nothing else.
    pub(super) fn new(frames: Bytes) -> Self {
        Self(frames)
    }

    /// The messages, in order. Errors: [`DecodeError`] for a body that is neither WAL data nor a keepalive.
    pub fn messages(
        &self,
    ) -> impl Iterator<Item = Result<ReplicationMessage<'_>, DecodeError>> + '_ {
        Frames(&self.0).map(decode)
    }

    /// The length of the frame that begins at `offset`, and its body; `None` at the end.
    pub fn frame_at(&self, offset: usize) -> Option<(usize, &[u8])> {
        let rest = self.0.get(offset..)?;
        let length = frame_len(rest).ok().flatten()?;
        Some((length, rest.get(HEADER_BYTES..length)?))
    }

    /// The frames at these offsets: whole ones.
    #[must_use]
    pub fn part(&self, offsets: Range<usize>) -> Self {
        Self(self.0.slice(offsets))
    }

    /// What lies behind the first `offset` bytes, if anything does. If those are many, it is copied, so that they are let go.
    #[must_use]
    pub fn behind(self, offset: usize) -> Option<Self> {
        let rest = self.0.get(offset..).filter(|rest| !rest.is_empty())?;
        let is_copied = offset > LARGE_BYTES;
        Some(Self(if is_copied { Bytes::copy_from_slice(rest) } else { self.0.slice(offset..) }))
    }

    /// Bytes of it that stay when the chunk is gone. `bytes` must be borrowed from it.
    pub fn share(&self, bytes: &[u8]) -> Bytes {
        self.0.slice_ref(bytes)
    }

    /// The chunk's size, with the frames around the messages.
    pub fn len_bytes(&self) -> usize {
        self.0.len()
    }
}

/// Bodies of frames that are known to be complete.
struct Frames<'a>(&'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = frame_len(self.0).ok().flatten()?;
        let (frame, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(&frame[HEADER_BYTES..])
    }
}

#[cfg(test)]
mod tests {
    use pgoutput::Lsn;

    use super::*;
    use crate::session::COPY_DATA;

    fn keepalive(wal_end: u64) -> Vec<u8> {
        let mut frame = vec![COPY_DATA, 0, 0, 0, 22, b'k'];
        frame.extend(wal_end.to_be_bytes());
        frame.extend([0; 9]);
        frame
    }

    #[test]
    fn what_lies_behind_is_there_whether_it_is_copied_or_not() {
        for before in [0, 100, LARGE_BYTES + 1] {
            let bytes = Bytes::from([vec![0; before], keepalive(2)].concat());
            let rest = WalChunk::new(bytes.clone()).behind(before).unwrap();
            assert_eq!(rest.len_bytes(), keepalive(2).len());
            assert_eq!(rest.messages().count(), 1);
            let shares = bytes.as_ptr_range().contains(&rest.0.as_ptr());
            assert_eq!(shares, before <= LARGE_BYTES);
            assert!(WalChunk::new(bytes.clone()).behind(bytes.len()).is_none());
        }
    }

    #[test]
    fn a_chunk_yields_its_messages_in_order() {
        let bytes = [keepalive(1), keepalive(2)].concat();
        let chunk = WalChunk::new(Bytes::from(bytes));
        let ends: Vec<Lsn> = chunk
            .messages()
            .map(|message| match message.unwrap() {
                ReplicationMessage::PrimaryKeepalive(keepalive) => keepalive.wal_end,
                ReplicationMessage::XLogData(_) => panic!("no WAL data was put in"),
            })
            .collect();
        assert_eq!(ends, [Lsn::new(1), Lsn::new(2)]);
    }
}
