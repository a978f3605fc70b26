//! Heartbeats: records that only say that the connector is alive. In: a time. Out: one record. Never: says when.
//!
//! Source: Debezium documentation, `heartbeat.interval.ms`, `topic.heartbeat.prefix`, `topic.heartbeat.name`.

use crate::names;
use crate::record::Record;
use crate::schema::Schema;
use crate::settings::EncoderSettings;
use crate::value::json;

/// Encodes heartbeats; compiled once for a connector.
#[derive(Debug)]
pub struct HeartbeatPlan {
    topic: String,
    key: Vec<u8>,
    value_head: Vec<u8>,
    value_close: &'static [u8],
    value: Vec<u8>,
}

impl HeartbeatPlan {
    /// Prepares everything but the time. `topic_parts` are joined by the delimiter: the heartbeat prefix and the topic
    /// prefix, or a name given whole.
    pub fn compile(settings: &EncoderSettings, topic_parts: &[&str]) -> Self {
        let key_schema = Schema::structure(vec![Schema::plain("string").field("serverName")])
            .called("io.debezium.connector.common.ServerNameKey".to_owned(), Some(1));
        let (mut key, close) = key_schema.framing(settings.key);
        key.extend_from_slice(b"{\"serverName\":");
        json::string(settings.topic_prefix.as_bytes(), &mut key);
        key.push(b'}');
        key.extend_from_slice(close);
        let value_schema = Schema::structure(vec![Schema::plain("int64").field("ts_ms")])
            .called("io.debezium.connector.common.Heartbeat".to_owned(), Some(1));
        let (value_head, value_close) = value_schema.framing(settings.value);
        Self {
            topic: names::topic(topic_parts, &settings.topic_delimiter),
            key,
            value_head,
            value_close,
            value: Vec::new(),
        }
    }

    /// Where its records go.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// One heartbeat.
    pub fn encode(&mut self, unix_ms: i64, out: &mut impl FnMut(Record<'_>)) {
        let value = &mut self.value;
        value.clear();
        value.extend_from_slice(&self.value_head);
        value.extend_from_slice(b"{\"ts_ms\":");
        value.extend_from_slice(itoa::Buffer::new().format(unix_ms).as_bytes());
        value.push(b'}');
        value.extend_from_slice(self.value_close);
        out(Record { topic: &self.topic, key: Some(&self.key), value: Some(value), headers: &[] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_names_the_server_and_the_time() {
        let mut settings = EncoderSettings::new("test_server", "d", "1");
        settings.key.schemas_enable = false;
        let mut plan = HeartbeatPlan::compile(&settings, &["__debezium-heartbeat", "test_server"]);
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
