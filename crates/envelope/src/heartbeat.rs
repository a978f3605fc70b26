//! Heartbeats: records that only say that the connector is alive. In: a time. Out: one record. Never: says when.
//!
//! Source: Debezium documentation, `heartbeat.interval.ms`, `topic.heartbeat.prefix`, `topic.heartbeat.name`.

use crate::EnvelopeError;
use crate::avro::binary;
use crate::frame::Frames;
use crate::names;
use crate::record::Record;
use crate::schema::Schema;
use crate::settings::EncoderSettings;
use crate::value::json;

/// Encodes heartbeats; compiled once for a connector.
#[derive(Debug)]
pub struct HeartbeatPlan {
    frames: Frames,
    server: String,
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
            frames: Frames::of(settings, topic, &key_schema, &value_schema)?,
            key: Vec::new(),
            value: Vec::new(),
        })
    }

    /// What stands around its records, which is to be registered before anything is encoded.
    pub fn frames(&mut self) -> &mut Frames {
        &mut self.frames
    }

    /// Where its records go.
    pub fn topic(&self) -> &str {
        self.frames.topic()
    }

    /// One heartbeat.
    pub fn encode(&mut self, unix_ms: i64, out: &mut impl FnMut(Record<'_>)) {
        let Self { frames, key, value, .. } = self;
        key.clear();
        frames.key.begin(key);
        if frames.key.is_json() {
            key.extend_from_slice(b"{\"serverName\":");
            json::string(self.server.as_bytes(), key);
            key.push(b'}');
        } else {
            binary::bytes(self.server.as_bytes(), key);
        }
        frames.key.end(key);
        value.clear();
        frames.value.begin(value);
        if frames.value.is_json() {
            value.extend_from_slice(b"{\"ts_ms\":");
            value.extend_from_slice(itoa::Buffer::new().format(unix_ms).as_bytes());
            value.push(b'}');
        } else {
            binary::long(unix_ms, value);
        }
        frames.value.end(value);
        out(Record { topic: frames.topic(), key: Some(key), value: Some(value), headers: &[] });
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
