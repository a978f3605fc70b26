//! Counters of one table, added to by whoever encodes its changes, and taken with each Kafka transaction.
//!
//! One task writes them and the same one takes them: an addition is a load, an addition and a store, without a lock on the bus.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Operation, TableMeasured};

/// What was added to one table since it was last taken.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    changes: [AtomicU64; Operation::ALL.len()],
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// One change, with so many records.
    #[inline]
    pub(crate) fn add(&self, operation: Operation, records: usize, bytes: usize) {
        add(&self.changes[operation as usize], 1);
        add(&self.records, records as u64);
        add(&self.bytes, bytes as u64);
    }

    /// `None` if there is nothing.
    fn take(&self) -> Option<TableMeasured> {
        let mut taken = TableMeasured::default();
        for (sum, count) in taken.changes.iter_mut().zip(&self.changes) {
            *sum = take(count);
        }
        (taken.records, taken.bytes) = (take(&self.records), take(&self.bytes));
        (taken != TableMeasured::default()).then_some(taken)
    }
}

#[inline]
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

fn take(counter: &AtomicU64) -> u64 {
    let taken = counter.load(Ordering::Relaxed);
    if taken > 0 {
        counter.store(0, Ordering::Relaxed);
    }
    taken
}

/// The tallies of all tables. A table keeps its own through all its versions.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    by_name: HashMap<Arc<str>, Arc<Tally>>,
}

impl Tallies {
    /// The tally of a table.
    pub(crate) fn of(&mut self, schema: &str, table: &str) -> Arc<Tally> {
        let name: Arc<str> = format!("{schema}.{table}").into();
        Arc::clone(self.by_name.entry(name).or_default())
    }

    /// What was added since the last call, of each table to which something was.
    pub(crate) fn take(&self) -> Vec<(Arc<str>, TableMeasured)> {
        let taken =
            |(name, tally): (&Arc<str>, &Arc<Tally>)| Some((Arc::clone(name), tally.take()?));
        self.by_name.iter().filter_map(taken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_its_tally_and_what_is_taken_is_gone() {
        let mut tallies = Tallies::default();
        let (first, second) = (tallies.of("public", "a"), tallies.of("public", "a"));
        tallies.of("public", "idle");
        first.add(Operation::Update, 2, 10);
        second.add(Operation::Update, 1, 5);
        let taken = tallies.take();
        assert_eq!(taken.len(), 1);
        assert_eq!((&*taken[0].0, taken[0].1.records, taken[0].1.bytes), ("public.a", 3, 15));
        assert_eq!(taken[0].1.changes_of(Operation::Update), 2);
        assert!(tallies.take().is_empty());
    }
}
