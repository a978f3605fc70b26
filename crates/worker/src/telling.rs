//! What this worker's connectors are doing, on its way into the status topic.
//!
//! In: [`Told`] per connector, as often as it changes. Out: the newest of each, a few times a second at most. At least once and without a
//! transaction: the next record says it again.
//! Never: waiting. A connector tells and goes on; what it told before and was not written yet is replaced.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka::{Client, KafkaError, Producer, ProducerSettings, Transaction};
use tokio::sync::Notify;
use tracing::warn;

use crate::clock::now_ms;
use crate::told::Told;
use crate::topics::GroupTopics;

/// Between two writes: what changes faster is told with the next.
const INTERVAL: Duration = Duration::from_millis(200);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Takes what connectors tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Teller(Arc<Pending>);

#[derive(Debug, Default)]
struct Pending {
    /// `None`: the connector is gone, and so is what was told of it.
    told: Mutex<BTreeMap<String, Option<Told>>>,
    /// Some of it is on its way.
    is_writing: AtomicBool,
    news: Notify,
    written: Notify,
}

impl Teller {
    /// Takes the newest of one connector.
    pub(crate) fn tell(&self, name: &str, told: Option<Told>) {
        self.0.lock().insert(name.to_owned(), told);
        self.0.news.notify_one();
    }

    /// Returns once everything told before is in Kafka.
    pub(crate) async fn flushed(&self) {
        loop {
            let written = self.0.written.notified();
            if self.0.lock().is_empty() && !self.0.is_writing.load(Ordering::Acquire) {
                return;
            }
            written.await;
        }
    }

    /// Writes, for ever.
    pub(crate) async fn run(self, client: Client, topics: GroupTopics) {
        loop {
            if let Err(failure) = self.write(&client, &topics).await {
                warn!(
                    code = failure.code(),
                    "what connectors do cannot be told, tries again: {failure}"
                );
                self.0.written.notify_waiters();
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }

    async fn write(&self, client: &Client, topics: &GroupTopics) -> Result<(), KafkaError> {
        let mut producer = Producer::init(client, ProducerSettings::default()).await?;
        loop {
            let told = {
                let mut pending = self.0.lock();
                self.0.is_writing.store(!pending.is_empty(), Ordering::Release);
                std::mem::take(&mut *pending)
            };
            if told.is_empty() {
                self.0.written.notify_waiters();
                self.0.news.notified().await;
                continue;
            }
            let written = producer.commit(transaction(topics, &told, &producer)).await;
            if let Err(failure) = written {
                self.0.put_back(told);
                return Err(failure);
            }
            self.0.is_writing.store(false, Ordering::Release);
            self.0.written.notify_waiters();
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Pending {
    // A panic while it was held leaves a map that is whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<Told>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was not written waits again, unless something newer does.
    fn put_back(&self, told: BTreeMap<String, Option<Told>>) {
        let mut pending = self.lock();
        for (name, told) in told {
            pending.entry(name).or_insert(told);
        }
    }
}

fn transaction(
    topics: &GroupTopics,
    told: &BTreeMap<String, Option<Told>>,
    producer: &Producer,
) -> Transaction {
    let mut transaction = Transaction::new(producer.settings().batch_bytes_max);
    for (name, told) in told {
        let key = name.as_bytes();
        let partition = topics.status.partition(topics.status.partition_for(Some(key)));
        let value = told.as_ref().and_then(|told| match serde_json::to_vec(told) {
            Ok(value) => Some(value),
            Err(error) => {
                warn!(connector.name = name, "what it does cannot be written as JSON: {error}");
                None
            }
        });
        transaction.append(&partition, now_ms(), Some(key), value.as_deref(), &[]);
    }
    transaction
}
