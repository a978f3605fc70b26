//! Where the positions of connectors are kept: a compacted topic with one record per connector.
//!
//! In: a [`Position`]. Out: the record that carries it, added to the Kafka transaction it covers; and the newest one back.
//! Never: an aborted position. Reading goes to the end of the partition, committed records only, and waits for open
//! transactions of others to end.
//! Source: Kafka Connect, `offset.storage.topic`.

use kafka::{Client, NewTopic, Topic, TopicPartitionId, Transaction, compacted};

use crate::clock;
use crate::error::ConnectorError;
use crate::history::log::History;
use crate::position::{Position, checkpoint_key};
use crate::settings::Settings;

/// Where one connector's positions are kept.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointLog {
    topic: Topic,
    partition: TopicPartitionId,
    key: Vec<u8>,
}

impl CheckpointLog {
    /// Finds the offsets topic, and makes it if the cluster does not have it.
    pub(crate) async fn open(client: &Client, settings: &Settings) -> Result<Self, ConnectorError> {
        let name = &settings.offsets_topic;
        let topic = if let Some(found) = client.topic(name).await? {
            found.topic
        } else {
            client.create_topic(&offsets_topic(settings)).await?.topic
        };
        let key = checkpoint_key(settings.name.as_str(), &settings.encoder.topic_prefix);
        let partition = topic.partition(topic.partition_for(Some(&key)));
        Ok(Self { topic, partition, key })
    }

    /// Where what is known of the tables is kept: beside the checkpoint.
    pub(crate) fn history(&self, settings: &Settings) -> History {
        let (name, prefix) = (settings.name.as_str(), &settings.encoder.topic_prefix);
        History::empty(name, prefix, self.partition.clone())
    }

    /// The newest committed position, if there is one.
    pub(crate) async fn read(&self, client: &Client) -> Result<Option<Position>, ConnectorError> {
        let partition = self.partition.partition();
        let value = compacted::read_last(client, self.topic.name(), partition, &self.key).await?;
        value.map(|value| Position::from_json(&value)).transpose()
    }

    /// Adds the record that says how far a Kafka transaction comes.
    pub(crate) fn append(&self, transaction: &mut Transaction, position: &Position) {
        let value = position.to_json();
        transaction.append(&self.partition, clock::unix_ms(), Some(&self.key), Some(&value), &[]);
    }
}

/// One record per connector; small segments keep small what compaction has not reached yet.
fn offsets_topic(settings: &Settings) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "16777216"),
        ("min.cleanable.dirty.ratio", "0.05"),
    ];
    NewTopic {
        name: settings.offsets_topic.clone(),
        partitions: settings.offsets_topic_partitions,
        replication_factor: settings.topic_creation.default_replication_factor(),
        configs: configs.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}
