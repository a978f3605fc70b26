//! Sends the batches of one transaction to the leaders of their partitions.
//!
//! In: the batches, row by row per partition. Out: all of them acknowledged. A partition's first
//! batch opens it: under TV2 its answer alone may say that the markers of the transaction before are
//! still being written, so it is awaited before the rest follows, pipelined. Brokers are opened one
//! after the other, because two that add partitions to one transaction at the same time make the
//! coordinator turn one of them away. Source: KIP-890; Kafka protocol guide, `Produce`.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use failpoint::{Point, pass};
use futures_util::future::try_join_all;
use kafka_protocol::{
    ResponseError,
    messages::{
        ProduceRequest, ProduceResponse, TransactionalId,
        produce_response::PartitionProduceResponse,
    },
};
use tokio::time::{Instant, sleep};

use super::{
    Committed, Producer, ProducerSettings,
    coordinator::MARKERS_PAUSE,
    fatal,
    pieces::{Piece, by_partition, by_topic, too_large},
};
use crate::{
    KafkaError, Transaction,
    admin::millis,
    answer::Subject,
    codes::ErrorCode,
    compression::Compressor,
    connection::{Answer, Connection},
    record::{ClosedBatch, Stamp},
    topic::TopicPartitionId,
    transaction::largest_before,
    wire::Api,
};

/// Highest `Produce` without TV2.
const PRODUCE_V1_MAX: i16 = 11;

impl Producer {
    /// Writes every batch of `transaction` and waits for all acknowledgements.
    pub(super) async fn write(
        &mut self,
        transaction: Transaction,
        committed: &mut Committed,
    ) -> Result<(), KafkaError> {
        let queues = self.stamp(transaction);
        let topics: Vec<String> =
            queues.iter().map(|queue| queue.id.topic().name().to_owned()).collect();
        let written = self.write_queues(queues, committed).await;
        if written.is_err() {
            // Whatever went wrong, the next producer asks for the leaders again.
            self.client.forget_leaders(topics.iter().map(String::as_str));
        }
        written
    }

    async fn write_queues(
        &self,
        queues: Vec<Queue>,
        committed: &mut Committed,
    ) -> Result<(), KafkaError> {
        pass(Point::BeforeBegin).await?;
        let partitions: Vec<&TopicPartitionId> = queues.iter().map(|queue| &queue.id).collect();
        let leaders = self.client.leaders(&partitions).await?;
        match &self.session {
            None => {}
            Some(session) if session.is_v2() => {
                session.await_markers(&self.pool, &self.settings).await?;
            }
            Some(session) => {
                session.add_partitions(&self.pool, &partitions, &self.settings).await?;
            }
        }
        let mut lanes = self.lanes(queues, leaders).await?;
        if self.is_transaction_v2() {
            for lane in &mut lanes {
                lane.open().await?;
            }
        }
        pass(Point::AfterBegin).await?;
        try_join_all(lanes.iter_mut().map(Lane::follow)).await?;
        for lane in &lanes {
            committed.sent_bytes += lane.sent_bytes;
            committed.request_count += lane.request_count;
        }
        Ok(())
    }

    /// Gives every batch its sequence.
    fn stamp(&mut self, transaction: Transaction) -> Vec<Queue> {
        let acks_all = self.settings.acks_all;
        debug_assert!(acks_all || self.session.is_none(), "transactions are acknowledged by all");
        let mut queues = Vec::new();
        for partition in transaction.into_partitions() {
            let (id, batches) = partition.into_batches();
            let mut records_before = 0;
            let mut stamped = VecDeque::with_capacity(batches.len());
            for batch in batches {
                let stamp = match &mut self.session {
                    None => NOBODY,
                    Some(session) => {
                        let base_sequence = session.next_sequence(&id, batch.record_count());
                        let (producer_id, producer_epoch) = session.identity();
                        Stamp { producer_id, producer_epoch, base_sequence, transactional: true }
                    }
                };
                let record_count = usize::try_from(batch.record_count()).unwrap_or(0);
                stamped.push_back(Stamped { batch, stamp, records_before });
                records_before += record_count;
            }
            queues.push(Queue { id, batches: stamped });
        }
        // Requests group partitions by topic.
        queues.sort_by_key(|queue| (queue.id.topic().index(), queue.id.partition()));
        queues
    }

    /// One lane per leader.
    async fn lanes(
        &self,
        queues: Vec<Queue>,
        leaders: Vec<String>,
    ) -> Result<Vec<Lane<'_>>, KafkaError> {
        // `leaders` is in the order of `queues`.
        let mut by_leader: HashMap<String, Vec<Queue>> = HashMap::new();
        for (queue, leader) in queues.into_iter().zip(leaders) {
            by_leader.entry(leader).or_default().push(queue);
        }
        let version_max =
            if self.is_transaction_v2() { ProduceRequest::MAX } else { PRODUCE_V1_MAX };
        let mut lanes = Vec::with_capacity(by_leader.len());
        for (leader, queues) in by_leader {
            let connection = self.pool.get(&leader).await?;
            let version = connection.version::<ProduceRequest>(version_max)?;
            lanes.push(Lane {
                connection,
                version,
                transactional_id: self.session.as_ref().map(super::Session::wire_id),
                settings: &self.settings,
                compressor: &self.compressor,
                queues,
                in_flight: VecDeque::new(),
                sent_bytes: 0,
                request_count: 0,
            });
        }
        Ok(lanes)
    }
}

/// Producer id and sequence of a batch outside transactions and idempotence.
const NOBODY: Stamp =
    Stamp { producer_id: -1, producer_epoch: -1, base_sequence: -1, transactional: false };

/// The batches of one partition that wait to be sent.
struct Queue {
    id: TopicPartitionId,
    batches: VecDeque<Stamped>,
}

struct Stamped {
    batch: ClosedBatch,
    stamp: Stamp,
    records_before: usize,
}

/// Requests to one leader. A request holds at most one batch of a partition.
struct Lane<'a> {
    connection: Arc<Connection>,
    version: i16,
    transactional_id: Option<TransactionalId>,
    settings: &'a ProducerSettings,
    compressor: &'a Mutex<Compressor>,
    queues: Vec<Queue>,
    in_flight: VecDeque<(Vec<Piece>, Answer<ProduceRequest>)>,
    sent_bytes: usize,
    request_count: usize,
}

impl Lane<'_> {
    /// Sends the first batch of every partition. The first request is awaited alone, the others are
    /// pipelined; any partition turned away because of the transaction before is asked again.
    async fn open(&mut self) -> Result<(), KafkaError> {
        let mut is_first = true;
        let mut request = Vec::new();
        let mut request_bytes = 0;
        for index in 0..self.queues.len() {
            let Some(piece) = self.next_piece(index)? else { continue };
            if request_bytes + piece.records.len() > self.settings.request_bytes_max {
                self.send_opening(std::mem::take(&mut request), is_first).await?;
                (request_bytes, is_first) = (0, false);
            }
            request_bytes += piece.records.len();
            request.push(piece);
        }
        if !request.is_empty() {
            self.send_opening(request, is_first).await?;
        }
        while !self.in_flight.is_empty() {
            self.settle_opening().await?;
        }
        Ok(())
    }

    async fn send_opening(&mut self, pieces: Vec<Piece>, alone: bool) -> Result<(), KafkaError> {
        self.send(pieces).await?;
        while !self.in_flight.is_empty()
            && (alone || self.in_flight.len() >= self.settings.in_flight_max)
        {
            self.settle_opening().await?;
        }
        Ok(())
    }

    /// Awaits the oldest opening request; repeats it for partitions that were turned away. One of them asks whether the
    /// transaction before is over, and the others follow then: a broker that still writes markers to a thousand partitions
    /// would be kept from it by reading all batches again each time.
    async fn settle_opening(&mut self) -> Result<(), KafkaError> {
        let started = Instant::now();
        let Some((mut pieces, mut answer)) = self.in_flight.pop_front() else { return Ok(()) };
        let mut turned_away = Vec::new();
        loop {
            let response = answer.response().await?;
            pass(Point::ProduceAnswered).await?;
            let (mut pending, code) = self.settle(&response, &pieces, true)?;
            if let Some(code) = code {
                let waited = started.elapsed();
                if waited >= self.settings.init_timeout {
                    return Err(KafkaError::PreviousTransactionPending {
                        api: "Produce",
                        subject: pending
                            .first()
                            .map(|piece| piece.id.to_string())
                            .unwrap_or_default(),
                        waited,
                        code,
                    });
                }
                turned_away.extend(pending.drain(1..));
                sleep(MARKERS_PAUSE).await;
                pieces = pending;
            } else if turned_away.is_empty() {
                return Ok(());
            } else {
                pieces = std::mem::take(&mut turned_away);
            }
            answer = self.submit(&pieces).await?;
        }
    }

    /// Sends all that is left, round by round, and awaits every acknowledgement.
    async fn follow(&mut self) -> Result<(), KafkaError> {
        loop {
            let mut request = Vec::new();
            let mut request_bytes = 0;
            for index in 0..self.queues.len() {
                let Some(piece) = self.next_piece(index)? else { continue };
                if request_bytes + piece.records.len() > self.settings.request_bytes_max {
                    self.send_following(std::mem::take(&mut request)).await?;
                    request_bytes = 0;
                }
                request_bytes += piece.records.len();
                request.push(piece);
            }
            if request.is_empty() {
                break;
            }
            self.send_following(request).await?;
        }
        while !self.in_flight.is_empty() {
            self.settle_following().await?;
        }
        Ok(())
    }

    async fn send_following(&mut self, pieces: Vec<Piece>) -> Result<(), KafkaError> {
        while self.in_flight.len() >= self.settings.in_flight_max {
            self.settle_following().await?;
        }
        self.send(pieces).await
    }

    async fn settle_following(&mut self) -> Result<(), KafkaError> {
        if let Some((pieces, answer)) = self.in_flight.pop_front() {
            let response = answer.response().await?;
            pass(Point::ProduceAnswered).await?;
            self.settle(&response, &pieces, false)?;
        }
        Ok(())
    }

    async fn send(&mut self, pieces: Vec<Piece>) -> Result<(), KafkaError> {
        let answer = self.submit(&pieces).await?;
        pass(Point::ProduceSent).await?;
        self.in_flight.push_back((pieces, answer));
        Ok(())
    }

    async fn submit(&mut self, pieces: &[Piece]) -> Result<Answer<ProduceRequest>, KafkaError> {
        let request = ProduceRequest::default()
            .with_transactional_id(self.transactional_id.clone())
            .with_acks(if self.settings.acks_all { -1 } else { 1 })
            .with_timeout_ms(millis(self.settings.request_timeout))
            .with_topic_data(by_topic(pieces));
        self.request_count += 1;
        self.sent_bytes += pieces.iter().map(|piece| piece.records.len()).sum::<usize>();
        self.connection.submit(&request, self.version, self.settings.request_timeout).await
    }

    /// Finishes the next batch of a queue.
    fn next_piece(&mut self, index: usize) -> Result<Option<Piece>, KafkaError> {
        let queue = &mut self.queues[index];
        let Some(Stamped { mut batch, stamp, records_before }) = queue.batches.pop_front() else {
            return Ok(None);
        };
        let largest = largest_before(records_before, batch.largest());
        batch.compress(&mut self.compressor.lock().unwrap_or_else(PoisonError::into_inner));
        let piece = Piece { id: queue.id.clone(), records: batch.finish(stamp), largest };
        if piece.records.len() > self.settings.request_bytes_max {
            let limit = format!("max.request.size ({} bytes)", self.settings.request_bytes_max);
            let fix = format!("raise max.request.size above {}", piece.records.len());
            return Err(too_large(&piece, limit, fix));
        }
        Ok(Some(piece))
    }

    /// Reads the answer to `pieces`. Out: those turned away because of the transaction before, which
    /// only an opening request may be.
    fn settle(
        &self,
        response: &ProduceResponse,
        pieces: &[Piece],
        is_opening: bool,
    ) -> Result<(Vec<Piece>, Option<ErrorCode>), KafkaError> {
        let mut pending = Vec::new();
        let mut pending_code = None;
        let answers = by_partition(response);
        for piece in pieces {
            let key = (piece.id.topic().name(), piece.id.partition());
            let Some(answer) = answers.get(&key) else {
                return Err(KafkaError::Protocol {
                    broker: self.connection.broker().into(),
                    api: "Produce",
                    reason: format!("the answer says nothing about {}", piece.id),
                });
            };
            match ErrorCode::check(answer.error_code) {
                None => {}
                Some(code) if is_opening && code.is(ResponseError::ConcurrentTransactions) => {
                    pending.push(piece.clone());
                    pending_code = Some(code);
                }
                Some(code) => return Err(self.refused(piece, code, answer)),
            }
        }
        Ok((pending, pending_code))
    }

    fn refused(
        &self,
        piece: &Piece,
        code: ErrorCode,
        answer: &PartitionProduceResponse,
    ) -> KafkaError {
        let topic = piece.id.topic().name();
        if code.is(ResponseError::MessageTooLarge) || code.is(ResponseError::RecordListTooLarge) {
            let bytes = piece.records.len();
            let limit = format!("the broker ({code}: max.message.bytes of the topic)");
            let fix = format!(
                "kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name '{topic}' --add-config max.message.bytes={}, or lower batch.size if the record itself is small enough",
                bytes.next_multiple_of(1 << 20)
            );
            return too_large(piece, limit, fix);
        }
        let subject = Subject::Partition(topic, piece.id.partition());
        let id = self.transactional_id.as_ref().map(|id| id.0.as_str());
        fatal("Produce", id, subject, code, answer.error_message.as_ref())
    }
}
