//! What a connector has done, in numbers that only grow, for whoever draws curves of them.
//!
//! In: what goes into Kafka transactions, and when Kafka had committed each. Out: [`Measured`], a part of the status.
//! Cost: a change adds to four plain counters of its table, a source transaction to one entry of a list, a Kafka transaction
//! (at most some fifty a second) to everything else. Nothing is counted before Kafka has committed it, and nothing twice.
//! Never: rates and averages; whoever reads the numbers has the times.

mod latency;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::asked::SignalsStatus;
pub(crate) use latency::CommitTimes;
pub use latency::{BOUNDS_SECONDS, Histogram};
pub(crate) use tally::{Tallies, Tally};

/// What a connector has done since its process started it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// By table, as `schema.table`.
    pub tables: BTreeMap<Arc<str>, TableMeasured>,
    /// From the commit at the source, by its clock, until Kafka had committed, by ours; of each source transaction with records.
    pub latency: Histogram,
    /// The newest of these.
    pub latency_last: Option<Duration>,
    /// Bytes of committed records, uncompressed, with keys and headers.
    pub record_bytes: u64,
    /// Bytes of committed batches as they were sent.
    pub sent_bytes: u64,
    /// Time that Kafka took to commit.
    pub commit_time: Duration,
    /// When Kafka last committed records; milliseconds since 1970.
    pub last_record_at_ms: Option<i64>,
    /// How often it took over, the first time included.
    pub takeovers: u64,
    /// How often it failed.
    pub failures: u64,
    /// When it last failed; milliseconds since 1970.
    pub last_failure_at_ms: Option<i64>,
}

/// What was done of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableMeasured {
    /// Changes, by [`Operation`] in order. One may have more records, or none.
    pub changes: [u64; Operation::ALL.len()],
    /// Records.
    pub records: u64,
    /// Bytes of records, uncompressed.
    pub bytes: u64,
}

impl TableMeasured {
    /// Changes of one kind.
    pub fn changes_of(&self, operation: Operation) -> u64 {
        self.changes[operation as usize]
    }

    fn add(&mut self, more: &Self) {
        for (sum, more) in self.changes.iter_mut().zip(more.changes) {
            *sum += more;
        }
        self.records += more.records;
        self.bytes += more.bytes;
    }
}

/// What became of a row, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It has other values.
    Update,
    /// It is gone.
    Delete,
    /// A snapshot read it.
    Read,
    /// All rows are gone.
    Truncate,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Update, Self::Delete, Self::Read, Self::Truncate];

    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Read => "read",
            Self::Truncate => "truncate",
        }
    }
}

/// What one Kafka transaction holds, to be counted once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) tables: Vec<(Arc<str>, TableMeasured)>,
    pub(crate) commit_times: CommitTimes,
    pub(crate) record_bytes: u64,
    /// What of signals is done with it.
    pub(crate) signals: SignalsStatus,
}

impl Measured {
    /// Kafka has committed a transaction.
    pub(crate) fn committed(&mut self, contents: &Contents, sent: Sent, now_us: i64) {
        for (table, more) in &contents.tables {
            match self.tables.get_mut(table) {
                Some(sum) => sum.add(more),
                None => drop(self.tables.insert(Arc::clone(table), *more)),
            }
        }
        contents.commit_times.observe(now_us, &mut self.latency);
        self.latency_last = contents.commit_times.newest_latency(now_us).or(self.latency_last);
        self.record_bytes += contents.record_bytes;
        self.sent_bytes += sent.bytes;
        self.commit_time += sent.time;
        if contents.record_bytes > 0 {
            self.last_record_at_ms = Some(now_us / 1000);
        }
    }
}

/// What was sent, and how long that took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_added_up_by_table() {
        let mut tallies = Tallies::default();
        let orders = tallies.of("public", "orders");
        let mut measured = Measured::default();
        for round in 1..=2_u64 {
            orders.add(Operation::Create, 1, 100);
            orders.add(Operation::Delete, 2, 50);
            let mut commit_times = CommitTimes::default();
            commit_times.push(1_000_000);
            let contents = Contents {
                tables: tallies.take(),
                commit_times,
                record_bytes: 150,
                signals: SignalsStatus::default(),
            };
            let sent = Sent { bytes: 20, time: Duration::from_millis(3) };
            measured.committed(&contents, sent, 1_500_000);
            let table = measured.tables["public.orders"];
            assert_eq!(table.changes_of(Operation::Create), round);
            assert_eq!((table.records, table.bytes), (3 * round, 150 * round));
            assert_eq!(measured.latency.count(), round);
        }
        assert_eq!(measured.record_bytes, 300);
        assert_eq!(measured.last_record_at_ms, Some(1500));
        assert_eq!(measured.latency_last.unwrap().as_millis(), 499);
    }

    #[test]
    fn an_operation_is_where_its_number_says() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, index);
        }
    }
}
