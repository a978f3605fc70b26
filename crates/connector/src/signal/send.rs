//! A signal, written into the topic that a connector reads.
//!
//! In: a connector's settings, a signal. Out: one record, its topic made if there is none.
//! Never here: a look at the source. Which of the tables are captured only the running connector knows.

use kafka::{
    Client, Isolation, KafkaError, NewTopic, Producer, ProducerSettings, Topic, Transaction,
};

use super::WrittenSignal;
use crate::clock;
use crate::settings::{Settings, SignalTopicSettings};

/// The connector reads this partition only.
const PARTITION: i32 = 0;

/// A signal that is in its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentSignal {
    /// The topic.
    pub topic: String,
    /// It was made for this signal.
    pub is_new_topic: bool,
    /// The topic is compacted: of several signals that were not read the last alone may be left.
    pub is_compacted: bool,
    /// A connector that has heeded everything before this offset has heeded the signal.
    pub end_offset: i64,
}

/// Writes a signal into the topic of `wanted`, where the connector of `settings` reads it.
///
/// Errors: [`KafkaError::NotAuthorized`], those of connections.
pub async fn send_signal(
    settings: &Settings,
    wanted: &SignalTopicSettings,
    signal: &WrittenSignal,
    id: &str,
) -> Result<SentSignal, KafkaError> {
    let client = Client::connect(wanted.client.clone()).await?;
    let found = client.topic(&wanted.topic).await?;
    let is_new_topic = found.is_none();
    let topic = match found {
        Some(found) => found.topic,
        None => client.create_topic(&signal_topic(settings, &wanted.topic)).await?.topic,
    };
    let is_compacted = is_compacted(&client, &topic).await;
    let producer = ProducerSettings { transactional_id: None, ..settings.producer.clone() };
    let mut transaction = Transaction::new(producer.batch_bytes_max);
    let (key, value) = (&settings.encoder.topic_prefix, signal.to_json(id));
    let now_ms = clock::unix_ms();
    let partition = topic.partition(PARTITION);
    transaction.append(&partition, now_ms, Some(key.as_bytes()), Some(&value), &[]);
    Producer::init(&client, producer).await?.commit(transaction).await?;
    let ends = client.latest_offsets(&topic, Isolation::ReadUncommitted).await?;
    let end_offset = ends.first().copied().unwrap_or_default();
    Ok(SentSignal { topic: topic.name().to_owned(), is_new_topic, is_compacted, end_offset })
}

/// One partition, so that signals have an order; nothing is compacted, since all signals of a connector have one key.
fn signal_topic(settings: &Settings, name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: 1,
        replication_factor: settings.topic_creation.default_replication_factor(),
        configs: [("cleanup.policy".to_owned(), "delete".to_owned())].into(),
    }
}

async fn is_compacted(client: &Client, topic: &Topic) -> bool {
    // Not everyone may see it.
    let Ok(configs) = client.describe_topic_configs(topic.name()).await else { return false };
    let policy = configs.get("cleanup.policy").and_then(|entry| entry.value.as_deref());
    policy.is_some_and(|policy| policy.contains("compact"))
}
