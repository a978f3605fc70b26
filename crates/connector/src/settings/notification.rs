//! Where the connector tells how its snapshots go.
//!
//! Source: Debezium documentation, `notification.enabled.channels`, `notification.sink.topic.name`.

use super::Note;
use super::problem::Problem;
use super::values::Values;

/// `notification.*`.
#[derive(Debug, Clone, Default)]
pub struct NotificationSettings {
    /// Channel `log`.
    pub log: bool,
    /// Topic of channel `sink`.
    pub sink_topic: Option<String>,
}

impl NotificationSettings {
    pub(super) fn read(values: &mut Values<'_>, notes: &mut Vec<Note>) -> Self {
        const CHANNELS: &str = "notification.enabled.channels";
        const TOPIC: &str = "notification.sink.topic.name";
        let mut settings = Self::default();
        for channel in values.list(CHANNELS) {
            match channel.to_ascii_lowercase().as_str() {
                "log" => settings.log = true,
                "sink" => match values.given(TOPIC) {
                    Some(topic) => settings.sink_topic = Some(topic.to_owned()),
                    None => values.problems.push(Problem::new(
                        "CF005",
                        TOPIC,
                        "channel `sink` has no topic",
                        format!("set `{TOPIC}`, or remove `sink` from `{CHANNELS}`"),
                    )),
                },
                "jmx" => notes.push(Note {
                    key: CHANNELS.to_owned(),
                    reason: "channel `jmx`: there is no JMX; `log` and `sink` tell the same"
                        .to_owned(),
                }),
                other => values.invalid(
                    CHANNELS,
                    &format!("there is no channel `{other}`"),
                    "write some of sink, log",
                ),
            }
        }
        settings
    }
}
