//! Records that say that the connector is alive.
//!
//! Source: Debezium documentation, `heartbeat.interval.ms` and its neighbours.

use std::time::Duration;

use envelope::{EncoderSettings, EnvelopeError, HeartbeatPlan};

use super::Note;
use super::values::Values;

/// `heartbeat.*`.
#[derive(Debug, Clone)]
pub struct HeartbeatSettings {
    /// `heartbeat.interval.ms`.
    pub interval: Duration,
    /// `heartbeat.action.query`.
    pub action_query: Option<String>,
    /// Parts of the topic's name.
    topic_parts: Vec<String>,
}

impl HeartbeatSettings {
    pub(super) fn read(
        values: &mut Values<'_>,
        topic_prefix: &str,
        notes: &mut Vec<Note>,
    ) -> Option<Self> {
        const ACTION: &str = "heartbeat.action.query";
        let interval = values.milliseconds("heartbeat.interval.ms", 0, 86_400_000);
        let action_query = values.given(ACTION).map(str::to_owned);
        if interval.is_zero() {
            if action_query.is_some() {
                notes.push(Note {
                    key: ACTION.to_owned(),
                    reason: "it is never run while `heartbeat.interval.ms` is 0".to_owned(),
                });
            }
            return None;
        }
        let topic_parts = if let Some(name) = values.given("topic.heartbeat.name") {
            vec![name.to_owned()]
        } else {
            let prefix = values.text("topic.heartbeat.prefix").unwrap_or_default();
            vec![prefix.to_owned(), topic_prefix.to_owned()]
        };
        Some(Self { interval, action_query, topic_parts })
    }

    /// The encoder of these heartbeats.
    pub(crate) fn plan(&self, encoder: &EncoderSettings) -> Result<HeartbeatPlan, EnvelopeError> {
        let parts: Vec<&str> = self.topic_parts.iter().map(String::as_str).collect();
        HeartbeatPlan::compile(encoder, &parts)
    }
}
