//! Readers without a group: a whole topic or one partition, in order per partition.
//!
//! In: a topic and where to begin. Out: records. One fetch per leader is always on its way, so that
//! a quiet leader delays nobody. Leadership that moves is followed. Never here: committed offsets.
//! Source: Kafka protocol guide, `Fetch`.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Client, Isolation, KafkaError, TopicPartitionId,
    compacted::stable_end,
    fetch::{FetchLimits, Fetched, fetch},
    pool::Pool,
};

/// The broker holds an empty answer back for so long.
const FETCH_WAIT: Duration = Duration::from_millis(500);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// The first record that still exists.
    Earliest,
    /// The end as it is when the reader is made.
    Latest,
    /// This offset in every partition; one that has not got so far is read from its end.
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

/// Reads one partition in order.
#[derive(Debug)]
pub struct PartitionReader {
    reader: TopicReader,
    partition: i32,
}

impl PartitionReader {
    /// Opens a reader.
    ///
    /// Errors: [`KafkaError::TopicMissing`], those of connections.
    ///
    /// # Panics
    /// If the topic has no such partition.
    pub async fn open(
        client: &Client,
        topic: &str,
        partition: i32,
        start: StartAt,
        isolation: Isolation,
    ) -> Result<Self, KafkaError> {
        let topic = client.known_topic(topic).await?.topic;
        let partitions = vec![topic.partition(partition)];
        let reader = TopicReader::over(client, partitions, start, isolation).await?;
        Ok(Self { reader, partition })
    }

    /// The next records; empty if none came within `wait`.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<ConsumedRecord>, KafkaError> {
        self.reader.poll(wait).await
    }

    /// All records up to the end as it is now; see [`TopicReader::read_to_end`].
    pub async fn read_to_end(&mut self) -> Result<Vec<ConsumedRecord>, KafkaError> {
        self.reader.read_to_end().await
    }

    /// The offset it reads next.
    pub fn position(&self) -> i64 {
        self.reader.position(self.partition).unwrap_or(0)
    }
}

/// Reads all partitions of one topic. Order holds within a partition only.
#[derive(Debug)]
pub struct TopicReader {
    client: Client,
    pool: Pool,
    isolation: Isolation,
    positions: Vec<(TopicPartitionId, i64)>,
    pending: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Partitions that a pending fetch asks for.
    asked: HashSet<i32>,
    failing_since: Option<Instant>,
}

struct Answer {
    partitions: Vec<i32>,
    result: Result<Vec<Fetched>, KafkaError>,
}

impl TopicReader {
    /// Opens a reader.
    ///
    /// Errors: [`KafkaError::TopicMissing`], those of connections.
    pub async fn open(
        client: &Client,
        topic: &str,
        start: StartAt,
        isolation: Isolation,
    ) -> Result<Self, KafkaError> {
        let partitions = client.known_topic(topic).await?.topic.partitions();
        Self::over(client, partitions, start, isolation).await
    }

    async fn over(
        client: &Client,
        partitions: Vec<TopicPartitionId>,
        start: StartAt,
        isolation: Isolation,
    ) -> Result<Self, KafkaError> {
        let pool = client.pool();
        let mut positions = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let offset = match start {
                StartAt::Earliest => client.earliest_offset(&pool, &partition).await?,
                StartAt::Latest => client.latest_offset(&pool, &partition, isolation).await?,
                StartAt::Offset(offset) => {
                    let earliest = client.earliest_offset(&pool, &partition).await?;
                    let latest = client.latest_offset(&pool, &partition, isolation).await?;
                    offset.clamp(earliest, latest)
                }
            };
            positions.push((partition, offset));
        }
        Ok(Self {
            client: client.clone(),
            pool,
            isolation,
            positions,
            pending: FuturesUnordered::new(),
            asked: HashSet::new(),
            failing_since: None,
        })
    }

    /// The offset it reads next in a partition.
    pub fn position(&self, partition: i32) -> Option<i64> {
        let found = self.positions.iter().find(|(id, _)| id.partition() == partition);
        found.map(|(_, offset)| *offset)
    }

    /// The next records of any partition; empty if none came within `wait`. Cancel-safe.
    ///
    /// Errors: [`KafkaError::OffsetOutOfRange`] if records were deleted before they were read;
    /// [`KafkaError::CorruptBatch`]; what has kept it from reading for `default.api.timeout.ms`.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<ConsumedRecord>, KafkaError> {
        let deadline = Instant::now() + wait;
        loop {
            let answer = match timeout_at(deadline, self.next_answer()).await {
                Err(_) => return Ok(Vec::new()),
                Ok(Err(error)) => Err(error),
                Ok(Ok(answer)) => {
                    for partition in &answer.partitions {
                        self.asked.remove(partition);
                    }
                    answer.result
                }
            };
            match answer {
                Ok(fetched) => {
                    self.failing_since = None;
                    let records = self.take_in(fetched)?;
                    if !records.is_empty() {
                        return Ok(records);
                    }
                }
                Err(error) => self.survive(error).await?,
            }
        }
    }

    /// All records up to the end as it is now. With `ReadCommitted` it waits for transactions that
    /// are open now, so that everything acknowledged before the call is seen.
    ///
    /// Errors: those of [`Self::poll`], [`KafkaError::OpenTransaction`], and
    /// [`KafkaError::RequestTimedOut`] if nothing moves for `default.api.timeout.ms`.
    pub async fn read_to_end(&mut self) -> Result<Vec<ConsumedRecord>, KafkaError> {
        let mut ends = Vec::with_capacity(self.positions.len());
        for (partition, _) in &self.positions {
            ends.push(match self.isolation {
                Isolation::ReadCommitted => stable_end(&self.client, partition).await?,
                Isolation::ReadUncommitted => {
                    self.client.latest_offset(&self.pool, partition, self.isolation).await?
                }
            });
        }
        let patience = self.client.config().api_timeout;
        let mut moved_at = Instant::now();
        let mut records = Vec::new();
        while self.positions.iter().zip(&ends).any(|((_, offset), end)| offset < end) {
            let before: i64 = self.positions.iter().map(|(_, offset)| offset).sum();
            // Markers move positions without giving records.
            records.extend(self.poll(PAUSE_AFTER_FAILURE).await?);
            let after: i64 = self.positions.iter().map(|(_, offset)| offset).sum();
            if after > before {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > patience {
                let broker = self.client.config().bootstrap_text();
                return Err(KafkaError::RequestTimedOut { broker, api: "Fetch", waited: patience });
            }
        }
        Ok(records)
    }

    /// Starts a fetch for every partition without one and waits for the first answer.
    async fn next_answer(&mut self) -> Result<Answer, KafkaError> {
        let idle: Vec<&(TopicPartitionId, i64)> = self
            .positions
            .iter()
            .filter(|(partition, _)| !self.asked.contains(&partition.partition()))
            .collect();
        if !idle.is_empty() {
            let ids: Vec<&TopicPartitionId> = idle.iter().map(|(id, _)| id).collect();
            let leaders = self.client.leaders(&ids).await?;
            let mut by_leader: HashMap<String, Vec<(TopicPartitionId, i64)>> = HashMap::new();
            for (position, leader) in idle.into_iter().zip(leaders) {
                by_leader.entry(leader).or_default().push(position.clone());
            }
            for (leader, positions) in by_leader {
                let connection = self.pool.get(&leader).await?;
                let partitions: Vec<i32> = positions.iter().map(|(id, _)| id.partition()).collect();
                self.asked.extend(&partitions);
                let limits = self.limits();
                self.pending.push(Box::pin(async move {
                    Answer { partitions, result: fetch(connection, positions, limits).await }
                }));
            }
        }
        match self.pending.next().await {
            Some(answer) => Ok(answer),
            // Only a reader of no partitions gets here; it waits for ever.
            None => std::future::pending().await,
        }
    }

    fn limits(&self) -> FetchLimits {
        let config = self.client.config();
        FetchLimits {
            isolation: self.isolation,
            wait: FETCH_WAIT,
            bytes_max: config.fetch_bytes_max,
            request_timeout: config.request_timeout,
        }
    }

    fn take_in(&mut self, fetched: Vec<Fetched>) -> Result<Vec<ConsumedRecord>, KafkaError> {
        let mut taken = Vec::new();
        for fetched in fetched {
            let partition = fetched.partition.partition();
            let next_offset = fetched.visit(|records, record| {
                let share = |part: &[u8]| records.share(part);
                let headers = record.headers()?.into_iter();
                taken.push(ConsumedRecord {
                    partition,
                    offset: record.offset,
                    timestamp_ms: record.timestamp_ms,
                    key: record.key.map(share),
                    value: record.value.map(share),
                    headers: headers.map(|(name, value)| (name.into(), value.map(share))).collect(),
                });
                Ok(ControlFlow::Continue(()))
            })?;
            let position = self.positions.iter_mut().find(|(id, _)| id.partition() == partition);
            if let Some((_, offset)) = position {
                *offset = next_offset;
            }
        }
        Ok(taken)
    }

    /// A leader that moved is looked for again, for a while.
    async fn survive(&mut self, error: KafkaError) -> Result<(), KafkaError> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if !error.is_stale_metadata() || since.elapsed() > self.client.config().api_timeout {
            return Err(error);
        }
        let topics = self.positions.iter().map(|(partition, _)| partition.topic().name());
        self.client.forget_leaders(topics.take(1));
        sleep(PAUSE_AFTER_FAILURE).await;
        Ok(())
    }
}
