//! Signals from outside the source: where they are, and how to get at them.
//!
//! In: `signal.kafka.*`, `signal.consumer.*`, `signal.file`. Out: a [`SignalChannels`].
//! Source: Debezium documentation, "Kafka signals configuration properties"; Kafka 4.3 documentation, "Consumer Configs".

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kafka::reader::StartAt;
use kafka::{ClientConfig, Isolation, KafkaSettings};

use super::Note;
use super::identity::prefixed;
use super::keys;
use super::problem::Problem;
use super::signal::{EnabledChannels, without_channel};
use super::store;
use super::values::Values;

const TOPIC: &str = "signal.kafka.topic";
const BOOTSTRAP: &str = "signal.kafka.bootstrap.servers";
const GROUP: &str = "signal.kafka.groupId";
const CONSUMER: &str = "signal.consumer.";
const FILE: &str = "signal.file";
const POLL_INTERVAL: &str = "signal.poll.interval.ms";

/// Signals are small: an answer to the reader need not hold more.
const FETCH_BYTES_MAX: i32 = 1024 * 1024;

/// The channels outside the source that are enabled.
#[derive(Debug, Clone, Default)]
pub struct SignalChannels {
    /// Channel `kafka`.
    pub kafka: Option<SignalTopicSettings>,
    /// Channel `file`.
    pub file: Option<SignalFileSettings>,
}

/// `signal.kafka.*` and `signal.consumer.*`.
#[derive(Debug, Clone)]
pub struct SignalTopicSettings {
    /// The topic.
    pub topic: String,
    /// The Kafka that has it.
    pub client: ClientConfig,
    /// Group whose committed offset is where a new connector begins.
    pub group: String,
    /// Where it begins without one: the beginning or the end.
    pub start: StartAt,
    /// Which records are seen.
    pub isolation: Isolation,
    /// How often a topic that does not exist is looked for.
    pub look_interval: Duration,
}

/// `signal.file`.
#[derive(Debug, Clone)]
pub struct SignalFileSettings {
    /// The file.
    pub path: PathBuf,
    /// How often it is looked at.
    pub poll_interval: Duration,
}

/// What names and places are derived from.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    /// The connector's own Kafka.
    pub(super) store: &'a ClientConfig,
    /// What every topic's name there begins with.
    pub(super) prefix: &'a str,
    /// `topic.prefix`.
    pub(super) topic_prefix: &'a str,
}

impl SignalChannels {
    pub(super) fn read(
        values: &mut Values<'_>,
        enabled: EnabledChannels,
        places: Places<'_>,
        notes: &mut Vec<Note>,
    ) -> Self {
        let poll_interval = values.milliseconds(POLL_INTERVAL, 1, 3_600_000);
        let kafka = if enabled.kafka {
            Some(topic(values, places, poll_interval, notes))
        } else {
            let keys = values.pairs().map(|(key, _)| key);
            let unused = keys
                .filter(|key| [TOPIC, BOOTSTRAP, GROUP].contains(key) || key.starts_with(CONSUMER));
            notes.extend(unused.map(|key| without_channel(key, "kafka")));
            None
        };
        let file = if enabled.file {
            let path = values.text(FILE).unwrap_or_default().into();
            Some(SignalFileSettings { path, poll_interval })
        } else {
            notes.extend(values.given(FILE).map(|_| without_channel(FILE, "file")));
            None
        };
        if kafka.is_none() && file.is_none() && values.given(POLL_INTERVAL).is_some() {
            let reason = "signals of the table come with the stream".to_owned();
            notes.push(Note { key: POLL_INTERVAL.to_owned(), reason });
        }
        Self { kafka, file }
    }
}

fn topic(
    values: &mut Values<'_>,
    places: Places<'_>,
    look_interval: Duration,
    notes: &mut Vec<Note>,
) -> SignalTopicSettings {
    let mut consumer = Consumer::default();
    let pairs = values.pairs();
    for (name, value) in pairs.filter_map(|(key, value)| Some((key.strip_prefix(CONSUMER)?, value)))
    {
        consumer.take(name, value);
    }
    let addresses = consumer.shared.get("bootstrap.servers").cloned();
    let addresses = addresses.or_else(|| values.given(BOOTSTRAP).map(str::to_owned));
    // Its own brokers under the same addresses want the same login.
    let own = addresses.as_ref().is_none_or(|typed| {
        typed.split(',').map(str::trim).eq(places.store.bootstrap.iter().map(String::as_str))
    });
    let base = if own {
        places.store.clone()
    } else {
        let client_id = places.store.client_id.clone();
        ClientConfig { client_id, ..ClientConfig::plaintext(Vec::<String>::new()) }
    };
    let mut client = KafkaSettings::new(ClientConfig { fetch_bytes_max: FETCH_BYTES_MAX, ..base });
    consumer.shared.extend(addresses.map(|typed| ("bootstrap.servers".to_owned(), typed)));
    if let Err(errors) = client.apply(&consumer.shared) {
        let key = |name: &str| {
            let typed = format!("{CONSUMER}{name}");
            let is_typed = values.given(&typed).is_some();
            if name == "bootstrap.servers" && !is_typed { BOOTSTRAP.to_owned() } else { typed }
        };
        consumer.problems.extend(errors.iter().map(|error| store::problem(error, "consumer", key)));
    }
    let noted = client.notes.into_iter().map(|note| (note.name, note.reason));
    let noted = consumer.unneeded.into_iter().chain(noted);
    notes.extend(noted.map(|(name, reason)| Note { key: format!("{CONSUMER}{name}"), reason }));
    values.problems.extend(consumer.problems);
    let prefix = if own { places.prefix } else { "" };
    let given = values.given(TOPIC).map(|topic| prefixed(prefix, topic));
    let group = consumer.group.or_else(|| values.text(GROUP).map(str::to_owned));
    SignalTopicSettings {
        topic: given.unwrap_or_else(|| format!("{}-signal", places.topic_prefix)),
        client: client.client,
        group: group.unwrap_or_default(),
        start: consumer.start.unwrap_or(StartAt::Earliest),
        isolation: consumer.isolation.unwrap_or(Isolation::ReadCommitted),
        look_interval,
    }
}

/// `signal.consumer.*`, sorted.
#[derive(Default)]
struct Consumer {
    /// What every client of Kafka has.
    shared: BTreeMap<String, String>,
    group: Option<String>,
    start: Option<StartAt>,
    isolation: Option<Isolation>,
    /// What needs nothing, with the reason.
    unneeded: Vec<(String, String)>,
    problems: Vec<Problem>,
}

/// Properties of the connection, which the producer has as well.
const SHARED: &[&str] = &[
    "bootstrap.servers",
    "client.dns.lookup",
    "client.id",
    "connections.max.idle.ms",
    "default.api.timeout.ms",
    "fetch.max.bytes",
    "interceptor.classes",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
];

const NO_GROUP: &str = "no group is joined and nothing is committed: how far signals are heeded stands in the checkpoint";
const AT_ONCE: &str = "a signal is delivered as soon as it is in the topic";

/// Properties of the consumer that need nothing, and why.
const UNNEEDED: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "a reader never makes a topic"),
    ("auto.commit.interval.ms", NO_GROUP),
    ("check.crcs", "checksums are always compared"),
    ("client.rack", "the leader of the partition is read"),
    ("enable.auto.commit", NO_GROUP),
    ("enable.metrics.push", "metrics are ours, not JMX's"),
    ("exclude.internal.topics", "one topic is read"),
    ("fetch.max.wait.ms", AT_ONCE),
    ("fetch.min.bytes", AT_ONCE),
    ("group.instance.id", NO_GROUP),
    ("group.protocol", NO_GROUP),
    ("group.remote.assignor", NO_GROUP),
    ("heartbeat.interval.ms", NO_GROUP),
    ("max.partition.fetch.bytes", "`fetch.max.bytes` is the limit"),
    ("max.poll.interval.ms", NO_GROUP),
    ("max.poll.records", "signals are heeded one by one"),
    ("partition.assignment.strategy", NO_GROUP),
    ("retry.backoff.max.ms", "a failure is tried again after pauses that grow"),
    ("retry.backoff.ms", "a failure is tried again after pauses that grow"),
    ("session.timeout.ms", NO_GROUP),
];

/// Properties with a meaning of their own here.
const OURS: &[&str] =
    &["auto.offset.reset", "group.id", "isolation.level", "key.deserializer", "value.deserializer"];

impl Consumer {
    fn take(&mut self, name: &str, value: &str) {
        let is_secure = ["security.", "ssl.", "sasl."].iter().any(|start| name.starts_with(start));
        if is_secure || SHARED.contains(&name) {
            self.shared.insert(name.to_owned(), value.to_owned());
            return;
        }
        if let Some((_, reason)) = UNNEEDED.iter().find(|(known, _)| *known == name) {
            self.unneeded.push((name.to_owned(), (*reason).to_owned()));
            return;
        }
        match (name, value.to_ascii_lowercase().as_str()) {
            ("group.id", _) => {
                self.group = Some(value.to_owned()).filter(|group| !group.is_empty());
            }
            ("auto.offset.reset", "earliest") => self.start = Some(StartAt::Earliest),
            ("auto.offset.reset", "latest") => self.start = Some(StartAt::Latest),
            ("auto.offset.reset", _) => self.refuse(name, value, "write earliest or latest"),
            ("isolation.level", "read_committed") => {
                self.isolation = Some(Isolation::ReadCommitted);
            }
            ("isolation.level", "read_uncommitted") => {
                self.isolation = Some(Isolation::ReadUncommitted);
            }
            ("isolation.level", _) => {
                self.refuse(name, value, "write read_committed or read_uncommitted");
            }
            ("key.deserializer" | "value.deserializer", text)
                if text.ends_with("stringdeserializer") => {}
            ("key.deserializer" | "value.deserializer", _) => {
                self.refuse(name, value, "remove it: keys and values of signals are text");
            }
            _ => self.problems.push(unknown(name)),
        }
    }

    fn refuse(&mut self, name: &str, value: &str, fix: &str) {
        let why = format!("`{value}` is not supported");
        self.problems.push(Problem::new("CF003", &format!("{CONSUMER}{name}"), why, fix));
    }
}

fn unknown(name: &str) -> Problem {
    let known = SHARED.iter().chain(OURS).copied();
    let known = known.chain(UNNEEDED.iter().map(|(name, _)| *name));
    let nearest = keys::nearest_of(name, known).map(|nearest| format!("{CONSUMER}{nearest}"));
    let fix = match &nearest {
        Some(nearest) => format!("write `{nearest}` if that is meant, or remove it"),
        None => "remove it".to_owned(),
    };
    let why = "the Kafka consumer has no such property";
    Problem { nearest, ..Problem::new("CF001", &format!("{CONSUMER}{name}"), why, fix) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNELS: &str = "signal.enabled.channels";

    fn read(pairs: &[(&str, &str)]) -> (SignalChannels, Vec<String>, Vec<String>) {
        let config: BTreeMap<String, String> =
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut values = Values::new(&config);
        let mut notes = Vec::new();
        let enabled = EnabledChannels::read(&mut values, &mut notes);
        let store = ClientConfig::plaintext(["own:1", "own:2"]);
        let places = Places { store: &store, prefix: "x-", topic_prefix: "x-p" };
        let channels = SignalChannels::read(&mut values, enabled, places, &mut notes);
        let problems = values.problems.iter();
        let problems = problems.map(|problem| format!("{} {}", problem.code, problem.key));
        (channels, problems.collect(), notes.into_iter().map(|note| note.key).collect())
    }

    #[test]
    fn signals_come_from_the_connectors_own_kafka_unless_told_otherwise() {
        let (channels, problems, notes) = read(&[(CHANNELS, "source,kafka,file")]);
        assert!(problems.is_empty() && notes.is_empty(), "{problems:?} {notes:?}");
        let kafka = channels.kafka.unwrap();
        assert_eq!((kafka.topic.as_str(), kafka.group.as_str()), ("x-p-signal", "kafka-signal"));
        assert_eq!(kafka.client.bootstrap, ["own:1", "own:2"]);
        assert_eq!((kafka.start, kafka.isolation), (StartAt::Earliest, Isolation::ReadCommitted));
        let file = channels.file.unwrap();
        assert_eq!(file.path.as_os_str(), "file-signals.txt");
        assert_eq!(file.poll_interval, Duration::from_secs(5));
        let (channels, ..) =
            read(&[(CHANNELS, "kafka"), (TOPIC, "s"), (BOOTSTRAP, "own:1, own:2")]);
        assert_eq!(channels.kafka.unwrap().topic, "x-s");
    }

    #[test]
    fn another_kafka_has_its_own_login_and_names() {
        let (channels, problems, notes) = read(&[
            (CHANNELS, "kafka"),
            (BOOTSTRAP, "other:9"),
            (TOPIC, "s"),
            ("signal.consumer.security.protocol", "SSL"),
            ("signal.consumer.group.id", "g"),
            ("signal.consumer.auto.offset.reset", "latest"),
            ("signal.consumer.isolation.level", "read_uncommitted"),
            ("signal.consumer.session.timeout.ms", "10000"),
            (
                "signal.consumer.key.deserializer",
                "org.apache.kafka.common.serialization.StringDeserializer",
            ),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(notes, ["signal.consumer.session.timeout.ms"]);
        let kafka = channels.kafka.unwrap();
        assert_eq!((kafka.topic.as_str(), kafka.group.as_str()), ("s", "g"));
        assert_eq!(kafka.client.bootstrap, ["other:9"]);
        assert!(kafka.client.tls.is_some());
        assert_eq!((kafka.start, kafka.isolation), (StartAt::Latest, Isolation::ReadUncommitted));
    }

    #[test]
    fn what_a_consumer_does_not_have_or_we_cannot_do_is_refused() {
        let (_, problems, _) = read(&[
            (CHANNELS, "kafka"),
            ("signal.consumer.acks", "all"),
            ("signal.consumer.auto.offset.reset", "none"),
            ("signal.consumer.value.deserializer", "my.Own"),
            ("signal.consumer.sasl.mechanism", "GSSAPI"),
            (BOOTSTRAP, "a:b:c"),
        ]);
        let mut problems: Vec<&str> = problems.iter().map(String::as_str).collect();
        problems.sort_unstable();
        assert_eq!(problems[0], "CF001 signal.consumer.acks");
        assert!(problems.contains(&"CF003 signal.consumer.auto.offset.reset"), "{problems:?}");
        assert!(problems.contains(&"CF003 signal.consumer.value.deserializer"), "{problems:?}");
        assert!(problems.contains(&"CF011 signal.kafka.bootstrap.servers"), "{problems:?}");
    }

    #[test]
    fn keys_of_a_channel_that_is_not_enabled_are_noted() {
        let (channels, problems, notes) = read(&[
            (TOPIC, "s"),
            ("signal.consumer.acks", "all"),
            (FILE, "f"),
            (POLL_INTERVAL, "1000"),
        ]);
        assert!(channels.kafka.is_none() && channels.file.is_none() && problems.is_empty());
        assert_eq!(notes, ["signal.consumer.acks", TOPIC, FILE, POLL_INTERVAL]);
    }
}
