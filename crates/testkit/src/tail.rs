//! Reads one topic from its beginning as a `read_committed` consumer, with librdkafka: nothing of ours is in the way.
//!
//! In: a topic's name; it need not exist yet. Out: [`Event`]s, in order per partition.
//! Never: a consumer group, a write, creation of a topic.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::event::Event;
use crate::wait::{DEADLINE, Seen, eventually};
use crate::{Failure, Result};

const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK_FOR_TOPIC_EVERY: Duration = Duration::from_millis(25);

/// A reader of one topic that goes on where it stopped.
pub struct Tail {
    consumer: StreamConsumer,
    topic: String,
    begin: Offset,
    partition_count: i32,
    at_end: BTreeSet<i32>,
}

impl Tail {
    /// Prepares to read `topic` from its beginning.
    pub fn open(bootstrap: &str, topic: &str) -> Result<Self> {
        Self::open_from(bootstrap, topic, Offset::Beginning)
    }

    /// Prepares to read `topic` from this offset of each partition, which must be there.
    pub fn open_at(bootstrap: &str, topic: &str, offset: i64) -> Result<Self> {
        Self::open_from(bootstrap, topic, Offset::Offset(offset))
    }

    fn open_from(bootstrap: &str, topic: &str, begin: Offset) -> Result<Self> {
        let consumer: StreamConsumer = client_config(bootstrap).create()?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            begin,
            partition_count: 0,
            at_end: BTreeSet::new(),
        })
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The next committed record, or `None` if none came before `deadline`.
    pub async fn next(&mut self, deadline: Instant) -> Result<Option<Event>> {
        loop {
            match self.step(deadline).await? {
                Step::Record(event) => return Ok(Some(event)),
                Step::End => {}
                Step::TimedOut => return Ok(None),
            }
        }
    }

    /// The next committed record of a topic of one partition that nobody writes to any more, or `None` at its end.
    pub async fn next_to_end(&mut self, deadline: Instant) -> Result<Option<Event>> {
        if !self.assign()? {
            return Ok(None);
        }
        match self.step(deadline).await? {
            Step::Record(event) => Ok(Some(event)),
            Step::End => Ok(None),
            Step::TimedOut => Err(Failure::new(format!("topic `{}` took too long", self.topic))),
        }
    }

    /// Reads until `wanted` accepts a record; returns all that were read, the accepted one last.
    pub async fn until(
        &mut self,
        within: Duration,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let deadline = Instant::now() + within;
        let mut events = Vec::new();
        loop {
            let Some(event) = self.next(deadline).await? else {
                return Err(Failure::new(format!(
                    "topic `{}`: the awaited record did not arrive within {within:?}; {} others did: {}",
                    self.topic,
                    events.len(),
                    crate::event::story(&events[events.len().saturating_sub(20)..]),
                )));
            };
            let found = wanted(&event);
            events.push(event);
            if found {
                return Ok(events);
            }
        }
    }

    /// Everything committed up to now that was not read yet; nothing if the topic does not exist.
    pub async fn to_end(&mut self, within: Duration) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let take = |event| {
            events.push(event);
            Ok(())
        };
        self.each_to_end(within, take).await?;
        Ok(events)
    }

    /// Hands everything committed up to now to `take`. The end is that of every partition, as the broker reports it.
    ///
    /// Errors: the first of `take`, with the topic's name; and an end that is not reached in time.
    pub async fn each_to_end(
        &mut self,
        within: Duration,
        mut take: impl FnMut(Event) -> Result<()>,
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        if !self.assign()? {
            return Ok(());
        }
        self.at_end.clear();
        // An end that was reported before this call says nothing about now: only a fresh consumer reports it again.
        self.seek_to_position()?;
        while i32::try_from(self.at_end.len()).unwrap_or(i32::MAX) < self.partition_count {
            match self.step(deadline).await? {
                Step::Record(event) => {
                    take(event).map_err(|failure| failure.during(&self.topic))?;
                }
                Step::End => {}
                Step::TimedOut => {
                    return Err(Failure::new(format!(
                        "topic `{}`: its end was not reached within {within:?}",
                        self.topic
                    )));
                }
            }
        }
        Ok(())
    }

    async fn step(&mut self, deadline: Instant) -> Result<Step> {
        while !self.assign()? {
            if Instant::now() > deadline {
                return Ok(Step::TimedOut);
            }
            tokio::time::sleep(LOOK_FOR_TOPIC_EVERY).await;
        }
        let received = tokio::time::timeout_at(deadline.into(), self.consumer.recv()).await;
        match received {
            Err(_elapsed) => Ok(Step::TimedOut),
            Ok(Ok(message)) => Ok(Step::Record(event(&message))),
            Ok(Err(KafkaError::PartitionEOF(partition))) => {
                self.at_end.insert(partition);
                Ok(Step::End)
            }
            // Brokers come and go in these tests; librdkafka reconnects by itself.
            Ok(Err(KafkaError::MessageConsumption(code))) if is_passing(code) => Ok(Step::End),
            Ok(Err(error)) => Err(Failure::from(error).during(format!("read `{}`", self.topic))),
        }
    }

    /// Assigns the topic's partitions as soon as it exists; false while it does not.
    fn assign(&mut self) -> Result<bool> {
        if self.partition_count > 0 {
            return Ok(true);
        }
        let count = partition_count(&self.consumer, &self.topic)?;
        if count == 0 {
            return Ok(false);
        }
        let mut assignment = TopicPartitionList::new();
        for partition in 0..count {
            assignment.add_partition_offset(&self.topic, partition, self.begin)?;
        }
        self.consumer.assign(&assignment)?;
        self.partition_count = count;
        Ok(true)
    }

    /// Assigns again from where reading stopped, so that the end of each partition is reported again.
    fn seek_to_position(&mut self) -> Result<()> {
        let mut assignment = self.consumer.position()?;
        for partition in 0..self.partition_count {
            let known =
                assignment.find_partition(&self.topic, partition).map(|element| element.offset());
            match known {
                Some(Offset::Offset(_)) => {}
                Some(_) => {
                    assignment.set_partition_offset(&self.topic, partition, self.begin)?;
                }
                None => {
                    assignment.add_partition_offset(&self.topic, partition, self.begin)?;
                }
            }
        }
        self.consumer.assign(&assignment)?;
        Ok(())
    }
}

/// A reader of several topics at once, in no order between them.
pub(crate) struct Together(StreamConsumer);

impl Together {
    /// Prepares to read all of them from their beginnings; they must exist.
    pub(crate) async fn open(bootstrap: &str, topics: &[String]) -> Result<Self> {
        let consumer: StreamConsumer = client_config(bootstrap).create()?;
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            let count = eventually(topic, DEADLINE, async || {
                let count = partition_count(&consumer, topic)?;
                let none = || Seen::NotYet("no partition".to_owned());
                Ok(if count > 0 { Seen::Yes(count) } else { none() })
            })
            .await?;
            for partition in 0..count {
                assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&assignment)?;
        Ok(Self(consumer))
    }

    /// The next committed record, or `None` if none came before `deadline`.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Option<Event>> {
        loop {
            match tokio::time::timeout_at(deadline.into(), self.0.recv()).await {
                Err(_elapsed) => return Ok(None),
                Ok(Ok(message)) => return Ok(Some(event(&message))),
                Ok(Err(KafkaError::PartitionEOF(_))) => {}
                Ok(Err(KafkaError::MessageConsumption(code))) if is_passing(code) => {}
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }
}

/// What one step of reading came upon.
enum Step {
    Record(Event),
    End,
    TimedOut,
}

/// All committed records of a topic, from its beginning to its end now.
pub async fn read_topic(bootstrap: &str, topic: &str) -> Result<Vec<Event>> {
    Tail::open(bootstrap, topic)?.to_end(DEADLINE).await
}

/// Names of all topics that begin with `prefix`, sorted.
pub fn topics_with_prefix(bootstrap: &str, prefix: &str) -> Result<Vec<String>> {
    let consumer: BaseConsumer = client_config(bootstrap).create()?;
    let metadata = consumer.fetch_metadata(None, METADATA_TIMEOUT)?;
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    Ok(names)
}

/// Looks again and again where what is committed of a topic ends.
pub struct Watermark {
    consumer: BaseConsumer,
    topic: String,
}

impl Watermark {
    /// For a topic of one partition; it need not exist yet.
    pub fn open(bootstrap: &str, topic: &str) -> Result<Self> {
        let consumer = client_config(bootstrap).create()?;
        Ok(Self { consumer, topic: topic.to_owned() })
    }

    /// The first offset that is not committed: those before it are of records, and of the marks that end Kafka transactions.
    /// 0 while the topic does not exist.
    pub fn committed_end(&self) -> Result<i64> {
        match self.consumer.fetch_watermarks(&self.topic, 0, METADATA_TIMEOUT) {
            Ok((_, end)) => Ok(end),
            Err(KafkaError::MetadataFetch(code)) if is_passing(code) => Ok(0),
            Err(error) => Err(Failure::from(error).during(format!("ends of `{}`", self.topic))),
        }
    }
}

fn client_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "testkit-reads-without-a-group")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.error.backoff.ms", "10")
        // Up to ten seconds otherwise: silence after a broker is back would be the reader's.
        .set("reconnect.backoff.max.ms", "200")
        .set("topic.metadata.refresh.fast.interval.ms", "20")
        .set("topic.metadata.propagation.max.ms", "0")
        .set("queued.max.messages.kbytes", "65536")
        .set("log_level", "2");
    config
}

fn partition_count(consumer: &StreamConsumer, topic: &str) -> Result<i32> {
    let metadata = match consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT) {
        Ok(metadata) => metadata,
        Err(KafkaError::MetadataFetch(code)) if is_passing(code) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map_or(&[][..], |found| found.partitions());
    let led = partitions.iter().all(|partition| partition.leader() >= 0);
    Ok(if led { i32::try_from(partitions.len()).unwrap_or(i32::MAX) } else { 0 })
}

fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::OperationTimedOut
    )
}

fn event(message: &BorrowedMessage<'_>) -> Event {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let pairs = headers.iter();
        pairs.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Event {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        read_at: Instant::now(),
    }
}
