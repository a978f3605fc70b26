//! The second stage: from messages of the stream to records in the open Kafka transaction.
//!
//! In: [`ReplicationMessage`]s in order. Out: records of captured tables, and the [`Position`] that covers them.
//! What of it was sent before a restart is dropped here, as [`Progress`] says.
//! Never: an acknowledgement, a commit, a wait for Kafka.

mod held;

use std::sync::Arc;
use std::time::Duration;

use envelope::{
    EncoderSettings, HeartbeatPlan, MessagePlan, Record, Scratch, SnapshotMarker, SourcePosition,
};
use kafka::{ProducerSettings, Transaction};
use pgoutput::replication::{ReplicationMessage, XLogData};
use pgoutput::{Assembler, Change, ChangeKind, Lsn, PgTimestamp, Relation, Step, Xid};
use smallvec::SmallVec;
use tracing::warn;

use crate::append::{Appender, Row, RowChange, append_row, old_row, old_values, row};
use crate::asked::News;
use crate::boundary::Filled;
use crate::clock;
use crate::context;
use crate::error::ConnectorError;
use crate::history::order::Point;
use crate::hold::Hold;
use crate::incremental::Incremental;
use crate::measure::{CommitTimes, Contents, Operation};
use crate::metadata::TransactionRecords;
use crate::notification::Notifications;
use crate::oversized::RecordLimits;
use crate::position::Position;
use crate::progress::Progress;
use crate::reselect::Reselected;
use crate::settings::{MessageFilter, Settings};
use crate::signal::Signals;
use crate::sink::Outgoing;
use crate::tables::{Captured, Defined, Tables};

mod aside;
mod chunks;
mod outside;
mod requests;
mod rows;
mod session;

/// What one message of the stream led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gathered {
    /// Nothing that has to be kept.
    Nothing,
    /// The position moved; nothing was added to the Kafka transaction.
    Position,
    /// Records were, or had been, added to the Kafka transaction.
    Records,
    /// What was asked for is complete; this message is not part of it.
    Reached,
}

/// Fills Kafka transactions from the stream.
pub(crate) struct Gatherer {
    assembler: Assembler,
    tables: Tables,
    messages: MessagePlan,
    message_filter: MessageFilter,
    message_topic: Option<kafka::Topic>,
    /// `provide.transaction.metadata`.
    metadata: Option<TransactionRecords>,
    heartbeat: Option<HeartbeatPlan>,
    notifications: Option<Notifications>,
    /// `context.message.prefix`.
    context_prefix: Option<String>,
    /// `signal.data.collection`.
    signals: Option<Signals>,
    /// What is to be said beside records.
    news: News,
    settings: Arc<Settings>,
    scratch: Scratch,
    transaction: Transaction,
    /// What goes with the checkpoint, where that comes after the records.
    with_checkpoint: Transaction,
    /// What records may have.
    limits: RecordLimits,
    progress: Progress,
    /// The newest source transaction.
    point: Point,
    /// Frames that wait until it is known what they mean.
    hold: Option<Hold>,
    /// Tables that are read while the stream runs.
    incremental: Incremental,
    /// What commits from here on is not wanted.
    until: Option<Lsn>,
    /// Values that the stream lacks are read from the tables.
    fills_in: bool,
    /// What is read was kept until it committed.
    replayed: bool,
    /// How long after its commit the newest source transaction was sent. Both times are the server's.
    lag: Duration,
    /// When the source transactions in the open Kafka transaction committed.
    commit_times: CommitTimes,
}

impl Gatherer {
    /// Starts at a position with an empty Kafka transaction.
    pub(crate) fn new(
        settings: &Arc<Settings>,
        encoder: &Arc<EncoderSettings>,
        tables: Tables,
        limits: RecordLimits,
        position: Position,
    ) -> Result<Self, ConnectorError> {
        let ProducerSettings { batch_bytes_max, compression, .. } = settings.producer;
        let mut scratch = Scratch::default();
        if let Some(bytes_max) = limits.value_bytes_max() {
            scratch.limit_values(bytes_max);
        }
        let heartbeat = settings.heartbeat.as_ref().map(|heartbeat| heartbeat.plan(encoder));
        Ok(Self {
            assembler: Assembler::new(),
            tables,
            messages: MessagePlan::compile(encoder)?,
            message_filter: settings.message_prefixes.clone(),
            message_topic: None,
            metadata: TransactionRecords::new(settings, encoder)?,
            heartbeat: heartbeat.transpose()?,
            notifications: Notifications::new(settings, encoder)?,
            context_prefix: settings.context_prefix.clone(),
            signals: settings.signals.as_ref().map(|signals| Signals::of(signals.table.clone())),
            news: News::of(&position.requests),
            settings: Arc::clone(settings),
            scratch,
            transaction: Transaction::compressed(batch_bytes_max, compression),
            with_checkpoint: Transaction::new(batch_bytes_max),
            limits,
            point: Point { xid: Xid(0), commit_lsn: position.end_lsn },
            hold: None,
            incremental: Incremental::new(settings, position.requests.first()),
            progress: Progress::starting_at(position),
            until: None,
            fills_in: false,
            replayed: false,
            lag: Duration::ZERO,
            commit_times: CommitTimes::default(),
        })
    }

    /// The last complete position.
    pub(crate) fn position(&self) -> &Position {
        self.progress.position()
    }

    /// The same, for the snapshot that moves it along.
    pub(crate) fn position_mut(&mut self) -> &mut Position {
        self.progress.position_mut()
    }

    /// Everything that committed before `until` is wanted and nothing else.
    pub(crate) fn gather_until(&mut self, until: Lsn) {
        self.until = Some(until);
    }

    /// Everything that committed before the position asked for was gathered; or, if none was, a snapshot is to be taken
    /// for which the stream stands still.
    pub(crate) fn has_reached(&self) -> bool {
        let at = self.progress.position().end_lsn;
        let reached = self.until.map_or_else(|| self.is_to_stand_still(), |until| at >= until);
        !self.progress.in_transaction() && reached
    }

    /// Stands at the position asked for, ready for a stream that begins there.
    pub(crate) fn stand_at(&mut self, position: Lsn) {
        self.until = None;
        self.fills_in = false;
        self.assembler = Assembler::new();
        self.hold = None;
        self.incremental.forget_chunk();
        self.tables.forget_session();
        self.progress.position_mut().end_lsn = position;
    }

    /// What is in the open Kafka transaction.
    pub(crate) fn filled(&self) -> Filled {
        Filled {
            bytes: self.transaction.len_bytes(),
            records: self.transaction.record_count(),
            in_transaction: self.progress.in_transaction(),
            lag: self.lag,
        }
    }

    /// Takes the open Kafka transaction with the position it reaches, and opens the next.
    pub(crate) fn take(&mut self) -> Outgoing {
        let (transaction, with_checkpoint) = (self.transaction.take(), self.with_checkpoint.take());
        let contents = Contents {
            tables: self.tables.tallies().take(),
            commit_times: std::mem::take(&mut self.commit_times),
            record_bytes: transaction.len_bytes() as u64,
            signals: self.news.signals.clone(),
        };
        Outgoing { transaction, with_checkpoint, position: self.progress.checkpoint(), contents }
    }

    /// One message of the stream.
    pub(crate) async fn push(
        &mut self,
        message: ReplicationMessage<'_>,
    ) -> Result<Gathered, ConnectorError> {
        match message {
            ReplicationMessage::XLogData(data) if self.hold.is_some() => {
                Box::pin(self.held(&data)).await
            }
            ReplicationMessage::XLogData(data) => self.data(&data).await,
            ReplicationMessage::PrimaryKeepalive(keepalive) => {
                let wal_end = keepalive.wal_end.min(self.until.unwrap_or(keepalive.wal_end));
                let moved = self.progress.keepalive(wal_end);
                if moved && self.incremental.is_due(wal_end) {
                    return Box::pin(self.send_chunk_at(wal_end)).await;
                }
                Ok(if moved { Gathered::Position } else { Gathered::Nothing })
            }
        }
    }

    async fn data(&mut self, data: &XLogData<'_>) -> Result<Gathered, ConnectorError> {
        let message = pgoutput::decode(data.payload, false)?;
        match self.assembler.push(data.wal_start, message)? {
            Step::Nothing => Ok(Gathered::Nothing),
            Step::Begin(begin) if self.is_past(begin.final_lsn) => Ok(Gathered::Reached),
            Step::Begin(begin) => {
                if self.incremental.is_due(begin.final_lsn) {
                    Box::pin(self.send_chunk_at(begin.final_lsn)).await?;
                }
                self.incremental.begins(begin.xid);
                let lag_us = data.sent_at.micros() - begin.committed_at.micros();
                self.lag = Duration::from_micros(u64::try_from(lag_us).unwrap_or_default());
                self.progress.begin(&begin)?;
                self.point = Point { xid: begin.xid, commit_lsn: begin.final_lsn };
                self.tables.transaction_begins(self.replayed);
                if self.tables.has_doubts_to_settle(self.point) {
                    let settled = self.tables.settle(self.point, &mut self.transaction);
                    Box::pin(settled).await?;
                }
                self.scratch.set_context(Vec::new());
                if let Some(metadata) = &mut self.metadata {
                    let resumes = self.progress.resumes();
                    metadata.open(&begin, data.wal_start, resumes, &mut self.scratch);
                }
                Ok(Gathered::Nothing)
            }
            Step::Relation(relation) => {
                self.incremental.described(&relation, self.point.xid);
                let tables = &mut self.tables;
                let defined = tables.define(&relation, self.point, &mut self.transaction);
                let defined = Box::pin(defined).await?;
                if let Some(signals) = &mut self.signals {
                    signals.describe(&relation);
                }
                self.hold = (defined == Defined::InDoubt).then(|| Hold::new(relation));
                Ok(Gathered::Nothing)
            }
            Step::Change(change) if change.xid.is_none() && self.is_past(change.id.change_lsn) => {
                Ok(Gathered::Reached)
            }
            Step::Change(change) => self.change(&change).await,
            Step::Commit(commit) => {
                self.announce_end(data.wal_start).await?;
                self.progress.commit(&commit);
                if self.incremental.is_due(commit.end_lsn) {
                    Box::pin(self.send_chunk_at(commit.end_lsn)).await?;
                }
                if self.signals.is_some() {
                    self.heed_signals().await?;
                }
                if self.transaction.is_empty() {
                    return Ok(Gathered::Position);
                }
                self.commit_times.push(commit.committed_at.unix_micros());
                Ok(Gathered::Records)
            }
        }
    }

    fn is_past(&self, lsn: Lsn) -> bool {
        self.until.map_or_else(|| self.is_to_stand_still(), |until| lsn >= until)
    }

    async fn change(&mut self, change: &Change<'_>) -> Result<Gathered, ConnectorError> {
        let send = self.progress.change(change.ordinal, change.id.change_lsn)?;
        // What was sent before a restart still counts in its transaction, and may say the context of what follows.
        if let Some(signals) = &mut self.signals
            && let ChangeKind::Insert { relation, after } = &change.kind
        {
            signals.note(relation, *after);
        }
        self.incremental.changed(change);
        if !send && self.metadata.is_none() && self.context_prefix.is_none() {
            return Ok(Gathered::Nothing);
        }
        let before = self.transaction.record_count();
        if change.xid.is_some() {
            self.announce_begin().await?;
        }
        self.encode(change, send).await?;
        Ok(if self.transaction.record_count() > before {
            Gathered::Records
        } else {
            Gathered::Nothing
        })
    }

    async fn encode(&mut self, change: &Change<'_>, send: bool) -> Result<(), ConnectorError> {
        let now_ns = clock::unix_ns();
        let at = SourcePosition {
            event_id: Some(change.id),
            snapshot: SnapshotMarker::False,
            // A message outside transactions has no time of its own: it is as of now.
            committed_at_unix_us: change
                .committed_at
                .map_or(now_ns / 1000, PgTimestamp::unix_micros),
            processed_at_unix_ns: now_ns,
            xid: change.xid.map(|xid| u64::from(xid.0)),
            lsn: Some(change.id.change_lsn),
            last_commit_lsn: self.progress.position().last_commit_lsn,
            origin: change.origin.as_ref().map(|origin| origin.name.as_str()),
            origin_lsn: change.origin.as_ref().map(|origin| origin.commit_lsn),
        };
        let relation = match &change.kind {
            ChangeKind::Insert { relation, .. }
            | ChangeKind::Update { relation, .. }
            | ChangeKind::Delete { relation, .. } => relation,
            ChangeKind::Truncate { relations, .. } => return self.truncate(relations, &at, send),
            ChangeKind::LogicalMessage { transactional: true, prefix, content }
                if self.context_prefix.as_deref() == Some(*prefix) =>
            {
                self.set_context(change.id.change_lsn, content);
                return Ok(());
            }
            ChangeKind::LogicalMessage { prefix, content, .. } => {
                return self.message(&at, prefix, content, send).await;
            }
        };
        let Some(Captured::Yes(table)) = self.tables.get(relation.oid) else {
            return Ok(());
        };
        let mut again = SmallVec::<[Reselected; 1]>::new();
        let (old, mut new) = match &change.kind {
            ChangeKind::Insert { after, .. } => (Row::new(), row(*after)),
            ChangeKind::Update { before, after, .. } => (old_values(before), row(*after)),
            ChangeKind::Delete { before, .. } => (old_values(before), Row::new()),
            ChangeKind::Truncate { .. } | ChangeKind::LogicalMessage { .. } => return Ok(()),
        };
        if !new.is_empty() && self.reads_again(table) {
            self.read_again(table, &old, &new, &mut again).await?;
        }
        again.iter().for_each(|values| values.fill(&mut new));
        let row = match &change.kind {
            ChangeKind::Insert { .. } => RowChange::Insert(&new),
            ChangeKind::Update { before, .. } => RowChange::Update(old_row(before, &old), &new),
            ChangeKind::Delete { before, .. } => RowChange::Delete(old_row(before, &old)),
            ChangeKind::Truncate { .. } | ChangeKind::LogicalMessage { .. } => return Ok(()),
        };
        let sent = send.then_some(&mut self.transaction);
        append_row(table, &at, &row, sent, &mut self.limits, &mut self.scratch)
    }

    fn truncate(
        &mut self,
        relations: &[Arc<Relation>],
        at: &SourcePosition<'_>,
        send: bool,
    ) -> Result<(), ConnectorError> {
        for relation in relations {
            if let Some(Captured::Yes(table)) = self.tables.get(relation.oid) {
                let sent = send.then_some(&mut self.transaction);
                let mut appender = Appender::new(sent, &table.topic, at, &mut self.limits);
                let out = &mut |record: Record<'_>| appender.append(&record);
                table.plan.truncate(at, out, &mut self.scratch)?;
                appender.finish()?;
                if send {
                    table.tally.add(Operation::Truncate, 0, 0);
                }
            }
        }
        Ok(())
    }

    /// An application said what the changes of its transaction belong to.
    fn set_context(&mut self, lsn: Lsn, content: &[u8]) {
        match context::headers(content) {
            Ok(headers) => self.scratch.set_context(headers),
            Err(reason) => warn!(
                "the context message at {lsn} is no JSON object and gives no headers: {reason}"
            ),
        }
    }
}
