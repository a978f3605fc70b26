//! What a topic says its table is, folded from its events, to be held against the table. Pure.
//!
//! In: events, in order. Then: rows of the table. Out: what differs.
//! Of a row that has a key only a hash of each column is kept, of its key a fingerprint; of rows without keys how often each is
//! there. Keys can be divided among several passes ([`Part`]), so that memory stays bounded.
//! A column that an event does not tell (it came later; its value is stored out of line and did not change; it was made shorter) is as
//! the event before told it, or unknown; what is unknown is not held against anything.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::event::{Columns, Event};
use crate::vanished::{Fingerprint, fingerprint};

/// Stands for what is not known; no hash is this.
const UNKNOWN: u64 = 0;

/// Some of all keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) number: u64,
    /// A power of two.
    pub(super) of: u64,
}

/// What differs between topic and table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// Rows that no event tells of.
    pub(super) missing: u64,
    /// Rows whose newest event says something else.
    pub(super) different: u64,
    /// Keys, or rows without key, that the topic has and the table has not.
    pub(super) phantom: u64,
    /// Values that could not be compared.
    pub(super) unknown_values: u64,
    /// A few of them, in words.
    pub(super) examples: Vec<String>,
}

/// The rows of one table as events tell of them.
#[derive(Debug)]
pub(super) struct State {
    columns: Vec<String>,
    /// Hash of what stands for a value that the event does not have.
    placeholders: Vec<u64>,
    part: Part,
    keyed: HashMap<Fingerprint, Box<[u64]>>,
    unkeyed: HashMap<u64, i64>,
}

impl State {
    pub(super) fn new(columns: Vec<String>, placeholders: Vec<u64>, part: Part) -> Self {
        let (keyed, unkeyed) = (HashMap::new(), HashMap::new());
        Self { columns, placeholders, part, keyed, unkeyed }
    }

    /// The next event. `shortened` says which columns have not their whole value.
    pub(super) fn apply(
        &mut self,
        key: Option<&[u8]>,
        event: &Event<'_>,
        shortened: impl Fn(&str) -> bool,
    ) {
        if event.op == "t" {
            self.keyed.clear();
            self.unkeyed.clear();
            return;
        }
        let Some(key) = key else { return self.apply_unkeyed(event) };
        let fingerprint = fingerprint(key);
        if !self.part.holds(&fingerprint) {
            return;
        }
        let Some(after) = &event.after else {
            self.keyed.remove(&fingerprint);
            return;
        };
        let before = self.keyed.get(&fingerprint);
        let hashes = self.columns.iter().enumerate().map(|(index, name)| {
            let told = after.get(name.as_str()).map(|value| hash(value.get()));
            match told {
                Some(hash) if hash != self.placeholders[index] && !shortened(name) => hash,
                Some(_) if !shortened(name) => before.map_or(UNKNOWN, |before| before[index]),
                _ => UNKNOWN,
            }
        });
        let hashes = hashes.collect();
        self.keyed.insert(fingerprint, hashes);
    }

    fn apply_unkeyed(&mut self, event: &Event<'_>) {
        if !self.part.is_first() {
            return;
        }
        let rows = [(&event.before, -1), (&event.after, 1)];
        for (row, count) in rows {
            if let Some(row) = row {
                let hash = self.row_hash(row);
                *self.unkeyed.entry(hash).or_default() += count;
            }
        }
    }

    /// The next row of the table, as its event would be.
    pub(super) fn compare(
        &mut self,
        key: Option<&[u8]>,
        row: &Columns<'_>,
        found: &mut Differences,
    ) {
        let Some(key) = key else {
            if self.part.is_first() {
                let hash = self.row_hash(row);
                *self.unkeyed.entry(hash).or_default() -= 1;
            }
            return;
        };
        let fingerprint = fingerprint(key);
        if !self.part.holds(&fingerprint) {
            return;
        }
        let Some(told) = self.keyed.remove(&fingerprint) else {
            found.missing += 1;
            found.example(|| format!("no event tells of the row with key {}", shown(key)));
            return;
        };
        let mut wrong = Vec::new();
        for (name, told) in self.columns.iter().zip(&*told) {
            match row.get(name.as_str()) {
                Some(_) if *told == UNKNOWN => found.unknown_values += 1,
                Some(value) if hash(value.get()) != *told => wrong.push(name.as_str()),
                _ => {}
            }
        }
        if !wrong.is_empty() {
            found.different += 1;
            found.example(|| {
                format!("the newest event of key {} has another {}", shown(key), wrong.join(", "))
            });
        }
    }

    /// The table has no more rows.
    pub(super) fn finish(self, found: &mut Differences) {
        let phantom = self.keyed.len();
        found.phantom += u64::try_from(phantom).unwrap_or(u64::MAX);
        if phantom > 0 {
            found.example(|| format!("the topic has {phantom} keys that the table has not"));
        }
        for count in self.unkeyed.values() {
            if *count > 0 {
                found.phantom += count.unsigned_abs();
            } else {
                found.missing += count.unsigned_abs();
            }
        }
    }

    fn row_hash(&self, row: &Columns<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        for name in &self.columns {
            row.get(name.as_str()).map(|value| value.get()).hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Part {
    fn holds(self, fingerprint: &Fingerprint) -> bool {
        let number = u128::from_le_bytes(*fingerprint) & u128::from(self.of - 1);
        number == u128::from(self.number)
    }

    fn is_first(self) -> bool {
        self.number == 0
    }
}

impl Differences {
    fn example(&mut self, words: impl FnOnce() -> String) {
        const EXAMPLES_MAX: usize = 5;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words());
        }
    }
}

/// The hash of a value's JSON.
pub(super) fn hash(json: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    json.hash(&mut hasher);
    hasher.finish().max(UNKNOWN + 1)
}

fn shown(key: &[u8]) -> String {
    const KEY_CHARS_SHOWN: usize = 200;
    String::from_utf8_lossy(key).chars().take(KEY_CHARS_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(op: &str, before: &str, after: &str) -> String {
        format!(
            r#"{{"before":{before},"after":{after},"source":{{"schema":"s","table":"t"}},"op":"{op}"}}"#
        )
    }

    fn folded(events: &[(Option<&str>, String)], parts: u64) -> Differences {
        let mut found = Differences::default();
        for number in 0..parts {
            let columns = vec!["id".to_owned(), "v".to_owned()];
            let placeholders = vec![UNKNOWN, hash("\"gone\"")];
            let mut state = State::new(columns, placeholders, Part { number, of: parts });
            for (key, text) in events {
                let event = Event::read(text.as_bytes()).unwrap();
                state.apply(key.map(str::as_bytes), &event, |_| false);
            }
            for (key, row) in [("1", r#"{"id":1,"v":"a"}"#), ("2", r#"{"id":2,"v":"b"}"#)] {
                let row: Columns<'_> = serde_json::from_str(row).unwrap();
                let key = events[0].0.map(|_| key.as_bytes());
                state.compare(key, &row, &mut found);
            }
            state.finish(&mut found);
        }
        found
    }

    fn right() -> Vec<(Option<&'static str>, String)> {
        vec![
            (Some("1"), event("c", "null", r#"{"id":1,"v":"a"}"#)),
            (Some("3"), event("c", "null", r#"{"id":3,"v":"c"}"#)),
            (Some("2"), event("r", "null", r#"{"id":2,"v":"x"}"#)),
            (Some("2"), event("u", "null", r#"{"id":2,"v":"b"}"#)),
            (Some("3"), event("d", r#"{"id":3,"v":"c"}"#, "null")),
            (Some("1"), event("u", "null", r#"{"id":1,"v":"gone"}"#)),
        ]
    }

    #[test]
    fn a_topic_that_folds_to_its_table_has_no_differences() {
        for parts in [1, 2, 8] {
            assert_eq!(folded(&right(), parts), Differences::default());
        }
    }

    #[test]
    fn each_event_that_is_taken_out_is_found() {
        for (index, expected) in [(0, "unknown"), (3, "different"), (4, "phantom")] {
            let mut events = right();
            events.remove(index);
            let found = folded(&events, 2);
            let counts = [found.unknown_values, found.different, found.phantom, found.missing];
            let names = ["unknown", "different", "phantom", "missing"];
            let seen: Vec<&str> = names
                .into_iter()
                .zip(counts)
                .filter(|(_, n)| *n > 0)
                .map(|(name, _)| name)
                .collect();
            assert_eq!(seen, [expected]);
        }
        let mut events = right();
        events.retain(|(key, _)| *key != Some("2"));
        assert_eq!(folded(&events, 2).missing, 1);
    }

    #[test]
    fn rows_without_keys_are_counted() {
        let unkeyed = |texts: &[String]| -> Vec<(Option<&'static str>, String)> {
            texts.iter().map(|text| (None, text.clone())).collect()
        };
        let (one, two) = (r#"{"id":1,"v":"a"}"#, r#"{"id":2,"v":"b"}"#);
        let right = [event("c", "null", one), event("c", "null", two)];
        assert_eq!(folded(&unkeyed(&right), 1), Differences::default());
        let twice = [event("c", "null", one), event("c", "null", two), event("r", "null", two)];
        assert_eq!(folded(&unkeyed(&twice), 1).phantom, 1);
        let gone = [event("c", "null", one), event("c", "null", two), event("d", two, "null")];
        assert_eq!(folded(&unkeyed(&gone), 1).missing, 1);
    }
}
