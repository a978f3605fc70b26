//! Lines of connectors into the topic of the group.
//!
//! In: lines, in the order they were written. Out: records with the connector as key, at least once. The topic is made with the first.
//! Never: an unbounded topic; each of its partitions keeps some megabytes, for some days.

use std::time::Duration;

use kafka::{Client, KafkaError, NewTopic, Producer, ProducerSettings, Topic, Transaction};
use tracing::warn;

use super::{LogLine, LogLines, topic_name};
use crate::options::WorkerOptions;

const PARTITIONS: i32 = 8;
/// What may be read to find the last lines of one connector.
const RETENTION_BYTES: u64 = 16 << 20;
const SEGMENT_BYTES: u64 = 4 << 20;
const RETENTION: Duration = Duration::from_hours(7 * 24);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// It grows up to this: who may not write the topic is not told so all the time.
const PAUSE_AFTER_FAILURE_MAX: Duration = Duration::from_mins(10);
/// Lines of a moment go together.
const PAUSE: Duration = Duration::from_millis(100);
const BATCH_MAX: usize = 500;

/// Writes what comes until nobody sends any more. `worker` is who writes.
pub(crate) async fn run(client: Client, options: WorkerOptions, worker: String, lines: LogLines) {
    let LogLines { mut lines } = lines;
    let mut waiting = Vec::new();
    let mut writing = None;
    let mut pause = PAUSE_AFTER_FAILURE;
    while !waiting.is_empty() || lines.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        match write(&client, &options, &worker, &mut writing, &waiting).await {
            Ok(()) => {
                waiting.clear();
                pause = PAUSE_AFTER_FAILURE;
                tokio::time::sleep(PAUSE).await;
            }
            Err(failure) => {
                writing = None;
                warn!(
                    code = "WK035",
                    "[WK035] what connectors log is in this log only, tries again: {failure}"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_AFTER_FAILURE_MAX);
            }
        }
    }
}

async fn write(
    client: &Client,
    options: &WorkerOptions,
    worker: &str,
    writing: &mut Option<(Topic, Producer)>,
    lines: &[LogLine],
) -> Result<(), KafkaError> {
    if writing.is_none() {
        let topic = open(client, options).await?;
        *writing = Some((topic, Producer::init(client, ProducerSettings::default()).await?));
    }
    let Some((topic, producer)) = writing else { return Ok(()) };
    let mut transaction = Transaction::new(producer.settings().batch_bytes_max);
    for line in lines {
        let key = line.connector.as_bytes();
        let partition = topic.partition(topic.partition_for(Some(key)));
        let line = LogLine { worker: worker.to_owned(), ..line.clone() };
        // Texts and a number alone: it cannot fail, and the log has the line in any case.
        let value = serde_json::to_vec(&line).unwrap_or_default();
        transaction.append(&partition, line.at_ms, Some(key), Some(&value), &[]);
    }
    producer.commit(transaction).await.map(drop)
}

async fn open(client: &Client, options: &WorkerOptions) -> Result<Topic, KafkaError> {
    let name = topic_name(options);
    if let Some(found) = client.topic(&name).await? {
        return Ok(found.topic);
    }
    let configs = [
        ("cleanup.policy", "delete".to_owned()),
        ("retention.bytes", RETENTION_BYTES.to_string()),
        ("segment.bytes", SEGMENT_BYTES.to_string()),
        ("retention.ms", RETENTION.as_millis().to_string()),
    ];
    let topic = NewTopic {
        name,
        partitions: PARTITIONS,
        replication_factor: options.replication_factor,
        configs: configs.map(|(key, value)| (key.to_owned(), value)).into(),
    };
    Ok(client.create_topic(&topic).await?.topic)
}
