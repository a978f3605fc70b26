//! The task that reads batches: asks for one, cuts its rows out of one growing buffer and hands them on in chunks, and asks
//! for the next as soon as the last byte is read, so that the server decodes while the consumer works.
//!
//! Rows that the consumer has no time for yet are [`Waiting`]. The next batch is asked for once there is room for all of it, since
//! the server keeps a snapshot until the last row is read: a consumer that keeps it waiting for [`STALLED_MAX`] within one batch
//! ends the session.
//! Never here: decoding of what pgoutput says.

use std::time::Duration;

use bytes::Bytes;
use pgoutput::Lsn;
use postgres_protocol::message::frontend;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::chunk::BatchChunk;
use super::coming::{Batch, CHUNK_BYTES, Next};
use super::copy::SlotCopy;
use super::pace::{Brought, Pace, Portion, Standing};
use super::running::RunningTransactions;
use super::waiting::{Item, Place, Waiting};
use super::{BatchItem, BatchLimits, BatchesEnd};
use crate::PostgresError;
use crate::session::{Session, unexpected, while_it_lives};
use crate::sqlstate::statement_error;

/// Less room than this in the buffer is not worth a system call.
const ROOM_BYTES_MIN: usize = 64 * 1024;

/// How long the server may be kept waiting inside one batch.
const STALLED_MAX: Duration = Duration::from_secs(10);

/// The slot is moved on when so much log is acknowledged, even if it was just moved.
const MOVE_BYTES: u64 = 256 * 1024 * 1024;

const DURING: &str = "reading the slot in batches";

pub(super) struct Reader {
    copy: SlotCopy,
    standing: Standing,
    pace: Pace,
    running: RunningTransactions,
    items: mpsc::Sender<Result<Item, PostgresError>>,
    waiting: Waiting,
    batch_bytes_max: usize,
    acknowledged: watch::Receiver<Lsn>,
    moved: Moved,
    move_interval: Duration,
}

/// Where the slot was moved last, and when.
struct Moved {
    to: Lsn,
    at: Instant,
}

impl Reader {
    /// Reads a copy that stands at `standing` and gives `items` away.
    pub(super) fn new(
        (copy, standing, running): (SlotCopy, Standing, RunningTransactions),
        limits: BatchLimits,
        waiting: Waiting,
        items: mpsc::Sender<Result<Item, PostgresError>>,
        acknowledged: watch::Receiver<Lsn>,
    ) -> Self {
        Self {
            copy,
            standing,
            pace: Pace::new(limits),
            running,
            items,
            waiting,
            batch_bytes_max: limits.bytes_max,
            acknowledged,
            moved: Moved { to: Lsn::ZERO, at: Instant::now() },
            move_interval: limits.move_interval,
        }
    }

    /// Reads until batches end; the reason is the last thing handed on.
    pub(super) async fn run(mut self) {
        let end = self.read().await;
        let Self { copy, items, .. } = self;
        // Before the consumer has taken everything: the server need not keep the snapshot and the copy any longer.
        drop(copy);
        // When nobody listens any more, nobody needs the reason.
        let _ = items.send(end.map(|end| Item::Ready(BatchItem::End(end)))).await;
    }

    async fn read(&mut self) -> Result<BatchesEnd, PostgresError> {
        loop {
            self.wait_for_room().await?;
            let portion = self.pace.portion(self.standing);
            let (after, brought) = self.batch(portion).await?;
            let before = std::mem::replace(&mut self.standing, after);
            tracing::debug!(
                messages = brought.messages,
                bytes = brought.bytes,
                time_ms = brought.time.as_millis(),
                again_bytes = before.confirmed.as_u64().saturating_sub(before.restart.as_u64()),
                "read a batch from {} to {}",
                before.confirmed,
                after.confirmed
            );
            if let Some(end) = self.pace.learn(before, after, brought) {
                return Ok(end);
            }
            if self.pace.wants_running_logged(before, after) {
                self.running.ask();
            }
        }
    }

    /// One batch, from the question to the last row handed on.
    async fn batch(&mut self, portion: Portion) -> Result<(Standing, Brought), PostgresError> {
        let due = self.due();
        let query = self.copy.batch_query(portion, due);
        self.copy.session.wire.send(|buffer| frontend::query(&query, buffer)).await?;
        let mut batch = Batch::asked(self.standing);
        loop {
            match batch.walk(&mut self.copy.session.wire.unread)? {
                Next::Full => self.hand_on(&mut batch, true).await?,
                Next::Incomplete(missing) => {
                    let wire = &mut self.copy.session.wire;
                    if wire.unread.capacity() - wire.unread.len() < ROOM_BYTES_MIN.max(missing) {
                        // With room to spare at the end of a large row: a buffer that is too small by little doubles.
                        wire.unread.reserve(CHUNK_BYTES + missing);
                    }
                    let Session { wire, facts, config } = &mut self.copy.session;
                    while_it_lives(config, facts, wire.receive(DURING)).await?;
                }
                // The server has sent all rows, so it need not be spared. They go first, so that an error comes after all that
                // was received.
                Next::Other(_) if batch.complete > 0 => self.hand_on(&mut batch, false).await?,
                Next::Other(length) => {
                    let publications = self.copy.publications();
                    let unread = &mut self.copy.session.wire.unread;
                    if batch.other_message(unread, length, &publications)? {
                        break;
                    }
                }
            }
        }
        if let Some(refused) = batch.refused.take() {
            return Err(statement_error("read the slot in batches", refused));
        }
        let after = batch.after.ok_or_else(|| unexpected("a batch"))?;
        let time = batch.asked_at.elapsed();
        self.finish(&batch, after).await?;
        Ok((after, Brought { messages: batch.messages, bytes: batch.bytes, time }))
    }

    /// Where the slot is to be moved now.
    fn due(&mut self) -> Option<Lsn> {
        let acknowledged = *self.acknowledged.borrow();
        let Moved { to, at } = self.moved;
        let far = acknowledged.as_u64().saturating_sub(to.as_u64()) >= MOVE_BYTES && to > Lsn::ZERO;
        let is_due = acknowledged > to && (far || at.elapsed() >= self.move_interval);
        if is_due {
            self.moved = Moved { to: acknowledged, at: Instant::now() };
        }
        is_due.then_some(acknowledged)
    }

    /// Gives the consumer what has come. If the server waits meanwhile, not for too long.
    async fn hand_on(&mut self, batch: &mut Batch, spares: bool) -> Result<(), PostgresError> {
        let asked_at = Instant::now();
        let rows = batch.take(&mut self.copy.session.wire.unread);
        let placed = self.waiting.put(rows);
        let place = if spares {
            let left = STALLED_MAX.saturating_sub(batch.waited);
            let placed = timeout(left, placed).await;
            batch.waited += asked_at.elapsed();
            placed.map_err(|_| PostgresError::Deadline {
                what: "the taking of all rows of a batch".to_owned(),
                waited: STALLED_MAX,
                fix: "none needed, the slot is streamed from here; see whether Kafka is slow"
                    .to_owned(),
            })??
        } else {
            placed.await?
        };
        let chunk = BatchChunk {
            rows: Bytes::new(),
            session_began: batch.session_began.take(),
            sent_at: self.standing.clock,
            decoded_to: None,
            received: batch.received,
            _room: None,
        };
        self.send(match place {
            Place::Memory(rows, room) => {
                Item::Ready(BatchItem::Chunk(BatchChunk { rows, _room: Some(room), ..chunk }))
            }
            Place::Disk(piece) => Item::OnDisk(chunk, piece),
        })
        .await
    }

    /// Tells the consumer that a batch is complete.
    async fn finish(&mut self, batch: &Batch, after: Standing) -> Result<(), PostgresError> {
        let chunk = BatchChunk {
            rows: Bytes::new(),
            session_began: batch.session_began,
            sent_at: self.standing.clock,
            decoded_to: Some(after.confirmed),
            received: batch.received.max(after.confirmed),
            _room: None,
        };
        self.send(Item::Ready(BatchItem::Chunk(chunk))).await
    }

    async fn wait_for_room(&mut self) -> Result<(), PostgresError> {
        tokio::select! {
            biased;
            () = self.items.closed() => Err(PostgresError::StreamEnded),
            room = self.waiting.for_batch(self.batch_bytes_max) => room,
        }
    }

    async fn send(&self, item: Item) -> Result<(), PostgresError> {
        self.items.send(Ok(item)).await.map_err(|_| PostgresError::StreamEnded)
    }
}
