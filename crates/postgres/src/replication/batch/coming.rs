//! One batch while it comes: walks over the answer to its question in the receive buffer.
//!
//! In: bytes of the wire. Out: how many at the front are whole rows, and where the batch has led. Pure.
//! The answer is that of the statements of [`SlotCopy::batch_query`](super::copy::SlotCopy::batch_query): perhaps a row of the
//! slot's move, the COPY, the row that tells where the copy stands.
//! Never here: waiting, and a chunk that ends between a Begin and what follows it.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgoutput::Lsn;
use postgres_protocol::message::backend::Message;
use tokio::time::Instant;

use super::chunk::{COPY_HEADER_BYTES, CopyMessage, copy_message, is_begin, is_copy_header};
use super::copy::standing_of;
use super::pace::Standing;
use crate::session::{
    COPY_DATA, HEADER_BYTES, cut, frame_len, impossible_length, server_error, server_notice,
    text_row, unexpected,
};
use crate::sqlstate::stream_warning;
use crate::{PostgresError, ServerError};

/// A chunk is handed on at this size; one row may be larger.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// One batch while it comes.
pub(super) struct Batch {
    pub(super) asked_at: Instant,
    /// What the COPY begins with has come.
    began: bool,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// How long the server has been kept waiting.
    pub(super) waited: Duration,
    /// Bytes at the front of the buffer that are whole rows and may be handed on.
    pub(super) complete: usize,
    /// Bytes at the front of the buffer that are whole rows.
    walked: usize,
    pub(super) session_began: Option<Lsn>,
    pub(super) received: Lsn,
    pub(super) refused: Option<Box<ServerError>>,
    pub(super) after: Option<Standing>,
}

/// What stands in the buffer behind the rows walked over.
pub(super) enum Next {
    /// Not there yet: so many bytes are missing at least.
    Incomplete(usize),
    /// Enough rows for a chunk.
    Full,
    /// Not a row, and this long.
    Other(usize),
}

impl Batch {
    /// It was just asked for, when copy and server stood so.
    pub(super) fn asked(before: Standing) -> Self {
        Self {
            asked_at: Instant::now(),
            began: false,
            messages: 0,
            bytes: 0,
            waited: Duration::ZERO,
            complete: 0,
            walked: 0,
            session_began: Some(before.flushed),
            received: before.confirmed,
            refused: None,
            after: None,
        }
    }

    /// Walks over the rows that have become complete.
    pub(super) fn walk(&mut self, buffer: &mut BytesMut) -> Result<Next, PostgresError> {
        loop {
            if self.complete >= CHUNK_BYTES {
                return Ok(Next::Full);
            }
            let rest = &buffer[self.walked..];
            let Some(length) = frame_len(rest).map_err(impossible_length)? else {
                return Ok(Next::Incomplete(HEADER_BYTES));
            };
            if rest.len() < length {
                return Ok(Next::Incomplete(length - rest.len()));
            }
            if rest[0] != COPY_DATA {
                return Ok(Next::Other(length));
            }
            if !self.began {
                self.begin(buffer, length)?;
                continue;
            }
            match copy_message(&rest[HEADER_BYTES..length]) {
                Some(CopyMessage::Row(row)) => {
                    self.received = self.received.max(row.lsn);
                    self.messages += 1;
                    self.walked += length;
                    if !is_begin(row.data) {
                        self.complete = self.walked;
                    }
                }
                Some(CopyMessage::Trailer) => return Ok(Next::Other(length)),
                None => return Err(unexpected("a row of a batch")),
            }
        }
    }

    /// The first `CopyData`: what the COPY begins with stands before the first row and is cut away.
    fn begin(&mut self, buffer: &mut BytesMut, length: usize) -> Result<(), PostgresError> {
        let body = &buffer[HEADER_BYTES..length];
        if !body.get(..COPY_HEADER_BYTES).is_some_and(is_copy_header) {
            return Err(unexpected("the beginning of a batch"));
        }
        self.began = true;
        if length == HEADER_BYTES + COPY_HEADER_BYTES {
            buffer.advance(length);
            return Ok(());
        }
        // Tag and length move to behind what is cut away.
        buffer.advance(COPY_HEADER_BYTES);
        let length = u32::try_from(length - COPY_HEADER_BYTES - 1).unwrap_or(u32::MAX);
        let mut header = &mut buffer[..HEADER_BYTES];
        header.put_u8(COPY_DATA);
        header.put_u32(length);
        Ok(())
    }

    /// The rows that may be handed on.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Bytes {
        let rows = cut(buffer, self.complete).freeze();
        self.bytes += u64::try_from(rows.len()).unwrap_or_default();
        self.walked -= self.complete;
        self.complete = 0;
        rows
    }

    /// A message of this length that is not a row stands behind the rows walked over. Says whether the batch is over.
    pub(super) fn other_message(
        &mut self,
        buffer: &mut BytesMut,
        length: usize,
        publications: &str,
    ) -> Result<bool, PostgresError> {
        // In front of it a Begin may wait for what follows.
        let mut behind = buffer.split_off(self.walked);
        let mut frame = behind.split_to(length);
        buffer.unsplit(behind);
        self.heed(&mut frame, publications)
    }

    fn heed(&mut self, frame: &mut BytesMut, publications: &str) -> Result<bool, PostgresError> {
        if frame.first() == Some(&COPY_DATA) {
            return Ok(false);
        }
        let parsed = Message::parse(frame);
        match parsed.map_err(|error| PostgresError::Protocol { what: error.to_string() })? {
            Some(Message::ReadyForQuery(_)) => return Ok(true),
            Some(Message::ErrorResponse(body)) => {
                self.refused = Some(Box::new(server_error(&body)));
            }
            Some(Message::NoticeResponse(body)) => {
                let missing = stream_warning(server_notice(&body), publications);
                return missing.map_or(Ok(false), Err);
            }
            // The last row of the statements is where the batch has led.
            Some(Message::DataRow(body)) => {
                if self.began {
                    self.after = Some(standing_of(&text_row(&body)?)?);
                }
            }
            Some(
                Message::RowDescription(_)
                | Message::CopyOutResponse(_)
                | Message::CopyDone
                | Message::CommandComplete(_)
                | Message::ParameterStatus(_),
            ) => {}
            _ => return Err(unexpected("a batch")),
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use pgoutput::PgTimestamp;

    use super::*;

    fn copy_data(body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[COPY_DATA][..], &length.to_be_bytes(), body].concat()
    }

    fn row(lsn: u64, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap();
        [&[0, 2, 0, 0, 0, 8][..], &lsn.to_be_bytes(), &length.to_be_bytes(), data].concat()
    }

    fn header() -> Vec<u8> {
        [&b"PGCOPY\n\xff\r\n\0"[..], &[0; 8]].concat()
    }

    fn batch() -> Batch {
        let at = Lsn::new(1);
        let clock = PgTimestamp::new(0);
        Batch::asked(Standing { restart: at, confirmed: at, flushed: at, clock })
    }

    /// Rows that are handed on after each byte that comes, and all bytes of them in the end.
    fn walked(answer: &[u8]) -> (Batch, Bytes) {
        let (mut batch, mut buffer) = (batch(), BytesMut::new());
        for byte in answer {
            buffer.put_u8(*byte);
            if let Next::Other(length) = batch.walk(&mut buffer).unwrap() {
                assert_eq!(buffer.len(), batch.walked + length, "nothing is left behind");
            }
        }
        let rows = batch.take(&mut buffer);
        (batch, rows)
    }

    #[test]
    fn what_a_copy_begins_with_is_cut_away_wherever_the_socket_cut_it() {
        let (first, second) = (row(5, b"B"), row(6, b"C"));
        let with_header = copy_data(&[header(), first.clone()].concat());
        let trailer = copy_data(&[0xFF, 0xFF]);
        let expected = [copy_data(&first), copy_data(&second)].concat();
        for answer in [
            [with_header, copy_data(&second), trailer.clone()].concat(),
            [copy_data(&header()), copy_data(&first), copy_data(&second), trailer].concat(),
        ] {
            let (batch, rows) = walked(&answer);
            assert_eq!(rows, expected);
            assert_eq!((batch.messages, batch.received), (2, Lsn::new(6)));
        }
    }

    #[test]
    fn a_begin_waits_for_what_follows_it() {
        let begin = copy_data(&[header(), row(5, b"B")].concat());
        let (mut batch, mut buffer) = (batch(), BytesMut::from(&begin[..]));
        assert!(matches!(batch.walk(&mut buffer), Ok(Next::Incomplete(_))));
        assert_eq!(batch.complete, 0);
        buffer.extend_from_slice(&copy_data(&row(5, b"O")));
        assert!(matches!(batch.walk(&mut buffer), Ok(Next::Incomplete(_))));
        assert_eq!(batch.complete, buffer.len());
    }

    #[test]
    fn an_error_behind_a_begin_is_read_as_one() {
        let begin = copy_data(&[header(), row(5, b"B")].concat());
        let fields = b"SFATAL\0C57P01\0Mterminating\0\0";
        let length = u32::try_from(fields.len() + 4).unwrap();
        let error = [&b"E"[..], &length.to_be_bytes(), fields].concat();
        let mut buffer = BytesMut::from(&[begin, error].concat()[..]);
        let mut batch = batch();
        let Ok(Next::Other(length)) = batch.walk(&mut buffer) else { panic!("an error came") };
        assert!(!batch.other_message(&mut buffer, length, "p").unwrap());
        assert_eq!(batch.refused.unwrap().sqlstate, "57P01");
    }

    #[test]
    fn an_answer_without_the_signature_is_refused() {
        let mut buffer = BytesMut::from(&copy_data(&row(5, b"B"))[..]);
        assert!(batch().walk(&mut buffer).is_err());
    }

    #[test]
    fn no_rows_are_an_answer_as_well() {
        let (batch, rows) = walked(&copy_data(&[header(), vec![0xFF, 0xFF]].concat()));
        assert_eq!((rows.len(), batch.messages), (0, 0));
    }
}
