//! Compares records with a recording, by the rules of the recordings' README. In: both. Out: differences in words.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::replay::OwnedRecord;

/// Differences shown for one case.
const SHOWN_MAX: usize = 200;

pub(crate) fn differences(recorded: &Value, records: &[OwnedRecord]) -> Vec<String> {
    let schemas = &recorded["schemas"];
    let mut expected: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in recorded["records"].as_array().unwrap() {
        expected.entry(record["topic"].as_str().unwrap()).or_default().push(record);
    }
    let mut found: BTreeMap<&str, Vec<&OwnedRecord>> = BTreeMap::new();
    for record in records {
        found.entry(&record.topic).or_default().push(record);
    }
    let mut out = Vec::new();
    for (topic, expected) in &expected {
        let found = found.remove(topic).unwrap_or_default();
        if expected.len() != found.len() {
            out.push(format!("{topic}: {} records instead of {}", found.len(), expected.len()));
        }
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            let path = format!("{topic}#{index}");
            part(&expected["key"], found.key.as_deref(), schemas, &format!("{path}.key"), &mut out);
            part(
                &expected["value"],
                found.value.as_deref(),
                schemas,
                &format!("{path}.value"),
                &mut out,
            );
            headers(&expected["headers"], &found.headers, &path, &mut out);
        }
    }
    out.extend(found.keys().map(|topic| format!("{topic}: not recorded at all")));
    out.truncate(SHOWN_MAX);
    out
}

fn part(
    expected: &Value,
    found: Option<&[u8]>,
    schemas: &Value,
    path: &str,
    out: &mut Vec<String>,
) {
    match (expected, found) {
        (Value::Null, None) => {}
        (Value::Null, Some(_)) | (_, None) => {
            out.push(format!(
                "{path}: {} instead of {expected}",
                if found.is_some() { "bytes" } else { "null" }
            ));
        }
        (expected, Some(bytes)) => {
            let found: Value = match serde_json::from_slice(bytes) {
                Ok(found) => found,
                Err(error) => return out.push(format!("{path}: no JSON: {error}")),
            };
            if let Some(plain) = expected.get("json") {
                return diff(plain, &found, path, out);
            }
            let mut expected = expected.clone();
            if let Some(number) =
                expected["schema"].as_str().and_then(|it| it.strip_prefix("#/schemas/"))
            {
                expected["schema"] = schemas[number.parse::<usize>().unwrap()].clone();
            }
            diff(&expected, &found, path, out);
        }
    }
}

fn headers(expected: &Value, found: &[(String, Vec<u8>)], path: &str, out: &mut Vec<String>) {
    let expected = expected.as_array().unwrap();
    let names = |names: Vec<&str>| names.join(", ");
    let expected_names = names(expected.iter().map(|header| header[0].as_str().unwrap()).collect());
    let found_names = names(found.iter().map(|(name, _)| name.as_str()).collect());
    if expected_names != found_names {
        return out.push(format!("{path}.headers: {found_names} instead of {expected_names}"));
    }
    for (expected, (name, value)) in expected.iter().zip(found) {
        let text = String::from_utf8(value.clone()).unwrap();
        let path = format!("{path}.headers.{name}");
        match expected[1].get("json") {
            Some(json) => {
                diff(json, &serde_json::from_str(&text).unwrap_or(Value::Null), &path, out);
            }
            None => diff(&expected[1], &Value::String(text), &path, out),
        }
    }
}

fn diff(expected: &Value, found: &Value, path: &str, out: &mut Vec<String>) {
    if out.len() >= SHOWN_MAX {
        return;
    }
    match (expected, found) {
        (Value::String(text), _) if text.starts_with('<') && placeholder(text, found) => {}
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected {
                match found.get(key) {
                    Some(found) => diff(value, found, &format!("{path}.{key}"), out),
                    None => out.push(format!("{path}.{key}: absent instead of {value}")),
                }
            }
            for (key, value) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
                out.push(format!("{path}.{key}: {value} instead of absent"));
            }
        }
        (Value::Array(expected_items), Value::Array(found_items))
            if expected_items.len() == found_items.len() =>
        {
            for (index, (expected, found)) in expected_items.iter().zip(found_items).enumerate() {
                diff(expected, found, &format!("{path}[{index}]"), out);
            }
        }
        (Value::Number(_), Value::Number(_))
            if expected.as_f64() == found.as_f64()
                && (expected.as_i64() == found.as_i64() || expected.is_f64() || found.is_f64()) => {
        }
        _ if expected == found => {}
        _ => {
            let short = |value: &Value| value.to_string().chars().take(300).collect::<String>();
            out.push(format!("{path}: {} instead of {}", short(found), short(expected)));
        }
    }
}

/// True if `found` is what the placeholder accepts.
fn placeholder(name: &str, found: &Value) -> bool {
    let digits = |count: usize| found.is_i64() && found.to_string().len() == count;
    match name {
        "<int>" => found.is_i64() || found.is_u64(),
        "<string>" => found.is_string(),
        "<ts_ms>" => digits(13),
        "<ts_us>" => digits(16),
        "<ts_ns>" => digits(19),
        "<uuid>" => found.as_str().is_some_and(|text| text.len() == 36),
        "<snapshot>" => {
            let markers =
                ["true", "first", "first_in_data_collection", "last_in_data_collection", "last"];
            found.as_str().is_some_and(|text| markers.contains(&text))
        }
        "<sequence>" => found
            .as_str()
            .and_then(|text| serde_json::from_str::<Vec<Option<String>>>(text).ok())
            .is_some_and(|parts| {
                parts.len() == 2
                    && parts
                        .iter()
                        .flatten()
                        .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
            }),
        _ => false,
    }
}
