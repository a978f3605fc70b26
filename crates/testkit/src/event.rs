//! One Kafka record as an independent consumer sees it.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::Value;

/// A record read back from Kafka.
#[derive(Clone, Debug)]
pub struct Event {
    /// Topic it was read from.
    pub topic: String,
    /// Partition it was read from.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Timestamp of the Kafka record, milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Key bytes.
    pub key: Option<Vec<u8>>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// When the consumer handed it out.
    pub read_at: Instant,
}

impl Event {
    /// The key as JSON without its schema, or JSON null if there is none.
    pub fn key_payload(&self) -> Value {
        payload(self.key.as_deref())
    }

    /// The value as JSON without its schema, or JSON null for a tombstone.
    pub fn payload(&self) -> Value {
        payload(self.value.as_deref())
    }

    /// `c`, `u`, `d`, `r`, `t`, `m`; `∅` for a tombstone, `?` for anything else.
    pub fn operation(&self) -> String {
        if self.value.is_none() {
            return "∅".to_owned();
        }
        self.payload()["op"].as_str().unwrap_or("?").to_owned()
    }

    /// The text of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        Some(String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned())
    }

    /// Operation and key values, as in `u(1)` or `∅(1,b)`.
    pub fn brief(&self) -> String {
        let mut text = self.operation();
        text.push('(');
        if let Value::Object(fields) = self.key_payload() {
            for (index, value) in fields.values().enumerate() {
                let separator = if index == 0 { "" } else { "," };
                let _ = match value {
                    Value::String(string) => write!(text, "{separator}{string}"),
                    other => write!(text, "{separator}{other}"),
                };
            }
        }
        text.push(')');
        text
    }
}

/// Operations and keys of a run of events in one line, as in `c(1) u(1) d(1) ∅(1)`.
pub fn story(events: &[Event]) -> String {
    let briefs: Vec<String> = events.iter().map(Event::brief).collect();
    briefs.join(" ")
}

/// The JSON of `bytes` without its schema.
fn payload(bytes: Option<&[u8]>) -> Value {
    let Some(mut value) = bytes.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok())
    else {
        return Value::Null;
    };
    match value.as_object_mut() {
        Some(fields) if fields.len() == 2 && fields.contains_key("schema") => {
            fields.remove("payload").unwrap_or(Value::Null)
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: Option<&str>, value: Option<&str>) -> Event {
        Event {
            topic: String::new(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: key.map(|text| text.as_bytes().to_vec()),
            value: value.map(|text| text.as_bytes().to_vec()),
            headers: Vec::new(),
            read_at: Instant::now(),
        }
    }

    #[test]
    fn payload_is_the_same_with_and_without_schema() {
        let bare = event(None, Some(r#"{"op":"c"}"#));
        let wrapped = event(None, Some(r#"{"schema":{},"payload":{"op":"c"}}"#));
        assert_eq!(bare.payload(), wrapped.payload());
    }

    #[test]
    fn story_names_operation_and_key() {
        let events = [
            event(Some(r#"{"a":1,"b":"x"}"#), Some(r#"{"op":"d"}"#)),
            event(Some(r#"{"a":1,"b":"x"}"#), None),
            event(None, Some(r#"{"op":"c"}"#)),
        ];
        assert_eq!(story(&events), "d(1,x) ∅(1,x) c()");
    }
}
