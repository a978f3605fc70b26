//! The stream of one slot, as the connector sees it.
//!
//! In: acknowledged positions. Out: chunks of WAL messages. Two tasks behind it: one reads, one reports.

use std::sync::Arc;
use std::time::Duration;

use pgoutput::Lsn;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::chunk::WalChunk;
use super::feedback::{Reporter, Signals};
use super::reader::Reader;
use crate::PostgresError;
use crate::session::Wire;

/// Chunks that wait for the consumer. With the one being filled: at most three times
/// [`CHUNK_BYTES_MAX`](super::reader::CHUNK_BYTES_MAX) of memory, or three messages, if those are larger.
const CHUNKS_IN_FLIGHT_MAX: usize = 2;

/// How long the server may take to let go of the slot.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The stream of one slot. Dropping it closes the connection without a word; [`ReplicationStream::close`] says goodbye.
pub struct ReplicationStream {
    chunks: mpsc::Receiver<Result<WalChunk, PostgresError>>,
    acknowledged: watch::Sender<Lsn>,
    signals: Arc<Signals>,
    close: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

/// What a stream is made of.
pub(super) struct StreamParts {
    pub(super) wire: Wire,
    pub(super) status_interval: Duration,
    pub(super) silence_max: Duration,
    pub(super) start: Lsn,
    pub(super) publications: String,
}

impl ReplicationStream {
    pub(super) fn start(parts: StreamParts) -> Self {
        let (to_consumer, chunks) = mpsc::channel(CHUNKS_IN_FLIGHT_MAX);
        // Zero tells the server nothing: the slot stays where it is until the first acknowledgement.
        let (acknowledged, to_report) = watch::channel(Lsn::ZERO);
        let (close, closing) = oneshot::channel();
        let signals = Arc::new(Signals::default());
        signals.received.store(parts.start.as_u64(), std::sync::atomic::Ordering::Release);
        let (read_half, write_half) = tokio::io::split(parts.wire.stream);
        let reader = Reader {
            socket: read_half,
            buffer: parts.wire.unread,
            complete: 0,
            chunks: to_consumer.clone(),
            signals: Arc::clone(&signals),
            publications: parts.publications,
        };
        let reporter = Reporter {
            socket: write_half,
            acknowledged: to_report,
            signals: Arc::clone(&signals),
            close: closing,
            chunks: to_consumer,
            status_interval: parts.status_interval,
            silence_max: parts.silence_max,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(reader.run());
        tasks.spawn(reporter.run());
        Self { chunks, acknowledged, signals, close, tasks }
    }

    /// The next chunk. Cancel-safe: a dropped future loses nothing.
    ///
    /// Errors: why the stream ended; nothing comes after an error.
    pub async fn next(&mut self) -> Result<WalChunk, PostgresError> {
        self.chunks.recv().await.unwrap_or(Err(PostgresError::StreamEnded))
    }

    /// The next chunk if one is waiting.
    pub fn try_next(&mut self) -> Option<Result<WalChunk, PostgresError>> {
        match self.chunks.try_recv() {
            Ok(item) => Some(item),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => Some(Err(PostgresError::StreamEnded)),
        }
    }

    /// Everything before `flushed` is safe and never needed again. Reported within a second, at once if the server asks.
    ///
    /// # Panics
    /// When `flushed` lies before what was acknowledged, or past what was received: both would lose data in silence.
    pub fn acknowledge(&self, flushed: Lsn) {
        let before = *self.acknowledged.borrow();
        let received = self.signals.received();
        assert!(before <= flushed, "acknowledged {flushed} after {before}");
        assert!(flushed <= received, "acknowledged {flushed} past what was received, {received}");
        if flushed > before {
            self.acknowledged.send_replace(flushed);
        }
    }

    /// Reports the last acknowledged position, ends the stream in good order and waits until the server has let go of the
    /// slot, for 5 seconds at most.
    pub async fn close(self) {
        let Self { chunks, acknowledged, close, mut tasks, .. } = self;
        drop(chunks);
        // A failed send means the connection is gone already.
        if close.send(()).is_ok() {
            let all = async { while tasks.join_next().await.is_some() {} };
            // After the deadline the tasks are dropped, and the socket with them.
            let _ = timeout(CLOSE_MAX, all).await;
        }
        drop(acknowledged);
    }
}
