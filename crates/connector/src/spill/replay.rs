//! A streamed transaction that has committed, as the messages of an ordinary one.
//!
//! In: its file, and how it committed. Out: Begin, what of its messages was not rolled back, Commit, in chunks; so that what comes
//! behind sees what it would have seen had the server sent the transaction at its commit.
//! - The server describes a table again in each streamed transaction, and again after each rollback of a subtransaction. Such a
//!   repetition inside one transaction is left out if it says what was said.
//! - A Begin stands where the first change does, as servers from 15 on send it; servers before 15 put it where the transaction's
//!   first record is, which a streamed transaction does not tell. Those also send empty transactions.
//!
//! Never: more than one chunk and the one behind it in memory, or one message, if that is larger.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use pgoutput::message::{Begin, Commit};
use pgoutput::replication::{ReplicationMessage, XLogData};
use pgoutput::{Lsn, Message, Oid, PgTimestamp, StreamCommit, Xid, encode};
use tokio::task::JoinHandle;
use tracing::{debug, info};

use super::described::{Described, Description};
use super::folder::SpillFile;
use super::record::{self, Record};
use super::{Kept, block, failed};
use crate::error::ConnectorError;

/// About what is in memory of a transaction at once, twice.
const CHUNK_BYTES: usize = 512 * 1024;
/// Room for a chunk and the block that fills it.
const ROOM_BYTES: usize = CHUNK_BYTES + 2 * block::BLOCK_BYTES;
/// A larger transaction is worth a line in the log.
const TOLD_BYTES_MIN: u64 = 1024 * 1024;

/// A transaction that is being replayed.
pub(crate) struct Replay {
    file: Arc<SpillFile>,
    bytes: u64,
    commit: StreamCommit,
    committed_at: Lsn,
    sent_at: PgTimestamp,
    /// In order.
    aborted: Vec<Xid>,
    /// What comes next is on its way from disk.
    reading: Option<JoinHandle<io::Result<Reading>>>,
    spare: Spare,
    /// Rollbacks of subtransactions so far.
    rollbacks: u64,
    described: BTreeMap<Oid, Told>,
    /// Messages that come before the first change; `None` behind it.
    early: Option<Vec<Frame>>,
    /// Also if nothing is left of it.
    tells_empty: bool,
    is_over: bool,
}

/// A description that was told in this transaction.
struct Told {
    description: Description,
    /// The rollbacks before it.
    rollbacks: u64,
}

/// How far a file was read.
struct Reading {
    file: Option<File>,
    left: u64,
    /// Records, the last one perhaps not whole.
    raw: Vec<u8>,
    /// For a message that has no room in `raw`.
    large: Vec<u8>,
    packed: Vec<u8>,
}

/// Messages, as the walsender sends them of an ordinary transaction.
pub(crate) struct ReplayChunk {
    raw: Vec<u8>,
    frames: Vec<Frame>,
    sent_at: PgTimestamp,
    spare: Spare,
}

/// Buffers of chunks that are done with. One task fills them and another frees them: without this the allocator would keep what
/// the one has freed from the other, in the end as much as the transaction has.
#[derive(Clone, Debug, Default)]
struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

struct Frame {
    wal_start: Lsn,
    payload: Payload,
}

enum Payload {
    /// A part of the chunk's bytes.
    Raw(Range<usize>),
    Own(Box<[u8]>),
}

impl Replay {
    pub(super) fn start(
        kept: Kept,
        commit: &StreamCommit,
        data: &XLogData<'_>,
        large: Vec<u8>,
        tells_empty: bool,
    ) -> Self {
        let Kept { file, bytes, messages, mut aborted, .. } = kept;
        let xid = commit.xid;
        if bytes >= TOLD_BYTES_MIN {
            info!(
                "transaction {xid} has committed: {messages} messages of it, {bytes} bytes on disk, go to Kafka"
            );
        } else {
            debug!(
                "transaction {xid} has committed: {messages} messages of it, {bytes} bytes on disk"
            );
        }
        aborted.sort_unstable();
        let (raw, packed) = (Vec::new(), Vec::new());
        let reading = Reading { file: None, left: bytes, raw, large, packed };
        let mut replay = Self {
            file,
            bytes,
            commit: *commit,
            committed_at: data.wal_start,
            sent_at: data.sent_at,
            aborted,
            reading: None,
            spare: Spare::default(),
            rollbacks: 0,
            described: BTreeMap::new(),
            early: Some(Vec::new()),
            tells_empty,
            is_over: false,
        };
        replay.read_on(reading);
        replay
    }

    /// What it takes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What comes next; `None` at the end. Cancel-safe.
    pub(super) async fn next(
        &mut self,
        described: &mut Described,
    ) -> Result<Option<ReplayChunk>, ConnectorError> {
        while let Some(reading) = &mut self.reading {
            let read = reading.await;
            self.reading = None;
            let read = read.map_err(|_| ConnectorError::StageEnded { stage: "spill" })?;
            let mut read = read.map_err(|source| failed("read", &self.file, source))?;
            let (frames, end) = self.cut(&read.raw);
            let mut rest = self.spare.take();
            rest.extend_from_slice(&read.raw[end..]);
            let raw = std::mem::replace(&mut read.raw, rest);
            let chunk = self.chunk(raw, frames);
            if read.left > 0 {
                self.read_on(read);
            } else if !read.raw.is_empty() {
                let cut_off = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(failed("read", &self.file, cut_off));
            }
            if !chunk.frames.is_empty() {
                return Ok(Some(chunk));
            }
        }
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(None);
        }
        let frames = self.end(described);
        Ok(Some(self.chunk(Vec::new(), frames)))
    }

    /// All of a transaction whose records are these bytes.
    pub(super) fn of_bytes(&mut self, raw: &[u8], described: &mut Described) -> [ReplayChunk; 2] {
        let (frames, end) = self.cut(raw);
        let whole = self.chunk(raw[..end].to_vec(), frames);
        let frames = self.end(described);
        [whole, self.chunk(Vec::new(), frames)]
    }

    fn chunk(&self, raw: Vec<u8>, frames: Vec<Frame>) -> ReplayChunk {
        ReplayChunk { raw, frames, sent_at: self.sent_at, spare: self.spare.clone() }
    }

    /// Reads while the chunk before is worked on.
    fn read_on(&mut self, mut reading: Reading) {
        if reading.left > 0 {
            let file = Arc::clone(&self.file);
            self.reading = Some(tokio::task::spawn_blocking(move || {
                reading.fill(&file)?;
                Ok(reading)
            }));
        }
    }

    /// The messages of whole records, and where those end.
    fn cut(&mut self, raw: &[u8]) -> (Vec<Frame>, usize) {
        let (mut frames, mut end) = (Vec::new(), 0);
        while let Ok(record) = record::read(raw, end) {
            end = record.payload.end;
            self.take(&record, &raw[record.payload.clone()], &mut frames);
        }
        (frames, end)
    }

    fn take(&mut self, record: &Record, payload: &[u8], frames: &mut Vec<Frame>) {
        let Some((tag, body)) = payload.split_first() else {
            self.rollbacks += 1;
            return;
        };
        if self.aborted.binary_search(&record.part).is_ok() {
            return;
        }
        if *tag == b'R' {
            if self.is_news(record, payload, body) {
                match &mut self.early {
                    Some(early) => early.push(Frame::own(Lsn::ZERO, payload.into())),
                    None => frames.push(Frame::raw(Lsn::ZERO, record)),
                }
            }
            return;
        }
        if let Some(early) = self.early.take() {
            frames.push(self.begin(record.lsn()));
            frames.extend(early);
        }
        frames.push(Frame::raw(record.lsn(), record));
    }

    /// Notes a description. Says whether it has to be told.
    fn is_news(&mut self, record: &Record, payload: &[u8], body: &[u8]) -> bool {
        let Some(oid) = body.first_chunk::<4>() else { return true };
        let oid = Oid(u32::from_be_bytes(*oid));
        let description = Description { number: record.at, payload: payload.into() };
        let told = Told { description, rollbacks: self.rollbacks };
        let is_same = |before: &Told| {
            before.rollbacks < told.rollbacks
                && before.description.payload == told.description.payload
        };
        let repeats = self.described.get(&oid).is_some_and(is_same);
        self.described.insert(oid, told);
        !repeats
    }

    fn begin(&self, at: Lsn) -> Frame {
        let StreamCommit { xid, commit_lsn, committed_at, .. } = self.commit;
        Frame::message(at, &Message::Begin(Begin { final_lsn: commit_lsn, committed_at, xid }))
    }

    /// What ends it. Nothing, if nothing is left of it and the server would not tell of that.
    fn end(&mut self, described: &mut Described) -> Vec<Frame> {
        let mut frames = Vec::new();
        match self.early.take() {
            Some(early) if early.is_empty() && !self.tells_empty => return frames,
            Some(early) => {
                frames.push(self.begin(self.committed_at));
                frames.extend(early);
            }
            None => {}
        }
        let StreamCommit { commit_lsn, end_lsn, committed_at, .. } = self.commit;
        let commit = Commit { commit_lsn, end_lsn, committed_at };
        frames.push(Frame::message(self.committed_at, &Message::Commit(commit)));
        for (oid, told) in std::mem::take(&mut self.described) {
            let again = described.committed(oid, told.description);
            frames.extend(again.map(|payload| Frame::own(Lsn::ZERO, payload)));
        }
        frames
    }
}

impl Spare {
    fn take(&self) -> Vec<u8> {
        let spare = self.0.lock().ok().and_then(|mut spare| spare.pop());
        spare.unwrap_or_else(|| Vec::with_capacity(ROOM_BYTES))
    }

    fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let is_usual = (1..=2 * ROOM_BYTES).contains(&buffer.capacity());
        if let Ok(mut spare) = self.0.lock()
            && is_usual
        {
            spare.push(buffer);
        }
    }
}

impl Drop for ReplayChunk {
    fn drop(&mut self) {
        self.spare.put(std::mem::take(&mut self.raw));
    }
}

impl Reading {
    /// Reads until there is enough, and at least one record is whole.
    fn fill(&mut self, from: &SpillFile) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(from.read()?),
        };
        while self.left > 0 {
            let whole = record::read(&self.raw, 0);
            let wanted = whole.map_or_else(|bytes| bytes.max(CHUNK_BYTES), |_| CHUNK_BYTES);
            if self.raw.len() >= wanted {
                break;
            }
            // The last block may have more than is wanted.
            let room = wanted + block::BLOCK_BYTES;
            let is_large = wanted > CHUNK_BYTES && self.raw.capacity() < room;
            if is_large && self.large.capacity() >= room {
                self.large.extend_from_slice(&self.raw);
                self.raw = std::mem::take(&mut self.large);
            }
            self.raw.reserve(room - self.raw.len());
            let read = block::read(file, &mut self.packed, &mut self.raw)?;
            self.left = self.left.saturating_sub(read);
        }
        Ok(())
    }
}

impl Frame {
    fn raw(wal_start: Lsn, record: &Record) -> Self {
        Self { wal_start, payload: Payload::Raw(record.payload.clone()) }
    }

    fn own(wal_start: Lsn, payload: Box<[u8]>) -> Self {
        Self { wal_start, payload: Payload::Own(payload) }
    }

    fn message(wal_start: Lsn, message: &Message<'_>) -> Self {
        let mut payload = Vec::new();
        encode::message(message, &mut payload);
        Self::own(wal_start, payload.into())
    }
}

impl ReplayChunk {
    /// The messages, in order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = ReplicationMessage<'_>> {
        self.frames.iter().map(|frame| {
            let payload = match &frame.payload {
                Payload::Raw(range) => &self.raw[range.clone()],
                Payload::Own(bytes) => bytes,
            };
            let (wal_start, sent_at) = (frame.wal_start, self.sent_at);
            ReplicationMessage::XLogData(XLogData {
                wal_start,
                wal_end: wal_start,
                sent_at,
                payload,
            })
        })
    }
}
