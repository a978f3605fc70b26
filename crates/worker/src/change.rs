//! Changes of what is wanted, one at a time: read, decide, write, as if nobody else did.
//!
//! In: a decision about what is wanted of one connector. Out: the record it wrote, in the view. Any worker may change any connector, and
//! Kafka has no compare-and-set; what it has is fencing. Whoever wants to change takes the transactional id of the connector's partition, which
//! ends everybody who had it; reads the partition to its end; decides; and commits. Who was overtaken begins again.
//! Never: a decision about a record that was not the newest when it was written.
//! Source: KIP-98, zombie fencing.

use std::sync::Arc;
use std::time::Duration;

use kafka::{Client, KafkaError, Producer, ProducerSettings, Transaction};
use rand::Rng;

use crate::clock::now_ms;
use crate::error::GroupError;
use crate::follow::CatchUp;
use crate::options::WorkerOptions;
use crate::seal::{self, SealKey};
use crate::topics::GroupTopics;
use crate::view::View;
use crate::wanted::Wanted;

/// Attempts before somebody is told that others are faster; each may be overtaken by one other.
const ATTEMPTS_MAX: u32 = 20;
/// After an attempt that was overtaken, times a random part, so that two do not overtake each other in step.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// A config record is small; whoever dies with one open must not hold others up for long.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What was decided about a connector.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Nothing has to be written.
    Leave,
    /// This shall be wanted from now on.
    Write(Box<Wanted>),
    /// It shall be gone.
    Delete,
}

/// Writes to the config topic.
#[derive(Debug)]
pub(crate) struct Changes {
    client: Client,
    group: String,
    seal_key: Option<SealKey>,
    topics: GroupTopics,
    view: Arc<View>,
    catch_up: CatchUp,
    /// In this process one at a time: overtaking oneself helps nobody.
    turn: tokio::sync::Mutex<()>,
}

impl Changes {
    pub(crate) fn new(
        client: Client,
        options: &WorkerOptions,
        topics: GroupTopics,
        view: Arc<View>,
        catch_up: CatchUp,
    ) -> Self {
        let turn = tokio::sync::Mutex::new(());
        let (group, seal_key) = (options.group.clone(), options.seal_key.clone());
        Self { client, group, seal_key, topics, view, catch_up, turn }
    }

    /// Decides on what is wanted of `name`, and writes it. `decide` may be called more than once, each time with what is the newest.
    ///
    /// Errors: what `decide` says; [`GroupError::Contended`]; [`GroupError::Store`].
    pub(crate) async fn make(
        &self,
        name: &str,
        decide: impl Fn(Option<&Wanted>) -> Result<Decision, GroupError>,
    ) -> Result<(), GroupError> {
        let _turn = self.turn.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(name, &decide).await {
                Err(GroupError::Store(KafkaError::Fenced { .. })) => {
                    let pause = PAUSE_MAX.mul_f64(rand::rng().random_range(0.1..1.0));
                    tokio::time::sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
        Err(GroupError::Contended { attempts: ATTEMPTS_MAX })
    }

    async fn attempt(
        &self,
        name: &str,
        decide: &impl Fn(Option<&Wanted>) -> Result<Decision, GroupError>,
    ) -> Result<(), GroupError> {
        let number = self.topics.partition_of(name);
        let partition = self.topics.configs.partition(number);
        let settings = ProducerSettings {
            transactional_id: Some(format!("{}.configs.{number}", self.group)),
            transaction_timeout: TRANSACTION_TIMEOUT,
            ..ProducerSettings::default()
        };
        let mut producer = Producer::init(&self.client, settings).await?;
        producer.end_forgotten(&partition).await?;
        self.catch_up.now().await?;
        let value = match decide(self.view.wanted(name).as_deref())? {
            Decision::Leave => return Ok(()),
            Decision::Write(mut wanted) => {
                wanted.config = seal::sealed(self.seal_key.as_ref(), name, &wanted.config);
                Some(serde_json::to_vec(&wanted)?)
            }
            Decision::Delete => None,
        };
        let mut transaction = Transaction::new(producer.settings().batch_bytes_max);
        transaction.append(&partition, now_ms(), Some(name.as_bytes()), value.as_deref(), &[]);
        producer.commit(transaction).await?;
        Ok(self.catch_up.now().await?)
    }
}
