//! Compares what the topics hold with what the journal says was committed.
//!
//! Each streamed change has an identity: a row version for `c` and `u`, and for `d` the transaction and how many deletes of
//! this key that transaction had made before. A transaction is either streamed as a whole or part of the snapshot as a
//! whole; that is how the seam is checked. A truncate belongs to all keys of its table: each change of a key must lie behind as many
//! of them in the topic as in the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use super::schema::{JournalEntry, TABLES};
use crate::examples::Examples;

/// One record of a topic, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Index into [`TABLES`].
    pub table: usize,
    /// Key in the journal's form; empty for `t`.
    pub key: String,
    /// `r`, `c`, `u`, `d`, `t`, or `∅` for a tombstone.
    pub operation: char,
    /// `source.txId`.
    pub xid: u64,
    /// `after.version`, if there is an `after`.
    pub version: Option<i64>,
    /// `after.counter`, if there is an `after`.
    pub counter: Option<i64>,
}

/// Key of one table.
type Key = (usize, String);

/// What is wrong. Everything 0 is the promise kept.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Changes in the journal.
    pub journal_changes: usize,
    /// Events that had to be streamed.
    pub expected_events: usize,
    /// Events that were streamed.
    pub streamed_events: usize,
    /// Those of them that say a table was emptied.
    pub truncates: usize,
    /// `r` events.
    pub snapshot_events: usize,
    /// `r` events of a key that had one already. Only a snapshot that was killed may repeat.
    pub snapshot_repeats: usize,
    /// Streamed events beyond the first of their identity.
    pub duplicates: usize,
    /// Committed changes that are neither streamed nor part of the snapshot.
    pub lost: usize,
    /// Events of a key that follow each other otherwise than committed.
    pub out_of_order: usize,
    /// Events that no committed change explains, such as those of a rolled back transaction.
    pub invented: usize,
    /// Deletes without a tombstone right after them, or tombstones without a delete.
    pub tombstones_wrong: usize,
    /// Keys whose last event is not the table's row, or whose row no event gives.
    pub not_folding: usize,
    /// Keys whose row was deleted after a snapshot that was killed had read it, without an event that says so.
    pub left_over: usize,
    /// The first few findings in words.
    pub examples: Examples<12>,
}

impl Verdict {
    /// Nothing duplicated, lost, out of order, invented; the topics are the tables.
    pub fn is_clean(&self) -> bool {
        [
            self.duplicates,
            self.lost,
            self.out_of_order,
            self.invented,
            self.tombstones_wrong,
            self.not_folding,
            self.left_over,
        ]
        .iter()
        .all(|count| *count == 0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} changes committed, {} events to stream, {} streamed ({} truncates), {} snapshot rows ({} repeated)",
            self.journal_changes,
            self.expected_events,
            self.streamed_events,
            self.truncates,
            self.snapshot_events,
            self.snapshot_repeats
        )?;
        writeln!(
            formatter,
            "duplicates {}  lost {}  out of order {}  invented {}  tombstones wrong {}  keys not folding {}  keys left over from a killed snapshot {}",
            self.duplicates,
            self.lost,
            self.out_of_order,
            self.invented,
            self.tombstones_wrong,
            self.not_folding,
            self.left_over
        )?;
        for example in self.examples.iter() {
            writeln!(formatter, "  {example}")?;
        }
        Ok(())
    }
}

/// Identity of one streamed event, so that a second one of the same change is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    /// A row version, at its key: a key change writes one version, once.
    Version(i64),
    /// The `n`-th delete of a key, or truncate of a table, by one transaction.
    Delete { xid: u64, n: usize },
}

/// One event a key must have, or has.
#[derive(Clone, Debug)]
struct Step {
    operation: char,
    identity: Identity,
    xid: u64,
    counter: Option<i64>,
    /// Truncates of the table before it.
    era: usize,
}

/// Compares. `seen` is in order per key; `tables` holds key, version and counter of every row at the end.
pub fn check(
    journal: &[JournalEntry],
    seen: &[Seen],
    tables: &[BTreeMap<String, (i64, i64)>],
) -> Verdict {
    let mut verdict = Verdict { journal_changes: journal.len(), ..Verdict::default() };
    let streamed_xids: HashSet<u64> = seen
        .iter()
        .filter(|seen| matches!(seen.operation, 'c' | 'u' | 'd' | 't'))
        .map(|seen| seen.xid)
        .collect();
    let actual = actual_steps(seen, &mut verdict);
    let expected = expected_steps(journal, &streamed_xids);
    verdict.expected_events = expected.values().map(Vec::len).sum();
    check_snapshot(journal, seen, &streamed_xids, &mut verdict);
    let keys: BTreeSet<&Key> = expected.keys().chain(actual.keys()).collect();
    for key in keys {
        let wanted = expected.get(key).map_or(&[][..], Vec::as_slice);
        let found = actual.get(key).map_or(&[][..], Vec::as_slice);
        check_key(key, wanted, found, &mut verdict);
    }
    check_fold(seen, tables, &mut verdict);
    verdict
}

/// What each key's stream must be, by the journal: a key change is `d` of the old key and `c` of the new one.
fn expected_steps(journal: &[JournalEntry], streamed: &HashSet<u64>) -> HashMap<Key, Vec<Step>> {
    let mut steps: HashMap<Key, Vec<Step>> = HashMap::new();
    let mut deletes = DeleteNumbers::default();
    let mut eras = [0; TABLES.len()];
    for entry in journal.iter().filter(|entry| streamed.contains(&entry.xid)) {
        let era = eras[entry.table];
        if entry.operation == 't' {
            let key = (entry.table, String::new());
            let identity = deletes.next(&key, entry.xid);
            let step = Step { operation: 't', identity, xid: entry.xid, counter: None, era };
            steps.entry(key).or_default().push(step);
            eras[entry.table] += 1;
            continue;
        }
        let moved = entry.operation == 'u' && entry.old_key != entry.new_key;
        if let Some(old_key) = &entry.old_key
            && (entry.operation == 'd' || moved)
        {
            let key = (entry.table, old_key.clone());
            let identity = deletes.next(&key, entry.xid);
            let step = Step { operation: 'd', identity, xid: entry.xid, counter: None, era };
            steps.entry(key).or_default().push(step);
        }
        if let Some(new_key) = &entry.new_key {
            let operation = if moved { 'c' } else { entry.operation };
            let identity = Identity::Version(entry.version);
            let (xid, counter) = (entry.xid, Some(entry.counter));
            let step = Step { operation, identity, xid, counter, era };
            steps.entry((entry.table, new_key.clone())).or_default().push(step);
        }
    }
    steps
}

/// The events a perfect connector makes of one journal entry.
pub(super) fn ideal_events(entry: &JournalEntry) -> Vec<Seen> {
    let event = |operation: char, key: &str| Seen {
        table: entry.table,
        key: key.to_owned(),
        operation,
        xid: entry.xid,
        version: matches!(operation, 'c' | 'u').then_some(entry.version),
        counter: matches!(operation, 'c' | 'u').then_some(entry.counter),
    };
    match (&entry.old_key, &entry.new_key) {
        (Some(old), Some(new)) if old != new => {
            vec![event('d', old), event('∅', old), event('c', new)]
        }
        (_, Some(new)) => vec![event(entry.operation, new)],
        (Some(old), None) => vec![event('d', old), event('∅', old)],
        (None, None) => vec![event('t', "")],
    }
}

/// What each key's stream is, by the topic; also checks tombstones.
fn actual_steps(seen: &[Seen], verdict: &mut Verdict) -> HashMap<Key, Vec<Step>> {
    let mut steps: HashMap<Key, Vec<Step>> = HashMap::new();
    let mut deletes = DeleteNumbers::default();
    let mut awaiting_tombstone: HashSet<Key> = HashSet::new();
    let mut eras = [0; TABLES.len()];
    for event in seen {
        let key = (event.table, event.key.clone());
        let era = eras[event.table];
        let awaited = awaiting_tombstone.remove(&key);
        if awaited != (event.operation == '∅') {
            verdict.tombstones_wrong += 1;
            verdict.examples.add(|| {
                format!(
                    "{} {}: `{}` after a delete: {awaited}",
                    TABLES[key.0].name, key.1, event.operation
                )
            });
        }
        let identity = match (event.operation, event.version) {
            ('d', _) => {
                awaiting_tombstone.insert(key.clone());
                deletes.next(&key, event.xid)
            }
            ('t', _) => {
                eras[event.table] += 1;
                verdict.truncates += 1;
                deletes.next(&key, event.xid)
            }
            ('c' | 'u', Some(version)) => Identity::Version(version),
            _ => continue,
        };
        verdict.streamed_events += 1;
        let (operation, xid, counter) = (event.operation, event.xid, event.counter);
        let step = Step { operation, identity, xid, counter, era };
        steps.entry(key).or_default().push(step);
    }
    verdict.tombstones_wrong += awaiting_tombstone.len();
    steps
}

/// Numbers the deletes of a key, or the truncates of a table, within one transaction.
#[derive(Default)]
struct DeleteNumbers(HashMap<(Key, u64), usize>);

impl DeleteNumbers {
    fn next(&mut self, key: &Key, xid: u64) -> Identity {
        let number = self.0.entry((key.clone(), xid)).or_default();
        *number += 1;
        Identity::Delete { xid, n: *number }
    }
}

/// Compares one key's stream.
fn check_key(key: &Key, wanted: &[Step], found: &[Step], verdict: &mut Verdict) {
    let same = wanted.len() == found.len()
        && wanted.iter().zip(found).all(|(wanted, found)| {
            wanted.identity == found.identity
                && wanted.operation == found.operation
                && wanted.xid == found.xid
                && wanted.era == found.era
                && (wanted.counter.is_none() || wanted.counter == found.counter)
        });
    if same {
        return;
    }
    let known: HashSet<&Identity> = wanted.iter().map(|step| &step.identity).collect();
    let mut first_of: Vec<&Step> = Vec::new();
    let mut met: HashSet<&Identity> = HashSet::new();
    let before = (verdict.duplicates, verdict.lost, verdict.invented);
    for step in found {
        if !known.contains(&step.identity) {
            verdict.invented += 1;
        } else if met.insert(&step.identity) {
            first_of.push(step);
        } else {
            verdict.duplicates += 1;
        }
    }
    verdict.lost += wanted.iter().filter(|step| !met.contains(&step.identity)).count();
    let rank: HashMap<&Identity, usize> =
        wanted.iter().enumerate().map(|(rank, step)| (&step.identity, rank)).collect();
    let ranks: Vec<usize> =
        first_of.iter().filter_map(|step| rank.get(&step.identity).copied()).collect();
    let eras: HashMap<&Identity, usize> =
        wanted.iter().map(|step| (&step.identity, step.era)).collect();
    let in_another_era =
        first_of.iter().filter(|step| eras.get(&step.identity) != Some(&step.era)).count();
    let inversions = ranks.windows(2).filter(|pair| pair[0] > pair[1]).count() + in_another_era;
    verdict.out_of_order += inversions;
    if before == (verdict.duplicates, verdict.lost, verdict.invented) && inversions == 0 {
        // The same changes in the same order, but with another operation, transaction or counter.
        verdict.invented += 1;
    }
    let brief = |steps: &[Step]| -> Vec<String> {
        steps
            .iter()
            .take(30)
            .map(|step| format!("{}{:?}@{}/{}", step.operation, step.identity, step.xid, step.era))
            .collect()
    };
    verdict.examples.add(|| {
        format!(
            "{} {}: committed [{}] streamed [{}]",
            TABLES[key.0].name,
            key.1,
            brief(wanted).join(" "),
            brief(found).join(" ")
        )
    });
}

/// Each `r` must be the row as the topic told it last; before the stream said anything of its key, as the transactions that
/// were not streamed left it. A snapshot that was killed is read again behind what the stream had in between, so a row may
/// then have been told by the stream alone.
fn check_snapshot(
    journal: &[JournalEntry],
    seen: &[Seen],
    streamed: &HashSet<u64>,
    verdict: &mut Verdict,
) {
    let mut state: BTreeMap<Key, i64> = BTreeMap::new();
    for entry in journal.iter().filter(|entry| !streamed.contains(&entry.xid)) {
        if entry.operation == 't' {
            state.retain(|(table, _), _| *table != entry.table);
        }
        if let Some(old_key) = &entry.old_key {
            state.remove(&(entry.table, old_key.clone()));
        }
        if let Some(new_key) = &entry.new_key {
            state.insert((entry.table, new_key.clone()), entry.version);
        }
    }
    let mut read: HashSet<Key> = HashSet::new();
    let mut told: HashMap<Key, Option<i64>> = HashMap::new();
    // A table that is emptied is empty at once, also for a snapshot from before.
    let mut emptied: HashSet<Key> = HashSet::new();
    for event in seen {
        let key = (event.table, event.key.clone());
        match event.operation {
            'c' | 'u' => drop(told.insert(key, event.version)),
            'd' => drop(told.insert(key, None)),
            't' => {
                let of_table = |(table, _): &&Key| *table == event.table;
                let keys: Vec<Key> =
                    state.keys().chain(told.keys()).filter(of_table).cloned().collect();
                emptied.extend(keys.iter().cloned());
                told.extend(keys.into_iter().map(|key| (key, None)));
            }
            'r' => {
                let wanted = told.get(&key).copied().unwrap_or_else(|| state.get(&key).copied());
                if event.version != wanted {
                    verdict.lost += 1;
                    verdict.examples.add(|| {
                        format!(
                            "{} {}: the snapshot has {:?}, not {wanted:?}",
                            TABLES[key.0].name, key.1, event.version
                        )
                    });
                }
                verdict.snapshot_events += 1;
                verdict.snapshot_repeats += usize::from(!read.insert(key));
            }
            _ => {}
        }
    }
    for (key, version) in state {
        let told_instead =
            emptied.contains(&key) || verdict.snapshot_repeats > 0 && told.contains_key(&key);
        if !read.contains(&key) && !told_instead {
            verdict.lost += 1;
            verdict.examples.add(|| {
                format!(
                    "{} {}: version {version} is neither streamed nor in the snapshot",
                    TABLES[key.0].name, key.1
                )
            });
        }
    }
}

/// The topics, folded, must be the tables.
fn check_fold(seen: &[Seen], tables: &[BTreeMap<String, (i64, i64)>], verdict: &mut Verdict) {
    let mut folded: Vec<HashMap<&str, &Seen>> = vec![HashMap::new(); tables.len()];
    for event in seen {
        if event.operation == 't' {
            folded[event.table].clear();
        } else if event.version.is_some() {
            folded[event.table].insert(&event.key, event);
        } else {
            folded[event.table].remove(event.key.as_str());
        }
    }
    for (index, (table, folded)) in tables.iter().zip(&folded).enumerate() {
        let keys: BTreeSet<&str> =
            table.keys().map(String::as_str).chain(folded.keys().copied()).collect();
        for key in keys {
            let row = table.get(key).map(|(version, counter)| (Some(*version), Some(*counter)));
            let event = folded.get(key).map(|event| (event.version, event.counter));
            if row == event {
                continue;
            }
            if row.is_none() && folded.get(key).is_some_and(|event| event.operation == 'r') {
                verdict.left_over += 1;
            } else {
                verdict.not_folding += 1;
            }
            let name = TABLES[index].name;
            verdict
                .examples
                .add(|| format!("{name} {key}: the table has {row:?}, the topic {event:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(
        xid: u64,
        operation: char,
        old_key: Option<&str>,
        new_key: Option<&str>,
        version: i64,
    ) -> JournalEntry {
        JournalEntry {
            xid,
            table: 0,
            operation,
            old_key: old_key.map(str::to_owned),
            new_key: new_key.map(str::to_owned),
            version,
            counter: 1,
        }
    }

    fn seen(operation: char, key: &str, xid: u64, version: Option<i64>) -> Seen {
        Seen { table: 0, key: key.to_owned(), operation, xid, version, counter: version.map(|_| 1) }
    }

    fn journal() -> Vec<JournalEntry> {
        vec![
            entry(1, 'c', None, Some("1"), 10),
            entry(2, 'u', Some("1"), Some("1"), 11),
            entry(3, 'u', Some("1"), Some("2"), 12),
        ]
    }

    fn events() -> Vec<Seen> {
        vec![
            seen('r', "1", 0, Some(10)),
            seen('u', "1", 2, Some(11)),
            seen('d', "1", 3, None),
            seen('∅', "1", 0, None),
            seen('c', "2", 3, Some(12)),
        ]
    }

    fn tables() -> Vec<BTreeMap<String, (i64, i64)>> {
        vec![BTreeMap::from([("2".to_owned(), (12, 1))])]
    }

    #[test]
    fn what_was_committed_and_nothing_else_is_clean() {
        let verdict = check(&journal(), &events(), &tables());
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!(verdict.streamed_events, 3);
    }

    #[test]
    fn a_repeated_change_is_a_duplicate() {
        let mut events = events();
        events.insert(2, seen('u', "1", 2, Some(11)));
        assert_eq!(check(&journal(), &events, &tables()).duplicates, 1);
    }

    #[test]
    fn a_missing_change_of_a_streamed_transaction_is_lost() {
        let mut events = events();
        events.remove(4);
        let verdict = check(&journal(), &events, &tables());
        assert_eq!((verdict.lost, verdict.not_folding), (1, 1));
    }

    #[test]
    fn a_whole_missing_transaction_is_lost_at_the_seam() {
        let mut events = events();
        events.remove(1);
        assert!(check(&journal(), &events, &tables()).lost > 0);
    }

    #[test]
    fn a_rolled_back_change_is_invented() {
        let mut events = events();
        events.push(seen('c', "9", 7, Some(99)));
        let verdict = check(&journal(), &events, &tables());
        assert_eq!((verdict.invented, verdict.not_folding), (1, 1));
    }

    /// Two rows, a truncate, and one of the two again.
    fn emptied() -> (Vec<JournalEntry>, Vec<Seen>) {
        let journal = vec![
            entry(1, 'c', None, Some("1"), 10),
            entry(1, 'c', None, Some("2"), 11),
            entry(2, 't', None, None, 0),
            entry(3, 'c', None, Some("2"), 12),
        ];
        let events = vec![
            seen('c', "1", 1, Some(10)),
            seen('c', "2", 1, Some(11)),
            seen('t', "", 2, None),
            seen('c', "2", 3, Some(12)),
        ];
        (journal, events)
    }

    #[test]
    fn a_truncate_ends_all_rows_of_its_table() {
        let (journal, events) = emptied();
        assert_eq!(events, journal.iter().flat_map(ideal_events).collect::<Vec<_>>());
        let verdict = check(&journal, &events, &tables());
        assert!(verdict.is_clean(), "{verdict}");
    }

    #[test]
    fn a_truncate_that_is_missing_comes_twice_or_late_is_found() {
        let (journal, events) = emptied();
        let without = [&events[..2], &events[3..]].concat();
        assert!(check(&journal, &without, &tables()).not_folding > 0);
        let twice = [&events[..3], &events[2..]].concat();
        assert!(!check(&journal, &twice, &tables()).is_clean());
        let late = vec![events[0].clone(), events[1].clone(), events[3].clone(), events[2].clone()];
        let verdict = check(&journal, &late, &tables());
        assert_eq!((verdict.out_of_order, verdict.not_folding), (1, 1), "{verdict}");
    }

    #[test]
    fn a_truncate_that_rolled_back_is_invented() {
        let (journal, mut events) = emptied();
        events.push(seen('t', "", 9, None));
        assert!(check(&journal, &events, &tables()).invented > 0);
    }

    #[test]
    fn swapped_changes_are_out_of_order() {
        let journal =
            vec![entry(1, 'c', None, Some("1"), 10), entry(2, 'u', Some("1"), Some("1"), 11)];
        let events = vec![seen('u', "1", 2, Some(11)), seen('c', "1", 1, Some(10))];
        assert_eq!(check(&journal, &events, &tables()).out_of_order, 1);
    }
}
