//! Follows the topics while the shop is open, for the eyes and for latency.
//!
//! In: topics. Out: events over a bounded channel; what does not fit waits, nothing is thrown away.

use std::time::Duration;

use kafka::reader::{StartAt, TopicReader};
use kafka::{Client, Isolation, KafkaError};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::clock;
use crate::event::Event;

/// How long one request waits for more.
const WAIT: Duration = Duration::from_millis(200);

/// One event, and how long it took from its commit to us.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) event: Event,
    /// `None` for rows of the snapshot and for tombstones.
    pub(crate) latency_us: Option<i64>,
}

/// Follows one topic for ever; begins when it exists.
pub(crate) async fn follow(
    client: Client,
    topic: String,
    events: mpsc::Sender<Seen>,
) -> Result<(), KafkaError> {
    while client.topic(&topic).await?.is_none() {
        sleep(WAIT).await;
    }
    let mut reader =
        TopicReader::open(&client, &topic, StartAt::Earliest, Isolation::ReadCommitted).await?;
    loop {
        let records = reader.poll(WAIT).await?;
        let now_us = clock::unix_us();
        for record in records {
            let event = Event::read(record.key.as_deref(), record.value.as_deref());
            let is_change = matches!(event.operation, Some('c' | 'u' | 'd'));
            let latency_us =
                event.committed_us.filter(|_| is_change).map(|at| now_us.saturating_sub(at));
            if events.send(Seen { event, latency_us }).await.is_err() {
                return Ok(());
            }
        }
    }
}
