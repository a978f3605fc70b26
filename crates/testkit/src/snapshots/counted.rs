//! Rows whose changes are counted, as their events tell of them.
//!
//! In: events of a table with a key `id` and a column `n` to which each update adds 1. Out: what was doubled, lost or out of
//! order: a row says itself how many events it must have had.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;

use super::ARRIVAL_MAX;
use crate::event::Event;
use crate::examples::Examples;
use crate::session::Session;
use crate::stack::Database;
use crate::{Failure, Result};

/// What the first event of a row may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The snapshot was before the stream: a row of it is the first event of its key, and a row that was not in it is created.
    Snapshot,
    /// The table was read while it was streamed: changes may precede the row that was read, or stand for it.
    Stream,
}

/// Everything that was told of the rows of one table.
#[derive(Debug)]
pub struct Counted {
    begin: Begin,
    rows: HashMap<i64, Row>,
    /// `r` events.
    pub read: u64,
    /// `c`, `u` and `d` events.
    pub streamed: u64,
    /// Events of a change that had one before.
    pub doubled: u64,
    /// Changes without an event.
    pub lost: u64,
    /// Rows that were read after the stream had told something newer.
    pub went_back: u64,
    /// Keys whose last event is not the table's row.
    pub not_folding: u64,
    /// The first few findings in words.
    examples: Examples<8>,
}

/// A row, as far as it was told of.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// `None` after its delete.
    n: Option<i64>,
    was_read: bool,
}

/// One event, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// `r`, `c`, `u`, `d`, or `∅` for a tombstone.
    pub operation: char,
    /// `after.balance`, of tables that have one.
    pub balance: Option<i64>,
}

#[derive(Deserialize)]
struct Key {
    id: i64,
}

#[derive(Deserialize)]
struct Envelope {
    op: char,
    after: Option<Image>,
}

#[derive(Deserialize)]
struct Image {
    n: i64,
    balance: Option<i64>,
}

impl Counted {
    /// Nothing told yet.
    pub fn new(begin: Begin) -> Self {
        Self {
            begin,
            rows: HashMap::new(),
            read: 0,
            streamed: 0,
            doubled: 0,
            lost: 0,
            went_back: 0,
            not_folding: 0,
            examples: Examples::default(),
        }
    }

    /// The next event of the topic.
    pub fn take(&mut self, event: &Event) -> Result<Told> {
        let strange = || Failure::new(format!("an event that is none of this table: {event:?}"));
        let key: Key = serde_json::from_slice(event.key.as_deref().unwrap_or_default())?;
        let Some(value) = event.value.as_deref() else {
            if self.rows.get(&key.id).is_none_or(|row| row.n.is_some()) {
                self.doubled += 1;
                self.examples.add(|| format!("key {}: a tombstone without a delete", key.id));
            }
            return Ok(Told { operation: '∅', balance: None });
        };
        let envelope: Envelope = serde_json::from_slice(value)?;
        match (envelope.op, &envelope.after) {
            ('r', Some(after)) => self.was_read(key.id, after.n),
            ('c', Some(after)) => self.was_created(key.id, after.n),
            ('u', Some(after)) => self.was_updated(key.id, after.n),
            ('d', None) => self.was_deleted(key.id),
            _ => return Err(strange()),
        }
        let balance = envelope.after.and_then(|after| after.balance);
        Ok(Told { operation: envelope.op, balance })
    }

    /// Everything that the topic of a table of `public` tells, compared with the table.
    pub async fn of_table(
        database: &Database,
        session: &Session,
        table: &str,
        begin: Begin,
    ) -> Result<Self> {
        let mut counted = Self::new(begin);
        let mut tail = database.tail(&format!("public.{table}"))?;
        tail.each_to_end(ARRIVAL_MAX, |event| counted.take(&event).map(drop)).await?;
        counted.compare(session, table).await?;
        Ok(counted)
    }

    /// Compares with the table's `id` and `n`.
    pub async fn compare(&mut self, session: &Session, table: &str) -> Result<()> {
        let query = format!("select id::bigint, n::bigint from {table}");
        let rows = session.query(query.as_str(), &[]).await?;
        let rows: BTreeMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for (id, n) in &rows {
            let told = self.rows.get(id).and_then(|row| row.n);
            if told != Some(*n) {
                self.not_folding += 1;
                self.examples
                    .add(|| format!("key {id}: the table has n = {n}, the topic {told:?}"));
            }
        }
        let live = self.rows.iter().filter(|(_, row)| row.n.is_some()).map(|(id, _)| *id);
        let surplus: Vec<i64> = live.filter(|id| !rows.contains_key(id)).collect();
        for id in surplus {
            self.not_folding += 1;
            self.examples.add(|| format!("key {id}: in the topic, not in the table"));
        }
        Ok(())
    }

    /// Nothing doubled, lost or out of order, and the topic is the table.
    pub fn is_clean(&self) -> bool {
        self.doubled + self.lost + self.went_back + self.not_folding == 0
    }

    fn was_read(&mut self, id: i64, n: i64) {
        self.read += 1;
        let known = self.rows.insert(id, Row { n: Some(n), was_read: true });
        let Some(known) = known else { return };
        if known.was_read || self.begin == Begin::Snapshot {
            self.doubled += 1;
            self.examples.add(|| format!("key {id}: read with n = {n} after {known:?}"));
        }
        match known.n {
            Some(before) if before < n => {
                self.lost += 1;
                self.examples
                    .add(|| format!("key {id}: read with n = {n}, the stream was at {before}"));
            }
            Some(before) if before == n => {}
            Some(_) | None => {
                self.went_back += 1;
                self.examples.add(|| format!("key {id}: read with n = {n} after {known:?}"));
                self.rows.insert(id, known);
            }
        }
    }

    fn was_created(&mut self, id: i64, n: i64) {
        self.streamed += 1;
        let known = self.rows.insert(id, Row { n: Some(n), was_read: false });
        if let Some(known) = known.filter(|known| known.n.is_some()) {
            self.doubled += 1;
            self.examples.add(|| format!("key {id}: created with n = {n} after {known:?}"));
        }
    }

    fn was_updated(&mut self, id: i64, n: i64) {
        self.streamed += 1;
        let known = self.rows.get(&id).copied();
        let was_read = known.is_some_and(|known| known.was_read);
        self.rows.insert(id, Row { n: Some(n), was_read });
        match known.map(|known| known.n) {
            Some(Some(before)) if before + 1 == n => {}
            None if self.begin == Begin::Stream => {}
            Some(Some(before)) if before >= n => {
                self.doubled += 1;
                self.examples.add(|| format!("key {id}: updated to n = {n} after {before}"));
            }
            _ => {
                self.lost += 1;
                self.examples.add(|| format!("key {id}: updated to n = {n} after {known:?}"));
            }
        }
    }

    fn was_deleted(&mut self, id: i64) {
        self.streamed += 1;
        let known = self.rows.insert(id, Row { n: None, was_read: false });
        match known {
            Some(Row { n: Some(_), .. }) => {}
            None if self.begin == Begin::Stream => {}
            Some(_) => {
                self.doubled += 1;
                self.examples.add(|| format!("key {id}: deleted twice"));
            }
            None => {
                self.lost += 1;
                self.examples.add(|| format!("key {id}: deleted, and never told of before"));
            }
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} rows read, {} changes streamed: doubled {}  lost {}  went back {}  not folding {}",
            self.read, self.streamed, self.doubled, self.lost, self.went_back, self.not_folding
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

    use super::*;

    fn event(id: i64, value: Option<&str>) -> Event {
        Event {
            topic: String::new(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(format!(r#"{{"id":{id}}}"#).into_bytes()),
            value: value.map(|text| text.as_bytes().to_vec()),
            headers: Vec::new(),
            read_at: Instant::now(),
        }
    }

    /// Operations with the `n` after them, as in `r0 u1 d`; the row's findings: doubled, lost, went back.
    fn findings(begin: Begin, story: &str) -> [u64; 3] {
        let mut counted = Counted::new(begin);
        for step in story.split(' ') {
            let (operation, n) = step.split_at(1);
            let after = if n.is_empty() { "null".to_owned() } else { format!(r#"{{"n":{n}}}"#) };
            let value = format!(r#"{{"op":"{operation}","after":{after}}}"#);
            let value = (operation != "t").then_some(value.as_str());
            counted.take(&event(1, value)).unwrap();
        }
        [counted.doubled, counted.lost, counted.went_back]
    }

    #[test]
    fn a_row_of_the_snapshot_is_the_first_event_of_its_key() {
        assert_eq!(findings(Begin::Snapshot, "r0 u1 u2 d t c0"), [0, 0, 0]);
        assert_eq!(findings(Begin::Snapshot, "c0 u1"), [0, 0, 0]);
        assert_eq!(findings(Begin::Snapshot, "r0 c0"), [1, 0, 0], "both");
        assert_eq!(findings(Begin::Snapshot, "c0 r0"), [1, 0, 0], "both");
        assert_eq!(findings(Begin::Snapshot, "u1"), [0, 1, 0], "none");
        assert_eq!(findings(Begin::Snapshot, "r0 u2"), [0, 1, 0]);
        assert_eq!(findings(Begin::Snapshot, "r1 u1"), [1, 0, 0]);
    }

    #[test]
    fn changes_may_precede_a_row_that_is_read_while_it_is_streamed() {
        assert_eq!(findings(Begin::Stream, "u3 u4 r4 u5"), [0, 0, 0]);
        assert_eq!(findings(Begin::Stream, "d t c0 r0 u1"), [0, 0, 0]);
        assert_eq!(findings(Begin::Stream, "u3 r2 u4"), [0, 0, 1]);
        assert_eq!(findings(Begin::Stream, "u3 d t r3"), [0, 0, 1]);
        assert_eq!(findings(Begin::Stream, "u3 r5"), [0, 1, 0]);
        assert_eq!(findings(Begin::Stream, "r0 u1 r1"), [1, 0, 0]);
    }
}
