//! The task that reads the socket: cuts whole messages out of one growing buffer and hands them on in chunks.
//!
//! While the consumer works on one chunk, the next one grows, up to [`CHUNK_BYTES_MAX`]; then the socket is left alone and
//! TCP slows the server down. So the number of hand-overs adapts to the load, and memory is bounded by bytes.
//! Never here: decoding of pgoutput, writing to the socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, BytesMut};
use pgoutput::Lsn;
use pgoutput::replication::{ReplicationMessage, decode};
use postgres_protocol::message::backend::Message;
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::sync::mpsc;

use super::chunk::WalChunk;
use super::feedback::Signals;
use crate::PostgresError;
use crate::session::{
    COPY_DATA, HEADER_BYTES, Stream, closed, cut, frame_len, impossible_length, server_error,
    server_notice, unexpected,
};
use crate::sqlstate::{stream_error, stream_warning};

/// A chunk is handed on at this size at the latest; one message may be larger.
pub(super) const CHUNK_BYTES_MAX: usize = 512 * 1024;

/// Less room than this is not worth a system call.
const ROOM_BYTES_MIN: usize = 16 * 1024;

/// Room made at once.
const ROOM_BYTES: usize = 64 * 1024;

const DURING: &str = "streaming";

pub(super) struct Reader {
    pub(super) socket: ReadHalf<Stream>,
    pub(super) buffer: BytesMut,
    /// Bytes at the front of `buffer` that are whole `CopyData` messages.
    pub(super) complete: usize,
    pub(super) chunks: mpsc::Sender<Result<WalChunk, PostgresError>>,
    pub(super) signals: Arc<Signals>,
    /// For the message when one of them is missing.
    pub(super) publications: String,
}

/// What the next message in the buffer is.
enum Next {
    /// Not there yet: so many bytes are missing at least.
    Incomplete(usize),
    /// Not `CopyData`, and this long.
    Other(usize),
}

impl Reader {
    /// Reads until the stream ends; the reason is the last thing handed on.
    pub(super) async fn run(mut self) {
        let Err(error) = self.read().await;
        // Nobody listens any more when the stream was closed or dropped; then the reason is known.
        if self.chunks.send(Err(error)).await.is_err() {
            self.drain().await;
        }
    }

    async fn read(&mut self) -> Result<std::convert::Infallible, PostgresError> {
        loop {
            let wanted = match self.walk()? {
                Next::Incomplete(missing) => missing,
                // Everything before it goes first, so that an error comes after all that was received.
                Next::Other(_) if self.complete > 0 => {
                    self.hand_on().await?;
                    continue;
                }
                Next::Other(length) => {
                    self.other_message(length)?;
                    continue;
                }
            };
            let full = self.complete >= CHUNK_BYTES_MAX;
            self.signals.reader_blocked.store(full, Ordering::Relaxed);
            if full {
                self.hand_on().await?;
                continue;
            }
            self.make_room(wanted);
            tokio::select! {
                biased;
                permit = self.chunks.reserve(), if self.complete > 0 => {
                    let permit = permit.map_err(|_| PostgresError::StreamEnded)?;
                    permit.send(Ok(WalChunk::new(cut(&mut self.buffer, self.complete).freeze())));
                    self.complete = 0;
                }
                received = self.socket.read_buf(&mut self.buffer) => {
                    match received {
                        Ok(0) => return Err(PostgresError::Closed { during: DURING, source: None }),
                        Ok(_) => self.signals.heard.store(true, Ordering::Relaxed),
                        Err(source) => return Err(closed(DURING, source)),
                    }
                }
            }
        }
    }

    /// Walks over the messages that have become complete.
    fn walk(&mut self) -> Result<Next, PostgresError> {
        loop {
            let rest = &self.buffer[self.complete..];
            let length = frame_len(rest).map_err(impossible_length)?;
            let Some(length) = length else {
                return Ok(Next::Incomplete(HEADER_BYTES));
            };
            if rest.len() < length {
                return Ok(Next::Incomplete(length - rest.len()));
            }
            if rest[0] != COPY_DATA {
                return Ok(Next::Other(length));
            }
            note(&self.signals, &rest[HEADER_BYTES..length]);
            self.complete += length;
        }
    }

    fn make_room(&mut self, wanted: usize) {
        let room = self.buffer.capacity() - self.buffer.len();
        if room < wanted.max(ROOM_BYTES_MIN) {
            // With room to spare at the end of a large message: a buffer that is too small by little doubles.
            self.buffer.reserve(wanted + ROOM_BYTES);
        }
    }

    async fn hand_on(&mut self) -> Result<(), PostgresError> {
        let permit = self.chunks.reserve().await.map_err(|_| PostgresError::StreamEnded)?;
        permit.send(Ok(WalChunk::new(cut(&mut self.buffer, self.complete).freeze())));
        self.complete = 0;
        Ok(())
    }

    /// A message that is not data stands at the front: an error, the end, or a notice.
    fn other_message(&mut self, length: usize) -> Result<(), PostgresError> {
        let mut frame = self.buffer.split_to(length);
        let parsed = Message::parse(&mut frame);
        match parsed.map_err(|error| PostgresError::Protocol { what: error.to_string() })? {
            Some(Message::ErrorResponse(body)) => {
                Err(stream_error(Box::new(server_error(&body)), &self.publications))
            }
            // A server that shuts down ends the command without ending the copy first.
            Some(Message::CopyDone | Message::CommandComplete(_)) => {
                Err(PostgresError::StreamEnded)
            }
            Some(Message::NoticeResponse(body)) => {
                stream_warning(server_notice(&body), &self.publications).map_or(Ok(()), Err)
            }
            Some(Message::ParameterStatus(_)) => Ok(()),
            _ => Err(unexpected("the replication stream")),
        }
    }

    /// Reads what still comes, so that the server can finish and close.
    async fn drain(&mut self) {
        loop {
            self.buffer.clear();
            self.buffer.reserve(ROOM_BYTES);
            match self.socket.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => self.buffer.advance(count),
            }
        }
    }
}

/// Tells the feedback task how far the stream has come and whether the server waits for an answer.
///
/// A body that is neither WAL data nor a keepalive is the consumer's to report.
fn note(signals: &Signals, body: &[u8]) {
    match decode(body) {
        Ok(ReplicationMessage::XLogData(data)) => signals.receive(data.wal_end.max(data.wal_start)),
        Ok(ReplicationMessage::PrimaryKeepalive(keepalive)) => {
            signals.receive(keepalive.wal_end);
            if keepalive.reply_requested {
                signals.reply_requested.notify_one();
            }
        }
        Err(_) => {}
    }
}

impl Signals {
    fn receive(&self, end: Lsn) {
        self.received.fetch_max(end.as_u64(), Ordering::Release);
    }
}
