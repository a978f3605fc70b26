//! Which way the slot is read, and how one way gives way to the other.
//!
//! In: how far behind the connector is, what came of batches. Out: a [`Source`] that goes on exactly where the one before ended.
//! Near the end of the log the slot is streamed: that has the lowest latency. Far behind it is read in batches: that is several
//! times faster. The position goes from one to the other, and each begins there as after a restart.
//! A stream has large transactions before they commit, if there is a place to keep them.
//! Never: a run that fails because batches, or that place, cannot be had. Then it does without, and says so once.
//! Source: `docs/adr/0011-batch-reading.md`, `docs/adr/0016-streamed-transactions.md`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use failpoint::{Point, pass};
use pgoutput::Lsn;
use postgres::{
    BatchLimits, BatchRequest, BatchStream, Batches, BatchesEnd, Class, PgoutputOptions,
    PostgresError, ReplicationConnection, catalog, slot,
};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::lifecycle::chain;
use crate::settings::Settings;
use crate::source::{Over, Source};
use crate::spill::{self, Folder, Spill};
use crate::status::{Notice, StatusReporter};
use crate::streamed::{Ended, Streamed};

/// pgoutput knows the option `messages` from PostgreSQL 14 on.
const LOGICAL_MESSAGES_SINCE: u32 = 140_000;

/// pgoutput knows the option `streaming`, and protocol version 2, from PostgreSQL 14 on.
const STREAMING_SINCE: u32 = 140_000;

/// A transaction that is sent so long after its commit is reason enough to ask how far the log has come.
const LAG_MIN: Duration = Duration::from_secs(1);
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Pauses before batches are tried again, after they did not pay and after they were refused.
const PAUSE_NOT_WORTH_IT: Duration = Duration::from_secs(10);
const PAUSE_REFUSED: Duration = Duration::from_mins(1);

/// Batches end when what is left is this part of what they begin for.
const NEAR_PART: u64 = 4;

/// A server that does not answer must not hold the stream up for ever.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// How long the session of batches may take to let go of the slot.
const SLOT_FREE_MAX: Duration = Duration::from_secs(5);

/// Chooses the way, and changes it.
pub(crate) struct Way {
    settings: Arc<Settings>,
    options: PgoutputOptions,
    walsender_pid: i32,
    server_version_num: u32,
    /// Where transactions in progress are kept, once one was asked for.
    folder: Option<Arc<Folder>>,
    /// The source has transactions that cannot be kept, or there is no place for them.
    streams_whole: bool,
    /// Before it is one that cannot be sent in parts.
    whole_until: Lsn,
    changed_at: Instant,
    /// Batches are not thought of before.
    not_before: Instant,
    /// Where the gatherer stood when it was last asked how far the log has come.
    looked_at: Lsn,
    /// A session of batches may be about to move the slot still.
    slot_may_be_held: bool,
}

impl Way {
    pub(crate) fn new(settings: &Arc<Settings>) -> Self {
        let now = Instant::now();
        Self {
            settings: Arc::clone(settings),
            options: settings.pgoutput_options(),
            walsender_pid: 0,
            server_version_num: 0,
            folder: None,
            streams_whole: false,
            whole_until: Lsn::ZERO,
            changed_at: now,
            not_before: now,
            looked_at: Lsn::ZERO,
            slot_may_be_held: false,
        }
    }

    /// Begins to read where the gatherer stands.
    pub(crate) async fn open(
        &mut self,
        mut replication: ReplicationConnection,
        gatherer: &mut Gatherer,
        status: &StatusReporter,
    ) -> Result<Source, ConnectorError> {
        self.prepare(&replication);
        if self.settings.read.has_batches() && Instant::now() >= self.not_before {
            let flushed = replication.identify_system().await?.flushed;
            if self.is_far(gatherer, flushed)
                && let Some(batches) = self.batches(gatherer, status).await
            {
                return Ok(batches);
            }
        }
        self.stream(replication, gatherer, status).await
    }

    /// Whether [`Self::change`] is to be called. Cheap; asked on every turn.
    pub(crate) fn is_due(&self, source: &Source, gatherer: &Gatherer) -> bool {
        let filled = gatherer.filled();
        match source {
            Source::Batches(batches) if batches.is_over() => true,
            Source::Stream(stream) if stream.is_over() => true,
            _ if filled.in_transaction => false,
            Source::Batches(batches) => batches.is_between() && self.is_forced(Instant::now()),
            Source::Stream(_) if !self.settings.read.has_batches() => false,
            Source::Stream(_) if self.settings.read.switch_every.is_some() => {
                let now = Instant::now();
                now >= self.not_before && self.is_forced(now)
            }
            Source::Stream(_) => {
                filled.lag >= LAG_MIN
                    && gatherer.position().end_lsn != self.looked_at
                    && Instant::now() >= self.not_before
            }
        }
    }

    /// `tributary.read.switch.every.ms` says that it is time.
    fn is_forced(&self, now: Instant) -> bool {
        self.settings.read.switch_every.is_some_and(|every| now >= self.changed_at + every)
    }

    /// Changes the way, if there is reason to. What is in the open Kafka transaction stays there.
    pub(crate) async fn change(
        &mut self,
        source: &mut Source,
        gatherer: &mut Gatherer,
        status: &StatusReporter,
    ) -> Result<(), ConnectorError> {
        match source {
            Source::Stream(stream) if stream.is_over() => {
                let ended = stream.close().await;
                self.streams_whole(ended.as_ref());
                *source = self.stream_anew(gatherer, status).await?;
            }
            Source::Stream(_) => {
                if self.settings.read.switch_every.is_none() {
                    self.not_before = Instant::now() + LOOK_INTERVAL;
                    self.looked_at = gatherer.position().end_lsn;
                    let end = self.end_of_log(gatherer).await?;
                    if !self.is_far(gatherer, end) {
                        return Ok(());
                    }
                }
                if let Some(batches) = self.batches(gatherer, status).await {
                    pass(Point::ToBatches).await?;
                    std::mem::replace(source, batches).close().await;
                }
            }
            Source::Batches(batches) => {
                match batches.stop() {
                    Some(Over::Failed(error)) => self.refused(&error, status),
                    Some(Over::End(BatchesEnd::NotWorthIt { again_bytes })) => {
                        self.not_worth_it(again_bytes);
                    }
                    Some(Over::End(BatchesEnd::CaughtUp)) | None => {}
                }
                pass(Point::ToStream).await?;
                *source = self.stream_anew(gatherer, status).await?;
            }
        }
        Ok(())
    }

    async fn stream_anew(
        &mut self,
        gatherer: &mut Gatherer,
        status: &StatusReporter,
    ) -> Result<Source, ConnectorError> {
        let began = self.end_of_log(gatherer).await?;
        let replication = ReplicationConnection::connect(&self.settings.source).await?;
        gatherer.begin_session(began);
        self.prepare(&replication);
        self.stream(replication, gatherer, status).await
    }

    fn prepare(&mut self, replication: &ReplicationConnection) {
        self.walsender_pid = replication.backend_pid();
        self.options = self.settings.pgoutput_options();
        self.server_version_num = replication.server_version_num();
        self.options.messages &= self.server_version_num >= LOGICAL_MESSAGES_SINCE;
    }

    async fn stream(
        &mut self,
        replication: ReplicationConnection,
        gatherer: &mut Gatherer,
        status: &StatusReporter,
    ) -> Result<Source, ConnectorError> {
        let spill = self.spill(gatherer.position().end_lsn, status).await;
        let settings = &self.settings;
        let (name, from) = (&settings.slot.name, gatherer.position().end_lsn);
        if self.slot_may_be_held {
            slot::wait_until_inactive(gatherer.tables().control(), name, SLOT_FREE_MAX).await?;
            self.slot_may_be_held = false;
        }
        pass(Point::BeforeStreaming).await?;
        let feedback = settings.feedback;
        let mut options = self.options.clone();
        if spill.is_some() {
            options.proto_version = 2;
            options.streaming = true;
        }
        let stream = replication.start_replication(name, from, &options, feedback).await?;
        info!(connector.name = %settings.name, slot.name = %name, "streams from {from}");
        self.changed_at = Instant::now();
        Ok(Source::Stream(Box::new(Streamed::new(stream, spill))))
    }

    /// A place for transactions in progress, if they are wanted and can be kept. What an earlier run left there is removed.
    async fn spill(&mut self, from: Lsn, status: &StatusReporter) -> Option<Spill> {
        let settings = Arc::clone(&self.settings);
        let wanted = settings.spill.streams_transactions
            && !self.streams_whole
            && from >= self.whole_until
            && self.server_version_num >= STREAMING_SINCE;
        if self.folder.is_none() {
            let name = settings.name.to_string();
            let directory = settings.spill.directory();
            let made = tokio::task::spawn_blocking(move || {
                spill::sweep(&directory, &name)?;
                if wanted { Folder::make(&directory, &name).map(Some) } else { Ok(None) }
            });
            let made = made.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
            match made {
                Ok(folder) => self.folder = folder.map(Arc::new),
                Err(error) if wanted => {
                    self.streams_whole = true;
                    status.notice(no_place(&error));
                    return None;
                }
                Err(error) => {
                    warn!(connector.name = %settings.name, "what an earlier run left of large transactions cannot be removed: {error}");
                }
            }
        }
        let folder = self.folder.clone().filter(|_| wanted)?;
        Some(Spill::new(folder, settings.spill.bytes_max, self.server_version_num))
    }

    /// Batches from where the gatherer stands; `None` if they cannot be had, or do not pay.
    async fn batches(&mut self, gatherer: &Gatherer, status: &StatusReporter) -> Option<Source> {
        let settings = Arc::clone(&self.settings);
        let start = gatherer.position().end_lsn;
        let is_forced = settings.read.switch_every.is_some();
        // Whatever comes of it: it is not tried again at once.
        self.changed_at = Instant::now();
        let request = BatchRequest {
            slot: settings.slot.name.clone(),
            start,
            options: self.options.clone(),
            beside_pid: self.walsender_pid,
            limits: BatchLimits {
                bytes_max: settings.read.batch_bytes_max,
                behind_bytes_min: if is_forced {
                    0
                } else {
                    settings.read.behind_bytes / NEAR_PART
                },
                ends_unless_it_pays: !is_forced,
                move_interval: settings.feedback.status_interval,
            },
            directory: Some(settings.spill.directory()),
        };
        let opened = timeout(OPEN_MAX, Box::pin(BatchStream::open(&settings.source, request)));
        match opened.await {
            Ok(Ok(Batches::Stream(stream))) => {
                info!(connector.name = %settings.name, slot.name = %settings.slot.name, "reads in batches from {start}");
                self.slot_may_be_held = true;
                return Some(Source::batches(stream));
            }
            Ok(Ok(Batches::None(BatchesEnd::NotWorthIt { again_bytes }))) => {
                self.not_worth_it(again_bytes);
            }
            Ok(Ok(Batches::None(BatchesEnd::CaughtUp))) => {}
            Ok(Err(error)) => self.refused(&error, status),
            Err(_elapsed) => self.refused(
                &PostgresError::Deadline {
                    what: "the opening of batches".to_owned(),
                    waited: OPEN_MAX,
                    fix: "none needed, the slot is streamed".to_owned(),
                },
                status,
            ),
        }
        None
    }

    /// From here on a transaction comes after its commit, however large; or until the next session, at least the one it is about.
    fn streams_whole(&mut self, ended: Option<&Ended>) {
        self.streams_whole = !matches!(ended, Some(Ended::Unclear(_)));
        match ended {
            Some(Ended::Unclear(end_lsn)) => {
                self.whole_until = *end_lsn;
                info!(connector.name = %self.settings.name, "the transaction that ends at {end_lsn} is read again: it has logical messages, and the server does not say which of them rolled back");
            }
            Some(Ended::Refused(error)) => {
                let cause = chain(error);
                warn!(connector.name = %self.settings.name, code = error.code(), "the server failed while it sent transactions before their commit: from here on they come after it: {cause}");
            }
            Some(Ended::Origin) | None => {
                info!(connector.name = %self.settings.name, "transactions came to the source by replication: from here on large ones come after their commit, which tells their position there");
            }
        }
    }

    fn not_worth_it(&mut self, again_bytes: u64) {
        self.not_before = Instant::now() + PAUSE_NOT_WORTH_IT;
        info!(connector.name = %self.settings.name, again_bytes, "batches do not pay: each would decode {again_bytes} bytes of log again, since an old transaction is open or little of the log is for this connector");
    }

    /// What passes by itself is told in the log; what somebody can mend, once and for good.
    fn refused(&mut self, error: &PostgresError, status: &StatusReporter) {
        self.not_before = Instant::now() + PAUSE_REFUSED;
        let cause = chain(error);
        if error.class() == Class::Transient {
            warn!(connector.name = %self.settings.name, code = error.code(), "stops reading in batches and streams: {cause}");
            return;
        }
        status.notice(Notice {
            code: "NT006",
            subject: format!("slot {}", self.settings.slot.name),
            text: format!(
                "[NT006] the slot is streamed also when the connector is far behind, since it cannot be read in batches: {cause}\n  fix: mend that, to catch up several times faster; or set tributary.read.mode=stream, to do without"
            ),
        });
    }

    fn is_far(&self, gatherer: &Gatherer, end_of_log: Lsn) -> bool {
        let at = gatherer.position().end_lsn;
        end_of_log.as_u64().saturating_sub(at.as_u64()) >= self.settings.read.behind_bytes
    }

    async fn end_of_log(&self, gatherer: &mut Gatherer) -> Result<Lsn, ConnectorError> {
        let control = gatherer.tables().control();
        Ok(catalog::horizon(control, &self.settings.slot.name).await?.read_at)
    }
}

fn no_place(error: &io::Error) -> Notice {
    Notice {
        code: "NT020",
        subject: "tributary.spill.directory".to_owned(),
        text: format!(
            "[NT020] large transactions wait on the disk of the database until they commit, since there is no place for them here: {error}\n  fix: set tributary.spill.directory to a folder the connector may write to; or set tributary.streaming.transactions=off"
        ),
    }
}
