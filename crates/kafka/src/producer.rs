//! stub
use crate::*;
use std::time::Duration;
/// How a producer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerSettings {
    /// `transactional.id`. `None`: no transactions, no idempotence, delivery at least once.
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`: the broker aborts a transaction open for longer.
    pub transaction_timeout: Duration,
    /// `compression.type` and level.
    pub compression: Compression,
    /// `max.request.size`: bytes of one produce request, compressed.
    pub request_bytes_max: usize,
    /// `batch.size` for [`Transaction::new`]: bytes of one batch, uncompressed.
    pub batch_bytes_max: usize,
    /// `request.timeout.ms` for produce and transaction requests.
    pub request_timeout: Duration,
    /// `max.block.ms`: patience of `init` and of waiting for the markers of the transaction before.
    pub init_timeout: Duration,
    /// `max.in.flight.requests.per.connection`, 1–5.
    pub in_flight_max: usize,
    /// `acks=all` (required with transactions); false is `acks=1`.
    pub acks_all: bool,
}
impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
            compression: Compression::None,
            request_bytes_max: 8 << 20,
            batch_bytes_max: 900_000,
            request_timeout: Duration::from_secs(30),
            init_timeout: Duration::from_secs(60),
            in_flight_max: 5,
            acks_all: true,
        }
    }
}
/// What one commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Records written.
    pub record_count: usize,
    /// Bytes of batches sent, compressed.
    pub sent_bytes: usize,
    /// Produce requests.
    pub request_count: usize,
    /// Partitions written to.
    pub partition_count: usize,
    /// Time until every batch was acknowledged (TV1: with AddPartitionsToTxn).
    pub produce_time: Duration,
    /// Time of EndTxn.
    pub end_time: Duration,
}
/// A crash-only producer: any error ends it, and every later call returns the same error.
#[derive(Debug)]
pub struct Producer {}
impl Producer {
    /// Fences predecessors with the same transactional id and waits until their transactions ended.
    pub async fn init(_client: &Client, _settings: ProducerSettings) -> Result<Self, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// Produces all records and commits them. An empty transaction commits nothing.
    pub async fn commit(&mut self, _transaction: Transaction) -> Result<Committed, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The settings it was made with.
    pub fn settings(&self) -> &ProducerSettings {
        unreachable!()
    }
    /// True if it speaks TV2 of KIP-890.
    pub fn is_transaction_v2(&self) -> bool {
        false
    }
}
