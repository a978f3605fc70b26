//! What a running connector says of itself: one truthful state, with the cause.
//!
//! Written by the connector alone, read by anybody through a watch channel; nothing in the flow waits for a reader.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgoutput::Lsn;
use tokio::sync::watch;
use tracing::warn;

pub use crate::asked::{IncrementalStatus, SignalsStatus, SnapshotAsked};
use crate::clock;
use crate::measure::Measured;
use crate::sink::Committed;

/// What a connector is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes over: fences its predecessor, reads the checkpoint, looks at the slot.
    Starting,
    /// It reads the captured tables for the first time.
    Snapshotting(SnapshotStatus),
    /// It follows the log.
    Streaming,
    /// It failed in a way that may pass, and takes over again after a pause. It stays so until it runs.
    Retrying {
        /// Code of the failure.
        code: &'static str,
        /// Its text, with the causes behind it.
        cause: String,
        /// How often in a row it failed.
        attempt: u32,
        /// How long it pauses.
        after: Duration,
    },
    /// It was told to stop, and has.
    Stopped,
    /// It cannot go on until somebody changes something.
    Failed {
        /// Code of the failure.
        code: &'static str,
        /// Its text, with the causes behind it.
        cause: String,
    },
}

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotStatus {
    /// Tables to read.
    pub tables_total: usize,
    /// Tables read completely.
    pub tables_done: usize,
    /// Rows read.
    pub rows_read: u64,
    /// Rows to read, as the planner's statistics estimate them.
    pub rows_estimated: u64,
    /// Bytes of the tables, where the server tells them: not of what a statement stands for.
    pub bytes_total: u64,
    /// Bytes of them that are read.
    pub bytes_done: u64,
    /// Those that an earlier run had read.
    pub bytes_done_before: u64,
    /// Since this run began to read.
    pub elapsed: Duration,
}

impl SnapshotStatus {
    /// How long it will take at the pace it had so far; `None` as long as that cannot be told.
    pub fn remaining(&self) -> Option<Duration> {
        let read = self.bytes_done.checked_sub(self.bytes_done_before).filter(|read| *read > 0)?;
        let left = self.bytes_total.saturating_sub(self.bytes_done);
        // Exact enough below 2^52 bytes.
        #[expect(clippy::cast_precision_loss)]
        let share = left as f64 / read as f64;
        Some(self.elapsed.mul_f64(share))
    }
}

/// What the slot keeps of the source's log, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionStatus {
    /// Bytes of the log that cannot be removed.
    pub retained_bytes: u64,
    /// Bytes of the log that were not acknowledged.
    pub unacknowledged_bytes: u64,
    /// Where trouble begins: what the settings allow or the server, whichever is less; `None` without a limit.
    pub limit_bytes: Option<u64>,
    /// How fast the first grows.
    pub growth_bytes_per_second: u64,
    /// Why it is kept.
    pub cause: RetentionCause,
}

/// Why a slot keeps what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetentionCause {
    /// Nothing out of the ordinary.
    Nothing,
    /// The connector takes over.
    Starting,
    /// The tables are being read; the stream comes after.
    Snapshot,
    /// The connector does not run.
    Stopped,
    /// Kafka does not answer.
    KafkaAway {
        /// Code of the failure.
        code: &'static str,
    },
    /// PostgreSQL, or what is behind its failure, does not let the stream go on.
    SourceAway {
        /// Code of the failure.
        code: &'static str,
    },
    /// The connector waits for Kafka to commit.
    KafkaSlow {
        /// Of its time.
        percent: u128,
    },
    /// PostgreSQL decodes its log more slowly than it writes it.
    SourceSlow,
    /// The connector reads more slowly than PostgreSQL sends.
    ConnectorSlow,
    /// A session has a transaction open that has written.
    Transaction {
        /// Its process.
        pid: i32,
        /// `application_name`, or the role if it has none.
        application: String,
        /// `active`, `idle in transaction` and the like.
        state: String,
        /// Since it began.
        age_seconds: u64,
    },
    /// A prepared transaction was not ended.
    PreparedTransaction {
        /// Its global identifier.
        gid: String,
        /// Since it was prepared.
        age_seconds: u64,
    },
}

impl RetentionStatus {
    /// How full it is, of the limit.
    pub fn percent(&self) -> u64 {
        let limit_bytes = self.limit_bytes.map_or(u64::MAX, |limit_bytes| limit_bytes.max(1));
        self.retained_bytes.saturating_mul(100) / limit_bytes
    }

    /// How long until the limit, as fast as it grows now; `None` without a limit, or if it does not grow.
    pub fn until_limit(&self) -> Option<Duration> {
        let left_bytes = self.limit_bytes?.saturating_sub(self.retained_bytes);
        left_bytes.checked_div(self.growth_bytes_per_second).map(Duration::from_secs)
    }
}

impl fmt::Display for RetentionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MB: u64 = 1 << 20;
        write!(f, "keeps {} MB of the source's log back", self.retained_bytes / MB)?;
        if let Some(limit_bytes) = self.limit_bytes {
            write!(f, ", {} % of the {} MB it may", self.percent(), limit_bytes / MB)?;
        }
        match self.until_limit() {
            Some(left) if left.is_zero() => {}
            Some(left) => write!(f, ", all of it in {} s at this pace", left.as_secs())?,
            None => {}
        }
        write!(f, "; {}", self.cause)
    }
}

impl fmt::Display for RetentionCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("the connector keeps up, and no old transaction is seen: the server lets go of it by itself, or pg_stat_activity is not shown to our role (pg_read_all_stats)"),
            Self::Starting => f.write_str("the connector is starting"),
            Self::Snapshot => f.write_str("the connector reads the tables, and the stream comes after"),
            Self::Stopped => f.write_str("the connector does not run"),
            Self::KafkaAway { code } => write!(f, "Kafka holds it up ({code}): nothing can be written there"),
            Self::SourceAway { code } => write!(f, "the connector cannot go on ({code})"),
            Self::KafkaSlow { percent } => write!(f, "Kafka is slow: the connector waited for its commits {percent} % of the time"),
            Self::SourceSlow => f.write_str("PostgreSQL decodes its log more slowly than it is written"),
            Self::ConnectorSlow => f.write_str("the connector reads more slowly than PostgreSQL sends: it may lack CPU"),
            Self::Transaction { pid, application, state, age_seconds } => write!(f, "process {pid} (`{application}`, {state}) has had a transaction open for {age_seconds} s: end it, SELECT pg_terminate_backend({pid})"),
            Self::PreparedTransaction { gid, age_seconds } => write!(f, "transaction `{gid}` was prepared {age_seconds} s ago and not ended: COMMIT PREPARED or ROLLBACK PREPARED"),
        }
    }
}

/// Transactions that have come in part and not committed, or are on their way to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamedStatus {
    /// How many have not committed.
    pub open: usize,
    /// What they take on disk.
    pub spilled_bytes: u64,
}

/// Something the user should know that does not stop the connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its stable code, as `tributary explain` knows it.
    pub code: &'static str,
    /// What it is about, like `schema.table.column`.
    pub subject: String,
    /// What it is, and what can be done.
    pub text: String,
}

impl From<envelope::Notice> for Notice {
    fn from(notice: envelope::Notice) -> Self {
        Self { code: notice.code(), text: notice.to_string(), subject: notice.column }
    }
}

/// Everything a connector says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Records in committed Kafka transactions since the process started.
    pub records_committed: u64,
    /// Kafka transactions committed since the process started.
    pub transactions_committed: u64,
    /// Kafka holds everything before this position.
    pub committed: Option<Lsn>,
    /// Tables that are read while the stream runs, if there are any.
    pub incremental: Option<IncrementalStatus>,
    /// What signals have asked for.
    pub signals: SignalsStatus,
    /// What the slot keeps of the source's log; `None` before it was looked at.
    pub retention: Option<RetentionStatus>,
    /// How long the connector could not read on because Kafka had not committed, since the process started.
    pub waited_for_kafka: Duration,
    /// The newest snapshot of this process, as far as it came.
    pub snapshot: Option<SnapshotStatus>,
    /// What it has done.
    pub measured: Arc<Measured>,
    /// Large transactions that wait on our disk, if there are any.
    pub streamed: Option<StreamedStatus>,
    /// What the user should know, each code and subject once since the process started, in the order it was found: at most as
    /// many for each code as there are columns.
    pub notices: Vec<Notice>,
}

/// The connector's end of its status.
#[derive(Debug)]
pub struct StatusReporter {
    sender: watch::Sender<Status>,
    has_taken_over: AtomicBool,
}

/// Makes a status that says [`State::Starting`].
pub fn channel() -> (StatusReporter, watch::Receiver<Status>) {
    let (sender, receiver) = watch::channel(Status {
        state: State::Starting,
        records_committed: 0,
        transactions_committed: 0,
        committed: None,
        incremental: None,
        signals: SignalsStatus::default(),
        retention: None,
        waited_for_kafka: Duration::ZERO,
        snapshot: None,
        measured: Arc::default(),
        streamed: None,
        notices: Vec::new(),
    });
    (StatusReporter { sender, has_taken_over: AtomicBool::new(false) }, receiver)
}

impl StatusReporter {
    /// The connector now does something else, or has come further with it.
    pub fn state(&self, state: State) {
        if matches!(state, State::Streaming | State::Snapshotting(_)) {
            self.has_taken_over.store(true, Ordering::Relaxed);
        }
        self.sender.send_if_modified(|status| {
            if state == State::Starting {
                Arc::make_mut(&mut status.measured).takeovers += 1;
                // Whoever asks why it does not run is to see the cause, until it runs.
                if matches!(status.state, State::Retrying { .. }) {
                    return false;
                }
            }
            let modified = status.state != state;
            match &state {
                State::Snapshotting(snapshot) => status.snapshot = Some(*snapshot),
                State::Retrying { .. } | State::Failed { .. } => {
                    let measured = Arc::make_mut(&mut status.measured);
                    measured.failures += 1;
                    measured.last_failure_at_ms = Some(clock::unix_ms());
                }
                State::Starting | State::Streaming | State::Stopped => {}
            }
            status.state = state;
            modified
        });
    }

    /// Adds a notice, and warns of it in the log; once for each code and subject.
    pub fn notice(&self, notice: Notice) {
        self.sender.send_if_modified(|status| {
            let known =
                |other: &Notice| (other.code, &other.subject) == (notice.code, &notice.subject);
            if status.notices.iter().any(known) {
                return false;
            }
            warn!(code = notice.code, subject = notice.subject, "{}", notice.text);
            status.notices.push(notice);
            true
        });
    }

    /// What was said under this code is not so any more.
    pub(crate) fn withdraw_notices(&self, code: &str) {
        self.sender.send_if_modified(|status| {
            let before = status.notices.len();
            status.notices.retain(|notice| notice.code != code);
            status.notices.len() < before
        });
    }

    /// What the slot keeps.
    pub(crate) fn retention(&self, retention: Option<RetentionStatus>) {
        self.sender.send_if_modified(|status| {
            let modified = status.retention != retention;
            status.retention = retention;
            modified
        });
    }

    /// The connector could not read on for so long because Kafka had not committed.
    pub(crate) fn waits_for_kafka(&self, waited: Duration) {
        self.sender.send_modify(|status| status.waited_for_kafka += waited);
    }

    /// All of it.
    pub(crate) fn waited_for_kafka(&self) -> Duration {
        self.sender.borrow().waited_for_kafka
    }

    /// Since the process started this run has held the connector, so its slot is the connector's.
    pub(crate) fn has_taken_over(&self) -> bool {
        self.has_taken_over.load(Ordering::Relaxed)
    }

    /// What it is doing.
    pub(crate) fn current_state(&self) -> State {
        self.sender.borrow().state.clone()
    }

    /// Tables are read while the stream runs, or are not any more.
    pub(crate) fn incremental(&self, incremental: Option<IncrementalStatus>) {
        self.sender.send_if_modified(|status| {
            let modified = status.incremental != incremental;
            status.incremental = incremental;
            modified
        });
    }

    /// Records committed so far.
    pub(crate) fn records_committed(&self) -> u64 {
        self.sender.borrow().records_committed
    }

    /// Transactions wait until they commit, or do not any more.
    pub(crate) fn streamed(&self, streamed: Option<StreamedStatus>) {
        self.sender.send_if_modified(|status| {
            let modified = status.streamed != streamed;
            status.streamed = streamed;
            modified
        });
    }

    /// A Kafka transaction was committed.
    pub(crate) fn committed(&self, committed: &Committed) {
        let now_us = clock::unix_ns() / 1000;
        self.sender.send_modify(|status| {
            status.records_committed += committed.records as u64;
            status.transactions_committed += 1;
            status.committed = Some(committed.end_lsn);
            status.signals.clone_from(&committed.contents.signals);
            let measured = Arc::make_mut(&mut status.measured);
            measured.committed(&committed.contents, committed.sent, now_us);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_snapshot_takes_as_long_as_it_did_so_far() {
        let mut status = SnapshotStatus {
            bytes_total: 1000,
            bytes_done: 400,
            bytes_done_before: 400,
            elapsed: Duration::from_secs(10),
            ..SnapshotStatus::default()
        };
        assert_eq!(status.remaining(), None);
        status.bytes_done = 600;
        assert_eq!(status.remaining(), Some(Duration::from_secs(20)));
        status.bytes_done = 1000;
        assert_eq!(status.remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn the_cause_of_an_attempt_stays_until_it_runs() {
        let (reporter, receiver) = channel();
        let retrying = || State::Retrying {
            code: "PG001",
            cause: "nobody answers".to_owned(),
            attempt: 1,
            after: Duration::ZERO,
        };
        reporter.state(State::Starting);
        reporter.state(retrying());
        reporter.state(State::Starting);
        assert_eq!(receiver.borrow().state, retrying());
        assert_eq!(receiver.borrow().measured.takeovers, 2);
        reporter.state(State::Streaming);
        assert_eq!(receiver.borrow().state, State::Streaming);
        reporter.state(State::Starting);
        assert_eq!(receiver.borrow().state, State::Starting);
    }

    #[test]
    fn a_notice_stays_and_is_told_once() {
        let (reporter, mut receiver) = channel();
        let notice = |code, subject: &str| Notice {
            code,
            subject: subject.to_owned(),
            text: "a text that may differ".to_owned(),
        };
        reporter.notice(notice("NT001", "public.t.a"));
        receiver.mark_unchanged();
        reporter.notice(notice("NT001", "public.t.a"));
        assert!(!receiver.has_changed().unwrap());
        reporter.notice(notice("NT002", "public.t.a"));
        reporter.notice(notice("NT001", "public.t.b"));
        reporter.state(State::Streaming);
        assert_eq!(receiver.borrow().notices.len(), 3);
    }
}
