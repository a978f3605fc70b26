//! The audit log as a topic: `G-audit`, one partition, kept for a year.
//!
//! In: records, in the order requests were answered. Out: the same in Kafka, as JSON, at least once. It is made with the first record.
//! Never: a request that waits for it; what cannot be written is in the log of the process, and told there.

use std::time::Duration;

use kafka::{Client, KafkaError, NewTopic, Producer, ProducerSettings, Topic, Transaction};
use tokio::sync::mpsc;
use tracing::warn;

use super::audit::AuditRecord;
use crate::options::WorkerOptions;

/// Records that may wait; they are small.
pub(crate) const WAITING_MAX: usize = 1024;
const RETENTION: Duration = Duration::from_hours(365 * 24);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
const BATCH_MAX: usize = 100;

/// Writes what comes until nobody sends any more.
pub(crate) async fn run(
    client: Client,
    options: WorkerOptions,
    mut records: mpsc::Receiver<AuditRecord>,
) {
    let mut waiting = Vec::new();
    while !waiting.is_empty() || records.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        if let Err(failure) = write(&client, &options, &mut records, &mut waiting).await {
            warn!(code = "WK032", "the audit log is in this log only, tries again: {failure}");
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }
}

async fn write(
    client: &Client,
    options: &WorkerOptions,
    records: &mut mpsc::Receiver<AuditRecord>,
    waiting: &mut Vec<AuditRecord>,
) -> Result<(), KafkaError> {
    let topic = open(client, options).await?;
    let mut producer = Producer::init(client, ProducerSettings::default()).await?;
    loop {
        let mut transaction = Transaction::new(producer.settings().batch_bytes_max);
        for record in waiting.iter() {
            // Texts and numbers alone: it cannot fail, and the line of the log is there in any case.
            let value = serde_json::to_vec(record).unwrap_or_default();
            let partition = topic.partition(0);
            transaction.append(&partition, record.at_ms, None, Some(&value), &[]);
        }
        producer.commit(transaction).await?;
        waiting.clear();
        if records.recv_many(waiting, BATCH_MAX).await == 0 {
            return Ok(());
        }
    }
}

async fn open(client: &Client, options: &WorkerOptions) -> Result<Topic, KafkaError> {
    let name = format!("{}-audit", options.group);
    if let Some(found) = client.topic(&name).await? {
        return Ok(found.topic);
    }
    let topic = NewTopic {
        name,
        partitions: 1,
        replication_factor: options.replication_factor,
        configs: [("retention.ms".to_owned(), RETENTION.as_millis().to_string())].into(),
    };
    Ok(client.create_topic(&topic).await?.topic)
}
