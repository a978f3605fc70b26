//! What a producer alone can do: the records of a topic again, without anything that makes them.
//!
//! In: the first records of a topic of ours. Out: the time in which so many like them are committed. Never: a figure of ours.
//! They are sent by librdkafka, in transactions, compressed and batched as a connector does it.
//! Source: Kafka manual, "Producer Configs".

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::event::Event;
use crate::produce::{create_topic, delete_topic};
use crate::stack::Database;
use crate::tail::Tail;
use crate::{Failure, Result};

/// More than a batch of the producer holds, so that none repeats itself.
const SAMPLE_RECORDS: usize = 20_000;
const SAMPLE_TIME_MAX: Duration = Duration::from_mins(1);
const TRANSACTION_RECORDS: u64 = 50_000;
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// The first records of a topic that holds more.
pub(super) async fn sample(database: &Database, topic: &str) -> Result<Vec<Event>> {
    let mut tail = Tail::open(database.bootstrap(), topic)?;
    let deadline = Instant::now() + SAMPLE_TIME_MAX;
    let mut sample = Vec::with_capacity(SAMPLE_RECORDS);
    while sample.len() < SAMPLE_RECORDS {
        match tail.next_to_end(deadline).await? {
            Some(event) => sample.push(event),
            None => break,
        }
    }
    Ok(sample)
}

/// Commits `count` records, those of `sample` again and again, to a topic of their own.
pub(super) async fn measure(
    database: &Database,
    sample: Vec<Event>,
    count: u64,
) -> Result<Duration> {
    let bootstrap = database.bootstrap().to_owned();
    let topic = format!("{}.producer", database.name());
    create_topic(&bootstrap, &topic).await?;
    let config = config(&bootstrap, &topic);
    let (destination, number) = (topic.clone(), count);
    let send = move || send(&config, &destination, &sample, number);
    let elapsed = tokio::task::spawn_blocking(send).await??;
    delete_topic(&bootstrap, &topic).await?;
    Ok(elapsed)
}

fn config(bootstrap: &str, transactional_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in [
        ("bootstrap.servers", bootstrap),
        ("transactional.id", transactional_id),
        ("compression.type", "lz4"),
        ("linger.ms", "20"),
        ("batch.size", "1000000"),
        ("batch.num.messages", "100000"),
        ("queue.buffering.max.kbytes", "131072"),
        ("log_level", "2"),
    ] {
        config.set(key, value);
    }
    config
}

fn send(config: &ClientConfig, topic: &str, sample: &[Event], count: u64) -> Result<Duration> {
    if sample.is_empty() {
        return Err(Failure::new("there are no records to send again"));
    }
    let started = Instant::now();
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    producer.init_transactions(ANSWER_MAX)?;
    let mut records = sample.iter().cycle();
    let mut left = count;
    while left > 0 {
        producer.begin_transaction()?;
        let part = left.min(TRANSACTION_RECORDS);
        for event in records.by_ref().take(usize::try_from(part)?) {
            send_one(&producer, topic, event)?;
        }
        producer.commit_transaction(ANSWER_MAX)?;
        left -= part;
    }
    Ok(started.elapsed())
}

/// A full queue has it wait, as long as an answer may take.
fn send_one(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    event: &Event,
) -> Result<()> {
    let mut headers = OwnedHeaders::new_with_capacity(event.headers.len());
    for (key, value) in &event.headers {
        headers = headers.insert(Header { key, value: value.as_deref() });
    }
    let mut record = BaseRecord::to(topic).partition(0).headers(headers);
    record.key = event.key.as_deref();
    record.payload = event.value.as_deref();
    let deadline = Instant::now() + ANSWER_MAX;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused))
                if Instant::now() < deadline =>
            {
                record = refused;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(Failure::from(error).during("the producer alone")),
        }
    }
}
