//! Writes records as anybody's program does, with librdkafka: nothing of ours is in the way.
//!
//! In: a topic, a key, a value. Out: the offset, once all replicas have the record. Also what only a consumer's owner does: the
//! offset of a group. Never: a transaction.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::{Failure, Result};

const SEND_MAX: Duration = Duration::from_secs(30);

/// Makes a topic of one partition; one that exists stays as it is.
pub async fn create_topic(bootstrap: &str, topic: &str) -> Result<()> {
    create_topics(bootstrap, &[topic.to_owned()], 1).await
}

/// Makes topics of so many partitions; those that exist stay as they are.
pub async fn create_topics(bootstrap: &str, topics: &[String], partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client_config(bootstrap).create()?;
    let topics = topics.iter();
    let wanted: Vec<NewTopic<'_>> =
        topics.map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
    for outcome in admin.create_topics(&wanted, &AdminOptions::new()).await? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(Failure::new(format!("create `{name}`: {code}"))),
        }
    }
    Ok(())
}

/// Deletes a topic.
pub async fn delete_topic(bootstrap: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client_config(bootstrap).create()?;
    for outcome in admin.delete_topics(&[topic], &AdminOptions::new()).await? {
        outcome.map_err(|(name, code)| Failure::new(format!("delete `{name}`: {code}")))?;
    }
    Ok(())
}

/// Writes one record; its offset.
pub async fn send(bootstrap: &str, topic: &str, key: &str, value: &str) -> Result<i64> {
    let producer: FutureProducer =
        client_config(bootstrap).set("acks", "all").set("linger.ms", "0").create()?;
    let record = FutureRecord::to(topic).key(key).payload(value).partition(0);
    match producer.send(record, SEND_MAX).await {
        Ok(delivery) => Ok(delivery.offset),
        Err((error, _)) => Err(Failure::from(error).during(format!("write to `{topic}`"))),
    }
}

/// Writes one record with headers into a partition; `None` is Kafka's null.
pub async fn send_record(
    bootstrap: &str,
    place: (&str, i32),
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(String, Option<Vec<u8>>)],
) -> Result<()> {
    let producer: FutureProducer = client_config(bootstrap).set("acks", "all").create()?;
    let mut owned = OwnedHeaders::new();
    for (name, value) in headers {
        owned = owned.insert(Header { key: name, value: value.as_deref() });
    }
    let mut record = FutureRecord::to(place.0).partition(place.1).headers(owned);
    record.key = key;
    record.payload = value;
    let sent = producer.send(record, SEND_MAX).await;
    sent.map_err(|(error, _)| Failure::from(error).during(format!("write to `{}`", place.0)))?;
    Ok(())
}

/// Takes a transactional id and lets it go: whoever had it is fenced, and its transaction aborted.
pub fn fence(bootstrap: &str, transactional_id: &str) -> Result<()> {
    let producer: BaseProducer =
        client_config(bootstrap).set("transactional.id", transactional_id).create()?;
    Ok(producer.init_transactions(SEND_MAX)?)
}

/// Commits the offset that a group reads next in partition 0.
pub fn commit_offset(bootstrap: &str, group: &str, topic: &str, offset: i64) -> Result<()> {
    let consumer: BaseConsumer = client_config(bootstrap).set("group.id", group).create()?;
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, 0, Offset::Offset(offset))?;
    consumer.commit(&offsets, CommitMode::Sync)?;
    Ok(())
}

fn client_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("log_level", "2");
    config
}
