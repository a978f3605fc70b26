//! The task that reports our progress: the only place that sends an LSN to PostgreSQL.
//!
//! It runs beside the reader, so the server hears from us also while the consumer is blocked, Kafka is down, or a large
//! chunk is being worked on. It reports what was acknowledged and nothing else.
//! Source: PostgreSQL manual, "Streaming Replication Protocol", `Standby status update`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use pgoutput::replication::StandbyStatusUpdate;
use pgoutput::{Lsn, PgTimestamp};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::chunk::WalChunk;
use crate::PostgresError;
use crate::session::{Stream, closed};

/// Progress is reported at most this often, unless the server asks.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// A server that shuts down answers every report with another question; the same answer is not repeated faster than this.
const REPEAT_INTERVAL: Duration = Duration::from_millis(50);

/// How long the reader may take to find the server's own words about why the connection broke.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the reader tells the feedback task.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The largest LSN received.
    pub(super) received: AtomicU64,
    /// Bytes have come since this was last cleared.
    pub(super) heard: AtomicBool,
    /// The reader has stopped reading because the consumer does not take what there is.
    pub(super) reader_blocked: AtomicBool,
    /// The server wants an answer at once.
    pub(super) reply_requested: Notify,
}

impl Signals {
    /// The largest LSN received.
    pub(super) fn received(&self) -> Lsn {
        Lsn::new(self.received.load(Ordering::Acquire))
    }
}

pub(super) struct Reporter {
    pub(super) socket: WriteHalf<Stream>,
    pub(super) acknowledged: watch::Receiver<Lsn>,
    pub(super) signals: Arc<Signals>,
    pub(super) close: oneshot::Receiver<()>,
    pub(super) chunks: mpsc::Sender<Result<WalChunk, PostgresError>>,
    pub(super) status_interval: Duration,
    pub(super) silence_max: Duration,
}

/// What was reported last, and when.
struct Reported {
    at: Instant,
    written: Lsn,
    flushed: Lsn,
}

impl Reporter {
    /// Reports until the stream is closed or dropped, or the connection breaks.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.report().await {
            // The reader usually finds a better reason in what the server said last.
            let _ = tokio::time::timeout(LAST_WORDS, self.chunks.closed()).await;
            // When nobody listens any more, nobody needs the reason.
            let _ = self.chunks.send(Err(error)).await;
        }
    }

    async fn report(&mut self) -> Result<(), PostgresError> {
        let mut last_heard = Instant::now();
        let mut asked = false;
        let mut reported = self.send(false).await?;
        loop {
            let flushed = *self.acknowledged.borrow_and_update();
            let due = self.due(&reported, flushed, asked);
            tokio::select! {
                biased;
                _ = &mut self.close => return self.farewell().await,
                changed = self.acknowledged.changed() => {
                    if changed.is_err() {
                        return Ok(()); // The stream was dropped: the socket closes with us.
                    }
                }
                () = self.signals.reply_requested.notified(), if !asked => asked = true,
                () = sleep_until(due) => {
                    let heard = self.signals.heard.swap(false, Ordering::Relaxed);
                    if heard || self.signals.reader_blocked.load(Ordering::Relaxed) {
                        last_heard = Instant::now();
                    }
                    if last_heard.elapsed() > self.silence_max {
                        let during = "waiting for any sign of life from the server";
                        return Err(PostgresError::Closed { during, source: None });
                    }
                    // A silent server is asked to show that it is there; its answer also moves an idle position on.
                    reported = self.send(!heard).await?;
                    asked = false;
                }
            }
        }
    }

    /// When the next report has to leave.
    fn due(&self, reported: &Reported, flushed: Lsn, asked: bool) -> Instant {
        let regular = reported.at + self.status_interval;
        if asked {
            let news = flushed > reported.flushed || self.signals.received() > reported.written;
            return if news { Instant::now() } else { regular.min(reported.at + REPEAT_INTERVAL) };
        }
        if flushed > reported.flushed {
            regular.min(reported.at + PROGRESS_INTERVAL)
        } else {
            regular
        }
    }

    async fn send(&mut self, reply_requested: bool) -> Result<Reported, PostgresError> {
        let flushed = *self.acknowledged.borrow_and_update();
        let written = self.signals.received().max(flushed);
        let status = StandbyStatusUpdate {
            written,
            flushed,
            applied: flushed,
            sent_at: now(),
            reply_requested,
        };
        let mut frame = BytesMut::new();
        copy_data(&status.encode(), &mut frame)?;
        self.write(&frame).await?;
        Ok(Reported { at: Instant::now(), written, flushed })
    }

    /// The last report, and goodbye: the walsender leaves at once and frees the slot.
    async fn farewell(&mut self) -> Result<(), PostgresError> {
        self.send(false).await?;
        let mut frames = BytesMut::new();
        frontend::copy_done(&mut frames);
        frontend::terminate(&mut frames);
        self.write(&frames).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), PostgresError> {
        let written = async {
            self.socket.write_all(bytes).await?;
            self.socket.flush().await
        };
        written.await.map_err(|source| closed("reporting progress", source))
    }
}

fn copy_data(body: &[u8], frame: &mut BytesMut) -> Result<(), PostgresError> {
    let data = frontend::CopyData::new(body);
    data.map_err(|error| PostgresError::Protocol { what: error.to_string() })?.write(frame);
    Ok(())
}

/// The wall clock. The server only shows it; nothing depends on it.
#[expect(
    clippy::disallowed_methods,
    reason = "the protocol wants the sender's clock in each report"
)]
fn now() -> PgTimestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    PgTimestamp::from_unix_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
