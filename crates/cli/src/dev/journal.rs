//! What was committed, and whether topics hold exactly that. Pure.
//!
//! In: changes of committed transactions; records as they were read back. Out: a [`Verdict`].
//! Method: each row's `version` grows by one with every change, so the history of a key is known exactly: it must begin
//! with its insert or with a row of the snapshot, go on without gap or repetition, and end with delete and tombstone if
//! the row is gone. Never here: I/O.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;

use super::shop::Table;

/// A row of the shop: table, and the values of its key joined by commas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Row {
    pub(crate) table: Table,
    pub(crate) key: String,
}

/// One thing that happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// A row of the snapshot with its version.
    Read(i32),
    /// Inserted, with its first version.
    Create(i32),
    /// Updated to this version.
    Update(i32),
    /// Deleted.
    Delete,
    /// The record without a value that follows a delete.
    Tombstone,
}

impl Step {
    fn version(self) -> i32 {
        match self {
            Self::Read(version) | Self::Create(version) | Self::Update(version) => version,
            Self::Delete | Self::Tombstone => i32::MAX,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(version) => write!(formatter, "read {version}"),
            Self::Create(version) => write!(formatter, "create {version}"),
            Self::Update(version) => write!(formatter, "update {version}"),
            Self::Delete => formatter.write_str("delete"),
            Self::Tombstone => formatter.write_str("tombstone"),
        }
    }
}

/// Changes of committed transactions. Sessions keep one each; they are merged at the end.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    histories: HashMap<Row, Vec<Step>>,
    /// Committed row changes.
    pub(crate) changes: u64,
    /// Committed transactions.
    pub(crate) transactions: u64,
    /// Transactions that were rolled back; none of their changes may be seen.
    pub(crate) rolled_back: u64,
}

impl Journal {
    /// A transaction has committed with these changes.
    pub(crate) fn commit(&mut self, changes: Vec<(Row, Step)>) {
        self.transactions += 1;
        self.changes += changes.len() as u64;
        for (row, step) in changes {
            let history = self.histories.entry(row).or_default();
            history.push(step);
            if step == Step::Delete {
                history.push(Step::Tombstone);
            }
        }
    }

    /// Takes over what another session has committed.
    pub(crate) fn merge(&mut self, other: Self) {
        self.changes += other.changes;
        self.transactions += other.transactions;
        self.rolled_back += other.rolled_back;
        for (row, mut steps) in other.histories {
            self.histories.entry(row).or_default().append(&mut steps);
        }
    }

    /// Compares with what was read back. `seen` has each key's records in the order of its partition.
    pub(crate) fn judge(&self, seen: &HashMap<Row, Vec<Step>>) -> Verdict {
        let mut verdict = Verdict::default();
        for (row, history) in &self.histories {
            let mut history = history.clone();
            // Row locks order the changes of a row; sessions were merged in any order, versions restore it.
            history.sort_by_key(|step| step.version());
            let seen = seen.get(row).map_or(&[][..], Vec::as_slice);
            verdict.compare(row, &expected(&history, seen), seen);
        }
        for (row, steps) in seen.iter().filter(|(row, _)| !self.histories.contains_key(*row)) {
            verdict.unexpected += steps.len() as u64;
            verdict.example(row, "was never committed", &[], steps);
        }
        verdict
    }
}

/// What must be seen of a row, given where its records begin.
fn expected(history: &[Step], seen: &[Step]) -> Vec<Step> {
    match seen.first() {
        Some(&Step::Read(version)) => {
            let known = history.iter().any(|step| step.version() == version);
            let later = history.iter().filter(|step| step.version() > version);
            let first = known.then_some(Step::Read(version));
            first.into_iter().chain(later.copied()).collect()
        }
        _ => history.to_vec(),
    }
}

/// How committed changes and records compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) unexpected: u64,
    pub(crate) out_of_order: u64,
    /// The first row that is wrong, in words.
    pub(crate) example: Option<String>,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicates + self.unexpected + self.out_of_order == 0
            && self.example.is_none()
    }

    /// Notes the first thing that is wrong.
    pub(crate) fn wrong(&mut self, what: String) {
        self.example.get_or_insert(what);
    }

    fn compare(&mut self, row: &Row, expected: &[Step], seen: &[Step]) {
        if expected == seen {
            return;
        }
        let mut balance: BTreeMap<Step, i64> = BTreeMap::new();
        for step in seen {
            *balance.entry(*step).or_default() += 1;
        }
        for step in expected {
            *balance.entry(*step).or_default() -= 1;
        }
        let mut differs = false;
        for (step, count) in balance {
            differs |= count != 0;
            let times = count.unsigned_abs();
            if count < 0 {
                self.lost += times;
            } else if expected.contains(&step) {
                self.duplicates += times;
            } else {
                self.unexpected += times;
            }
        }
        self.out_of_order += u64::from(!differs);
        self.example(row, "does not match", expected, seen);
    }

    fn example(&mut self, row: &Row, what: &str, expected: &[Step], seen: &[Step]) {
        let list =
            |steps: &[Step]| steps.iter().map(Step::to_string).collect::<Vec<_>>().join(", ");
        self.wrong(format!(
            "{} {} {what}; committed: [{}], in the topic: [{}]",
            row.table,
            row.key,
            list(expected),
            list(seen)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row { table: Table::Orders, key: "1".to_owned() }
    }

    fn judge(committed: &[Step], seen: &[Step]) -> Verdict {
        let mut journal = Journal::default();
        journal.commit(committed.iter().map(|step| (row(), *step)).collect());
        let seen =
            if seen.is_empty() { HashMap::new() } else { HashMap::from([(row(), seen.to_vec())]) };
        journal.judge(&seen)
    }

    const HISTORY: [Step; 4] = [Step::Create(1), Step::Update(2), Step::Update(3), Step::Delete];

    #[test]
    fn a_complete_history_is_clean() {
        let seen =
            [Step::Create(1), Step::Update(2), Step::Update(3), Step::Delete, Step::Tombstone];
        assert!(judge(&HISTORY, &seen).is_clean());
    }

    #[test]
    fn a_snapshot_may_stand_for_the_beginning() {
        assert!(
            judge(&HISTORY, &[Step::Read(2), Step::Update(3), Step::Delete, Step::Tombstone])
                .is_clean()
        );
        let twice = judge(
            &HISTORY,
            &[Step::Read(2), Step::Update(2), Step::Update(3), Step::Delete, Step::Tombstone],
        );
        assert_eq!(
            twice.unexpected, 1,
            "a change that the snapshot already has must not come again"
        );
    }

    #[test]
    fn what_is_missing_doubled_or_reordered_is_counted() {
        let lost =
            judge(&HISTORY, &[Step::Create(1), Step::Update(3), Step::Delete, Step::Tombstone]);
        assert_eq!((lost.lost, lost.duplicates, lost.is_clean()), (1, 0, false));
        let doubled = judge(&[Step::Create(1)], &[Step::Create(1), Step::Create(1)]);
        assert_eq!((doubled.lost, doubled.duplicates), (0, 1));
        let reordered =
            judge(&[Step::Create(1), Step::Update(2)], &[Step::Update(2), Step::Create(1)]);
        assert_eq!((reordered.lost, reordered.out_of_order), (0, 1));
        assert_eq!(judge(&HISTORY, &[]).lost, 5);
    }

    #[test]
    fn changes_that_were_rolled_back_are_unexpected() {
        let seen = HashMap::from([(row(), vec![Step::Create(1)])]);
        assert_eq!(Journal::default().judge(&seen).unexpected, 1);
    }

    #[test]
    fn sessions_may_be_merged_in_any_order() {
        let (mut one, mut other) = (Journal::default(), Journal::default());
        one.commit(vec![(row(), Step::Update(2))]);
        other.commit(vec![(row(), Step::Create(1))]);
        one.merge(other);
        let seen = HashMap::from([(row(), vec![Step::Create(1), Step::Update(2)])]);
        assert!(one.judge(&seen).is_clean());
    }
}
