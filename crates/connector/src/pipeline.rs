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
//! Data moves down [`Follow::follow`] and nowhere else; positions come back up in it and nowhere else.
//! Invariant, asserted on every step: acknowledged ≤ committed ≤ received ([`Watermarks`]).
//! Never: a retry, a wait for PostgreSQL inside a Kafka transaction, an acknowledgement of what Kafka does not hold.

use std::sync::Arc;
use std::time::Instant;

use failpoint::{Point, pass};
use pgoutput::Lsn;
use pgoutput::replication::ReplicationMessage;
use postgres::ReplicationConnection;
use tracing::warn;

use crate::boundary::{Boundary, Due};
use crate::error::{Class, ConnectorError};
use crate::gather::{Gathered, Gatherer};
use crate::heartbeat::Heartbeat;
use crate::incremental::NextChunk;
use crate::lifecycle::chain;
use crate::notification::{Aggregate, Stage};
use crate::settings::Settings;
use crate::signal::outside::{FromOutside, Outside};
use crate::sink::{Committed, Sink};
use crate::snapshot::{self, Done, Purpose, SnapshotPlan};
use crate::source::Source;
use crate::spans;
use crate::status::{State, StatusReporter};
use crate::takeover::Taken;
use crate::vanished;
use crate::watermarks::Watermarks;
use crate::way::Way;

/// Runs a connector that has taken over, until something ends it.
///
/// It never returns `Ok` while it follows the log: whoever wants it to stop drops it, which is how it dies as well.
/// Returns `Ok` when a snapshot was all that was wanted.
pub(crate) async fn run(
    taken: Taken,
    settings: &Arc<Settings>,
    status: &StatusReporter,
) -> Result<(), ConnectorError> {
    let Taken { producer, log, gatherer, replication, acknowledged, snapshot, done } = taken;
    let sink = Sink::start(producer, log, settings);
    let way = Way::new(settings);
    let outside = Outside::start(settings, &gatherer.position().requests.heeded);
    let mut follow = Follow { settings, status, acknowledged, gatherer, sink, way, done, outside };
    let mut replication = match snapshot {
        None => {
            follow.gatherer.notify(&Aggregate::Initial, &Stage::Skipped, "").await?;
            replication
        }
        Some(plan) => follow.snapshot(plan, replication).await?,
    };
    // Before the stream goes on: what it brings of a row that vanished and came back must lie behind the delete.
    let Follow { gatherer, sink, .. } = &mut follow;
    Box::pin(vanished::tell(settings, gatherer, sink, status)).await?;
    while settings.snapshot.mode.streams() {
        status.state(State::Streaming);
        if !follow.gatherer.has_reached() {
            follow.follow(replication).await?;
        }
        replication = follow.requested_snapshot().await?;
    }
    Ok(())
}

/// Stages 2 and 3 of one connector. One task owns them.
struct Follow<'a> {
    settings: &'a Settings,
    status: &'a StatusReporter,
    /// What the slot knows at the start: the same as the checkpoint, or earlier.
    acknowledged: Lsn,
    gatherer: Gatherer,
    sink: Sink,
    /// How the slot is read.
    way: Way,
    /// What is in Kafka of a snapshot that is not complete.
    done: Done,
    /// Signals that do not come with the stream.
    outside: Outside,
}

/// A running stream: stage 1, and what is known of its positions.
struct Running {
    source: Source,
    boundary: Boundary,
    marks: Watermarks,
}

impl Follow<'_> {
    /// Reads the tables. Parts of a snapshot that did not come to its end may be in Kafka already: then what the slot has since
    /// goes first, up to where the new snapshot stands, which is read for the rest. Returns the session that will stream.
    async fn snapshot(
        &mut self,
        plan: SnapshotPlan,
        mut replication: ReplicationConnection,
    ) -> Result<ReplicationConnection, ConnectorError> {
        let joins_at = plan.joins_at;
        let began = self.gatherer.position().snapshot_began;
        if self.gatherer.position().end_lsn < joins_at {
            self.gatherer.gather_until(joins_at);
            if began.is_some_and(|began| self.done.is_begun(began)) {
                self.gatherer.fill_in_what_the_stream_lacks();
            }
            self.follow(replication).await?;
            self.gatherer.stand_at(joins_at);
            replication = ReplicationConnection::connect(&self.settings.source).await?;
        }
        let Self { gatherer, sink, done, .. } = self;
        let purpose = plan.purpose;
        let span = spans::snapshot(self.settings, plan.tables.len(), joins_at);
        let taken = snapshot::take(plan, done, self.settings, gatherer, sink, self.status);
        match spans::within(span, Box::pin(taken)).await {
            Err(failure) if purpose == Purpose::Requested && of_the_request(&failure) => {
                warn!(connector.name = %self.settings.name, code = failure.code(), "a blocking snapshot is given up, what was read of it stays: {}", chain(&failure));
                snapshot::complete(purpose, Err(chain(&failure)), done, gatherer);
                if sink.is_busy() {
                    sink.committed().await?;
                }
            }
            taken => taken?,
        }
        Ok(replication)
    }

    /// Takes the first snapshot that a signal has asked for; the stream stands still. Returns the session that will stream.
    async fn requested_snapshot(&mut self) -> Result<ReplicationConnection, ConnectorError> {
        let replication = ReplicationConnection::connect(&self.settings.source).await?;
        self.gatherer.stand_at(self.gatherer.position().end_lsn);
        match self.gatherer.plan_requested_snapshot().await? {
            Some(plan) => self.snapshot(plan, replication).await,
            None => Ok(replication),
        }
    }

    /// Reads from where the gatherer stands.
    async fn start(
        &mut self,
        replication: ReplicationConnection,
    ) -> Result<Running, ConnectorError> {
        let from = self.gatherer.position().end_lsn;
        let opened = self.way.open(replication, &mut self.gatherer, self.status);
        let source = spans::within(spans::open_source(self.settings, from), opened).await?;
        let mut boundary =
            Boundary::new(self.settings.commit.boundary(self.settings.delivery), Instant::now());
        if self.gatherer.filled().records > 0 {
            boundary.opened(Instant::now);
        }
        Ok(Running { source, boundary, marks: Watermarks::starting_at(from, self.acknowledged) })
    }

    /// The loop. Each turn is one of: a commit came back, a heartbeat is due, a chunk came in, a signal came from outside, the
    /// open Kafka transaction goes out.
    ///
    /// Returns once everything the gatherer was asked for is in Kafka; a gatherer without an end is asked for everything.
    async fn follow(&mut self, replication: ReplicationConnection) -> Result<(), ConnectorError> {
        let mut running = self.start(replication).await?;
        let mut heartbeat = Heartbeat::start(self.settings);
        let mut reached = false;
        while !reached && !self.gatherer.has_reached() {
            let filled = self.gatherer.filled();
            let due = running.boundary.due(filled, Instant::now());
            let free = !self.sink.is_busy();
            if due == Due::Now && free {
                self.hand_over(&mut running).await?;
                continue;
            }
            if self.way.is_due(&running.source, &self.gatherer) {
                self.way.change(&mut running.source, &mut self.gatherer, self.status).await?;
                continue;
            }
            let room = filled.in_transaction || !running.boundary.is_full(filled.bytes);
            // Far behind, a chunk would wait for the end of the log.
            let wants_chunk = running.source.is_stream() && self.gatherer.wants_chunk();
            if wants_chunk && self.gatherer.is_chunk_askable() {
                Box::pin(self.gatherer.ask_for_chunk()).await?;
                continue;
            }
            if !room && !free && !wants_chunk {
                self.wait_for_kafka(&mut running).await?;
                continue;
            }
            tokio::select! {
                biased;
                committed = self.sink.committed(), if !free => {
                    self.acknowledge(&mut running, committed?).await?;
                }
                () = heartbeat.tick(), if room => {
                    self.gatherer.heartbeat().await?;
                    running.boundary.opened(Instant::now);
                }
                next = self.gatherer.next_chunk(), if wants_chunk || (room && self.gatherer.awaits_chunk()) => {
                    if let NextChunk::Read(answer) = next?
                        && Box::pin(self.gatherer.take_chunk(*answer)).await? == Gathered::Records
                    {
                        running.boundary.opened(Instant::now);
                    }
                }
                came = self.outside.next(), if room && !filled.in_transaction => {
                    Box::pin(self.heed(&mut running, came)).await?;
                }
                chunk = running.source.next(), if room && !self.gatherer.is_overrun() => {
                    let chunk = chunk?;
                    self.status.streamed(running.source.streamed());
                    if let Some(began) = chunk.session_began() {
                        self.gatherer.begin_session(began);
                    }
                    self.gatherer.is_replayed(chunk.is_replay());
                    for message in chunk.messages() {
                        if self.receive(&mut running, message?).await? == Gathered::Reached {
                            reached = true;
                            break;
                        }
                    }
                }
                () = std::future::ready(()), if due == Due::WhenIdle && free => {
                    self.hand_over(&mut running).await?;
                }
                () = wait_for(due), if matches!(due, Due::At(_)) && free => {}
            }
        }
        self.end(running).await
    }

    /// Everything that was asked for is gathered: it goes out, and the slot is free.
    async fn end(&mut self, mut running: Running) -> Result<(), ConnectorError> {
        self.hand_over(&mut running).await?;
        let committed = self.sink.committed().await?;
        self.acknowledge(&mut running, committed).await?;
        running.source.close().await;
        Ok(())
    }

    /// One message of the stream, from its frame to records in the open Kafka transaction.
    async fn receive(
        &mut self,
        running: &mut Running,
        message: ReplicationMessage<'_>,
    ) -> Result<Gathered, ConnectorError> {
        let gathered = self.gatherer.push(message).await?;
        match gathered {
            Gathered::Nothing | Gathered::Reached => {}
            Gathered::Position => running.boundary.position_moved(),
            Gathered::Records => {
                running.boundary.opened(Instant::now);
                if running.boundary.must_slice(self.gatherer.filled().bytes) {
                    self.hand_over(running).await?;
                    pass(Point::SliceHandedOver).await?;
                }
            }
        }
        // A busy stream may have no chunk that ends between two source transactions.
        if !self.gatherer.is_in_transaction()
            && let Some(came) = self.outside.waiting()
        {
            Box::pin(self.heed(running, came)).await?;
        }
        Ok(gathered)
    }

    /// A channel outside the source has brought something. Nothing of a source transaction is open.
    async fn heed(
        &mut self,
        running: &mut Running,
        came: FromOutside,
    ) -> Result<(), ConnectorError> {
        match came {
            FromOutside::Trouble(notice) => self.status.notice(notice),
            FromOutside::Delivery(delivery) => match self.gatherer.heed(delivery).await? {
                Gathered::Nothing | Gathered::Reached => {}
                Gathered::Position => running.boundary.position_moved(),
                Gathered::Records => running.boundary.opened(Instant::now),
            },
        }
        Ok(())
    }

    /// Gives the open Kafka transaction to stage 3, once it has committed the one before, and opens the next.
    async fn hand_over(&mut self, running: &mut Running) -> Result<(), ConnectorError> {
        while self.sink.is_busy() {
            self.wait_for_kafka(running).await?;
        }
        pass(Point::BeforeHandOver).await?;
        running.marks.receive(self.gatherer.position().end_lsn);
        let records = self.gatherer.filled().records;
        self.gatherer.tell(self.status);
        self.outside.handed_over(&self.gatherer.position().requests.heeded);
        self.sink.hand_over(self.gatherer.take()).await?;
        running.boundary.handed_over(records, Instant::now());
        if records == 0 {
            pass(Point::CheckpointOnly).await?;
        }
        Ok(())
    }

    /// Nothing can be read on before a commit comes back.
    async fn wait_for_kafka(&mut self, running: &mut Running) -> Result<(), ConnectorError> {
        let began = Instant::now();
        let committed = self.sink.committed().await?;
        self.status.waits_for_kafka(began.elapsed());
        self.acknowledge(running, committed).await
    }

    /// Kafka holds a transaction: only now may PostgreSQL forget what is in it.
    async fn acknowledge(
        &mut self,
        running: &mut Running,
        committed: Committed,
    ) -> Result<(), ConnectorError> {
        pass(Point::BeforeAcknowledgement).await?;
        running.marks.commit(committed.end_lsn);
        running.source.acknowledge(running.marks.acknowledge());
        self.status.committed(&committed);
        self.outside.committed();
        pass(Point::AfterAcknowledgement).await?;
        Ok(())
    }
}

/// Whether a snapshot failed for what was asked for, such as a statement that the server refuses: then it would fail again.
fn of_the_request(failure: &ConnectorError) -> bool {
    let definite = failure.class() == Class::Definite;
    definite
        && matches!(
            failure,
            ConnectorError::Postgres(_)
                | ConnectorError::Envelope(_)
                | ConnectorError::Unencodable { .. }
        )
}

async fn wait_for(due: Due) {
    if let Due::At(at) = due {
        tokio::time::sleep_until(at.into()).await;
    }
}
