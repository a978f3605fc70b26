//! What a running connector says of itself: one truthful state, with the cause.
//!
//! Written by the connector alone, read by anybody through a watch channel; nothing in the flow waits for a reader.

use std::time::Duration;

use pgoutput::Lsn;
use tokio::sync::watch;
use tracing::warn;

/// What a connector is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes over: fences its predecessor, reads the checkpoint, looks at the slot.
    Starting,
    /// It reads the captured tables for the first time.
    Snapshotting(SnapshotStatus),
    /// It follows the log.
    Streaming,
    /// It failed in a way that may pass, and takes over again after a pause.
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
    /// What the user should know, each code and subject once since the process started, in the order it was found: at most as
    /// many for each code as there are columns.
    pub notices: Vec<Notice>,
}

/// The connector's end of its status.
#[derive(Debug)]
pub struct StatusReporter {
    sender: watch::Sender<Status>,
}

/// Makes a status that says [`State::Starting`].
pub fn channel() -> (StatusReporter, watch::Receiver<Status>) {
    let (sender, receiver) = watch::channel(Status {
        state: State::Starting,
        records_committed: 0,
        transactions_committed: 0,
        committed: None,
        notices: Vec::new(),
    });
    (StatusReporter { sender }, receiver)
}

impl StatusReporter {
    /// The connector now does something else, or has come further with it.
    pub fn state(&self, state: State) {
        self.sender.send_if_modified(|status| {
            let modified = status.state != state;
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

    /// A Kafka transaction was committed.
    pub fn committed(&self, position: Lsn, records: usize) {
        self.sender.send_modify(|status| {
            status.records_committed += records as u64;
            status.transactions_committed += 1;
            status.committed = Some(position);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
