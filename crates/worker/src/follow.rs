//! The group's topics, followed: what any worker of the group writes is in this worker's view a moment later.
//!
//! In: records of both topics. Out: the [`View`]. A caller that has to know everything written before now asks for it, and gets an
//! answer once that is in the view.
//! Never: an uncommitted record, a record that cannot be read and is passed over in silence.

use std::sync::Arc;
use std::time::Duration;

use kafka::reader::{ConsumedRecord, StartAt, TopicReader};
use kafka::{Client, Isolation, KafkaError};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::seal::{self, SealKey};
use crate::topics::GroupTopics;
use crate::view::View;
use crate::wanted::Wanted;

/// Callers that may wait at once; more wait for their turn to wait.
const CALLERS_MAX: usize = 64;
const POLL: Duration = Duration::from_mins(1);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Asks the follower to read the config topic to its end.
#[derive(Clone, Debug)]
pub(crate) struct CatchUp {
    callers: mpsc::Sender<oneshot::Sender<Result<(), KafkaError>>>,
}

impl CatchUp {
    /// Returns once everything that was committed to the config topic before the call is in the view.
    pub(crate) async fn now(&self) -> Result<(), KafkaError> {
        let (caller, answer) = oneshot::channel();
        // A follower that ended takes the worker with it; whoever asks meanwhile is told so.
        if self.callers.send(caller).await.is_err() {
            return Err(KafkaError::Interrupted);
        }
        answer.await.unwrap_or(Err(KafkaError::Interrupted))
    }
}

/// Follows one group.
#[derive(Debug)]
pub(crate) struct Follower {
    client: Client,
    topics: GroupTopics,
    seal_key: Option<SealKey>,
    view: Arc<View>,
    callers: mpsc::Receiver<oneshot::Sender<Result<(), KafkaError>>>,
}

impl Follower {
    /// A follower, and how to ask it.
    pub(crate) fn new(
        client: Client,
        topics: GroupTopics,
        seal_key: Option<SealKey>,
        view: Arc<View>,
    ) -> (Self, CatchUp) {
        let (sender, callers) = mpsc::channel(CALLERS_MAX);
        (Self { client, topics, seal_key, view, callers }, CatchUp { callers: sender })
    }

    /// Reads both topics from their beginning, for ever. What Kafka cannot give now is asked for again.
    pub(crate) async fn run(mut self) {
        loop {
            let failure = match self.follow().await {
                Ok(()) => return,
                Err(failure) => failure,
            };
            warn!(
                code = failure.code(),
                "the group's topics cannot be read, tries again: {failure}"
            );
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }

    /// Until the worker has gone.
    async fn follow(&mut self) -> Result<(), KafkaError> {
        let committed = Isolation::ReadCommitted;
        let open = |topic: String| {
            let client = self.client.clone();
            async move { TopicReader::open(&client, &topic, StartAt::Earliest, committed).await }
        };
        let mut configs = open(self.topics.configs.name().to_owned()).await?;
        let mut status = open(self.topics.status.name().to_owned()).await?;
        loop {
            tokio::select! {
                records = configs.poll(POLL) => self.take_configs(&records?),
                records = status.poll(POLL) => self.take_status(&records?),
                caller = self.callers.recv() => {
                    let Some(caller) = caller else { return Ok(()) };
                    let read = configs.read_to_end().await;
                    if let Ok(records) = &read {
                        self.take_configs(records);
                    }
                    let answer = read.map(drop);
                    // Nobody waits any more: nothing to tell.
                    let _ = caller.send(answer.clone());
                    answer?;
                }
            }
        }
    }

    fn take_configs(&self, records: &[ConsumedRecord]) {
        for record in records {
            if let Some((name, wanted)) = parse::<Wanted>(self.topics.configs.name(), record) {
                let wanted = wanted.map(|wanted| {
                    let config = seal::opened(self.seal_key.as_ref(), &name, wanted.config);
                    Wanted { config, ..wanted }
                });
                self.view.want(&name, wanted);
            }
        }
    }

    fn take_status(&self, records: &[ConsumedRecord]) {
        for record in records {
            if let Some((name, told)) = parse(self.topics.status.name(), record) {
                self.view.tell(&name, told);
            }
        }
    }
}

/// Name and value of a record; one that is not ours is told and left.
fn parse<T: DeserializeOwned>(topic: &str, record: &ConsumedRecord) -> Option<(String, Option<T>)> {
    let name = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
    let value = record.value.as_deref().map(serde_json::from_slice).transpose();
    match (name, value) {
        (Some(name), Ok(value)) => Some((name.to_owned(), value)),
        (_, value) => {
            let why = value.err().map_or_else(|| "it has no name".to_owned(), |e| e.to_string());
            warn!(
                code = "WK009",
                "record {}-{} of `{topic}` is not this group's and is left out: {why}",
                record.partition,
                record.offset
            );
            None
        }
    }
}
