//! Compares two topics record by record.
//!
//! In: records of the same changes, made by Debezium and by us. Out: [`Finding`]s, the same kind of difference counted once.
//! Never: a difference that is passed over, but for the fields of [`VOLATILE`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{DEBEZIUM, OURS};
use crate::event::{Event, story};
use crate::golden::{Difference, compare_values};
use crate::{Failure, Result};

/// Fields that cannot be the same, and why. Everything else must be.
pub const VOLATILE: [(&str, &str); 5] = [
    ("value.payload.ts_ms", "when the connector made the event"),
    ("value.payload.ts_us", "when the connector made the event"),
    ("value.payload.ts_ns", "when the connector made the event"),
    ("value.payload.source.version", "the product's own version"),
    ("headers.__debezium.context.runId", "made up anew at each start of a connector"),
];

/// Records of a story around the place where two topics part.
const STORY_RECORDS: usize = 8;

/// One kind of difference.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How many records have it.
    pub records: u64,
    /// Number of the first of them in its topic, with what it is about.
    pub first: String,
    /// The first of them.
    pub example: Difference,
}

/// What comparing the two topics of one table has found so far.
#[derive(Debug)]
pub(super) struct Comparison {
    table: String,
    pub(super) records: u64,
    pub(super) operations: BTreeMap<String, u64>,
    /// By the path within a record.
    pub(super) findings: BTreeMap<String, Finding>,
    /// `real`s that are the same number in other digits.
    pub(super) other_digits: u64,
    schemas: BTreeMap<&'static str, SchemaPair>,
    /// Fields of rows that are `real`, or arrays of them.
    reals: BTreeSet<String>,
}

/// The schemas that were compared last: most records have the ones of the record before.
#[derive(Debug, Default)]
struct SchemaPair {
    debezium: String,
    ours: String,
}

/// Key and value of a record, each parsed once: a value's schema is many times its payload.
struct Record<'a> {
    key: Option<Part<'a>>,
    value: Option<Part<'a>>,
}

struct Part<'a> {
    schema: &'a str,
    payload: Value,
}

#[derive(Deserialize)]
struct Enveloped<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Comparison {
    pub(super) fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            records: 0,
            operations: BTreeMap::new(),
            findings: BTreeMap::new(),
            other_digits: 0,
            reals: BTreeSet::new(),
            schemas: BTreeMap::new(),
        }
    }

    /// Compares the next two records. False if they are not about the same change: then nothing after them can be compared.
    pub(super) fn next(&mut self, debezium: &Event, ours: &Event) -> Result<bool> {
        let (theirs, own) = (Record::of(debezium)?, Record::of(ours)?);
        if !theirs.is_of_the_change_of(&own) {
            return Ok(false);
        }
        *self.operations.entry(own.operation().to_owned()).or_default() += 1;
        let mut differences = Vec::new();
        self.side("key", theirs.key, own.key, &mut differences)?;
        self.side("value", theirs.value, own.value, &mut differences)?;
        headers(debezium, ours, &mut differences);
        if debezium.partition != ours.partition {
            differences.push(Difference::new("partition", debezium.partition, ours.partition));
        }
        for difference in differences {
            if self.is_same_real(&difference) {
                self.other_digits += 1;
            } else {
                self.note(ours, difference);
            }
        }
        self.records += 1;
        Ok(true)
    }

    /// The topics are not the same from here on.
    pub(super) fn part(&mut self, debezium: &[Event], ours: &[Event]) {
        let tell = |events: &[Event]| match events.split_at_checked(STORY_RECORDS) {
            Some((first, _)) => story(first) + " …",
            None if events.is_empty() => "the end of the topic".to_owned(),
            None => story(events),
        };
        let difference = Difference::new("the order of records", tell(debezium), tell(ours));
        let finding = Finding {
            records: 1,
            first: format!("{}#{}", self.table, self.records),
            example: difference,
        };
        self.findings.insert("order".to_owned(), finding);
    }

    fn side(
        &mut self,
        name: &'static str,
        debezium: Option<Part<'_>>,
        ours: Option<Part<'_>>,
        out: &mut Vec<Difference>,
    ) -> Result<()> {
        let (debezium, ours) = match (debezium, ours) {
            (None, None) => return Ok(()),
            (Some(debezium), Some(ours)) => (debezium, ours),
            (debezium, ours) => {
                let tell = |side: Option<Part<'_>>| side.map_or("nothing", |_| "bytes");
                out.push(Difference::new(name, tell(debezium), tell(ours)));
                return Ok(());
            }
        };
        let known = self.schemas.entry(name).or_default();
        let (theirs, own) = (debezium.schema, ours.schema);
        if known.debezium != theirs || known.ours != own {
            theirs.clone_into(&mut known.debezium);
            own.clone_into(&mut known.ours);
            let expected: Value = serde_json::from_str(&theirs.replace(DEBEZIUM, OURS))?;
            let actual: Value = serde_json::from_str(own)?;
            let mut found = Vec::new();
            compare_values(&expected, &actual, &format!("{name}.schema"), &mut found);
            // A registry compares schemas of Avro by their text.
            let is_avro = own.starts_with(r#"{"type":"record""#);
            if is_avro && found.is_empty() && theirs.replace(DEBEZIUM, OURS) != own {
                out.push(Difference::new(format!("{name}.schema"), theirs, own));
            }
            for difference in found {
                if is_default_of_real(&difference, &actual) && is_same_number(&difference) {
                    self.other_digits += 1;
                } else {
                    out.push(difference);
                }
            }
            self.reals.extend(reals(&actual));
        }
        let (mut expected, mut actual) = (debezium.payload, ours.payload);
        if let Some(found) = expected.pointer_mut("/source/name") {
            *found = Value::String(found.as_str().unwrap_or_default().replace(DEBEZIUM, OURS));
        }
        // The times of a record that begins or ends a transaction are those of the transaction.
        if expected.get("source").is_some() {
            for (path, _) in VOLATILE {
                same_type_is_enough(path, name, &mut expected, &mut actual);
            }
        }
        sort_counts(&mut expected);
        sort_counts(&mut actual);
        compare_values(&expected, &actual, &format!("{name}.payload"), out);
        Ok(())
    }

    /// Java before 19 does not always write a float with the fewest digits that tell it from its neighbours.
    fn is_same_real(&self, difference: &Difference) -> bool {
        let path = difference.path.strip_prefix("value.payload.");
        let field = path.and_then(|path| path.split_once('.')).map_or("", |(_, field)| field);
        let field = field.split_once('[').map_or(field, |(field, _)| field);
        self.reals.contains(field) && is_same_number(difference)
    }

    /// Which record this is, for people.
    fn place(&self, event: &Event) -> String {
        let payload = event.payload();
        let (transaction, lsn) = (&payload["source"]["txId"], &payload["source"]["lsn"]);
        let (table, number) = (&self.table, self.records);
        format!("{table}#{number} {} of transaction {transaction} at {lsn}", event.brief())
    }

    fn note(&mut self, event: &Event, difference: Difference) {
        let kind = kind(&difference.path);
        if let Some(finding) = self.findings.get_mut(&kind) {
            finding.records += 1;
            return;
        }
        let finding = Finding { records: 1, first: self.place(event), example: difference };
        self.findings.insert(kind, finding);
    }
}

/// True if both sides are the same float.
fn is_same_number(difference: &Difference) -> bool {
    let number = |text: &str| text.parse::<f32>().ok();
    number(&difference.expected).is_some_and(|expected| {
        number(&difference.actual).is_some_and(|actual| expected.total_cmp(&actual).is_eq())
    })
}

/// True for a path like `value.schema.fields[0].fields[7].default` whose field is a float.
fn is_default_of_real(difference: &Difference, schema: &Value) -> bool {
    let Some(path) = difference.path.strip_suffix(".default") else { return false };
    let parts = path.split('[').filter_map(|part| part.split_once(']'));
    let indices = parts.filter_map(|(index, _)| index.parse::<usize>().ok());
    indices.fold(schema, |found, index| &found["fields"][index])["type"] == "float"
}

/// Names of the row's fields that are floats, or arrays of floats.
fn reals(schema: &Value) -> Vec<String> {
    let fields = schema.pointer("/fields/0/fields").and_then(Value::as_array);
    let fields = fields.map_or(&[][..], Vec::as_slice).iter();
    let reals =
        fields.filter(|field| field["type"] == "float" || field["items"]["type"] == "float");
    reals.filter_map(|field| field["field"].as_str()).map(str::to_owned).collect()
}

/// What a path has in common with those of the same cause: elements of an array are one kind, and so are before and after.
fn kind(path: &str) -> String {
    let mut kind = String::new();
    for part in path.split('[') {
        match part.split_once(']') {
            Some((_, rest)) => kind = kind + "[]" + rest,
            None => kind.push_str(part),
        }
    }
    kind.replace(".payload.before.", ".payload.after.")
}

/// Puts the counts of a record that ends a transaction into the order of their names: Debezium has them in that of a hash map.
fn sort_counts(payload: &mut Value) {
    if let Some(counts) = payload.get_mut("data_collections").and_then(Value::as_array_mut) {
        counts.sort_by_key(|count| count["data_collection"].to_string());
    }
}

/// Makes a volatile field equal on both sides if it is there on both and of one type.
fn same_type_is_enough(path: &str, side: &str, expected: &mut Value, actual: &mut Value) {
    let Some(path) = path.strip_prefix(side).and_then(|path| path.strip_prefix(".payload")) else {
        return;
    };
    let pointer = path.replace('.', "/");
    if let (Some(expected), Some(actual)) =
        (expected.pointer_mut(&pointer), actual.pointer_mut(&pointer))
        && std::mem::discriminant(expected) == std::mem::discriminant(actual)
    {
        *expected = actual.clone();
    }
}

fn headers(debezium: &Event, ours: &Event, out: &mut Vec<Difference>) {
    let texts = |event: &Event| {
        let pairs = event.headers.iter();
        let texts = pairs.map(|(name, value)| {
            let value = value.as_deref().map(String::from_utf8_lossy);
            let text = value.unwrap_or_default().replace(DEBEZIUM, OURS);
            (name.clone(), Value::String(text))
        });
        texts.collect::<serde_json::Map<_, _>>()
    };
    let (mut expected, actual) = (texts(debezium), texts(ours));
    for (path, _) in VOLATILE {
        if let Some(name) = path.strip_prefix("headers.")
            && let (Some(_), Some(found)) = (expected.get(name), actual.get(name))
        {
            expected.insert(name.to_owned(), found.clone());
        }
    }
    let names = |headers: &serde_json::Map<String, Value>| {
        headers.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    // Their order too: a `Map` keeps it.
    if names(&expected) != names(&actual) {
        out.push(Difference::new("headers", names(&expected), names(&actual)));
    }
    compare_values(&Value::Object(expected), &Value::Object(actual), "headers", out);
}

impl<'a> Record<'a> {
    fn of(event: &'a Event) -> Result<Self> {
        let part = |bytes: &'a Option<Vec<u8>>| bytes.as_deref().map(Part::of).transpose();
        Ok(Self { key: part(&event.key)?, value: part(&event.value)? })
    }

    fn is_of_the_change_of(&self, other: &Record<'_>) -> bool {
        let key = |part: &Option<Part<'_>>| part.as_ref().map(|part| part.payload.clone());
        key(&self.key) == key(&other.key)
            && self.operation() == other.operation()
            && self.lsn() == other.lsn()
    }

    /// `op` of a row event, `status` of a record that begins or ends a transaction; `∅` for a tombstone.
    fn operation(&self) -> &str {
        let Some(value) = &self.value else { return "∅" };
        let name = value.payload["op"].as_str().or_else(|| value.payload["status"].as_str());
        name.unwrap_or("?")
    }

    fn lsn(&self) -> Option<&Value> {
        self.value.as_ref().and_then(|value| value.payload.pointer("/source/lsn"))
    }
}

impl<'a> Part<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self> {
        let parsed = || {
            let Enveloped { schema, payload } = serde_json::from_slice(bytes)?;
            Ok(Self { schema: schema.get(), payload: serde_json::from_str(payload.get())? })
        };
        parsed().map_err(|error: Failure| error.during(String::from_utf8_lossy(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    fn event(prefix: &str, ts_ms: i64, after: &Value, default: &str) -> Event {
        let row = json!({"type": "struct", "name": format!("{prefix}.public.t.Value"), "fields": [
            {"type": "float", "optional": true, "field": "r"},
            {"type": "string", "optional": true, "default": default, "field": "t"}]});
        let value = json!({
            "schema": {"type": "struct", "fields": [row]},
            "payload": {"before": null, "after": after, "op": "c", "ts_ms": ts_ms,
                "source": {"name": prefix, "version": format!("of {prefix}"), "lsn": 7}},
        });
        let header = |name: &str, text: &str| (name.to_owned(), Some(text.as_bytes().to_vec()));
        Event {
            topic: format!("{prefix}.public.t"),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: None,
            value: Some(value.to_string().into_bytes()),
            headers: vec![
                header("__debezium.context.connectorLogicalName", prefix),
                header("__debezium.context.runId", &ts_ms.to_string()),
            ],
            read_at: Instant::now(),
        }
    }

    fn kinds(debezium: &Event, ours: &Event) -> Vec<String> {
        let mut comparison = Comparison::new("t");
        assert!(comparison.next(debezium, ours).unwrap());
        comparison.findings.into_keys().collect()
    }

    #[test]
    fn only_what_cannot_be_the_same_may_differ() {
        let after = json!({"r": 1.5, "t": "x"});
        let debezium = event(DEBEZIUM, 1, &after, "d");
        assert!(kinds(&debezium, &event(OURS, 2, &after, "d")).is_empty());
        let other = json!({"r": 1.5, "t": "y"});
        assert_eq!(kinds(&debezium, &event(OURS, 2, &other, "d")), ["value.payload.after.t"]);
        let found = kinds(&debezium, &event(OURS, 2, &after, "e"));
        assert_eq!(found, ["value.schema.fields[].fields[].default"]);
        let mut late = event(OURS, 2, &after, "d");
        late.headers.reverse();
        assert_eq!(kinds(&debezium, &late), ["headers"]);
    }

    #[test]
    fn a_volatile_field_of_another_type_is_a_difference() {
        let after = json!({"r": 1.5});
        let debezium = event(DEBEZIUM, 1, &after, "d");
        let mut ours = event(OURS, 2, &after, "d");
        let text = String::from_utf8(ours.value.unwrap()).unwrap();
        ours.value = Some(text.replace("\"ts_ms\":2", "\"ts_ms\":\"2\"").into_bytes());
        assert_eq!(kinds(&debezium, &ours), ["value.payload.ts_ms"]);
    }

    #[test]
    fn counts_of_a_transaction_may_be_in_another_order_and_its_times_may_not_differ() {
        let end = |prefix: &str, ts_ms: i64, counts: Value| {
            let mut event = event(prefix, 1, &json!({}), "d");
            let payload = json!({"status": "END", "data_collections": counts, "ts_ms": ts_ms});
            event.value = Some(json!({"schema": {}, "payload": payload}).to_string().into_bytes());
            event
        };
        let count = |name: &str| json!({"data_collection": name, "event_count": 1});
        let debezium = end(DEBEZIUM, 1, json!([count("b"), count("a")]));
        assert!(kinds(&debezium, &end(OURS, 1, json!([count("a"), count("b")]))).is_empty());
        let found = kinds(&debezium, &end(OURS, 2, json!([count("a"), count("b")])));
        assert_eq!(found[0], "value.payload.ts_ms");
    }

    #[test]
    fn a_real_in_other_digits_is_the_same_and_the_next_real_is_not() {
        let debezium = event(DEBEZIUM, 1, &json!({"r": 14_850_187_100_000.0}), "d");
        assert!(
            kinds(&debezium, &event(OURS, 2, &json!({"r": 14_850_187_000_000.0}), "d")).is_empty()
        );
        let next = event(OURS, 2, &json!({"r": 14_850_188_000_000.0}), "d");
        assert_eq!(kinds(&debezium, &next), ["value.payload.after.r"]);
    }

    #[test]
    fn the_default_of_a_real_may_be_in_other_digits_and_may_not_be_the_next_real() {
        let defaulted = |prefix: &str, default: f64| {
            let mut event = event(prefix, 1, &json!({"r": 1.5}), "d");
            let mut value: Value = serde_json::from_slice(&event.value.unwrap()).unwrap();
            value["schema"]["fields"][0]["fields"][0]["default"] = json!(default);
            event.value = Some(value.to_string().into_bytes());
            event
        };
        let debezium = defaulted(DEBEZIUM, -3_934_061_590_000.0);
        assert!(kinds(&debezium, &defaulted(OURS, -3_934_061_600_000.0)).is_empty());
        let found = kinds(&debezium, &defaulted(OURS, -3_934_062_000_000.0));
        assert_eq!(found, ["value.schema.fields[].fields[].default"]);
    }

    #[test]
    fn records_of_different_changes_are_not_compared() {
        let debezium = event(DEBEZIUM, 1, &json!({}), "d");
        let mut tombstone = event(OURS, 2, &json!({}), "d");
        tombstone.value = None;
        assert!(!Comparison::new("t").next(&debezium, &tombstone).unwrap());
    }
}
