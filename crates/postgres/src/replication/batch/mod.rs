//! One slot read in batches by SQL, several times faster than by its walsender, which sends each message by itself.
//!
//! In: a slot and a position. Out: [`BatchChunk`]s of the messages the walsender would send, of whole transactions, batch after
//! batch, until the end of the log is near.
//! A temporary copy of the slot is read, which ends with its session; the slot itself stays where the last acknowledgement was,
//! and is moved on at the beginning and between two batches.
//! Never here: a position of its own making. The slot moves to what was acknowledged and nowhere else.
//! Source: PostgreSQL manual, "Replication Management Functions"; `docs/adr/0011-batch-reading.md`.

mod chunk;
mod coming;
mod copy;
pub(super) mod fuzzing;
mod pace;
mod reader;
mod running;
mod waiting;

pub use chunk::BatchChunk;
pub use pace::{BatchLimits, BatchesEnd};

use std::path::PathBuf;

use pgoutput::Lsn;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::PgoutputOptions;
use crate::{ConnectionConfig, PostgresError, SlotName};
use copy::SlotCopy;
use pace::Pace;
use reader::Reader;
use running::RunningTransactions;
use waiting::{Waiting, load};

/// Chunks that wait at most; their bytes have a limit of their own.
const CHUNKS_WAITING_MAX: usize = 4096;

/// Chunks that are in memory, ready for the consumer.
const CHUNKS_READY_MAX: usize = 2;

/// What to read.
#[derive(Clone, Debug)]
pub struct BatchRequest {
    /// The slot.
    pub slot: SlotName,
    /// What had been committed before is not wanted.
    pub start: Lsn,
    /// The same as for `START_REPLICATION`, or the messages are not the same.
    pub options: PgoutputOptions,
    /// A session of the server that the slot belongs to: of several hosts another could answer.
    pub beside_pid: i32,
    /// What reading may use.
    pub limits: BatchLimits,
    /// A folder on our own disk for rows that wait. Without it less is read ahead.
    pub directory: Option<PathBuf>,
}

/// What came of a request.
pub enum Batches {
    /// They come.
    Stream(BatchStream),
    /// There will be none, and nothing is wrong.
    None(BatchesEnd),
}

/// What is read next.
#[derive(Debug)]
pub enum BatchItem {
    /// Rows.
    Chunk(BatchChunk),
    /// Nothing any more.
    End(BatchesEnd),
}

/// Batches of one slot. Dropping it ends its session, and with it the copy of the slot.
pub struct BatchStream {
    items: mpsc::Receiver<Result<BatchItem, PostgresError>>,
    acknowledged: watch::Sender<Lsn>,
    received: Lsn,
    /// Held for its drop: those that read end with their owner.
    _tasks: JoinSet<()>,
}

impl BatchStream {
    /// Opens a session, copies the slot there and begins to read. The slot may be in use while this is done.
    ///
    /// Errors: whatever the server refuses, such as [`PostgresError::NoFreeSlot`]; [`PostgresError::SlotAhead`].
    pub async fn open(
        config: &ConnectionConfig,
        request: BatchRequest,
    ) -> Result<Batches, PostgresError> {
        let start = request.start;
        let mut copy = SlotCopy::open(config, &request).await?;
        let slot = copy.slot_before(start).await?;
        if let Some(end) = Pace::reach(slot, start) {
            return Ok(Batches::None(end));
        }
        copy.move_slot(start).await?;
        let standing = copy.make(start).await?;
        if let Some(end) = Pace::new(request.limits).begin(standing) {
            // So that it is less when it is tried again.
            running::log_soon(config).await;
            return Ok(Batches::None(end));
        }
        let waiting = Waiting::new(request.directory, request.limits.bytes_max);
        let (to_loader, from_reader) = mpsc::channel(CHUNKS_WAITING_MAX);
        let (to_consumer, items) = mpsc::channel(CHUNKS_READY_MAX);
        // Zero tells the server nothing: the slot stays where it is until the first acknowledgement.
        let (acknowledged, to_move) = watch::channel(Lsn::ZERO);
        let running = RunningTransactions::new(config);
        let from = (copy, standing, running);
        let reader = Reader::new(from, request.limits, waiting, to_loader, to_move);
        let mut tasks = JoinSet::new();
        tasks.spawn(reader.run());
        tasks.spawn(load(from_reader, to_consumer));
        Ok(Batches::Stream(Self { items, acknowledged, received: start, _tasks: tasks }))
    }

    /// What comes next. Cancel-safe: a dropped future loses nothing.
    ///
    /// Errors: why reading ended; nothing comes after an error, nor after [`BatchItem::End`].
    pub async fn next(&mut self) -> Result<BatchItem, PostgresError> {
        let item = self.items.recv().await.unwrap_or(Err(PostgresError::StreamEnded))?;
        if let BatchItem::Chunk(chunk) = &item {
            self.received = self.received.max(chunk.received);
        }
        Ok(item)
    }

    /// Everything before `flushed` is safe and never needed again. The slot is moved there between two batches, when it pays.
    ///
    /// # Panics
    /// When `flushed` lies before what was acknowledged, or past what was received: both would lose data in silence.
    pub fn acknowledge(&self, flushed: Lsn) {
        let (before, received) = (*self.acknowledged.borrow(), self.received);
        assert!(before <= flushed, "acknowledged {flushed} after {before}");
        assert!(flushed <= received, "acknowledged {flushed} past what was received, {received}");
        self.acknowledged.send_replace(flushed);
    }
}
