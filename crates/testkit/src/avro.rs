//! Records in Avro as a consumer that shares no code with us reads them: the schema by the id in the record, from the registry;
//! the value with the reference implementation.
//!
//! In: an [`Event`] with bytes of Avro. Out: the same event with `{"schema","payload"}` as JSON, the payload as Connect's
//! `JsonConverter` would have it, so that whatever reads JSON reads this as well.
//! Never: bytes that are left over, a schema that the registry does not have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Number, Value, json};

use crate::event::Event;
use crate::worker::ask;
use crate::{Failure, Result};

/// The schemas of a registry, by the ids in records.
#[derive(Clone, Debug)]
pub struct Schemas {
    url: String,
    known: Arc<Mutex<HashMap<u32, Arc<Known>>>>,
}

#[derive(Debug)]
struct Known {
    text: String,
    schema: Schema,
}

impl Schemas {
    /// Those of the registry whose API of Confluent's form is at `url`.
    pub fn of(url: &str) -> Self {
        Self { url: url.to_owned(), known: Arc::default() }
    }

    /// The event as JSON.
    pub async fn as_json(&self, event: Event) -> Result<Event> {
        let key = self.side(event.key.as_deref()).await?;
        let value = self.side(event.value.as_deref()).await?;
        Ok(Event { key, value, ..event })
    }

    /// All of these events as JSON.
    pub async fn all_as_json(&self, events: Vec<Event>) -> Result<Vec<Event>> {
        let mut all = Vec::with_capacity(events.len());
        for event in events {
            all.push(self.as_json(event).await?);
        }
        Ok(all)
    }

    /// Versions of a subject.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u64>> {
        let path = format!("/subjects/{subject}/versions");
        let answer = ask(&self.url, "GET", &path, None).await?;
        let versions = answer.body.as_array().map_or(&[][..], Vec::as_slice);
        Ok(versions.iter().filter_map(Value::as_u64).collect())
    }

    /// All subjects, in order.
    pub async fn subjects(&self) -> Result<Vec<String>> {
        let answer = ask(&self.url, "GET", "/subjects", None).await?;
        let subjects = answer.body.as_array().map_or(&[][..], Vec::as_slice);
        let mut subjects: Vec<String> =
            subjects.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        subjects.sort();
        Ok(subjects)
    }

    async fn side(&self, bytes: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = bytes else { return Ok(None) };
        let Some((&[0, a, b, c, d], mut rest)) = bytes.split_first_chunk::<5>() else {
            return Err(Failure::new(format!("no record of a registry's schema: {bytes:?}")));
        };
        let known = self.get(u32::from_be_bytes([a, b, c, d])).await?;
        let reader = GenericDatumReader::builder(&known.schema).build()?;
        let payload = json_of(reader.read_value(&mut rest)?)?;
        if !rest.is_empty() {
            return Err(Failure::new(format!("{} bytes are left over", rest.len())));
        }
        Ok(Some(format!(r#"{{"schema":{},"payload":{payload}}}"#, known.text).into_bytes()))
    }

    async fn get(&self, id: u32) -> Result<Arc<Known>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&id) {
            return Ok(Arc::clone(found));
        }
        let answer = ask(&self.url, "GET", &format!("/schemas/ids/{id}"), None).await?;
        let Some(text) = answer.body["schema"].as_str() else {
            return Err(Failure::new(format!("schema {id}: {}: {}", answer.status, answer.body)));
        };
        let schema = Schema::parse_str(text)
            .map_err(|error| Failure::from(error).during(format!("schema {id}: {text}")))?;
        let found = Arc::new(Known { text: text.to_owned(), schema });
        known().insert(id, Arc::clone(&found));
        Ok(found)
    }
}

/// A value as Connect's `JsonConverter` has it.
fn json_of(value: Avro) -> Result<Value> {
    Ok(match value {
        Avro::Null => Value::Null,
        Avro::Boolean(value) => value.into(),
        Avro::Int(value) | Avro::Date(value) | Avro::TimeMillis(value) => value.into(),
        Avro::Long(value) | Avro::TimestampMillis(value) => value.into(),
        Avro::Float(value) => float(f64::from(value)),
        Avro::Double(value) => float(value),
        Avro::Bytes(bytes) => BASE64_STANDARD.encode(bytes).into(),
        Avro::Decimal(decimal) => BASE64_STANDARD.encode(Vec::<u8>::try_from(decimal)?).into(),
        Avro::String(text) => text.into(),
        Avro::Union(_, value) => json_of(*value)?,
        Avro::Array(items) => items.into_iter().map(json_of).collect::<Result<_>>()?,
        Avro::Map(entries) => {
            let entries = entries.into_iter().map(|(key, value)| Ok((key, json_of(value)?)));
            Value::Object(entries.collect::<Result<_>>()?)
        }
        Avro::Record(fields) => record(fields)?,
        other => return Err(Failure::new(format!("a value that events do not have: {other:?}"))),
    })
}

/// A record; one entry of a map whose keys are no strings is a pair.
fn record(fields: Vec<(String, Avro)>) -> Result<Value> {
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let is_entry = names == ["key", "value"];
    let fields = fields.into_iter().map(|(name, value)| Ok((name, json_of(value)?)));
    let fields: Map<String, Value> = fields.collect::<Result<_>>()?;
    Ok(if is_entry { json!([fields["key"], fields["value"]]) } else { Value::Object(fields) })
}

/// A number as it is, not by its shortest digits; as text what is none.
fn float(value: f64) -> Value {
    let special = if value.is_nan() {
        "NaN"
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }
    } else {
        return Number::from_f64(value).map_or(Value::Null, Value::Number);
    };
    special.into()
}
