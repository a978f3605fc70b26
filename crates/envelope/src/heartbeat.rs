//! Heartbeats: records that only say that the connector is alive. In: a time. Out: one record. Never: says when.
//!
//! Source: Debezium documentation, `heartbeat.interval.ms`, `topic.heartbeat.prefix`, `topic.heartbeat.name`.

use crate::EnvelopeError;
use crate::avro::{AvroSchemas, SchemaIds, binary};
use crate::frame::Frame;
use crate::names;
use crate::record::Record;
use crate::schema::Schema;
use crate::settings::EncoderSettings;
use crate::value::json;

/// Encodes heartbeats; compiled once for a connector.
#[derive(Debug)]
pub struct HeartbeatPlan {
    topic: String,
    server: String,
    key_frame: Frame,
    value_frame: Frame,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl HeartbeatPlan {
    /// Prepares everything but the time. `topic_parts` are joined by the delimiter: the heartbeat prefix and the topic
    /// prefix, or a name given whole.
    ///
    /// Errors: [`EnvelopeError::AvroName`].
    pub fn compile(
        settings: &EncoderSettings,
        topic_parts: &[&str],
    ) -> Result<Self, EnvelopeError> {
        let key_schema = Schema::structure(vec![Schema::plain("string").field("serverName")])
            .called("io.debezium.connector.common.ServerNameKey".to_owned(), Some(1));
        let value_schema = Schema::structure(vec![Schema::plain("int64").field("ts_ms")])
            .called("io.debezium.connector.common.Heartbeat".to_owned(), Some(1));
        let topic = names::topic(topic_parts, &settings.topic_delimiter);
        Ok(Self {
            server: settings.topic_prefix.clone(),
            key_frame: Frame::of(&key_schema, settings.key, &topic)?,
            value_frame: Frame::of(&value_schema, settings.value, &topic)?,
            key: Vec::new(),
            value: Vec::new(),
            topic,
        })
    }

    /// What is to be registered before anything is encoded.
    pub fn schemas(&self) -> AvroSchemas<'_> {
        AvroSchemas { key: self.key_frame.schema(), value: self.value_frame.schema() }
    }

    /// Takes what a registry has for [`Self::schemas`].
    pub fn identify(&mut self, ids: SchemaIds) {
        self.key_frame.identify(ids.key);
        self.value_frame.identify(ids.value);
    }

    /// Whether there is nothing left to register.
    pub fn is_identified(&self) -> bool {
        self.key_frame.is_ready() && self.value_frame.is_ready()
    }

    /// Where its records go.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// One heartbeat.
    pub fn encode(&mut self, unix_ms: i64, out: &mut impl FnMut(Record<'_>)) {
        let Self { key, value, key_frame, value_frame, .. } = self;
        key.clear();
        key_frame.begin(key);
        if key_frame.is_json() {
            key.extend_from_slice(b"{\"serverName\":");
            json::string(self.server.as_bytes(), key);
            key.push(b'}');
        } else {
            binary::bytes(self.server.as_bytes(), key);
        }
        key_frame.end(key);
        value.clear();
        value_frame.begin(value);
        if value_frame.is_json() {
            value.extend_from_slice(b"{\"ts_ms\":");
            value.extend_from_slice(itoa::Buffer::new().format(unix_ms).as_bytes());
            value.push(b'}');
        } else {
            binary::long(unix_ms, value);
        }
        value_frame.end(value);
        out(Record { topic: &self.topic, key: Some(key), value: Some(value), headers: &[] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_names_the_server_and_the_time() {
        let mut settings = EncoderSettings::new("test_server", "d", "1");
        settings.key.schemas_enable = false;
        let parts = ["__debezium-heartbeat", "test_server"];
        let mut plan = HeartbeatPlan::compile(&settings, &parts).unwrap();
        assert_eq!(plan.topic(), "__debezium-heartbeat.test_server");
        let mut count = 0;
        plan.encode(1_559_033_904_863, &mut |record| {
            count += 1;
            assert_eq!(record.key, Some(&br#"{"serverName":"test_server"}"#[..]));
            let expected = concat!(
                r#"{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"ts_ms"}],"#,
                r#""optional":false,"name":"io.debezium.connector.common.Heartbeat","version":1},"#,
                r#""payload":{"ts_ms":1559033904863}}"#
            );
            assert_eq!(record.value, Some(expected.as_bytes()));
        });
        assert_eq!(count, 1);
    }
}
