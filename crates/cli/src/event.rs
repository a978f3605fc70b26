//! A record of a topic as people want to see it.
//!
//! In: key, value and timestamp of one record. Out: one line. Debezium envelopes with and without schema are understood;
//! anything else is shown as it is. Never here: I/O.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::clock;

/// What a record says, as far as it is a change event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// `c u d r t m`; `None` for anything that is no envelope.
    pub(crate) operation: Option<char>,
    /// Payload of the key.
    pub(crate) key: Option<Value>,
    /// The row before.
    pub(crate) before: Option<Map<String, Value>>,
    /// The row after.
    pub(crate) after: Option<Map<String, Value>>,
    /// `schema.table` of the source.
    pub(crate) table: Option<String>,
    /// `source.lsn`.
    pub(crate) lsn: Option<u64>,
    /// Commit time in microseconds since 1970; for rows of a snapshot the time they were read.
    pub(crate) committed_us: Option<i64>,
    /// The value as it is, when it is no envelope; `None` is a tombstone.
    pub(crate) raw: Option<String>,
}

impl Event {
    /// Reads a record.
    pub(crate) fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        let body = value.and_then(payload);
        let envelope =
            body.as_ref().and_then(Value::as_object).filter(|map| map.contains_key("op"));
        let row = |name: &str| envelope?.get(name)?.as_object().cloned();
        let source = envelope.and_then(|envelope| envelope.get("source"));
        let text = |name: &str| source?.get(name)?.as_str();
        let operation = envelope.and_then(|envelope| envelope["op"].as_str()?.chars().next());
        let table = match (text("schema"), text("table")) {
            (Some(schema), Some(table)) if !table.is_empty() => Some(format!("{schema}.{table}")),
            _ => None,
        };
        let raw = match envelope {
            Some(_) => None,
            None => value.map(|value| String::from_utf8_lossy(value).into_owned()),
        };
        Self {
            operation,
            key: key.and_then(payload),
            before: row("before"),
            after: row("after").or_else(|| row("message")),
            table,
            lsn: source.and_then(|source| source["lsn"].as_u64()),
            committed_us: source.and_then(committed_us),
            raw,
        }
    }

    /// A record without a value.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.operation.is_none() && self.raw.is_none()
    }

    /// `create`, `update` and so on.
    pub(crate) fn operation_name(&self) -> &'static str {
        match self.operation {
            Some('c') => "create",
            Some('u') => "update",
            Some('d') => "delete",
            Some('r') => "read",
            Some('t') => "truncate",
            Some('m') => "message",
            Some(_) => "unknown",
            None if self.raw.is_none() => "tombstone",
            None => "record",
        }
    }

    /// The fields that tell most: what changed, or all of a new row.
    pub(crate) fn fields(&self) -> String {
        match (self.operation, &self.before, &self.after) {
            (Some('u'), Some(before), Some(after)) => changed(before, after),
            // Without REPLICA IDENTITY FULL the other columns of `before` are stand-ins, not what was there.
            (Some('d'), ..) => String::new(),
            (_, _, Some(after)) => listed(after, self.key.as_ref()),
            _ => self.raw.as_deref().map_or_else(String::new, |raw| shortened(raw, 200)),
        }
    }

    /// `id=42`, or the key as JSON when it is no object.
    pub(crate) fn key_text(&self) -> String {
        match &self.key {
            None => "-".to_owned(),
            Some(Value::Object(fields)) => fields
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" "),
            Some(other) => other.to_string(),
        }
    }

    /// `16/B374D848`.
    pub(crate) fn position(&self) -> Option<String> {
        self.lsn.map(|lsn| pgoutput::Lsn::new(lsn).to_string())
    }
}

/// The last known rows, to show what an update has changed where the source does not send the row before.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    rows: HashMap<(Option<String>, String), Map<String, Value>>,
}

/// Rows remembered; beyond that it forgets all and begins anew.
const ROWS_REMEMBERED_MAX: usize = 20_000;

impl Memory {
    /// Fills in the row before an update, if it is known, and remembers the row after.
    pub(crate) fn complete(&mut self, event: &mut Event) {
        let key = (event.table.clone(), event.key_text());
        let Some(after) = &event.after else {
            self.rows.remove(&key);
            return;
        };
        if self.rows.len() >= ROWS_REMEMBERED_MAX {
            self.rows.clear();
        }
        let known = self.rows.insert(key, after.clone());
        if event.operation == Some('u') && event.before.is_none() {
            event.before = known;
        }
    }
}

/// The payload of a JSON record, with or without its schema; text that is no JSON becomes a JSON string.
pub(crate) fn payload(bytes: &[u8]) -> Option<Value> {
    let value = serde_json::from_slice::<Value>(bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()));
    match value {
        Value::Object(mut map)
            if map.len() == 2 && map.contains_key("schema") && map.contains_key("payload") =>
        {
            map.remove("payload")
        }
        other => Some(other),
    }
}

fn committed_us(source: &Value) -> Option<i64> {
    source["ts_us"].as_i64().or_else(|| source["ts_ms"].as_i64()?.checked_mul(1000))
}

/// `name: old → new` of every field that differs.
fn changed(before: &Map<String, Value>, after: &Map<String, Value>) -> String {
    let differs = |(name, value): &(&String, &Value)| before.get(*name) != Some(*value);
    let shown = after.iter().filter(differs).map(|(name, value)| match before.get(name) {
        Some(old) => format!("{name}: {} → {}", short(old), short(value)),
        None => format!("{name}: {}", short(value)),
    });
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() { "nothing changed".to_owned() } else { shown.join("  ") }
}

/// All fields but those of the key.
fn listed(row: &Map<String, Value>, key: Option<&Value>) -> String {
    let in_key =
        |name: &str| key.and_then(Value::as_object).is_some_and(|key| key.contains_key(name));
    let fields = row.iter().filter(|(name, value)| !in_key(name) && !value.is_null());
    fields.map(|(name, value)| format!("{name}: {}", short(value))).collect::<Vec<_>>().join("  ")
}

fn short(value: &Value) -> String {
    shortened(&value.to_string(), 60)
}

fn shortened(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters_max).collect();
    format!("{kept}…")
}

/// `3.2 ms`, `1.4 s`.
pub(crate) fn latency(microseconds: i64) -> String {
    let microseconds = microseconds.max(0);
    if microseconds < 1_000_000 {
        format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100)
    } else if microseconds < 120_000_000 {
        format!("{}.{} s", microseconds / 1_000_000, microseconds % 1_000_000 / 100_000)
    } else {
        format!("{} min", microseconds / 60_000_000)
    }
}

/// Time of commit, or a blank of the same width.
pub(crate) fn time(committed_us: Option<i64>) -> String {
    committed_us.map_or_else(|| " ".repeat(12), clock::time_of_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: &str, value: &str) -> Event {
        Event::read(Some(key.as_bytes()), Some(value.as_bytes()))
    }

    const SOURCE: &str =
        r#""source":{"schema":"public","table":"orders","lsn":24023128,"ts_ms":1559033904863}"#;

    #[test]
    fn an_update_shows_what_changed() {
        let value = format!(
            r#"{{"before":{{"id":1,"a":"x","b":2}},"after":{{"id":1,"a":"y","b":2}},{SOURCE},"op":"u"}}"#
        );
        let event = event(r#"{"id":1}"#, &value);
        assert_eq!((event.operation_name(), event.key_text().as_str()), ("update", "id=1"));
        assert_eq!(event.fields(), r#"a: "x" → "y""#);
        assert_eq!(event.position().as_deref(), Some("0/16E9058"));
        assert_eq!(time(event.committed_us), "08:58:24.863");
    }

    #[test]
    fn a_schema_around_the_payload_makes_no_difference() {
        let plain =
            format!(r#"{{"before":null,"after":{{"id":1,"a":null,"b":2}},{SOURCE},"op":"c"}}"#);
        let wrapped = format!(r#"{{"schema":{{}},"payload":{plain}}}"#);
        let wrapped = event(r#"{"schema":{},"payload":{"id":1}}"#, &wrapped);
        assert_eq!(wrapped, event(r#"{"id":1}"#, &plain));
        assert_eq!(wrapped.fields(), "b: 2");
    }

    #[test]
    fn an_update_without_the_row_before_is_compared_with_the_last_one_seen() {
        let mut memory = Memory::default();
        let mut first =
            event(r#"{"id":1}"#, &format!(r#"{{"after":{{"id":1,"a":"x"}},{SOURCE},"op":"c"}}"#));
        let mut second = event(
            r#"{"id":1}"#,
            &format!(r#"{{"before":null,"after":{{"id":1,"a":"y"}},{SOURCE},"op":"u"}}"#),
        );
        memory.complete(&mut first);
        memory.complete(&mut second);
        assert_eq!(second.fields(), r#"a: "x" → "y""#);
    }

    #[test]
    fn what_is_no_envelope_is_shown_as_it_is() {
        let event = event("k", "hello");
        assert_eq!((event.operation_name(), event.fields().as_str()), ("record", "hello"));
        assert!(Event::read(Some(b"1"), None).is_tombstone());
    }

    /// A topic may have records of anybody.
    #[test]
    fn a_time_that_nobody_can_count_to_is_none() {
        let value = format!(r#"{{"op":"c","source":{{"ts_ms":{}}}}}"#, i64::MAX);
        assert_eq!(event("1", &value).committed_us, None);
    }

    #[test]
    fn latencies_are_readable() {
        assert_eq!(
            [latency(3_249), latency(1_449_000), latency(360_000_000)],
            ["3.2 ms", "1.4 s", "6 min"]
        );
    }
}
