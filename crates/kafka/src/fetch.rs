//! One fetch: some partitions of one leader, from given offsets.
//!
//! In: partitions with offsets. Out: per partition what the broker sent, and a walk over its visible
//! records. Never here: which offset comes next in a loop, waiting, retries. Source: Kafka protocol
//! guide, `Fetch` (without fetch sessions).

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::PartitionData,
    },
};

use crate::{
    Isolation, KafkaError, TopicPartitionId,
    admin::{millis, text},
    answer::{self, Subject},
    codes::ErrorCode,
    connection::Connection,
    read::{self, Batch, Records, StoredRecord, Visibility},
};

/// How much and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchLimits {
    pub(crate) isolation: Isolation,
    /// The broker answers after this time even if there is nothing.
    pub(crate) wait: Duration,
    pub(crate) bytes_max: i32,
    /// Patience for the answer, `wait` not counted.
    pub(crate) request_timeout: Duration,
}

/// What one partition's leader sent.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) partition: TopicPartitionId,
    /// What was asked for.
    pub(crate) offset: i64,
    /// Readers of this isolation can come so far now.
    pub(crate) end: i64,
    /// Nothing is stored between `offset` and `end`: compaction removed it.
    pub(crate) is_gap: bool,
    records: Bytes,
    aborted: Vec<(i64, i64)>,
}

/// Asks `connection`, the leader of all `positions`, for what follows them.
///
/// Errors: [`KafkaError::OffsetOutOfRange`] (its bounds unknown to us: 0), stale leadership as
/// [`KafkaError::Broker`], those of connections.
pub(crate) async fn fetch(
    connection: Arc<Connection>,
    positions: Vec<(TopicPartitionId, i64)>,
    limits: FetchLimits,
) -> Result<Vec<Fetched>, KafkaError> {
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(millis(limits.wait))
        .with_min_bytes(1)
        .with_max_bytes(limits.bytes_max)
        .with_isolation_level(limits.isolation.level())
        .with_session_epoch(-1)
        .with_topics(by_topic(&positions, limits.bytes_max));
    let response = connection.request(&request, limits.request_timeout + limits.wait).await?;
    answer::check("Fetch", Subject::Broker(connection.broker()), response.error_code, None)?;
    let partitions: Vec<(&str, &PartitionData)> = response
        .responses
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|data| (topic.topic.as_str(), data)))
        .collect();
    // A throttled answer is empty, and so may be some partitions of a full one.
    let is_all_empty = response.throttle_time_ms == 0
        && partitions.iter().all(|(_, data)| data.records.as_ref().is_none_or(Bytes::is_empty));
    let mut fetched = Vec::with_capacity(positions.len());
    for (partition, offset) in positions {
        let found = partitions.iter().find(|(name, data)| {
            *name == partition.topic().name() && data.partition_index == partition.partition()
        });
        if let Some((_, data)) = found {
            fetched.push(read_answer(partition, offset, data, is_all_empty, limits.isolation)?);
        }
    }
    Ok(fetched)
}

fn read_answer(
    partition: TopicPartitionId,
    offset: i64,
    data: &PartitionData,
    is_all_empty: bool,
    isolation: Isolation,
) -> Result<Fetched, KafkaError> {
    let topic = partition.topic().name();
    if let Some(code) = ErrorCode::check(data.error_code) {
        if code.is(ResponseError::OffsetOutOfRange) {
            return Err(KafkaError::OffsetOutOfRange {
                topic: topic.into(),
                partition: partition.partition(),
                offset,
                earliest: data.log_start_offset,
                latest: data.high_watermark,
            });
        }
        let subject = Subject::Partition(topic, partition.partition());
        return Err(answer::refused("Fetch", subject, code, None));
    }
    let end = match isolation {
        Isolation::ReadUncommitted => data.high_watermark,
        Isolation::ReadCommitted => data.last_stable_offset,
    };
    let aborted = data.aborted_transactions.iter().flatten();
    let aborted = aborted.map(|aborted| (aborted.first_offset, aborted.producer_id.0)).collect();
    let records = data.records.clone().unwrap_or_default();
    Ok(Fetched { partition, offset, end, is_gap: is_all_empty && offset < end, records, aborted })
}

impl Fetched {
    /// Shows every visible record from the asked offset on to `visit`, until it breaks. Out: the
    /// offset to ask for next (behind the last batch looked at).
    ///
    /// Errors: [`KafkaError::CorruptBatch`].
    pub(crate) fn visit(
        mut self,
        mut visit: impl FnMut(&Records, &StoredRecord<'_>) -> Result<ControlFlow<()>, String>,
    ) -> Result<i64, KafkaError> {
        let mut visibility = Visibility::new(std::mem::take(&mut self.aborted));
        let asked = self.offset;
        self.visit_batches(|batch| {
            if !visibility.admits(batch)? {
                return Ok(ControlFlow::Continue(()));
            }
            let records = batch.records()?;
            let mut cursor = records.cursor();
            while let Some(record) = cursor.next()? {
                if record.offset >= asked && visit(&records, &record)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Shows every batch to `visit`, markers and all, until it breaks. Out: as of [`Self::visit`].
    ///
    /// Errors: [`KafkaError::CorruptBatch`].
    pub(crate) fn visit_batches(
        mut self,
        mut visit: impl FnMut(&Batch) -> Result<ControlFlow<()>, String>,
    ) -> Result<i64, KafkaError> {
        let mut next_offset = if self.is_gap { self.end } else { self.offset };
        let mut at = self.offset;
        let mut bytes = std::mem::take(&mut self.records);
        let mut walk = || -> Result<(), String> {
            while let Some(batch) = read::next_batch(&mut bytes)? {
                at = batch.base_offset;
                next_offset = batch.next_offset().max(self.offset);
                if visit(&batch)?.is_break() {
                    return Ok(());
                }
            }
            Ok(())
        };
        walk().map_err(|reason| KafkaError::CorruptBatch {
            topic: self.partition.topic().name().into(),
            partition: self.partition.partition(),
            offset: at,
            reason,
        })?;
        Ok(next_offset)
    }
}

fn by_topic(positions: &[(TopicPartitionId, i64)], bytes_max: i32) -> Vec<FetchTopic> {
    let partition = |(id, offset): &(TopicPartitionId, i64)| {
        FetchPartition::default()
            .with_partition(id.partition())
            .with_current_leader_epoch(-1)
            .with_fetch_offset(*offset)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(bytes_max)
    };
    let chunks = positions.chunk_by(|(a, _), (b, _)| a.topic() == b.topic());
    let topic = |chunk: &[(TopicPartitionId, i64)]| {
        FetchTopic::default()
            .with_topic(TopicName(text(chunk[0].0.topic().name())))
            .with_partitions(chunk.iter().map(partition).collect())
    };
    chunks.map(topic).collect()
}
