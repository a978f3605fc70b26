//! The third stage: commits one Kafka transaction while the second stage fills the next.
//!
//! In: [`Outgoing`] transactions, in order, each with the position it reaches. Out: [`Committed`] positions, each only
//! after Kafka has said that the transaction is committed.
//! Never: a retry. Any error ends the stage, and with it the run; the next take-over reads from the checkpoint whether
//! the commit took place.

use std::sync::Arc;

use failpoint::Check;
use kafka::{Producer, Transaction};
use pgoutput::Lsn;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument as _, debug};

use crate::checkpoint::CheckpointLog;
use crate::clock;
use crate::error::ConnectorError;
use crate::measure::{Contents, Sent};
use crate::position::Position;
use crate::settings::{DeliveryGuarantee, Settings};
use crate::spans;

/// One Kafka transaction to be, and where it leads.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Records of complete source transactions, or a slice of a large one.
    pub(crate) transaction: Transaction,
    /// What must not be in Kafka before those records are. Empty where a Kafka transaction ties them together.
    pub(crate) with_checkpoint: Transaction,
    /// The position a restart continues at once this is committed.
    pub(crate) position: Position,
    /// What is counted of it.
    pub(crate) contents: Contents,
}

/// A Kafka transaction that is committed.
#[derive(Debug)]
pub(crate) struct Committed {
    /// Everything before this is in Kafka.
    pub(crate) end_lsn: Lsn,
    /// Records it held, without the checkpoint.
    pub(crate) records: usize,
    /// What is counted of it.
    pub(crate) contents: Contents,
    /// How it was sent.
    pub(crate) sent: Sent,
}

/// Stage 3 as stage 2 sees it: one Kafka transaction is committed at a time, so memory holds two of them, the one on its
/// way and the one being filled.
#[derive(Debug)]
pub(crate) struct Sink {
    outbox: mpsc::Sender<Outgoing>,
    committed: mpsc::Receiver<Committed>,
    stage: JoinSet<Result<(), ConnectorError>>,
    busy: bool,
}

impl Sink {
    /// Starts the stage.
    pub(crate) fn start(producer: Producer, log: CheckpointLog, settings: &Arc<Settings>) -> Self {
        let (outbox, inbox) = mpsc::channel(1);
        let (report, committed) = mpsc::channel(1);
        let mut stage = JoinSet::new();
        let stage_3 = Stage { producer, log, settings: Arc::clone(settings) };
        stage.spawn(stage_3.commit_all(inbox, report).in_current_span());
        Self { outbox, committed, stage, busy: false }
    }

    /// A Kafka transaction is being committed.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Gives the stage a Kafka transaction to commit.
    pub(crate) async fn hand_over(&mut self, outgoing: Outgoing) -> Result<(), ConnectorError> {
        assert!(!self.busy, "a Kafka transaction was handed over while another is being committed");
        self.busy = true;
        match self.outbox.send(outgoing).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Waits until the transaction handed over is committed. Safe to cancel.
    ///
    /// Errors: what ended the stage.
    pub(crate) async fn committed(&mut self) -> Result<Committed, ConnectorError> {
        match self.committed.recv().await {
            Some(committed) => {
                self.busy = false;
                Ok(committed)
            }
            None => Err(self.failure().await),
        }
    }

    /// What ended the stage.
    async fn failure(&mut self) -> ConnectorError {
        match self.stage.join_next().await {
            Some(Ok(Err(failure))) => failure,
            _ => ConnectorError::StageEnded { stage: "producer" },
        }
    }
}

/// What the stage works with.
struct Stage {
    producer: Producer,
    log: CheckpointLog,
    settings: Arc<Settings>,
}

impl Stage {
    async fn commit_all(
        mut self,
        mut inbox: mpsc::Receiver<Outgoing>,
        report: mpsc::Sender<Committed>,
    ) -> Result<(), ConnectorError> {
        while let Some(outgoing) = inbox.recv().await {
            let records = outgoing.transaction.record_count();
            let end_lsn = outgoing.position.end_lsn;
            let span = spans::commit(self.settings.name.as_str(), records, end_lsn);
            let committed = spans::within(span, Box::pin(self.commit(outgoing))).await?;
            if report.send(committed).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn commit(&mut self, outgoing: Outgoing) -> Result<Committed, ConnectorError> {
        let Outgoing { mut transaction, with_checkpoint, mut position, contents } = outgoing;
        let records = transaction.record_count();
        let end_lsn = position.end_lsn;
        if failpoint::is_out(Check::Ordinal) {
            position.half_sent = None;
        }
        if self.settings.delivery == DeliveryGuarantee::AtLeastOnce
            || failpoint::is_out(Check::CheckpointInTransaction)
        {
            // Without a transaction nothing ties the two together: the checkpoint must come second.
            self.producer.commit(std::mem::replace(&mut transaction, with_checkpoint)).await?;
        }
        self.log.append(&mut transaction, &position);
        let done = self.producer.commit(transaction).await?;
        debug!(
            records,
            sent_bytes = done.sent_bytes,
            produce_ms = done.produce_time.as_millis(),
            end_ms = done.end_time.as_millis(),
            "committed to {end_lsn}"
        );
        spans::committed(
            done.sent_bytes,
            contents.commit_times.newest_latency(clock::unix_ns() / 1000),
        );
        let sent = Sent { bytes: done.sent_bytes as u64, time: done.produce_time + done.end_time };
        Ok(Committed { end_lsn, records, contents, sent })
    }
}
