//! The administration a connector needs: create, configure, delete topics; ends of partitions.
//!
//! In: names. Out: descriptions. Creating what exists and deleting what does not are fine, so that
//! every step may be repeated after a crash. Source: Kafka protocol guide; KIP-4, KIP-464 (-1 means
//! the broker's default), KIP-525.

use std::{collections::BTreeMap, time::Duration};

use kafka_protocol::{
    ResponseError,
    messages::{
        CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, ListOffsetsRequest,
        TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        describe_configs_request::DescribeConfigsResource,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
    protocol::StrBytes,
};
use tokio::time::{Instant, sleep};

use crate::{
    Client, KafkaError, Topic, TopicDescription, TopicPartitionId,
    answer::{self, Subject},
    codes::ErrorCode,
    pool::Pool,
};

/// Pause between two looks at metadata that is still spreading.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
const RESOURCE_TOPIC: i8 = 2;
const RESOURCE_BROKER: i8 = 4;
/// `timestamp` of `ListOffsets` that asks for the end.
const LATEST: i64 = -1;
/// `timestamp` of `ListOffsets` that asks for the first record still there.
const EARLIEST: i64 = -2;
/// `config_source` of a value nobody set.
const SOURCE_DEFAULT: i8 = 5;

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
    /// Everything written, also by open and aborted transactions.
    ReadUncommitted,
    /// Only what is committed, and only up to the first open transaction.
    #[default]
    ReadCommitted,
}

impl Isolation {
    /// `isolation_level` on the wire.
    pub(crate) fn level(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// One configuration value of a topic or broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// The value in effect; `None` if it is secret or unset.
    pub value: Option<String>,
    /// True if nobody set it.
    pub is_default: bool,
}

impl Client {
    /// Creates a topic; one that exists already is fine, whatever its settings. Returns once every
    /// partition has a leader.
    ///
    /// Errors: [`KafkaError::TopicNotCreated`] with the broker's words, [`KafkaError::NotAuthorized`],
    /// [`KafkaError::NoLeader`] if leaders are not known within `default.api.timeout.ms`.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<TopicDescription, KafkaError> {
        let deadline = Instant::now() + self.config().api_timeout;
        let configs = topic.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        });
        let creatable = CreatableTopic::default()
            .with_name(TopicName(text(&topic.name)))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replication_factor)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![creatable])
            .with_timeout_ms(millis(self.config().request_timeout));
        loop {
            let response = self.ask(&request).await?;
            let answer = response.topics.first();
            let code = answer.and_then(|answer| ErrorCode::check(answer.error_code));
            match code {
                None => break,
                Some(code) if code.is(ResponseError::TopicAlreadyExists) => break,
                Some(code) if is_controller_moving(code) && Instant::now() < deadline => {
                    sleep(LOOK_AGAIN_AFTER).await;
                }
                Some(code) if code.is_authorization() => {
                    let subject = Subject::Topic(&topic.name);
                    return Err(answer::refused("CreateTopics", subject, code, None));
                }
                Some(code) => {
                    let message = answer.and_then(|answer| answer.error_message.as_ref());
                    return Err(KafkaError::TopicNotCreated {
                        topic: topic.name.clone(),
                        code,
                        message: message.map(ToString::to_string),
                    });
                }
            }
        }
        self.await_leaders(&topic.name, deadline).await
    }

    async fn await_leaders(
        &self,
        topic: &str,
        deadline: Instant,
    ) -> Result<TopicDescription, KafkaError> {
        loop {
            let found = self.topic(topic).await?;
            match found {
                Some(description) if description.has_all_leaders() => {
                    // A broker names itself leader a moment before it acts as one.
                    self.earliest_offsets(&description.topic).await?;
                    return Ok(description);
                }
                _ if Instant::now() < deadline => sleep(LOOK_AGAIN_AFTER).await,
                None => {
                    return Err(KafkaError::TopicMissing { topic: topic.into() });
                }
                Some(description) => {
                    let leaderless = description.partitions.iter().find(|p| p.leader.is_none());
                    let partition = leaderless.map_or(0, |found| found.partition);
                    return Err(KafkaError::NoLeader { topic: topic.into(), partition });
                }
            }
        }
    }

    /// Deletes topics and waits until the broker we ask no longer knows them; one that does not
    /// exist is fine.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<(), KafkaError> {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(names.iter().map(|name| TopicName(text(name))).collect())
            .with_timeout_ms(millis(self.config().request_timeout));
        let response = self.ask(&request).await?;
        for result in &response.responses {
            let name: &str = result.name.as_ref().map_or("", |name| name);
            match ErrorCode::check(result.error_code) {
                Some(code) if !code.is(ResponseError::UnknownTopicOrPartition) => {
                    let message = result.error_message.as_ref();
                    let subject = Subject::Topic(name);
                    return Err(answer::refused("DeleteTopics", subject, code, message));
                }
                _ => {}
            }
        }
        let deadline = Instant::now() + self.config().api_timeout;
        for name in names {
            while self.topic(name).await?.is_some() && Instant::now() < deadline {
                sleep(LOOK_AGAIN_AFTER).await;
            }
        }
        Ok(())
    }

    /// The configuration in effect of a topic, by name.
    pub async fn describe_topic_configs(
        &self,
        topic: &str,
    ) -> Result<BTreeMap<String, ConfigEntry>, KafkaError> {
        let request = describe(RESOURCE_TOPIC, topic);
        let response = self.ask(&request).await?;
        configs(Subject::Topic(topic), &response)
    }

    /// The configuration in effect of a broker, by name.
    pub async fn describe_broker_configs(
        &self,
        broker: i32,
    ) -> Result<BTreeMap<String, ConfigEntry>, KafkaError> {
        let name = broker.to_string();
        // Only the broker itself knows the static part of its configuration.
        let connection = self.control().get(&self.address_of(broker)?).await?;
        let request = describe(RESOURCE_BROKER, &name);
        let response = connection.request(&request, self.config().request_timeout).await?;
        configs(Subject::Broker(&name), &response)
    }

    /// The end of each partition, in order: its high watermark (`ReadUncommitted`) or its last
    /// stable offset (`ReadCommitted`).
    pub async fn latest_offsets(
        &self,
        topic: &Topic,
        isolation: Isolation,
    ) -> Result<Vec<i64>, KafkaError> {
        self.offsets(topic, LATEST, isolation).await
    }

    /// The first offset of each partition that still exists, in order.
    pub async fn earliest_offsets(&self, topic: &Topic) -> Result<Vec<i64>, KafkaError> {
        self.offsets(topic, EARLIEST, Isolation::ReadUncommitted).await
    }

    async fn offsets(
        &self,
        topic: &Topic,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<Vec<i64>, KafkaError> {
        let mut offsets = Vec::new();
        for partition in topic.partitions() {
            offsets.push(self.offset_of(self.control(), &partition, timestamp, isolation).await?);
        }
        Ok(offsets)
    }

    /// One partition's end.
    pub(crate) async fn latest_offset(
        &self,
        pool: &Pool,
        partition: &TopicPartitionId,
        isolation: Isolation,
    ) -> Result<i64, KafkaError> {
        self.offset_of(pool, partition, LATEST, isolation).await
    }

    /// One partition's first offset that still exists.
    pub(crate) async fn earliest_offset(
        &self,
        pool: &Pool,
        partition: &TopicPartitionId,
    ) -> Result<i64, KafkaError> {
        self.offset_of(pool, partition, EARLIEST, Isolation::ReadUncommitted).await
    }

    async fn offset_of(
        &self,
        pool: &Pool,
        partition: &TopicPartitionId,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<i64, KafkaError> {
        let ask = || self.list_offset(pool, partition, timestamp, isolation);
        self.at_leader(partition, ask).await
    }

    /// Asks the leader of a partition, and looks for the new one while leadership moves.
    pub(crate) async fn at_leader<T, F>(
        &self,
        partition: &TopicPartitionId,
        ask: impl Fn() -> F,
    ) -> Result<T, KafkaError>
    where
        F: Future<Output = Result<T, KafkaError>>,
    {
        let deadline = Instant::now() + self.config().api_timeout;
        loop {
            match ask().await {
                Err(error) if error.is_stale_metadata() && Instant::now() < deadline => {
                    self.forget_leaders([partition.topic().name()]);
                    sleep(LOOK_AGAIN_AFTER).await;
                }
                answer => return answer,
            }
        }
    }

    async fn list_offset(
        &self,
        pool: &Pool,
        partition: &TopicPartitionId,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<i64, KafkaError> {
        let leader = self.leaders(&[partition]).await?.swap_remove(0);
        let name = partition.topic().name();
        let wanted = ListOffsetsPartition::default()
            .with_partition_index(partition.partition())
            .with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(text(name)))
            .with_partitions(vec![wanted]);
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_isolation_level(isolation.level())
            .with_topics(vec![topic]);
        let connection = pool.get(&leader).await?;
        let response = connection.request(&request, self.config().request_timeout).await?;
        let answer = response.topics.first().and_then(|topic| topic.partitions.first());
        let Some(answer) = answer else {
            return Err(KafkaError::Protocol {
                broker: leader,
                api: "ListOffsets",
                reason: "the answer is empty".into(),
            });
        };
        let subject = Subject::Partition(name, partition.partition());
        answer::check("ListOffsets", subject, answer.error_code, None)?;
        Ok(answer.offset)
    }
}

fn is_controller_moving(code: ErrorCode) -> bool {
    code.is(ResponseError::NotController) || code.is(ResponseError::RequestTimedOut)
}

fn describe(resource_type: i8, name: &str) -> DescribeConfigsRequest {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    DescribeConfigsRequest::default().with_resources(vec![resource])
}

fn configs(
    subject: Subject<'_>,
    response: &kafka_protocol::messages::DescribeConfigsResponse,
) -> Result<BTreeMap<String, ConfigEntry>, KafkaError> {
    let mut entries = BTreeMap::new();
    for result in &response.results {
        let message = result.error_message.as_ref();
        answer::check("DescribeConfigs", subject, result.error_code, message)?;
        for config in &result.configs {
            let name = config.name.to_string();
            let entry = ConfigEntry {
                name: name.clone(),
                value: config.value.as_ref().map(ToString::to_string),
                is_default: config.config_source == SOURCE_DEFAULT,
            };
            entries.insert(name, entry);
        }
    }
    Ok(entries)
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A duration as the protocol carries it.
pub(crate) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
