//! Where the positions of connectors are kept: a compacted topic with one record per connector.
//!
//! In: a [`Position`]. Out: the record that carries it, added to the Kafka transaction it covers; and the newest one back.
//! Never: an aborted position. Reading goes to the end of the partition, committed records only, also past transactions that
//! other connectors have open there.
//! Source: Kafka Connect, `offset.storage.topic`.

use kafka::{Client, NewTopic, Producer, Topic, TopicPartitionId, Transaction, compacted};
use tracing::warn;

use crate::clock;
use crate::error::ConnectorError;
use crate::history::log::History;
use crate::position::{Position, checkpoint_key};
use crate::settings::Settings;
use crate::snapshot::Done;

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

    /// Where what is done of an unfinished snapshot is kept: beside the checkpoint, too.
    pub(crate) fn snapshot_done(&self, settings: &Settings) -> Done {
        let (name, prefix) = (settings.name.as_str(), &settings.encoder.topic_prefix);
        Done::new(name, prefix, self.partition.clone())
    }

    /// The newest committed position, if there is one.
    pub(crate) async fn read(&self, client: &Client) -> Result<Option<Position>, ConnectorError> {
        let value = self.read_value(client).await?;
        value.map(|value| Position::from_json(&value)).transpose()
    }

    /// The same as it was written.
    pub(crate) async fn read_value(
        &self,
        client: &Client,
    ) -> Result<Option<Vec<u8>>, ConnectorError> {
        let partition = self.partition.partition();
        Ok(compacted::read_last(client, self.topic.name(), partition, &self.key).await?)
    }

    /// A producer that has fenced every predecessor. What the last one had open has ended, also where the brokers have forgotten it.
    pub(crate) async fn producer(
        &self,
        client: &Client,
        settings: &Settings,
    ) -> Result<Producer, ConnectorError> {
        let mut producer = Producer::init(client, settings.producer.clone()).await?;
        if let Some(forgotten) = producer.end_forgotten(&self.partition).await? {
            let verdict = if forgotten.is_committed { "committed" } else { "aborted" };
            let open: Vec<_> = forgotten.partitions.iter().map(ToString::to_string).collect();
            let open = open.join(", ");
            warn!(
                "the last Kafka transaction was {verdict}, and brokers had left that out on {open}: it is done now"
            );
        }
        Ok(producer)
    }

    /// Adds the record that says that there is no position any more.
    pub(crate) fn forget(&self, transaction: &mut Transaction) {
        transaction.append(&self.partition, clock::unix_ms(), Some(&self.key), None, &[]);
    }

    /// Adds the record that says how far a Kafka transaction comes.
    pub(crate) fn append(&self, transaction: &mut Transaction, position: &Position) {
        let value = position.to_json();
        transaction.append(&self.partition, clock::unix_ms(), Some(&self.key), Some(&value), &[]);
    }
}

/// How long compaction leaves the marker that each commit writes. By default it is a day: a connector that commits a hundred times a
/// second would have a take-over read millions of them. A take-over takes seconds, and reads nothing of what it has read before.
const MARKERS_STAY_MS: &str = "600000";

/// One record per connector; small segments keep small what compaction has not reached yet.
pub(crate) fn offsets_topic(settings: &Settings) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "16777216"),
        ("min.cleanable.dirty.ratio", "0.05"),
        ("delete.retention.ms", MARKERS_STAY_MS),
    ];
    NewTopic {
        name: settings.offsets_topic.clone(),
        partitions: settings.offsets_topic_partitions,
        replication_factor: settings.topic_creation.default_replication_factor(),
        configs: configs.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}
