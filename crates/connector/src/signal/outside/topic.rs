//! Channel `kafka`: signals in a topic.
//!
//! In: partition 0 of the topic, from the record behind the last heeded one. Out: the signals whose key is the connector's
//! `topic.prefix`; other records are other connectors'.
//! A connector that has heeded none yet begins where Debezium's consumer would: at what its group has committed, else where
//! `signal.consumer.auto.offset.reset` says. A topic that does not exist is looked for again and again.
//! Never: a group that is joined, a commit of an offset, a topic that is made.
//! Source: Debezium documentation, "Enabling Kafka signaling channel"; `KafkaSignalChannel` of Debezium 3.6.

use std::time::Duration;

use kafka::reader::{ConsumedRecord, PartitionReader, StartAt};
use kafka::{Class, Client, KafkaError, Topic, group};
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::record::{self, Unheedable};
use super::{Delivery, FromOutside, Mark};
use crate::lifecycle::chain;
use crate::settings::SignalTopicSettings;
use crate::signal::heeded::HeededTopic;
use crate::status::Notice;

/// The partition that is read, as Debezium's consumer does.
const PARTITION: i32 = 0;
/// How long one look waits for records; they come as soon as they are there.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// Pauses after a failure: the first, and what they grow to.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Reads the topic.
pub(super) struct TopicChannel {
    wanted: SignalTopicSettings,
    /// Of the records that are for this connector.
    key: String,
    /// What is delivered.
    delivered: Option<HeededTopic>,
    client: Option<Client>,
    /// That it does not exist was said.
    absence_told: bool,
    /// Code of the failure that was told last, until it can be read again.
    failure_told: Option<&'static str>,
}

/// Why reading stopped for now.
enum Stop {
    /// There is no such topic.
    Absent,
    /// Another look at the topic tells where to go on.
    LookAgain,
    /// The pipeline has ended.
    Over,
    Failed(KafkaError),
}

impl From<KafkaError> for Stop {
    fn from(error: KafkaError) -> Self {
        match error {
            // What was not read yet is gone, or the topic is another one.
            KafkaError::OffsetOutOfRange { .. } => Self::LookAgain,
            error => Self::Failed(error),
        }
    }
}

impl TopicChannel {
    pub(super) fn new(
        wanted: &SignalTopicSettings,
        key: &str,
        heeded: Option<HeededTopic>,
    ) -> Self {
        Self {
            wanted: wanted.clone(),
            key: key.to_owned(),
            delivered: heeded,
            client: None,
            absence_told: false,
            failure_told: None,
        }
    }

    /// Delivers what is in the topic and what will be, until the pipeline ends.
    pub(super) async fn read(mut self, out: Sender<FromOutside>) {
        let mut pause = PAUSE_FIRST;
        loop {
            let stop = match Box::pin(self.follow(&out)).await {
                Ok(never) => match never {},
                Err(stop) => stop,
            };
            match stop {
                Stop::Over => return,
                Stop::Absent => {
                    if self.absent(&out).await.is_err() {
                        return;
                    }
                    sleep(self.wanted.look_interval).await;
                }
                Stop::LookAgain => sleep(PAUSE_FIRST).await,
                Stop::Failed(error) => {
                    if self.failure_told.is_none() {
                        pause = PAUSE_FIRST;
                    }
                    if self.tell(&error, &out).await.is_err() {
                        return;
                    }
                    self.client = None;
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn follow(
        &mut self,
        out: &Sender<FromOutside>,
    ) -> Result<std::convert::Infallible, Stop> {
        let client = if let Some(client) = &self.client {
            client.clone()
        } else {
            let client = Client::connect(self.wanted.client.clone()).await?;
            self.client.insert(client).clone()
        };
        let name = &self.wanted.topic;
        let Some(found) = client.topic(name).await? else { return Err(Stop::Absent) };
        let topic = found.topic;
        if topic.partition_count() > 1 {
            warn!(
                topic = name,
                "topic `{name}` has {} partitions: signals are read from partition {PARTITION} only",
                topic.partition_count()
            );
        }
        let start = self.start(&client, &topic).await?;
        let isolation = self.wanted.isolation;
        let mut reader = PartitionReader::open(&client, name, PARTITION, start, isolation).await?;
        self.begin(&topic, start, reader.position(), out).await?;
        loop {
            let records = reader.poll(POLL_WAIT).await?;
            self.failure_told = None;
            self.deliver(&topic, records, out).await?;
        }
    }

    /// Where to begin to read.
    async fn start(&self, client: &Client, topic: &Topic) -> Result<StartAt, KafkaError> {
        if let Some(delivered) = &self.delivered {
            if delivered.topic == topic.name()
                && (delivered.topic_id.is_none() || delivered.topic_id == id_of(topic))
            {
                return Ok(StartAt::Offset(delivered.next_offset));
            }
            info!(
                topic = topic.name(),
                "`{}` is another topic than the one whose signals were heeded so far: it is begun as by a new connector",
                topic.name()
            );
        }
        let group = &self.wanted.group;
        match group::committed_offset(client, group, &topic.partition(PARTITION)).await {
            Ok(Some(offset)) => Ok(StartAt::Offset(offset)),
            Ok(None) => Ok(self.wanted.start),
            Err(error) if error.class() == Class::Definite => {
                info!(
                    code = error.code(),
                    "what group `{group}` has committed for the signals cannot be read, it counts as nothing: {}",
                    chain(&error)
                );
                Ok(self.wanted.start)
            }
            Err(error) => Err(error),
        }
    }

    /// Reading begins at an offset: says so if it is not the one that was wanted, and remembers it if another look would give
    /// another one.
    async fn begin(
        &mut self,
        topic: &Topic,
        start: StartAt,
        at: i64,
        out: &Sender<FromOutside>,
    ) -> Result<(), Stop> {
        let name = topic.name();
        info!(topic = name, offset = at, "reads signals from topic `{name}`, from offset {at} on");
        match start {
            StartAt::Earliest => return Ok(()),
            StartAt::Offset(wanted) if wanted < at && wanted > 0 => {
                warn!(
                    topic = name,
                    "records {wanted} to {} of topic `{name}` were deleted before they were read: signals among them are not heeded",
                    at - 1
                );
            }
            StartAt::Offset(wanted) if wanted > at => {
                warn!(
                    topic = name,
                    "topic `{name}` ends at {at}, before record {wanted} that is to be read next: it has lost records"
                );
            }
            StartAt::Offset(_) | StartAt::Latest => {}
        }
        let mark = mark(topic, at);
        if self.delivered.as_ref() == Some(&mark) {
            return Ok(());
        }
        self.send(mark, None, out).await
    }

    async fn deliver(
        &mut self,
        topic: &Topic,
        records: Vec<ConsumedRecord>,
        out: &Sender<FromOutside>,
    ) -> Result<(), Stop> {
        let mut others = None;
        for record in records {
            let mark = mark(topic, record.offset + 1);
            if record.key.as_deref() == Some(self.key.as_bytes()) {
                others = None;
                self.send(mark, Some(record), out).await?;
            } else {
                debug!(
                    topic = topic.name(),
                    offset = record.offset,
                    "a signal for another connector"
                );
                others = Some(mark);
            }
        }
        match others {
            Some(mark) => self.send(mark, None, out).await,
            None => Ok(()),
        }
    }

    async fn send(
        &mut self,
        mark: HeededTopic,
        record: Option<ConsumedRecord>,
        out: &Sender<FromOutside>,
    ) -> Result<(), Stop> {
        self.delivered = Some(mark.clone());
        let signal = record.map(|record| {
            let place = format!("{}@{}", mark.topic, record.offset);
            match &record.value {
                Some(value) => record::read(value, &place),
                None => Err(Unheedable { id: place, reason: "it has no value".to_owned() }),
            }
        });
        let delivery = Delivery { mark: Mark::Topic(mark), signal };
        out.send(FromOutside::Delivery(delivery)).await.map_err(|_| Stop::Over)
    }

    /// There is no such topic. Whatever it will have when it is there was written after the connector began.
    async fn absent(&mut self, out: &Sender<FromOutside>) -> Result<(), Stop> {
        let name = self.wanted.topic.clone();
        if !self.absence_told {
            self.absence_told = true;
            info!(
                topic = name,
                "topic `{name}` does not exist yet: signals are read from it as soon as it does"
            );
        }
        if self.wanted.start == StartAt::Latest && self.delivered.is_none() {
            let mark = HeededTopic { topic: name, topic_id: None, next_offset: 0 };
            return self.send(mark, None, out).await;
        }
        Ok(())
    }

    /// Says once that the topic cannot be read: in the log if that may pass, in the status if somebody has to mend it.
    async fn tell(&mut self, error: &KafkaError, out: &Sender<FromOutside>) -> Result<(), Stop> {
        if self.failure_told.replace(error.code()) == Some(error.code()) {
            return Ok(());
        }
        let (name, cause) = (&self.wanted.topic, chain(error));
        if error.class() == Class::Transient {
            warn!(
                topic = name,
                code = error.code(),
                "signals of topic `{name}` cannot be read and are tried again: {cause}"
            );
            return Ok(());
        }
        let notice = Notice {
            code: "NT009",
            subject: format!("signals of topic {name}"),
            text: format!(
                "[NT009] signals of topic `{name}` cannot be read, it is tried again and again: {cause}\n  fix: mend that; or take `kafka` out of signal.enabled.channels"
            ),
        };
        out.send(FromOutside::Trouble(notice)).await.map_err(|_| Stop::Over)
    }
}

fn mark(topic: &Topic, next_offset: i64) -> HeededTopic {
    HeededTopic { topic: topic.name().to_owned(), topic_id: id_of(topic), next_offset }
}

/// `None` for brokers that give no ids.
fn id_of(topic: &Topic) -> Option<String> {
    let id = topic.id();
    (id != [0; 16]).then(|| hex::encode(id))
}
