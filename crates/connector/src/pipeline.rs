//! The way of a change through one connector. Read this file first.
//!
//! ```text
//! socket -> WalChunk -> ReplicationMessage -> Message -> Change -> Record -> Kafka transaction {records + checkpoint}
//!    ^      \--- stage 1: postgres ---/ \------- stage 2: gather -------/   \------- stage 3: sink -------/  |
//!    +------------------------ acknowledge(end_lsn), only after the commit returned -------------------------+
//! ```
//!
//! The three stages run side by side and pass batches. While stage 3 commits one Kafka transaction, stage 2 fills the
//! next, so a busy stream is never kept waiting for a commit, and a quiet one commits each change at once.
//! Data moves down [`follow`] and nowhere else; positions come back up in it and nowhere else.
//! Invariant, asserted on every step: acknowledged ≤ committed ≤ received ([`Watermarks`]).
//! Never: a retry, a wait for PostgreSQL inside a Kafka transaction, an acknowledgement of what Kafka does not hold.

use std::sync::Arc;
use std::time::Instant;

use pgoutput::Lsn;
use pgoutput::replication::ReplicationMessage;
use postgres::{ReplicationConnection, ReplicationStream};
use tracing::info;

use crate::boundary::{Boundary, Due};
use crate::error::ConnectorError;
use crate::gather::{Gathered, Gatherer};
use crate::settings::Settings;
use crate::sink::{Committed, Sink};
use crate::snapshot;
use crate::status::{State, StatusReporter};
use crate::takeover::Taken;
use crate::watermarks::Watermarks;

/// pgoutput knows the option `messages` from PostgreSQL 14 on.
const LOGICAL_MESSAGES_SINCE: u32 = 140_000;

/// Runs a connector that has taken over, until something ends it.
///
/// It never returns `Ok` while it follows the log: whoever wants it to stop drops it, which is how it dies as well.
/// Returns `Ok` when a snapshot was all that was wanted.
pub(crate) async fn run(
    taken: Taken,
    settings: &Arc<Settings>,
    status: &StatusReporter,
) -> Result<(), ConnectorError> {
    let Taken { producer, log, mut gatherer, mut replication, acknowledged, snapshot } = taken;
    let mut sink = Sink::start(producer, log, settings.delivery);
    if let Some(plan) = snapshot {
        let joins_at = plan.joins_at;
        if gatherer.position().end_lsn < joins_at {
            gatherer.gather_until(joins_at);
            let mut follow =
                Follow::start(settings, replication, gatherer, acknowledged, sink, status).await?;
            follow.follow().await?;
            follow.source.close().await;
            (gatherer, sink) = (follow.gatherer, follow.sink);
            gatherer.stand_at(joins_at);
            replication = ReplicationConnection::connect(&settings.source).await?;
        }
        snapshot::take(plan, settings, &mut gatherer, &mut sink, status).await?;
    }
    if !settings.snapshot.mode.streams() {
        return Ok(());
    }
    let mut follow =
        Follow::start(settings, replication, gatherer, acknowledged, sink, status).await?;
    status.state(State::Streaming);
    follow.follow().await
}

/// Everything the loop holds. One task owns it.
struct Follow<'a> {
    source: ReplicationStream,
    gatherer: Gatherer,
    boundary: Boundary,
    marks: Watermarks,
    sink: Sink,
    status: &'a StatusReporter,
}

impl<'a> Follow<'a> {
    /// Streams from where the gatherer stands. `acknowledged` is what the slot knows.
    async fn start(
        settings: &Settings,
        replication: ReplicationConnection,
        gatherer: Gatherer,
        acknowledged: Lsn,
        sink: Sink,
        status: &'a StatusReporter,
    ) -> Result<Self, ConnectorError> {
        let slot = &settings.slot.name;
        let from = gatherer.position().end_lsn;
        let mut options = settings.pgoutput_options();
        options.messages &= replication.server_version_num() >= LOGICAL_MESSAGES_SINCE;
        let source =
            replication.start_replication(slot, from, &options, settings.feedback()).await?;
        info!(connector.name = %settings.name, slot.name = %slot, "streams from {from}");
        let marks = Watermarks::starting_at(from, acknowledged);
        let boundary = Boundary::new(settings.commit.boundary(), Instant::now());
        Ok(Self { source, gatherer, boundary, marks, sink, status })
    }

    /// The loop. Each turn is one of: a commit came back, a chunk came in, the open Kafka transaction goes out.
    ///
    /// Returns once everything the gatherer was asked for is in Kafka; a gatherer without an end is asked for everything.
    async fn follow(&mut self) -> Result<(), ConnectorError> {
        let mut reached = false;
        loop {
            if reached || self.gatherer.has_reached() {
                self.hand_over().await?;
                let committed = self.sink.committed().await?;
                self.commit(committed);
                return Ok(());
            }
            let filled = self.gatherer.filled();
            let due = self.boundary.due(filled, Instant::now());
            let free = !self.sink.is_busy();
            if due == Due::Now && free {
                self.hand_over().await?;
                continue;
            }
            let room = filled.in_transaction || !self.boundary.is_full(filled.bytes);
            tokio::select! {
                biased;
                committed = self.sink.committed(), if !free => {
                    let committed = committed?;
                    self.commit(committed);
                }
                chunk = self.source.next(), if room => {
                    for message in chunk?.messages() {
                        if self.receive(message?).await? == Gathered::Reached {
                            reached = true;
                            break;
                        }
                    }
                }
                () = std::future::ready(()), if due == Due::WhenIdle && free => {
                    self.hand_over().await?;
                }
                () = wait_for(due), if matches!(due, Due::At(_)) && free => {}
            }
        }
    }

    /// One message of the stream, from its frame to records in the open Kafka transaction.
    async fn receive(
        &mut self,
        message: ReplicationMessage<'_>,
    ) -> Result<Gathered, ConnectorError> {
        let gathered = self.gatherer.push(message).await?;
        match gathered {
            Gathered::Nothing | Gathered::Reached => {}
            Gathered::Position => self.boundary.position_moved(),
            Gathered::Records => {
                self.boundary.opened(Instant::now());
                if self.boundary.must_slice(self.gatherer.filled().bytes) {
                    self.hand_over().await?;
                }
            }
        }
        Ok(gathered)
    }

    /// Gives the open Kafka transaction to stage 3, once it has committed the one before, and opens the next.
    async fn hand_over(&mut self) -> Result<(), ConnectorError> {
        while self.sink.is_busy() {
            let committed = self.sink.committed().await?;
            self.commit(committed);
        }
        self.marks.receive(self.gatherer.position().end_lsn);
        let records = self.gatherer.filled().records;
        self.sink.hand_over(self.gatherer.take()).await?;
        self.boundary.handed_over(records, Instant::now());
        Ok(())
    }

    /// Kafka holds a transaction: only now may PostgreSQL forget what is in it.
    fn commit(&mut self, committed: Committed) {
        self.marks.commit(committed.end_lsn);
        self.source.acknowledge(self.marks.acknowledge());
        self.status.committed(committed.end_lsn, committed.records);
    }
}

async fn wait_for(due: Due) {
    if let Due::At(at) = due {
        tokio::time::sleep_until(at.into()).await;
    }
}
