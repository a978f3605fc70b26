//! What a producer says to its transaction coordinator.
//!
//! Under TV2 a leader that meets the markers of the transaction before waits 20 ms by itself
//! (`add.partitions.to.txn.retry.backoff.ms`) before it looks again. A quick successor therefore asks
//! the coordinator first, which answers within a fraction of a millisecond.
//!
//! In: a transactional id. Out: a [`Session`]: producer id, epoch and sequences. Never here: records.
//! Source: KIP-98 (`FindCoordinator`, `InitProducerId`, `AddPartitionsToTxn`, `EndTxn`), KIP-360,
//! KIP-890.

use std::{collections::HashMap, time::Duration};

use failpoint::{Point, pass};
use kafka_protocol::{
    ResponseError,
    messages::{
        AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest,
        InitProducerIdRequest, TopicName, TransactionalId,
        add_partitions_to_txn_request::AddPartitionsToTxnTopic,
    },
};
use tokio::time::{Instant, sleep};

use super::{ProducerSettings, fatal, forgotten::LastWord};
use crate::{
    Client, KafkaError, TopicPartitionId,
    admin::{millis, text},
    answer::Subject,
    codes::ErrorCode,
    coordinator::{Coordinated, find_coordinator, is_not_yet},
    pool::Pool,
};

/// `transaction.version` from which on TV2 holds.
const TV2: i16 = 2;
/// Highest `EndTxn` without TV2.
const END_TXN_V1_MAX: i16 = 4;
/// `EndTxn` and `Produce` versions that mean TV2.
const END_TXN_V2: i16 = 5;
/// Markers are older than this, or so slow that the leaders' own waiting does not matter.
const MARKERS_TIME_MAX: Duration = Duration::from_millis(200);
/// State of a transaction at the coordinator while its markers are written.
const WRITING_MARKERS: &str = "PrepareCommit";
/// Questions about the markers asked without a pause: a round trip is pause enough.
const MARKERS_EAGER_QUESTIONS: u32 = 4;
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Pause before asking again while markers of the transaction before are written.
pub(super) const MARKERS_PAUSE: Duration = Duration::from_millis(1);

/// Our place at the coordinator.
#[derive(Debug)]
pub(super) struct Session {
    transactional_id: String,
    coordinator: String,
    producer_id: i64,
    producer_epoch: i16,
    is_v2: bool,
    /// Next sequence by topic and partition; empty under TV2 at the start of every transaction.
    sequences: HashMap<(String, i32), i32>,
    /// When the transaction before was ended.
    ended_at: Option<Instant>,
    /// What the coordinator said of our predecessor.
    pub(super) last_word: Option<LastWord>,
}

impl Session {
    /// Finds the coordinator and takes the transactional id: the epoch is raised, an open transaction
    /// of the predecessor aborted, one that was committing finished.
    pub(super) async fn take_over(
        client: &Client,
        pool: &Pool,
        transactional_id: &str,
        settings: &ProducerSettings,
    ) -> Result<Self, KafkaError> {
        let started = Instant::now();
        let mut pause = PAUSE_FIRST;
        loop {
            let code = match try_take_over(client, pool, transactional_id, settings).await? {
                Attempt::Taken(session) => return Ok(session),
                Attempt::NotYet(code) => code,
            };
            let waited = started.elapsed();
            if waited >= settings.init_timeout {
                let transactional_id = transactional_id.into();
                return Err(KafkaError::InitTimedOut { transactional_id, waited, code });
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    pub(super) fn is_v2(&self) -> bool {
        self.is_v2
    }

    pub(super) fn identity(&self) -> (i64, i16) {
        (self.producer_id, self.producer_epoch)
    }

    pub(super) fn transactional_id(&self) -> &str {
        &self.transactional_id
    }

    pub(super) fn wire_id(&self) -> TransactionalId {
        TransactionalId(text(&self.transactional_id))
    }

    /// Takes `record_count` sequence numbers of a partition. They wrap around to 0.
    pub(super) fn next_sequence(&mut self, partition: &TopicPartitionId, record_count: i32) -> i32 {
        let key = (partition.topic().name().to_owned(), partition.partition());
        let next = self.sequences.entry(key).or_insert(0);
        let first = *next;
        *next = first.checked_add(record_count).unwrap_or_else(|| {
            // As many as are left up to and with i32::MAX; the rest counts from 0.
            record_count - (i32::MAX - first) - 1
        });
        first
    }

    /// TV1: tells the coordinator which partitions the transaction will write to. Waits while it
    /// still writes the markers of the transaction before.
    pub(super) async fn add_partitions(
        &self,
        pool: &Pool,
        partitions: &[&TopicPartitionId],
        settings: &ProducerSettings,
    ) -> Result<(), KafkaError> {
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.wire_id())
            .with_v3_and_below_producer_id(self.producer_id.into())
            .with_v3_and_below_producer_epoch(self.producer_epoch)
            .with_v3_and_below_topics(by_topic(partitions));
        let connection = pool.get(&self.coordinator).await?;
        let started = Instant::now();
        loop {
            let response = connection.request(&request, settings.request_timeout).await?;
            let mut pending = None;
            for topic in &response.results_by_topic_v3_and_below {
                for result in &topic.results_by_partition {
                    let Some(code) = ErrorCode::check(result.partition_error_code) else {
                        continue;
                    };
                    if !code.is(ResponseError::ConcurrentTransactions) {
                        let subject = Subject::Partition(&topic.name, result.partition_index);
                        return Err(self.fatal("AddPartitionsToTxn", subject, code));
                    }
                    pending = Some(code);
                }
            }
            let Some(code) = pending else { return Ok(()) };
            let waited = started.elapsed();
            if waited >= settings.init_timeout {
                return Err(KafkaError::PreviousTransactionPending {
                    api: "AddPartitionsToTxn",
                    subject: self.transactional_id.clone(),
                    waited,
                    code,
                });
            }
            sleep(MARKERS_PAUSE).await;
        }
    }

    /// TV2: returns when the markers of the transaction before are written, or when waiting for them
    /// here makes no sense any more. It only saves time: the leaders check again.
    pub(super) async fn await_markers(
        &self,
        pool: &Pool,
        settings: &ProducerSettings,
    ) -> Result<(), KafkaError> {
        let Some(ended_at) = self.ended_at else { return Ok(()) };
        if ended_at.elapsed() >= MARKERS_TIME_MAX {
            return Ok(());
        }
        let connection = pool.get(&self.coordinator).await?;
        let request =
            DescribeTransactionsRequest::default().with_transactional_ids(vec![self.wire_id()]);
        let mut questions = 0;
        while ended_at.elapsed() < MARKERS_TIME_MAX {
            let response = connection.request(&request, settings.request_timeout).await?;
            let state = response.transaction_states.first();
            let is_writing = state.is_some_and(|state| {
                state.error_code == 0 && &*state.transaction_state == WRITING_MARKERS
            });
            if !is_writing {
                break;
            }
            questions += 1;
            if questions >= MARKERS_EAGER_QUESTIONS {
                sleep(MARKERS_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Commits or aborts. Under TV2 the next transaction gets the epoch (and rarely the id) of the answer.
    pub(super) async fn end(
        &mut self,
        pool: &Pool,
        settings: &ProducerSettings,
        is_committed: bool,
    ) -> Result<(), KafkaError> {
        let connection = pool.get(&self.coordinator).await?;
        let version = connection.version::<EndTxnRequest>(if self.is_v2 {
            END_TXN_V2
        } else {
            END_TXN_V1_MAX
        })?;
        let request = EndTxnRequest::default()
            .with_transactional_id(self.wire_id())
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.producer_epoch)
            .with_committed(is_committed);
        pass(Point::BeforeEndTxn).await?;
        let answer = connection.submit(&request, version, settings.request_timeout).await?;
        pass(Point::EndTxnSent).await?;
        let response = answer.response().await?;
        pass(Point::EndTxnAnswered).await?;
        if let Some(code) = ErrorCode::check(response.error_code) {
            let subject = Subject::TransactionalId(&self.transactional_id);
            return Err(self.fatal("EndTxn", subject, code));
        }
        self.ended_at = Some(Instant::now());
        if self.is_v2 {
            self.producer_id = response.producer_id.0;
            self.producer_epoch = response.producer_epoch;
            self.sequences.clear();
        }
        Ok(())
    }

    fn fatal(&self, api: &'static str, subject: Subject<'_>, code: ErrorCode) -> KafkaError {
        fatal(api, Some(&self.transactional_id), subject, code, None)
    }
}

fn by_topic(partitions: &[&TopicPartitionId]) -> Vec<AddPartitionsToTxnTopic> {
    let mut topics: HashMap<&str, Vec<i32>> = HashMap::new();
    for partition in partitions {
        topics.entry(partition.topic().name()).or_default().push(partition.partition());
    }
    let topic = |(name, partitions): (&str, Vec<i32>)| {
        AddPartitionsToTxnTopic::default()
            .with_name(TopicName(text(name)))
            .with_partitions(partitions)
    };
    topics.into_iter().map(topic).collect()
}

enum Attempt {
    Taken(Session),
    /// The coordinator loads, moves, or still ends the predecessor's transaction.
    NotYet(ErrorCode),
}

async fn try_take_over(
    client: &Client,
    pool: &Pool,
    transactional_id: &str,
    settings: &ProducerSettings,
) -> Result<Attempt, KafkaError> {
    let coordinator =
        match find_coordinator(client, Coordinated::Transaction(transactional_id)).await? {
            Ok(address) => address,
            Err(code) => return Ok(Attempt::NotYet(code)),
        };
    let connection = pool.get(&coordinator).await?;
    let last_word = LastWord::ask(&connection, transactional_id, settings.request_timeout).await?;
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(transactional_id))))
        .with_transaction_timeout_ms(millis(settings.transaction_timeout))
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let response = connection.request(&request, settings.request_timeout).await?;
    match ErrorCode::check(response.error_code) {
        None => {}
        Some(code) if is_not_yet(code) => return Ok(Attempt::NotYet(code)),
        Some(code) => {
            let subject = Subject::TransactionalId(transactional_id);
            return Err(fatal("InitProducerId", Some(transactional_id), subject, code, None));
        }
    }
    let end_txn = connection.version::<EndTxnRequest>(END_TXN_V2)?;
    let is_v2 = connection.feature("transaction.version") >= Some(TV2) && end_txn >= END_TXN_V2;
    Ok(Attempt::Taken(Session {
        transactional_id: transactional_id.into(),
        coordinator,
        producer_id: response.producer_id.0,
        producer_epoch: response.producer_epoch,
        is_v2,
        sequences: HashMap::new(),
        ended_at: None,
        last_word,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Topic;

    #[test]
    fn sequences_count_per_partition_and_wrap_to_zero_as_brokers_expect() {
        let topic = Topic::new(0, "t".into(), [0; 16], 2);
        let mut session = Session {
            transactional_id: "id".into(),
            coordinator: String::new(),
            producer_id: 1,
            producer_epoch: 0,
            is_v2: false,
            sequences: HashMap::from([(("t".into(), 0), i32::MAX - 1)]),
            ended_at: None,
            last_word: None,
        };
        assert_eq!(session.next_sequence(&topic.partition(0), 4), i32::MAX - 1);
        // MAX-1, MAX, 0, 1 were used.
        assert_eq!(session.next_sequence(&topic.partition(0), 1), 2);
        assert_eq!(session.next_sequence(&topic.partition(1), 10), 0);
        assert_eq!(session.next_sequence(&topic.partition(1), 1), 10);
    }
}
