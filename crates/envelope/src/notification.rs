//! Notifications: records that tell how a snapshot goes. In: what happened. Out: one record. Never: decides that something
//! happened.
//!
//! Source: Debezium documentation, "Notifications".

use crate::EnvelopeError;
use crate::avro::binary;
use crate::frame::Frames;
use crate::names;
use crate::record::Record;
use crate::schema::Schema;
use crate::settings::EncoderSettings;
use crate::value::json;

/// Encodes notifications; compiled once for a connector.
#[derive(Debug)]
pub struct NotificationPlan {
    frames: Frames,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification<'a> {
    /// A UUID of its own.
    pub id: &'a str,
    /// `STARTED`, `IN_PROGRESS`, `TABLE_SCAN_COMPLETED`, `COMPLETED`, ….
    pub kind: &'a str,
    /// What it is about: `Initial Snapshot` or `Incremental Snapshot`.
    pub aggregate_type: &'a str,
    /// Details by name.
    pub additional_data: &'a [(&'static str, String)],
    /// When it happened, milliseconds since 1970-01-01 UTC.
    pub unix_ms: i64,
}

impl NotificationPlan {
    /// Prepares what stays the same. `topic` is the whole name, as `notification.sink.topic.name` gives it.
    ///
    /// Errors: [`EnvelopeError::AvroName`].
    pub fn compile(settings: &EncoderSettings, topic: &str) -> Result<Self, EnvelopeError> {
        let topic = Self::topic_named(settings, topic);
        Ok(Self { frames: Frames::of(settings, topic, &key_schema(), &value_schema())? })
    }

    /// What stands around its records, which is to be registered before anything is encoded.
    pub fn frames(&mut self) -> &mut Frames {
        &mut self.frames
    }

    /// Where the records go that a setting sends there.
    pub fn topic_named(settings: &EncoderSettings, topic: &str) -> String {
        names::topic(&[topic], &settings.topic_delimiter)
    }

    /// Where its records go.
    pub fn topic(&self) -> &str {
        self.frames.topic()
    }

    /// One notification.
    pub fn encode(&self, notification: &Notification<'_>, out: &mut impl FnMut(Record<'_>)) {
        let mut key = Vec::new();
        self.frames.key.begin(&mut key);
        if self.frames.key.is_json() {
            key.extend_from_slice(b"{\"id\":");
            json::string(notification.id.as_bytes(), &mut key);
            key.push(b'}');
        } else {
            binary::bytes(notification.id.as_bytes(), &mut key);
        }
        self.frames.key.end(&mut key);
        let mut value = Vec::new();
        self.frames.value.begin(&mut value);
        if self.frames.value.is_json() {
            write_json(notification, &mut value);
        } else {
            write_avro(notification, &mut value);
        }
        self.frames.value.end(&mut value);
        out(Record {
            topic: self.frames.topic(),
            key: Some(&key),
            value: Some(&value),
            headers: &[],
        });
    }
}

fn write_avro(notification: &Notification<'_>, value: &mut Vec<u8>) {
    for text in [notification.id, notification.kind, notification.aggregate_type] {
        binary::bytes(text.as_bytes(), value);
    }
    let details = notification.additional_data;
    value.push(binary::SECOND);
    if !details.is_empty() {
        binary::count(details.len(), value);
    }
    for (name, text) in details {
        binary::bytes(name.as_bytes(), value);
        binary::bytes(text.as_bytes(), value);
    }
    // No further block.
    value.push(0);
    binary::long(notification.unix_ms, value);
}

fn write_json(notification: &Notification<'_>, value: &mut Vec<u8>) {
    let members = [
        (&b"{\"id\":"[..], notification.id),
        (b",\"type\":", notification.kind),
        (b",\"aggregate_type\":", notification.aggregate_type),
    ];
    for (name, text) in members {
        value.extend_from_slice(name);
        json::string(text.as_bytes(), value);
    }
    value.extend_from_slice(b",\"additional_data\":{");
    for (index, (name, text)) in notification.additional_data.iter().enumerate() {
        value.extend_from_slice(if index == 0 { b"" } else { b"," });
        json::string(name.as_bytes(), value);
        value.push(b':');
        json::string(text.as_bytes(), value);
    }
    value.extend_from_slice(b"},\"timestamp\":");
    value.extend_from_slice(itoa::Buffer::new().format(notification.unix_ms).as_bytes());
    value.push(b'}');
}

fn key_schema() -> Schema {
    Schema::structure(vec![Schema::plain("string").field("id")])
        .called("io.debezium.connector.common.NotificationKey".to_owned(), Some(1))
}

fn value_schema() -> Schema {
    let string = || Schema::plain("string");
    Schema::structure(vec![
        string().field("id"),
        string().field("type"),
        string().field("aggregate_type"),
        Schema::map(string(), string()).optional().field("additional_data"),
        Schema::plain("int64").field("timestamp"),
    ])
    .called("io.debezium.connector.common.Notification".to_owned(), Some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_says_what_happened_to_what() {
        let mut settings = EncoderSettings::new("p", "d", "1");
        settings.key.schemas_enable = false;
        settings.value.schemas_enable = false;
        let plan = NotificationPlan::compile(&settings, "p.notify").unwrap();
        let notification = Notification {
            id: "7",
            kind: "COMPLETED",
            aggregate_type: "Initial Snapshot",
            additional_data: &[("connector_name", "p".to_owned()), ("a", "b\"c".to_owned())],
            unix_ms: 1_700_000_000_000,
        };
        let mut found = None;
        plan.encode(&notification, &mut |record| {
            assert_eq!(record.topic, "p.notify");
            assert_eq!(record.key, Some(&br#"{"id":"7"}"#[..]));
            found = record.value.map(<[u8]>::to_vec);
        });
        let expected = r#"{"id":"7","type":"COMPLETED","aggregate_type":"Initial Snapshot","additional_data":{"connector_name":"p","a":"b\"c"},"timestamp":1700000000000}"#;
        assert_eq!(String::from_utf8(found.unwrap()).unwrap(), expected);
    }
}
