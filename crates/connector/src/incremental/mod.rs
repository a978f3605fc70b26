//! Incremental snapshots: tables are read chunk by chunk while the stream runs, and each row goes out once it is known that
//! the stream has nothing older and brought nothing newer.
//!
//! A chunk is read in a snapshot of its own, which tells the transactions it saw and a position `read_at` before which all of
//! them had committed. Its rows are joined with the stream so:
//! - They wait until the stream has come to `read_at`. By then every change that is in them was delivered, so no older
//!   change of a row can follow it.
//! - A row is dropped when the stream has delivered a change of it by a transaction that the snapshot did not see: then the
//!   stream is newer. Changes are noted from the moment a chunk is asked for.
//! - A transaction is in the log a moment before a snapshot can see it, longer if it waits for a synchronous standby. If one
//!   that was delivered before the chunk was asked for is still not seen, the chunk is thrown away and read again.
//! - So it is when the table was changed meanwhile: rows are sent in the form the stream has at that place.
//!
//! Where a table stands is in the checkpoint, in the Kafka transaction of the chunk's rows.
//! Writes nothing to the source, unless `read.only=false` asks for Debezium's marks in the signal table.
//! Never: a comparison of log positions of rows; the order of commits in the log is not the order they become visible in.
//! Source: PostgreSQL manual, "Transaction ID and Snapshot Information Functions"; Debezium documentation, "Incremental
//! snapshots"; `docs/adr/0008-incremental-snapshots.md`.

mod delivered;
mod notes;
mod reader;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgoutput::{Change, ChangeKind, Lsn, Oid, Relation, Xid};
use postgres::catalog::TableDescription;
use postgres::chunk::{ChunkQuery, Mark};
use tracing::info;

use self::delivered::Delivered;
use self::notes::{Note, Notes};
pub(crate) use self::reader::Answer;
pub(crate) use self::reader::First;
use self::reader::{Ask, Reader};
pub(crate) use self::window::{Fit, Window};
use crate::error::ConnectorError;
use crate::pace::Pace;
use crate::settings::{IncrementalSettings, Settings};
use crate::tables::CapturedTable;

/// Rows of a chunk behind this many bytes are left for the next.
const CHUNK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most rows of a chunk whose size was not given.
const CHUNK_ROWS_MAX: usize = 16 * 1024;
/// A chunk that is read faster than this may grow.
const CHUNK_READ_FAST: Duration = Duration::from_millis(50);
/// A chunk that takes longer than this shrinks.
const CHUNK_READ_SLOW: Duration = Duration::from_millis(250);
/// How long a chunk that cannot be used is waited with: a transaction becomes visible soon after it is in the log.
const UNSEEN_PAUSE: Duration = Duration::from_millis(20);
/// Blocks the first chunk in the order of `ctid` has.
const BLOCKS_FIRST: u32 = 16;
const BLOCKS_MAX: u32 = 4096;

/// Where the reading of tables stands, beside what the checkpoint says.
pub(crate) struct Incremental {
    settings: IncrementalSettings,
    reader: Reader,
    delivered: Delivered,
    chunk: Outstanding,
    /// Counts what was asked for, so that an answer nobody waits for any more is known.
    asked: u64,
    rows_max: usize,
    blocks_max: u32,
    /// Before it no chunk is asked for.
    not_before: Option<Instant>,
    /// Of the rows that are read.
    pace: Pace,
    /// The last chunk did not see a transaction that the stream had delivered.
    waits_to_see: bool,
    /// How the rows of the last chunk's table are encoded, for as long as its description stays the same.
    plan: Option<Box<(TableDescription, CapturedTable)>>,
}

/// What comes next of chunks.
#[derive(Debug)]
pub(crate) enum NextChunk {
    /// One can be asked for.
    Askable,
    /// One that was asked for.
    Read(Box<Answer>),
}

/// The chunk that is on its way.
enum Outstanding {
    None,
    Asked(Box<Asked>),
    /// Its rows wait for the stream.
    Here(Box<Here>),
}

/// A chunk that is being read.
struct Asked {
    number: u64,
    table: Oid,
    notes: Notes,
    /// What the stream had delivered before.
    before: VecDeque<Xid>,
}

/// A chunk that was read.
pub(crate) struct Here {
    /// The table.
    pub(crate) table: Oid,
    /// Its rows, less those the stream has made stale.
    pub(crate) window: Window,
    /// Where the next chunk begins.
    pub(crate) end: Option<Mark>,
    /// The last key of the table when its first chunk was read.
    pub(crate) until: Option<Mark>,
    /// The table is read to its end.
    pub(crate) is_last: bool,
    /// Its rows begin the table once more.
    pub(crate) began_again: bool,
    /// The table as the chunk's snapshot saw it.
    pub(crate) description: TableDescription,
}

impl Incremental {
    /// Starts with nothing asked for.
    pub(crate) fn new(settings: &Arc<Settings>, first: First) -> Self {
        Self {
            settings: settings.incremental.clone(),
            reader: Reader::new(settings, first),
            delivered: Delivered::default(),
            chunk: Outstanding::None,
            asked: 0,
            rows_max: settings.incremental.chunk_rows,
            blocks_max: BLOCKS_FIRST,
            not_before: None,
            pace: Pace::new(settings.snapshot.rows_per_second_max),
            waits_to_see: false,
            plan: None,
        }
    }

    /// No chunk is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.chunk, Outstanding::None)
    }

    /// The next chunk can be asked for now.
    pub(crate) fn is_askable(&self) -> bool {
        self.reader.is_ready() && self.waits_until(Instant::now()).is_none()
    }

    /// The chunk that was asked for; if none was, returns once one can be. Safe to cancel.
    ///
    /// Errors: what keeps chunks from being read at all.
    pub(crate) async fn next(&mut self) -> Result<NextChunk, ConnectorError> {
        if self.is_asked() {
            return Ok(NextChunk::Read(Box::new(self.reader.answer().await?)));
        }
        self.reader.ready().await?;
        while let Some(at) = self.waits_until(Instant::now()) {
            tokio::time::sleep_until(at.into()).await;
        }
        Ok(NextChunk::Askable)
    }

    fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|at| *at > now).max(self.pace.waits_until(now))
    }

    /// A chunk was asked for and is not here.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self.chunk, Outstanding::Asked(_))
    }

    /// So much was noted that the stream has to wait for the chunk.
    pub(crate) fn is_overrun(&self) -> bool {
        matches!(&self.chunk, Outstanding::Asked(asked) if asked.notes.is_full())
    }

    /// A chunk's rows may go out where everything that committed before `reached` was delivered.
    #[inline]
    pub(crate) fn is_due(&self, reached: Lsn) -> bool {
        matches!(&self.chunk, Outstanding::Here(here) if here.window.is_due(reached))
    }

    /// Asks for a chunk, whose size is decided here.
    pub(crate) fn ask(&mut self, mut query: ChunkQuery) {
        let table = query.table;
        query.rows_max = self.rows_max;
        query.blocks_max = self.blocks_max;
        query.bytes_max = CHUNK_BYTES_MAX;
        self.asked += 1;
        if !self.reader.ask(Ask { number: self.asked, query }) {
            return;
        }
        let before = self.delivered.take();
        let notes = Notes::default();
        let asked = Asked { number: self.asked, table, notes, before };
        self.chunk = Outstanding::Asked(Box::new(asked));
    }

    /// Forgets the chunk that is on its way: what it was read for is not wanted any more, or the stream stands still.
    pub(crate) fn forget_chunk(&mut self) {
        if let Outstanding::Asked(asked) = std::mem::replace(&mut self.chunk, Outstanding::None) {
            self.delivered.put_back(asked.before);
        }
    }

    /// A source transaction begins.
    #[inline]
    pub(crate) fn begins(&mut self, xid: Xid) {
        self.delivered.add(xid);
    }

    /// The server described a relation: if it is the table that is being read, its rows may have another form from here on.
    pub(crate) fn described(&mut self, relation: &Relation, xid: Xid) {
        if self.table() == Some(relation.oid) {
            self.note(xid, Note::Described);
        }
    }

    /// A change of the stream: if it is of the table that is being read, the row it changed may be stale in the chunk.
    #[inline]
    pub(crate) fn changed(&mut self, change: &Change<'_>) {
        let Some(table) = self.table() else { return };
        if let (Some(xid), Some(note)) = (change.xid, note_of(&change.kind, table)) {
            self.note(xid, note);
        }
    }

    /// The table of the chunk that is on its way.
    #[inline]
    fn table(&self) -> Option<Oid> {
        match &self.chunk {
            Outstanding::None => None,
            Outstanding::Asked(asked) => Some(asked.table),
            Outstanding::Here(here) => Some(here.table),
        }
    }

    fn note(&mut self, xid: Xid, note: Note) {
        match &mut self.chunk {
            Outstanding::None => {}
            Outstanding::Asked(asked) => asked.notes.add(xid, note),
            Outstanding::Here(here) => {
                if here.window.apply(xid, &note) == Fit::Stale {
                    self.chunk = Outstanding::None;
                }
            }
        }
    }

    /// The answer to what was asked for last; an older one gives nothing.
    pub(crate) fn is_awaited(&self, number: u64) -> bool {
        matches!(&self.chunk, Outstanding::Asked(asked) if asked.number == number)
    }

    /// A chunk was read: its rows wait for the stream from here on. Says `false` if it cannot be used and has to be read again.
    pub(crate) fn arrived(&mut self, mut here: Here, read_in: Duration) -> bool {
        let chunk = std::mem::replace(&mut self.chunk, Outstanding::None);
        let Outstanding::Asked(asked) = chunk else { return false };
        self.adapt(&here, read_in);
        let rows = u64::try_from(here.window.rows_read()).unwrap_or(u64::MAX);
        self.pace.spent(rows, Instant::now());
        let seen = here.window.seen();
        let unseen = Delivered::unseen(asked.before, seen);
        let is_complete = unseen.is_empty();
        if let Some(xid) = unseen.front().filter(|_| !self.waits_to_see) {
            info!(
                "a chunk is read again: transaction {xid} is in the stream and is not seen yet, as while it waits for a standby"
            );
        }
        self.waits_to_see = !is_complete;
        self.delivered.put_back(unseen);
        let fits = is_complete
            && asked.notes.iter().all(|(xid, note)| here.window.apply(*xid, note) == Fit::Usable);
        self.not_before = (!fits).then(|| Instant::now() + UNSEEN_PAUSE);
        if fits {
            self.chunk = Outstanding::Here(Box::new(here));
        }
        fits
    }

    /// Takes the chunk whose rows are due.
    pub(crate) fn take(&mut self) -> Option<Box<Here>> {
        match std::mem::replace(&mut self.chunk, Outstanding::None) {
            Outstanding::Here(here) => Some(here),
            other => {
                self.chunk = other;
                None
            }
        }
    }

    /// The plan for a description, if the last chunk had the same.
    pub(crate) fn plan(&self, description: &TableDescription) -> Option<&CapturedTable> {
        let (known, plan) = self.plan.as_deref()?;
        (known == description).then_some(plan)
    }

    /// Keeps the plan for a description.
    pub(crate) fn keep_plan(&mut self, description: TableDescription, plan: CapturedTable) {
        self.plan = Some(Box::new((description, plan)));
    }

    /// Makes the next chunk larger while chunks come fast, and smaller when one was slow: the source holds a snapshot as long
    /// as one is read.
    fn adapt(&mut self, here: &Here, read_in: Duration) {
        let rows = here.window.rows_read();
        if self.settings.chunk_rows_given {
            // By `ctid` the rows of a chunk can only be aimed at.
            if here.window.is_by_ctid() {
                self.blocks_max = aimed_blocks(self.blocks_max, rows, self.rows_max);
            }
            return;
        }
        if read_in > CHUNK_READ_SLOW {
            self.rows_max = (self.rows_max / 2).max(self.settings.chunk_rows.min(64));
            self.blocks_max = (self.blocks_max / 2).max(1);
        } else if read_in < CHUNK_READ_FAST {
            self.rows_max = (self.rows_max * 2).min(CHUNK_ROWS_MAX);
            if here.window.bytes() < CHUNK_BYTES_MAX / 2 {
                self.blocks_max = (self.blocks_max * 2).min(BLOCKS_MAX);
            }
        }
        if here.window.bytes() > CHUNK_BYTES_MAX {
            self.blocks_max = (self.blocks_max / 2).max(1);
        }
    }
}

/// How many blocks hold about as many rows as wanted.
fn aimed_blocks(blocks: u32, rows: usize, wanted: usize) -> u32 {
    if rows > wanted { (blocks / 2).max(1) } else { (blocks * 2).min(BLOCKS_MAX) }
}

/// What a change says of the rows of a table, if it is of that table and can make one stale: an insert cannot.
fn note_of(kind: &ChangeKind<'_>, table: Oid) -> Option<Note> {
    match kind {
        ChangeKind::Update { relation, before, after } if relation.oid == table => {
            Some(Note::changed(relation, before, Some(*after)))
        }
        ChangeKind::Delete { relation, before } if relation.oid == table => {
            Some(Note::changed(relation, before, None))
        }
        ChangeKind::Truncate { relations, .. }
            if relations.iter().any(|relation| relation.oid == table) =>
        {
            Some(Note::Truncated)
        }
        ChangeKind::Insert { .. }
        | ChangeKind::Update { .. }
        | ChangeKind::Delete { .. }
        | ChangeKind::Truncate { .. }
        | ChangeKind::LogicalMessage { .. } => None,
    }
}
