//! The topics of a group: what is wanted and what is told, one record per connector each.
//!
//! In: a group's name. Out: the two topics, made where the cluster has none. Never: records.
//! The offsets topic is made by the connectors themselves, as for `tributary run`.

use kafka::{Client, KafkaError, NewTopic, Topic};

use crate::options::WorkerOptions;

/// As Kafka Connect has it: nobody shares these out.
const STATUS_PARTITIONS: i32 = 5;
/// Small segments keep small what compaction has not reached yet, and so the start of a worker fast.
const SEGMENT_BYTES: &str = "16777216";

/// The topics of a group.
#[derive(Clone, Debug)]
pub(crate) struct GroupTopics {
    /// `G-configs`: what is wanted. Its partitions are what the workers share out among them.
    pub(crate) configs: Topic,
    /// `G-status`: what is told.
    pub(crate) status: Topic,
}

impl GroupTopics {
    /// Finds them, and makes what is missing.
    ///
    /// Errors: [`KafkaError::NotAuthorized`], those of connections.
    pub(crate) async fn open(client: &Client, options: &WorkerOptions) -> Result<Self, KafkaError> {
        Ok(Self {
            configs: open(client, options, options.configs_topic(), options.partitions).await?,
            status: open(client, options, options.status_topic(), STATUS_PARTITIONS).await?,
        })
    }

    /// The partition whose owner runs the connector: that of Java's producers, so that other tools find it, too.
    pub(crate) fn partition_of(&self, name: &str) -> i32 {
        self.configs.partition_for(Some(name.as_bytes()))
    }
}

async fn open(
    client: &Client,
    options: &WorkerOptions,
    name: String,
    partitions: i32,
) -> Result<Topic, KafkaError> {
    if let Some(found) = client.topic(&name).await? {
        return Ok(found.topic);
    }
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", SEGMENT_BYTES),
        ("min.cleanable.dirty.ratio", "0.05"),
    ];
    let topic = NewTopic {
        name,
        partitions,
        replication_factor: options.replication_factor,
        configs: configs.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    };
    Ok(client.create_topic(&topic).await?.topic)
}
