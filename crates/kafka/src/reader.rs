//! stub
use crate::*;
use bytes::Bytes;
/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// The first record that still exists.
    Earliest,
    /// The end as it is when the reader is made.
    Latest,
    /// This offset in every partition (a partition that has not got so far begins at its end).
    Offset(i64),
}
/// One record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// `None` is Kafka's null.
    pub key: Option<Bytes>,
    /// `None` is Kafka's null: a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// In the order they were written.
    pub headers: Vec<(String, Option<Bytes>)>,
}
/// Reads one partition in order, without a group.
#[derive(Debug)]
pub struct PartitionReader {}
impl PartitionReader {
    /// Opens a reader.
    pub async fn open(
        _client: &Client,
        _topic: &str,
        _partition: i32,
        _start: StartAt,
        _isolation: Isolation,
    ) -> Result<Self, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The next records: empty if none came within `wait`.
    pub async fn poll(
        &mut self,
        _wait: std::time::Duration,
    ) -> Result<Vec<ConsumedRecord>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The offset it reads next.
    pub fn position(&self) -> i64 {
        0
    }
}
/// Reads all partitions of one topic, without a group. Order holds within a partition only.
#[derive(Debug)]
pub struct TopicReader {}
impl TopicReader {
    /// Opens a reader.
    pub async fn open(
        _client: &Client,
        _topic: &str,
        _start: StartAt,
        _isolation: Isolation,
    ) -> Result<Self, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The next records of any partition: empty if none came within `wait`.
    pub async fn poll(
        &mut self,
        _wait: std::time::Duration,
    ) -> Result<Vec<ConsumedRecord>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// All records up to the end as it is now (`ReadCommitted`: waits for open transactions).
    pub async fn read_to_end(&mut self) -> Result<Vec<ConsumedRecord>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
}
