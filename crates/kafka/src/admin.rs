//! stub
use crate::*;
use std::collections::BTreeMap;
/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions; -1: the broker's `num.partitions`.
    pub partitions: i32,
    /// Replicas of each partition; -1: the broker's `default.replication.factor`.
    pub replication_factor: i16,
    /// Topic configuration, by Kafka's names.
    pub configs: BTreeMap<String, String>,
}
/// Which records a reader may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everything written, also of open and aborted transactions.
    ReadUncommitted,
    /// Only what is committed, and only up to the first open transaction.
    #[default]
    ReadCommitted,
}
/// One configuration value of a topic or broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value in effect; `None` if it is a secret or unset.
    pub value: Option<String>,
    /// True if nobody set it.
    pub is_default: bool,
}
impl Client {
    /// Creates a topic; one that exists already is fine. Waits until all partitions have leaders.
    pub async fn create_topic(&self, _topic: &NewTopic) -> Result<TopicDescription, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// Deletes topics; one that does not exist is fine.
    pub async fn delete_topics(&self, _names: &[&str]) -> Result<(), KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The configuration in effect of a topic, by name.
    pub async fn describe_topic_configs(
        &self,
        _topic: &str,
    ) -> Result<BTreeMap<String, ConfigEntry>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The configuration in effect of a broker, by name.
    pub async fn describe_broker_configs(
        &self,
        _broker: i32,
    ) -> Result<BTreeMap<String, ConfigEntry>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The end of each partition: its high watermark (`ReadUncommitted`) or last stable offset.
    pub async fn latest_offsets(
        &self,
        _topic: &Topic,
        _isolation: Isolation,
    ) -> Result<Vec<i64>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The first offset of each partition that still exists.
    pub async fn earliest_offsets(&self, _topic: &Topic) -> Result<Vec<i64>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
}
