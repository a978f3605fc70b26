//! Compares recorded with produced records: placeholders, order, headers, schemas.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use regex::Regex;
use serde_json::Value;

use super::set::RecordedRecord;
use crate::event::Event;

/// One place where a produced record is not as recorded.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Topic, number of the record in it, and path in the record.
    pub path: String,
    /// As recorded.
    pub expected: String,
    /// As produced.
    pub actual: String,
}

impl Difference {
    pub(crate) fn new(
        path: impl Into<String>,
        expected: impl fmt::Display,
        actual: impl fmt::Display,
    ) -> Self {
        Self { path: path.into(), expected: expected.to_string(), actual: actual.to_string() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.chars().take(400).collect::<String>();
        writeln!(formatter, "  {}", self.path)?;
        writeln!(formatter, "    expected {}", short(&self.expected))?;
        write!(formatter, "    actual   {}", short(&self.actual))
    }
}

const ABSENT: &str = "(absent)";

/// Compares all records of one case, per topic and partition, in offset order.
pub fn compare_records(expected: &[RecordedRecord], actual: &[Event]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut wanted: BTreeMap<(&str, i32), Vec<&RecordedRecord>> = BTreeMap::new();
    let mut found: BTreeMap<(&str, i32), Vec<&Event>> = BTreeMap::new();
    for record in expected {
        wanted.entry((&record.topic, record.partition)).or_default().push(record);
    }
    for event in actual {
        found.entry((&event.topic, event.partition)).or_default().push(event);
    }
    for (place, records) in &wanted {
        let events = found.remove(place).unwrap_or_default();
        let topic = format!("{}[{}]", place.0, place.1);
        if records.len() != events.len() {
            let story: Vec<String> = events.iter().take(20).map(|event| event.brief()).collect();
            differences.push(Difference::new(
                &topic,
                format!("{} records", records.len()),
                format!("{} records: {}", events.len(), story.join(" ")),
            ));
        }
        for (index, (record, event)) in records.iter().zip(&events).enumerate() {
            compare_record(&format!("{topic}#{index}"), record, event, &mut differences);
        }
    }
    for ((topic, partition), events) in found {
        let first = events.first().map_or(Value::Null, |event| event.payload());
        let text = format!("{} records, the first: {first}", events.len());
        differences.push(Difference::new(format!("{topic}[{partition}]"), "no records", text));
    }
    differences
}

fn compare_record(path: &str, record: &RecordedRecord, event: &Event, out: &mut Vec<Difference>) {
    let sides = [("key", &record.key, &event.key), ("value", &record.value, &event.value)];
    for (name, expected, actual) in sides {
        let path = format!("{path}.{name}");
        match (expected, actual) {
            (None, None) => {}
            (Some(expected), Some(bytes)) => compare_side(&path, expected, bytes, out),
            (Some(expected), None) => {
                out.push(Difference::new(
                    path,
                    expected.get("payload").unwrap_or(expected),
                    "no bytes",
                ));
            }
            (None, Some(bytes)) => {
                out.push(Difference::new(path, "no bytes", String::from_utf8_lossy(bytes)));
            }
        }
    }
    compare_headers(path, record, event, out);
    if let Some(expected) = &record.timestamp {
        let actual = event.timestamp_ms.map_or(Value::Null, Value::from);
        compare_values(expected, &actual, &format!("{path}.timestamp"), out);
    }
}

fn compare_side(path: &str, expected: &Value, bytes: &[u8], out: &mut Vec<Difference>) {
    let decoded = decode(expected, bytes);
    match (expected.get("payload"), decoded.get("payload")) {
        (Some(payload), Some(actual)) => {
            compare_values(payload, actual, &format!("{path}.payload"), out);
            let path = format!("{path}.schema");
            compare_values(&expected["schema"], &decoded["schema"], &path, out);
        }
        _ => compare_values(expected, &decoded, path, out),
    }
}

/// The bytes in the form the recording uses: `{"schema","payload"}`, `{"json"}`, `{"raw"}` or `{"raw_hex"}`.
fn decode(expected: &Value, bytes: &[u8]) -> Value {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let mut hex = String::new();
        for byte in bytes {
            let _ = write!(hex, "{byte:02x}");
        }
        return serde_json::json!({ "raw_hex": hex });
    };
    match serde_json::from_str::<Value>(text) {
        Ok(value) if expected.get("json").is_some() => serde_json::json!({ "json": value }),
        Ok(value) if value.get("schema").is_some() && value.get("payload").is_some() => value,
        _ => serde_json::json!({ "raw": text }),
    }
}

fn compare_headers(path: &str, record: &RecordedRecord, event: &Event, out: &mut Vec<Difference>) {
    let mut expected: Vec<&(String, Value)> = record.headers.iter().collect();
    let mut actual: Vec<&(String, Option<Vec<u8>>)> = event.headers.iter().collect();
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    actual.sort_by(|left, right| left.0.cmp(&right.0));
    let path = format!("{path}.headers");
    let expected_names: Vec<&str> = expected.iter().map(|header| header.0.as_str()).collect();
    let actual_names: Vec<&str> = actual.iter().map(|header| header.0.as_str()).collect();
    if expected_names != actual_names {
        out.push(Difference::new(path, expected_names.join(", "), actual_names.join(", ")));
        return;
    }
    for ((name, expected), (_, bytes)) in expected.into_iter().zip(actual) {
        let text = bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let path = format!("{path}.{name}");
        let plain = text.clone().map_or(Value::Null, Value::String);
        match expected.get("json") {
            Some(expected) => {
                let parsed = text.and_then(|text| serde_json::from_str(&text).ok());
                compare_values(expected, &parsed.unwrap_or(plain), &path, out);
            }
            None => compare_values(expected, &plain, &path, out),
        }
    }
}

/// Compares two JSON values; members in any order, elements in order, numbers by value.
pub(crate) fn compare_values(
    expected: &Value,
    actual: &Value,
    path: &str,
    out: &mut Vec<Difference>,
) {
    match (expected, actual) {
        (Value::String(pattern), _) if pattern.starts_with('<') => {
            if !placeholder(pattern, actual).unwrap_or(expected == actual) {
                out.push(Difference::new(path, expected, actual));
            }
        }
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, value) in expected {
                let path = format!("{path}.{name}");
                match actual.get(name) {
                    Some(found) => compare_values(value, found, &path, out),
                    None => out.push(Difference::new(path, value, ABSENT)),
                }
            }
            for (name, value) in actual {
                if !expected.contains_key(name) {
                    out.push(Difference::new(format!("{path}.{name}"), ABSENT, value));
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if path.ends_with(".data_collections") && wanted.len() == found.len() {
                compare_unordered(wanted, found, path, out);
            } else if wanted.len() == found.len() {
                for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                    compare_values(wanted, found, &format!("{path}[{index}]"), out);
                }
            } else {
                out.push(Difference::new(path, expected, actual));
            }
        }
        (Value::Number(wanted), Value::Number(found)) if same_number(wanted, found) => {}
        _ if expected == actual => {}
        _ => out.push(Difference::new(path, expected, actual)),
    }
}

/// Elements whose order is not significant: each expected one takes the first that fits.
fn compare_unordered(expected: &[Value], actual: &[Value], path: &str, out: &mut Vec<Difference>) {
    let mut rest: Vec<&Value> = actual.iter().collect();
    for wanted in expected {
        let fits = rest.iter().position(|found| {
            let mut differences = Vec::new();
            compare_values(wanted, found, path, &mut differences);
            differences.is_empty()
        });
        match fits {
            Some(index) => drop(rest.remove(index)),
            None => out.push(Difference::new(path, wanted, Value::Array(actual.to_vec()))),
        }
    }
}

fn same_number(left: &serde_json::Number, right: &serde_json::Number) -> bool {
    if left == right {
        return true;
    }
    if (left.is_f64() || right.is_f64())
        && let (Some(left), Some(right)) = (left.as_f64(), right.as_f64())
    {
        return left.total_cmp(&right).is_eq() || (left - right).abs() == 0.0;
    }
    false
}

/// Whether `actual` is what a placeholder accepts; `None` if `pattern` is no placeholder.
fn placeholder(pattern: &str, actual: &Value) -> Option<bool> {
    let integer = actual.as_i64().is_some() || actual.as_u64().is_some();
    let within =
        |low: i64, high: i64| actual.as_i64().is_some_and(|value| low < value && value < high);
    let text = actual.as_str();
    let matches = |pattern: &str| {
        let regex = Regex::new(&format!("^(?s:{pattern})$"));
        regex.is_ok_and(|regex| text.is_some_and(|text| regex.is_match(text)))
    };
    Some(match pattern {
        "<int>" => integer,
        "<string>" | "<connector_id>" => text.is_some(),
        "<ts_ms>" => within(1_000_000_000_000, 10_000_000_000_000),
        "<ts_us>" => within(1_000_000_000_000_000, 10_000_000_000_000_000),
        "<ts_ns>" => within(1_000_000_000_000_000_000, 9_200_000_000_000_000_000),
        "<iso_ts>" => matches(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
        "<int_string>" => matches(r"-?\d+"),
        "<uuid>" => matches("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        "<sequence>" => matches(r#"\[(null|"\d+"),\s*(null|"\d+")\]"#),
        "<txid_lsn>" => matches(r"\d+:\d+"),
        "<snapshot>" => matches("true|first|first_in_data_collection|last_in_data_collection|last"),
        _ => {
            let inner = pattern.strip_prefix("<re:")?.strip_suffix('>')?;
            matches(inner)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(expected: &Value, actual: &Value) -> usize {
        let mut out = Vec::new();
        compare_values(expected, actual, "", &mut out);
        out.len()
    }

    #[test]
    fn placeholders_accept_their_type_and_nothing_else() {
        let accepted = [
            (json!("<int>"), json!(5)),
            (json!("<ts_ms>"), json!(1_700_000_000_000_i64)),
            (json!("<sequence>"), json!("[null,\"24023128\"]")),
            (json!("<uuid>"), json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
            (json!("<re:a+>"), json!("aaa")),
            (json!("<foo>bar</foo>"), json!("<foo>bar</foo>")),
        ];
        for (expected, actual) in accepted {
            assert_eq!(differences(&expected, &actual), 0, "{expected} {actual}");
        }
        let refused = [
            (json!("<int>"), json!("5")),
            (json!("<ts_ms>"), json!(1_700_000_000_000_000_i64)),
            (json!("<sequence>"), json!(["1", "2"])),
            (json!("<re:a+>"), json!("aab")),
            (json!("<foo>bar</foo>"), json!("<foo></foo>")),
        ];
        for (expected, actual) in refused {
            assert_eq!(differences(&expected, &actual), 1, "{expected} {actual}");
        }
    }

    #[test]
    fn numbers_compare_by_value_and_members_in_any_order() {
        assert_eq!(differences(&json!({"a": 1, "b": 2.0}), &json!({"b": 2, "a": 1.0})), 0);
        assert_eq!(differences(&json!({"a": 1}), &json!({"a": 1, "b": null})), 1);
        assert_eq!(differences(&json!([1, 2]), &json!([2, 1])), 2);
    }

    /// A value each placeholder accepts, everything else as it is.
    fn filled(value: &Value) -> Value {
        match value {
            Value::String(text) => match text.as_str() {
                "<int>" => json!(7),
                "<string>" => json!("text"),
                "<ts_ms>" => json!(1_700_000_000_000_i64),
                "<ts_us>" => json!(1_700_000_000_000_000_i64),
                "<ts_ns>" => json!(1_700_000_000_000_000_000_i64),
                "<sequence>" => json!("[null,\"5\"]"),
                "<uuid>" => json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                "<snapshot>" => json!("last"),
                "<txid_lsn>" => json!("5:6"),
                "<re:[0-9a-f-]{36}-(open|close)>" => {
                    json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-open")
                }
                "<re:io[.]debezium[.].*@[0-9a-f]+>" => json!("io.debezium.X@1f"),
                text if text.starts_with("<re:\\{\"openWindowTimestamp") => {
                    json!("{\"openWindowTimestamp\": \"2026\"}")
                }
                _ => value.clone(),
            },
            Value::Array(elements) => elements.iter().map(filled).collect(),
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), filled(value)));
                Value::Object(members.collect())
            }
            other => other.clone(),
        }
    }

    fn ideal_event(record: &RecordedRecord) -> Event {
        let bytes = |side: &Option<Value>| {
            let side = filled(side.as_ref()?);
            // A record without schema is recorded as `{"json"}`, one that is no JSON as `{"raw"}`.
            Some(match (side.get("json"), side.get("raw")) {
                (Some(json), _) => json.to_string().into_bytes(),
                (_, Some(Value::String(raw))) => raw.clone().into_bytes(),
                _ => side.to_string().into_bytes(),
            })
        };
        let headers = record.headers.iter().map(|(name, value)| {
            let text = match (value.get("json"), filled(value)) {
                (Some(json), _) => json.to_string(),
                (None, Value::String(text)) => text,
                (None, other) => other.to_string(),
            };
            (name.clone(), Some(text.into_bytes()))
        });
        Event {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: 0,
            timestamp_ms: None,
            key: bytes(&record.key),
            value: bytes(&record.value),
            headers: headers.collect(),
            read_at: std::time::Instant::now(),
        }
    }

    #[test]
    fn every_recording_is_equal_to_itself_and_to_nothing_less() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let groups = super::super::load(&folder).unwrap();
        assert!(groups.len() > 90, "{} groups", groups.len());
        for case in groups.iter().flat_map(|group| &group.cases) {
            let mut events: Vec<Event> = case.records.iter().map(ideal_event).collect();
            let differences = compare_records(&case.records, &events);
            assert!(differences.is_empty(), "{}: {}", case.id, differences[0]);
            if events.pop().is_some() {
                assert!(!compare_records(&case.records, &events).is_empty(), "{}", case.id);
            }
        }
    }
}
