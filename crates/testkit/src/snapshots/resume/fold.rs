//! A topic folded into rows, as a consumer does it that keeps the newest row of each key.
//!
//! In: events in order. Out: rows, in every column; an event that lacks a value which did not change keeps the one before.
//! Source: Debezium documentation, `unavailable.value.placeholder`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::tables::Table;
use crate::event::Event;
use crate::examples::Examples;
use crate::{Failure, Result};

const UNAVAILABLE: &str = "__debezium_unavailable_value";

type Columns = Map<String, Value>;

/// The rows of one topic.
#[derive(Debug)]
pub(super) struct Fold {
    table: Table,
    rows: BTreeMap<String, Columns>,
    findings: Findings,
}

/// What a topic holds, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// `r` events.
    pub(super) read: u64,
    /// `r` events of a row that was there already.
    pub(super) read_again: u64,
    /// `c`, `u` and `d` events.
    pub(super) streamed: u64,
    /// Values of events that say that they did not change, where no event before has them. What is read later may bring them.
    pub(super) unresolved: u64,
    /// Events older than what is known of their row.
    pub(super) went_back: u64,
    /// Rows that differ from the table's in a column, or are only in one of them.
    pub(super) not_folding: u64,
    pub(super) examples: Examples<4>,
}

#[derive(Deserialize)]
struct Envelope {
    op: char,
    before: Option<Columns>,
    after: Option<Columns>,
}

impl Fold {
    pub(super) fn new(table: Table) -> Self {
        Self { table, rows: BTreeMap::new(), findings: Findings::default() }
    }

    /// The next event of the topic.
    pub(super) fn take(&mut self, event: &Event) -> Result<()> {
        let Some(value) = event.value.as_deref() else { return Ok(()) };
        let envelope: Envelope = serde_json::from_slice(value)?;
        let old = envelope.before.as_ref().map(|before| identity(&self.table, before));
        let key = match (&envelope.after, event.key_payload()) {
            (_, Value::Object(key)) if self.table.is_keyed => identity(&self.table, &key),
            (Some(after), _) => identity(&self.table, after),
            (None, _) => old.clone().unwrap_or_default(),
        };
        match (envelope.op, envelope.after) {
            ('d', None) => {
                self.findings.streamed += 1;
                self.rows.remove(&key);
            }
            (operation @ ('r' | 'c' | 'u'), Some(after)) => self.merge(operation, key, after),
            _ => return Err(Failure::new(format!("an event that is none: {event:?}"))),
        }
        Ok(())
    }

    fn merge(&mut self, operation: char, key: String, mut after: Columns) {
        let known = self.rows.remove(&key);
        if operation == 'r' {
            self.findings.read += 1;
            self.findings.read_again += u64::from(known.is_some());
        } else {
            self.findings.streamed += 1;
        }
        for (column, value) in &mut after {
            if value != UNAVAILABLE {
                continue;
            }
            match known.as_ref().and_then(|known| known.get(column)) {
                Some(before) => *value = before.clone(),
                None => self.findings.unresolved += 1,
            }
        }
        let n = |columns: &Columns| columns.get("n").and_then(Value::as_i64).unwrap_or_default();
        if let Some(known) = known.filter(|known| n(known) > n(&after)) {
            self.findings.went_back += 1;
            let (newer, older) = (n(&known), n(&after));
            self.findings
                .examples
                .add(|| format!("{key}: `{operation}` with n = {older} after {newer}"));
        }
        self.rows.insert(key, after);
    }

    /// Compares with the rows of the table, each as JSON.
    pub(super) fn compare(mut self, table: &[String]) -> Result<Findings> {
        for text in table {
            let row: Columns = serde_json::from_str(text)?;
            let key = identity(&self.table, &row);
            let folded = self.rows.remove(&key);
            if folded.as_ref() == Some(&row) {
                continue;
            }
            self.findings.not_folding += 1;
            self.findings.examples.add(|| match folded {
                None => format!("{key}: not in the topic"),
                Some(folded) => {
                    let differs =
                        row.iter().find(|(column, value)| folded.get(*column) != Some(value));
                    let (column, wanted) = differs
                        .map_or(("?", None), |(column, value)| (column.as_str(), Some(value)));
                    let found = folded.get(column);
                    format!(
                        "{key}: {column} is {} in the topic and {} in the table",
                        brief(found),
                        brief(wanted)
                    )
                }
            });
        }
        for key in std::mem::take(&mut self.rows).into_keys() {
            self.findings.not_folding += 1;
            self.findings.examples.add(|| format!("{key}: not in the table"));
        }
        Ok(self.findings)
    }
}

/// The values that tell a row from others, as text.
fn identity(table: &Table, columns: &Columns) -> String {
    let values = table.identity.iter().map(|name| match columns.get(*name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "?".to_owned(),
    });
    values.collect::<Vec<_>>().join(",")
}

fn brief(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "absent".to_owned(), Value::to_string);
    text.chars().take(60).collect()
}

impl Findings {
    pub(super) fn is_clean(&self) -> bool {
        self.went_back + self.not_folding == 0
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} rows read ({} again), {} changes streamed, {} values not known then: went back {}  not folding {}",
            self.read,
            self.read_again,
            self.streamed,
            self.unresolved,
            self.went_back,
            self.not_folding
        )?;
        for example in self.examples.iter() {
            write!(formatter, "\n    {example}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tables::TABLES;
    use super::*;

    fn event(value: &str) -> Event {
        Event {
            topic: String::new(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(br#"{"id":1}"#.to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: Vec::new(),
            read_at: Instant::now(),
        }
    }

    fn folded(events: &[&str], table: &[&str]) -> Findings {
        let mut fold = Fold::new(TABLES[0]);
        for value in events {
            fold.take(&event(value)).unwrap();
        }
        fold.compare(&table.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_value_that_did_not_change_is_the_one_before() {
        let read = r#"{"op":"r","after":{"id":1,"n":1,"body":"long"}}"#;
        let update = r#"{"op":"u","after":{"id":1,"n":2,"body":"__debezium_unavailable_value"}}"#;
        let row = r#"{"id":1,"n":2,"body":"long"}"#;
        assert!(folded(&[read, update], &[row]).is_clean());
        let findings = folded(&[update], &[row]);
        assert_eq!((findings.unresolved, findings.not_folding), (1, 1));
    }

    #[test]
    fn an_older_row_and_a_row_too_many_are_findings() {
        let new = r#"{"op":"u","after":{"id":1,"n":5}}"#;
        let old = r#"{"op":"r","after":{"id":1,"n":4}}"#;
        assert_eq!(folded(&[new, old], &[r#"{"id":1,"n":4}"#]).went_back, 1);
        assert_eq!(folded(&[new], &[]).not_folding, 1);
        let gone = r#"{"op":"d","before":{"id":1},"after":null}"#;
        assert!(folded(&[new, gone], &[]).is_clean());
    }
}
