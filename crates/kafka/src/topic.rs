//! Topics as the client knows them: an interned handle for the hot path, a description for people.
//!
//! In: metadata of a topic. Out: [`Topic`], [`TopicPartitionId`], [`TopicDescription`]. Never here:
//! requests. Source: Kafka protocol guide, `Metadata`.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
};

use crate::partitioner;

/// A handle of one topic, interned by a [`crate::Client`]: cheap to clone, compared by identity.
///
/// Its partition count is the one seen when it was made. A topic that gains partitions, or is
/// deleted and created again, gets a new handle from the next [`crate::Client::topic`].
#[derive(Clone)]
pub struct Topic(Arc<Inner>);

struct Inner {
    index: usize,
    name: String,
    id: [u8; 16],
    partition_count: i32,
    sticky: AtomicI32,
    batch_bytes_limit: AtomicUsize,
}

impl Topic {
    pub(crate) fn new(index: usize, name: String, id: [u8; 16], partition_count: i32) -> Self {
        let (sticky, batch_bytes_limit) = (AtomicI32::new(0), AtomicUsize::new(usize::MAX));
        Self(Arc::new(Inner { index, name, id, partition_count, sticky, batch_bytes_limit }))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The topic id (zero on brokers that have none).
    pub fn id(&self) -> [u8; 16] {
        self.0.id
    }

    /// Number of partitions, at least 1.
    pub fn partition_count(&self) -> i32 {
        self.0.partition_count
    }

    /// Small dense number of this handle within its client.
    pub(crate) fn index(&self) -> usize {
        self.0.index
    }

    /// The partition a record with this key goes to: Java's murmur2; without a key, the same
    /// partition until its batch is closed, then the next one.
    pub fn partition_for(&self, key: Option<&[u8]>) -> i32 {
        match key {
            Some(key) => partitioner::partition_for_key(key, self.0.partition_count),
            None => self.0.sticky.load(Ordering::Relaxed),
        }
    }

    /// A batch of `partition` was closed: records without a key go on to the next partition.
    pub(crate) fn leave_sticky(&self, partition: i32) {
        let next = (partition + 1) % self.0.partition_count;
        // Another thread may have moved on already; then its choice stands.
        let _ =
            self.0.sticky.compare_exchange(partition, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The largest batch it takes, `max.message.bytes`; `usize::MAX` as long as nobody has said.
    pub fn batch_bytes_limit(&self) -> usize {
        self.0.batch_bytes_limit.load(Ordering::Relaxed)
    }

    /// Says what [`Topic::batch_bytes_limit`] is, to everyone who has this handle.
    pub fn limit_batches(&self, bytes: usize) {
        self.0.batch_bytes_limit.store(bytes, Ordering::Relaxed);
    }

    /// The handle of one partition.
    ///
    /// # Panics
    /// If the topic has no such partition.
    pub fn partition(&self, partition: i32) -> TopicPartitionId {
        assert!(
            (0..self.0.partition_count).contains(&partition),
            "{} has partitions 0..{}, not {partition}",
            self.0.name,
            self.0.partition_count
        );
        TopicPartitionId { topic: self.clone(), partition }
    }

    /// Handles of all partitions, in order.
    pub fn partitions(&self) -> Vec<TopicPartitionId> {
        (0..self.0.partition_count).map(|partition| self.partition(partition)).collect()
    }
}

impl PartialEq for Topic {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Topic {}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({} × {})", self.0.name, self.0.partition_count)
    }
}

/// One partition of an interned topic.
#[derive(Clone, PartialEq, Eq)]
pub struct TopicPartitionId {
    topic: Topic,
    partition: i32,
}

impl TopicPartitionId {
    /// The topic.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.partition
    }
}

impl fmt::Display for TopicPartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic.name(), self.partition)
    }
}

impl fmt::Debug for TopicPartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One broker as the metadata names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// Host it advertises for our listener.
    pub host: String,
    /// Port it advertises for our listener.
    pub port: i32,
    /// Rack, if configured.
    pub rack: Option<String>,
}

/// A topic as the cluster describes it now.
#[derive(Clone, Debug)]
pub struct TopicDescription {
    /// The handle for producing.
    pub topic: Topic,
    /// One of Kafka's own topics.
    pub is_internal: bool,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionDescription>,
}

impl TopicDescription {
    /// The name.
    pub fn name(&self) -> &str {
        self.topic.name()
    }

    /// Number of partitions.
    pub fn partition_count(&self) -> i32 {
        self.topic.partition_count()
    }

    /// Replicas of the first partition.
    pub fn replication_factor(&self) -> usize {
        self.partitions.first().map_or(0, |partition| partition.replicas.len())
    }

    /// True if every partition has a leader.
    pub fn has_all_leaders(&self) -> bool {
        self.partitions.iter().all(|partition| partition.leader.is_some())
    }
}

/// One partition as the cluster describes it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// Node id of the leader; `None` during an election or when all replicas are down.
    pub leader: Option<i32>,
    /// Node ids of the replicas.
    pub replicas: Vec<i32>,
    /// Node ids of the replicas that are in sync.
    pub in_sync_replicas: Vec<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_without_a_key_stay_together_until_their_batch_is_closed() {
        let topic = Topic::new(0, "orders".into(), [0; 16], 3);
        assert_eq!(topic.partition_for(None), 0);
        assert_eq!(topic.partition_for(None), 0);
        topic.leave_sticky(0);
        assert_eq!(topic.partition_for(None), 1);
        topic.leave_sticky(0);
        assert_eq!(topic.partition_for(None), 1, "closing another partition's batch moves nothing");
        topic.leave_sticky(1);
        topic.leave_sticky(2);
        assert_eq!(topic.partition_for(None), 0);
    }
}
