//! What of tables is read while the stream runs, and which snapshots signals have asked for and how each went, for whoever waits for its end.
//!
//! In: signals as they are heeded, tables as they are read, stopped or given up. Out: [`SignalsStatus`], a part of the status that is told once
//! the Kafka transaction with the rows it speaks of is committed.
//! What ended before a restart is forgotten; what is under way then is known from the position.
//! Never: more than a few snapshots; one that is over goes before one that is not.

use serde::{Deserialize, Serialize};

use crate::position::Requests;
use crate::status::Notice;

/// Snapshots that are remembered.
const SNAPSHOTS_MAX: usize = 8;
/// Reasons that are kept of each; that there were more is said.
const MISSED_MAX: usize = 10;

/// How far the tables have come that are read while the stream runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Incremental))]
pub struct IncrementalStatus {
    /// The table that is being read, as `schema.table`.
    pub table: String,
    /// Rows read of it.
    pub rows_read: u64,
    /// The last key read; or blocks of its file.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub read_up_to: Option<String>,
    /// Its last key when its first chunk was read; or blocks of its file.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub reads_to: Option<String>,
    /// Tables that wait behind it.
    pub tables_waiting: usize,
    /// It rests until it is resumed.
    #[serde(rename = "paused")]
    pub is_paused: bool,
}

/// What signals have asked for, as far as Kafka holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Signals))]
pub struct SignalsStatus {
    /// Records of the topic of signals before this offset were heeded, or were not for this connector; without a value if none was read.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub topic_offset: Option<i64>,
    /// The newest snapshots, in the order they were asked for.
    pub snapshots: Vec<SnapshotAsked>,
}

/// A snapshot that a signal has asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotAsked {
    /// The id of the signal.
    pub signal: String,
    /// Tables that are not read yet; it is over when there is none.
    pub tables_left: usize,
    /// Rows of those that are.
    pub rows_read: u64,
    /// What was not read, or not all of it, and why, in words.
    pub missed: Vec<String>,
    #[serde(skip)]
    left: Vec<String>,
    #[serde(skip)]
    is_blocking: bool,
}

/// What the gatherer has to say beside records.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// What the status does not say yet.
    pub(crate) notices: Vec<Notice>,
    /// What signals have asked for.
    pub(crate) signals: SignalsStatus,
}

impl News {
    /// What is known at a start.
    pub(crate) fn of(requests: &Requests) -> Self {
        let topic_offset = requests.heeded.topic.as_ref().map(|topic| topic.next_offset);
        let mut signals = SignalsStatus { topic_offset, snapshots: Vec::new() };
        for request in &requests.blocking {
            let names = request.tables.iter().map(|table| table.table_name().to_string());
            signals.ask(&request.signal, names.collect(), true);
        }
        for request in &requests.incremental {
            let name = request.table.table_name().to_string();
            match signals.find(&request.signal) {
                Some(known) => known.left.push(name),
                None => signals.ask(&request.signal, vec![name], false),
            }
        }
        signals.snapshots.iter_mut().for_each(SnapshotAsked::count);
        Self { notices: Vec::new(), signals }
    }
}

impl SignalsStatus {
    /// A signal asks for these tables.
    pub(crate) fn ask(&mut self, signal: &str, left: Vec<String>, is_blocking: bool) {
        let tables_left = left.len();
        let signal = signal.to_owned();
        self.push(SnapshotAsked {
            signal,
            tables_left,
            left,
            is_blocking,
            ..SnapshotAsked::default()
        });
    }

    /// A signal is not heeded.
    pub(crate) fn refuse(&mut self, signal: &str, reason: &str) {
        let (signal, missed) = (signal.to_owned(), vec![reason.to_owned()]);
        self.push(SnapshotAsked { signal, missed, ..SnapshotAsked::default() });
    }

    /// A table that was read while the stream ran is done with, however that ended. Every signal that waits for it is told.
    pub(crate) fn table_done(&mut self, table: &str, rows: u64, missed: Option<&str>) {
        for asked in self.snapshots.iter_mut().filter(|asked| !asked.is_blocking) {
            let before = asked.left.len();
            asked.left.retain(|left| left != table);
            if asked.left.len() < before {
                asked.rows_read += rows;
                asked.miss(missed.map(|missed| format!("{table} {missed}")));
                asked.count();
            }
        }
    }

    /// A snapshot for which the stream stood still is over: with so many rows, or given up.
    pub(crate) fn blocking_over(&mut self, signal: &str, outcome: Result<u64, String>) {
        let Some(asked) = self.find(signal) else { return };
        asked.left.clear();
        match outcome {
            Ok(rows) => asked.rows_read += rows,
            Err(missed) => asked.miss(Some(missed)),
        }
        asked.count();
    }

    fn find(&mut self, signal: &str) -> Option<&mut SnapshotAsked> {
        self.snapshots.iter_mut().rev().find(|asked| asked.signal == signal)
    }

    fn push(&mut self, asked: SnapshotAsked) {
        if self.snapshots.len() >= SNAPSHOTS_MAX {
            let over = self.snapshots.iter().position(|asked| asked.tables_left == 0);
            self.snapshots.remove(over.unwrap_or(0));
        }
        self.snapshots.push(asked);
    }
}

impl SnapshotAsked {
    fn count(&mut self) {
        self.tables_left = self.left.len();
    }

    fn miss(&mut self, missed: Option<String>) {
        let Some(missed) = missed else { return };
        match self.missed.len() {
            MISSED_MAX => self.missed.push("and more".to_owned()),
            fewer if fewer < MISSED_MAX => self.missed.push(missed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_snapshot_is_over_when_each_of_its_tables_is_read_or_given_up() {
        let mut status = SignalsStatus::default();
        status.ask("one", names(&["s.a", "s.b"]), false);
        status.ask("two", names(&["s.b"]), false);
        status.table_done("s.a", 3, None);
        assert_eq!((status.snapshots[0].tables_left, status.snapshots[1].tables_left), (1, 1));
        status.table_done("s.b", 2, Some("was stopped"));
        assert_eq!((status.snapshots[0].tables_left, status.snapshots[0].rows_read), (0, 5));
        assert_eq!(status.snapshots[1].missed, ["s.b was stopped"]);
    }

    #[test]
    fn one_for_which_the_stream_stands_still_ends_as_a_whole() {
        let mut status = SignalsStatus::default();
        status.ask("one", names(&["s.a", "s.b"]), true);
        status.table_done("s.a", 3, None);
        assert_eq!(status.snapshots[0].tables_left, 2, "another read that table");
        status.blocking_over("one", Ok(9));
        assert_eq!((status.snapshots[0].tables_left, status.snapshots[0].rows_read), (0, 9));
    }

    #[test]
    fn what_is_under_way_is_kept_before_what_is_over() {
        let mut status = SignalsStatus::default();
        status.ask("first", names(&["s.a"]), false);
        for number in 0..3 * SNAPSHOTS_MAX {
            status.refuse(&number.to_string(), "nothing to read");
        }
        assert_eq!(status.snapshots.len(), SNAPSHOTS_MAX);
        assert_eq!(status.snapshots[0].signal, "first");
    }
}
