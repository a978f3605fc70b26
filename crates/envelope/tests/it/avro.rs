//! Records in Avro, read back by their schemas and compared with the same records in JSON.
//!
//! In: the captured streams, encoded twice. Out: what differs. The reader here is written from the specification and shares
//! nothing with the encoder.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Number, Value, json};

use crate::replay::OwnedRecord;
use crate::{entries, fixture, folder, read, replay};

/// Configurations of the recordings that choose other forms for values, on the streams that have values of all types.
const MODES: [&str; 14] = [
    "types_stream",
    "types_bin_base64",
    "types_bin_hex",
    "types_dec_double",
    "types_dec_string",
    "types_hstore_map",
    "types_interval_string",
    "types_time_atm",
    "types_time_connect",
    "types_time_iso",
    "types_time_micros",
    "types_time_nanos",
    "types_unknown",
    "types_unknown_hex",
];

/// Reads values of one schema as Connect's JSON has them.
struct Reader<'a> {
    bytes: &'a [u8],
    /// Named types by full name, with the namespace they are in.
    names: HashMap<String, Value>,
}

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let (&byte, rest) = self.bytes.split_first().expect("a byte");
        self.bytes = rest;
        byte
    }

    fn long(&mut self) -> i64 {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                return (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
            }
        }
    }

    fn take(&mut self, length: usize) -> &[u8] {
        let (taken, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        taken
    }

    fn counted(&mut self) -> &[u8] {
        let length = usize::try_from(self.long()).unwrap();
        self.take(length)
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.counted().to_vec()).unwrap()
    }

    /// Notes the named types, which stand in full where they come first, whether or not there is a value.
    fn learn(&mut self, schema: &Value, namespace: &str) {
        match schema {
            Value::Array(branches) => branches.iter().for_each(|it| self.learn(it, namespace)),
            Value::Object(members) if members["type"] == "record" => {
                let within = schema["namespace"].as_str().unwrap_or(namespace);
                let full_name = full(schema["name"].as_str().unwrap(), within);
                let inner = full_name.rsplit_once('.').map_or("", |(inner, _)| inner).to_owned();
                for field in schema["fields"].as_array().unwrap() {
                    self.learn(&field["type"], &inner);
                }
                let mut known = schema.clone();
                known["namespace"] = inner.into();
                let earlier = self.names.insert(full_name, known);
                assert_eq!(earlier, None, "a name is taken once");
            }
            Value::Object(members) => {
                for part in ["type", "items", "values"] {
                    members.get(part).into_iter().for_each(|it| self.learn(it, namespace));
                }
            }
            _ => {}
        }
    }

    /// `namespace` is that of the record around it.
    fn value(&mut self, schema: &Value, namespace: &str) -> Value {
        match schema {
            Value::Array(branches) => {
                let branch = usize::try_from(self.long()).unwrap();
                self.value(&branches[branch], namespace)
            }
            Value::Object(members) if members["type"] == "record" => self.record(schema, namespace),
            Value::Object(members) if members["type"] == "array" => {
                self.items(&members["items"], namespace)
            }
            Value::Object(members) if members["type"] == "map" => {
                let mut object = Map::new();
                self.blocks(|reader| {
                    let key = reader.text();
                    object.insert(key, reader.value(&members["values"], namespace));
                });
                Value::Object(object)
            }
            Value::Object(members) => self.value(&members["type"], namespace),
            Value::String(name) => self.named(name, namespace),
            other => panic!("no schema: {other}"),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Value {
        match name {
            "null" => Value::Null,
            "boolean" => Value::Bool(self.byte() == 1),
            "int" => i32::try_from(self.long()).expect("an int").into(),
            "long" => self.long().into(),
            "float" => {
                let value = f32::from_le_bytes(*self.take(4).first_chunk().unwrap());
                float(f64::from(value), &value.to_string())
            }
            "double" => {
                let value = f64::from_le_bytes(*self.take(8).first_chunk().unwrap());
                float(value, &value.to_string())
            }
            "bytes" => BASE64_STANDARD.encode(self.counted()).into(),
            "string" => self.text().into(),
            name => {
                let full_name = full(name, namespace);
                let schema = self.names.get(&full_name).expect(&full_name).clone();
                self.record(&schema, namespace)
            }
        }
    }

    fn record(&mut self, schema: &Value, namespace: &str) -> Value {
        let within = schema["namespace"].as_str().unwrap_or(namespace);
        let full_name = full(schema["name"].as_str().unwrap(), within);
        let inner = full_name.rsplit_once('.').map_or("", |(inner, _)| inner).to_owned();
        let mut object = Map::new();
        for field in schema["fields"].as_array().unwrap() {
            let value = self.value(&field["type"], &inner);
            object.insert(field["name"].as_str().unwrap().to_owned(), value);
        }
        Value::Object(object)
    }

    /// Connect's JSON writes a map whose keys are no strings as pairs.
    fn items(&mut self, items: &Value, namespace: &str) -> Value {
        let mut array = Vec::new();
        self.blocks(|reader| array.push(reader.value(items, namespace)));
        let is_entry = |item: &Value| items["name"] == "MapEntry" && item.get("key").is_some();
        let pairs = array
            .into_iter()
            .map(|item| if is_entry(&item) { json!([item["key"], item["value"]]) } else { item });
        pairs.collect()
    }

    fn blocks(&mut self, mut item: impl FnMut(&mut Self)) {
        loop {
            let count = self.long();
            assert!(count >= 0, "no block is written with its size");
            if count == 0 {
                return;
            }
            (0..count).for_each(|_| item(self));
        }
    }
}

/// A number by its shortest digits; as text what is none.
fn float(value: f64, shortest: &str) -> Value {
    let special = if value.is_nan() {
        "NaN"
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }
    } else {
        return Value::Number(Number::from_f64(shortest.parse().unwrap()).unwrap());
    };
    special.into()
}

fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

/// What a key or value says, by the schema of its id.
fn decoded(bytes: &[u8], schemas: &[String]) -> Value {
    let (head, bytes) = bytes.split_first_chunk::<5>().expect("a head");
    assert_eq!(head[0], 0);
    let id = u32::from_be_bytes(*head.last_chunk().unwrap());
    let schema: Value = serde_json::from_str(&schemas[id as usize - 1]).unwrap();
    let mut reader = Reader { bytes, names: HashMap::new() };
    reader.learn(&schema, "");
    let value = reader.value(&schema, "");
    assert_eq!(reader.bytes, b"", "bytes are left");
    value
}

/// Numbers of JSON text with a fraction, or without one where a float is meant, compare by their value.
fn alike(json: &Value, avro: &Value) -> bool {
    match (json, avro) {
        (Value::Number(json), Value::Number(avro)) => {
            json == avro || (avro.is_f64() && json.as_f64() == avro.as_f64())
        }
        (Value::Array(json), Value::Array(avro)) => {
            json.len() == avro.len() && json.iter().zip(avro).all(|(json, avro)| alike(json, avro))
        }
        (Value::Object(json), Value::Object(avro)) => {
            json.len() == avro.len()
                && json
                    .iter()
                    .all(|(name, json)| avro.get(name).is_some_and(|avro| alike(json, avro)))
        }
        _ => json == avro,
    }
}

fn compare(case: &str, json: &OwnedRecord, avro: &OwnedRecord, schemas: &[String]) {
    assert_eq!((&json.topic, &json.headers), (&avro.topic, &avro.headers), "{case}");
    for (json, avro) in [(&json.key, &avro.key), (&json.value, &avro.value)] {
        let json = json.as_deref().map(|json| serde_json::from_slice::<Value>(json).unwrap());
        let avro = avro.as_deref().map(|avro| decoded(avro, schemas));
        match (&json, &avro) {
            (Some(json), Some(avro)) => assert!(alike(json, avro), "{case}:\n{json}\n{avro}"),
            _ => assert_eq!(json, avro, "{case}"),
        }
    }
}

#[test]
fn captured_streams_say_in_avro_what_they_say_in_json() {
    let golden = folder("TRIBUTARY_GOLDEN", "../testkit/golden");
    let mut records = 0;
    for group in entries(&folder("TRIBUTARY_CAPTURED", "tests/captured")) {
        let name = group.file_name().unwrap().to_str().unwrap();
        let is_of_types = name.starts_with("types");
        let modes = if is_of_types { &MODES[..] } else { &[name][..] };
        for mode in modes {
            let config = read(&golden.join(mode).join("_group.json"));
            for case in entries(&group) {
                let what = format!("{mode} {}", case.display());
                let steps = fixture::load(&read(&case));
                // Some modes cannot express some values of NOT NULL columns, in any form.
                let Ok(replay::BothForms { json, avro, schemas }) =
                    replay::in_both_forms(&config, &steps)
                else {
                    continue;
                };
                assert_eq!(json.len(), avro.len(), "{what}");
                records += json.len();
                json.iter()
                    .zip(&avro)
                    .for_each(|(json, avro)| compare(&what, json, avro, &schemas));
            }
        }
    }
    assert!(records > 1_000, "only {records} records were compared");
}
