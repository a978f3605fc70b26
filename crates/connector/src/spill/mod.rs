//! Transactions in progress, on our own disk until they commit.
//!
//! In: what the server sends of them, part by part, as they interleave. Out: a [`Replay`] of each one that has committed.
//! What rolled back is forgotten: a whole transaction with its file, a subtransaction when its transaction is replayed.
//! Memory: the part that is coming in, up to [`BUFFER_BYTES`] and one message; of each open transaction which of its
//! subtransactions have rolled back; of each table its description; of one transaction the buffer that its largest message came
//! in. Everything else is on disk, compressed.
//! The whole is scratch: in a new session the server sends everything again.
//! Never: a row of a transaction that has not committed leaves here.
//! Source: `docs/adr/0016-streamed-transactions.md`.

mod block;
mod described;
mod folder;
pub(crate) mod fuzzing;
mod record;
mod replay;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use pgoutput::replication::XLogData;
use pgoutput::{Piece, StreamAbort, StreamCommit, Tag, Xid};

use self::described::Described;
use self::folder::SpillFile;
pub(crate) use self::folder::{Folder, sweep};
pub(crate) use self::replay::{Replay, ReplayChunk};
use crate::error::ConnectorError;
use crate::status::StreamedStatus;

/// What is written at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// pgoutput leaves out transactions without a change from PostgreSQL 15 on.
const SILENT_ABOUT_EMPTY_SINCE: u32 = 150_000;

/// What is kept of transactions that are open.
pub(crate) struct Spill {
    folder: Arc<Folder>,
    bytes_max: u64,
    /// On disk, what is being replayed included.
    bytes: u64,
    open: HashMap<Xid, Kept>,
    /// Records of the part that is coming in.
    buffer: Vec<u8>,
    /// What the largest message came in, and its transaction, which reads it again: an allocator that gets a buffer of this size
    /// from another thread than it gave it to does not give it to a third one.
    large: Option<(Xid, Vec<u8>)>,
    described: Described,
    /// The server sends transactions without a change as well.
    tells_empty: bool,
}

/// One transaction, or what of it is on disk.
struct Kept {
    file: Arc<SpillFile>,
    bytes: u64,
    messages: u64,
    /// Its subtransactions that have rolled back.
    aborted: Vec<Xid>,
    /// One has since its last part.
    is_marked: bool,
    /// A logical message came. The server does not say which subtransaction wrote it.
    has_message: bool,
    /// It may have been one that has rolled back since.
    is_unclear: bool,
}

/// What becomes of a transaction that has committed.
pub(crate) enum Committed {
    /// All of it is here.
    Kept(Replay),
    /// What of it rolled back cannot be told.
    Unclear,
    /// Nothing of it ever came.
    Unknown,
}

/// Something to write, away from the task that reads.
pub(crate) struct Write {
    xid: Xid,
    file: Arc<SpillFile>,
    buffer: Vec<u8>,
    /// The rest of a message that is too large to be copied.
    body: Bytes,
}

/// What was written.
pub(crate) struct Written {
    xid: Xid,
    file: Arc<SpillFile>,
    buffer: Vec<u8>,
    /// What the rest of a large message was in.
    large: Vec<u8>,
    bytes: io::Result<u64>,
}

impl Spill {
    /// Keeps nothing yet.
    pub(crate) fn new(folder: Arc<Folder>, bytes_max: u64, server_version_num: u32) -> Self {
        Self {
            folder,
            bytes_max,
            bytes: 0,
            open: HashMap::new(),
            buffer: Vec::new(),
            large: None,
            described: Described::default(),
            tells_empty: server_version_num < SILENT_ABOUT_EMPTY_SINCE,
        }
    }

    /// A message that belongs to no transaction in progress passes by.
    #[inline]
    pub(crate) fn outside(&mut self, payload: &[u8]) {
        self.described.outside(payload);
    }

    /// A part of a transaction begins.
    pub(crate) fn start(&mut self, xid: Xid) {
        let kept = self.open.entry(xid).or_insert_with(|| Kept {
            file: Arc::new(self.folder.file()),
            bytes: 0,
            messages: 0,
            aborted: Vec::new(),
            is_marked: false,
            has_message: false,
            is_unclear: false,
        });
        if std::mem::take(&mut kept.is_marked) {
            record::mark(&mut self.buffer);
        }
    }

    /// A message of the part. `share` gives what of it is too large to be copied.
    pub(crate) fn keep(
        &mut self,
        piece: &Piece<'_>,
        data: &XLogData<'_>,
        share: impl FnOnce(&[u8]) -> Bytes,
    ) -> Result<Option<Write>, ConnectorError> {
        let at = match piece.tag {
            Tag::Relation(_) => self.described.count(),
            Tag::Change(_) => data.wal_start.as_u64(),
            // Nothing here asks for types.
            Tag::Type | Tag::Origin => return Ok(None),
        };
        let Some(kept) = self.open.get_mut(&piece.xid) else {
            return Err(ConnectorError::StageEnded { stage: "spill" });
        };
        kept.messages += 1;
        kept.has_message |= piece.tag == Tag::Change(b'M');
        let length = u32::try_from(1 + piece.body.len());
        let length = length.map_err(|_| kept.failed("write", io::Error::other("too long")))?;
        record::begin(piece.part, at, length, &mut self.buffer);
        self.buffer.push(piece.tag.letter());
        if piece.body.len() > BUFFER_BYTES {
            return Ok(self.write(piece.xid, share(piece.body)));
        }
        self.buffer.extend_from_slice(piece.body);
        let is_full = self.buffer.len() >= BUFFER_BYTES;
        Ok(is_full.then(|| self.write(piece.xid, Bytes::new())).flatten())
    }

    /// The part ends: what is not on disk goes there.
    pub(crate) fn stop(&mut self, xid: Xid) -> Option<Write> {
        if self.buffer.is_empty() { None } else { self.write(xid, Bytes::new()) }
    }

    fn write(&mut self, xid: Xid, body: Bytes) -> Option<Write> {
        let file = Arc::clone(&self.open.get(&xid)?.file);
        Some(Write { xid, file, buffer: std::mem::take(&mut self.buffer), body })
    }

    /// What was to be written is on disk.
    pub(crate) fn written(&mut self, written: Written) -> Result<(), ConnectorError> {
        let Written { xid, file, mut buffer, large, bytes } = written;
        let bytes = bytes.map_err(|source| self.not_written(&file, source))?;
        if let Some(kept) = self.open.get_mut(&xid) {
            kept.bytes += bytes;
        }
        self.bytes += bytes;
        if self.bytes > self.bytes_max {
            return Err(ConnectorError::SpillFull { bytes_max: self.bytes_max });
        }
        buffer.clear();
        self.buffer = buffer;
        if large.capacity() > self.large.as_ref().map_or(0, |(_, large)| large.capacity()) {
            self.large = Some((xid, large));
        }
        Ok(())
    }

    fn not_written(&self, file: &SpillFile, source: io::Error) -> ConnectorError {
        if is_no_room(source.kind()) {
            let (folder, kept_bytes) = (self.folder.path().display().to_string(), self.bytes);
            return ConnectorError::SpillNoRoom { folder, kept_bytes, source };
        }
        failed("write", file, source)
    }

    /// A transaction, or a subtransaction of it, has rolled back.
    pub(crate) fn abort(&mut self, abort: &StreamAbort) {
        if abort.sub_xid == abort.xid {
            self.bytes -= self.open.remove(&abort.xid).map_or(0, |kept| kept.bytes);
            self.large_of(abort.xid);
        } else if let Some(kept) = self.open.get_mut(&abort.xid) {
            kept.aborted.push(abort.sub_xid);
            kept.is_marked = true;
            kept.is_unclear |= kept.has_message;
        }
    }

    /// A transaction has committed.
    pub(crate) fn commit(&mut self, commit: &StreamCommit, data: &XLogData<'_>) -> Committed {
        match self.open.remove(&commit.xid) {
            None => Committed::Unknown,
            Some(kept) if kept.is_unclear => Committed::Unclear,
            Some(kept) => {
                let large = self.large_of(commit.xid).unwrap_or_default();
                Committed::Kept(Replay::start(kept, commit, data, large, self.tells_empty))
            }
        }
    }

    /// What is left of a transaction that is over, besides its file.
    fn large_of(&mut self, xid: Xid) -> Option<Vec<u8>> {
        self.large.take_if(|(of, _)| *of == xid).map(|(_, large)| large)
    }

    /// A transaction is replayed. Returns what of it comes next, `None` at the end. Cancel-safe.
    pub(crate) async fn next_of(
        &mut self,
        replay: &mut Replay,
    ) -> Result<Option<ReplayChunk>, ConnectorError> {
        let chunk = replay.next(&mut self.described).await?;
        if chunk.is_none() {
            self.bytes -= replay.bytes();
        }
        Ok(chunk)
    }

    /// What there is to say of it, if anything is kept.
    pub(crate) fn status(&self) -> Option<StreamedStatus> {
        let is_empty = self.open.is_empty() && self.bytes == 0;
        let status = StreamedStatus { open: self.open.len(), spilled_bytes: self.bytes };
        (!is_empty).then_some(status)
    }
}

impl Kept {
    fn failed(&self, action: &'static str, source: io::Error) -> ConnectorError {
        failed(action, &self.file, source)
    }
}

impl Write {
    /// Writes. It may take as long as the disk does.
    pub(crate) fn run(self) -> Written {
        let Self { xid, file, buffer, body } = self;
        let bytes = file.append().and_then(|mut to: File| block::write(&mut to, [&buffer, &body]));
        let large = body.try_into_mut().map(|mut body| {
            body.clear();
            Vec::from(body)
        });
        Written { xid, file, buffer, large: large.unwrap_or_default(), bytes }
    }
}

/// What a system says when a disk is full, or what a user or a process may have of it.
fn is_no_room(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn failed(action: &'static str, file: &SpillFile, source: io::Error) -> ConnectorError {
    ConnectorError::SpillFailed { action, path: file.path().display().to_string(), source }
}

#[cfg(test)]
mod tests;
