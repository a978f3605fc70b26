//! The crash-only transactional producer.
//!
//! In: [`Transaction`]s. Out: [`Committed`], or the error that ended the producer. There is no retry
//! inside a transaction: anything but a clean success kills the producer, and its owner starts over
//! from the checkpoint, exactly as after a crash. Two answers alone are waited out, because nothing
//! was accepted before them: the markers of the transaction before being written (at the first
//! request for a partition), and the predecessor's end (in `init`).
//!
//! Never here: encoding of records, what a checkpoint is. Source: KIP-98; KIP-890 (TV2); Kafka
//! protocol guide, `InitProducerId`, `AddPartitionsToTxn`, `Produce`, `EndTxn`.

mod coordinator;
mod forgotten;
mod pieces;
mod send;

use std::{io, sync::Mutex, time::Duration};

use tokio::time::Instant;
use tracing::{Instrument as _, trace_span};

use crate::{
    Client, Compression, KafkaError, Transaction,
    answer::{self, Subject},
    codes::{Class, ErrorCode},
    compression::Compressor,
    pool::Pool,
};
use coordinator::Session;
pub use forgotten::Forgotten;

/// How a producer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerSettings {
    /// `transactional.id`. `None`: no transactions and no idempotence, delivery at least once.
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`: the broker aborts a transaction that is open for longer.
    pub transaction_timeout: Duration,
    /// `compression.type` and its level.
    pub compression: Compression,
    /// `max.request.size`: bytes of batches in one produce request, compressed.
    pub request_bytes_max: usize,
    /// `batch.size`: bytes of one batch, uncompressed; for [`Transaction::new`].
    pub batch_bytes_max: usize,
    /// `request.timeout.ms`: patience for the answer to one request.
    pub request_timeout: Duration,
    /// `max.block.ms`: patience of [`Producer::init`], and for the markers of the transaction before.
    pub init_timeout: Duration,
    /// `max.in.flight.requests.per.connection`, 1–5.
    pub in_flight_max: usize,
    /// `acks=all`; transactions are always sent so. `false`: `acks=1`.
    pub acks_all: bool,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            transactional_id: None,
            transaction_timeout: Duration::from_mins(1),
            compression: Compression::None,
            request_bytes_max: 8 << 20,
            // Below the brokers' default `max.message.bytes` of 1,048,588.
            batch_bytes_max: 900_000,
            request_timeout: Duration::from_secs(30),
            init_timeout: Duration::from_mins(1),
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
    /// Partitions written to.
    pub partition_count: usize,
    /// Bytes of batches sent, compressed.
    pub sent_bytes: usize,
    /// Produce requests, repeated ones included.
    pub request_count: usize,
    /// From the start until every batch was acknowledged.
    pub produce_time: Duration,
    /// Time of `EndTxn`.
    pub end_time: Duration,
}

/// A crash-only producer: any error ends it, and every later call returns the same error.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    settings: ProducerSettings,
    pool: Pool,
    compressor: Mutex<Compressor>,
    session: Option<Session>,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    /// Inside `commit`. Seen from outside only if its future was dropped half way.
    Committing,
    Dead(KafkaError),
}

impl Producer {
    /// Makes a producer. With a transactional id: fences every predecessor that used it and returns
    /// once their transactions have ended, so that what they committed can be read.
    ///
    /// Errors: [`KafkaError::InitTimedOut`], [`KafkaError::NotAuthorized`], those of connections.
    pub async fn init(client: &Client, settings: ProducerSettings) -> Result<Self, KafkaError> {
        let compressor =
            Compressor::new(settings.compression).map_err(|error| codec_unusable(&error))?;
        let pool = client.pool();
        let session = match &settings.transactional_id {
            None => None,
            Some(id) => Some(Session::take_over(client, &pool, id, &settings).await?),
        };
        Ok(Self {
            client: client.clone(),
            settings,
            pool,
            compressor: Mutex::new(compressor),
            session,
            state: State::Ready,
        })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &ProducerSettings {
        &self.settings
    }

    /// True if transactions are TV2 of KIP-890: the broker adds partitions by itself, and every
    /// transaction has an epoch of its own, so that a delayed `EndTxn` cannot hit the next one.
    pub fn is_transaction_v2(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_v2)
    }

    /// Producer id and epoch, for logs. They change with every commit under TV2.
    pub fn identity(&self) -> Option<(i64, i16)> {
        self.session.as_ref().map(Session::identity)
    }

    /// Writes all records and commits them. An empty transaction commits nothing.
    ///
    /// After an error, and after its future was dropped half way, nobody knows whether the
    /// transaction was committed: read the checkpoint after a new [`Producer::init`].
    ///
    /// Errors: by class. Fenced: a newer producer has our transactional id. Definite: not authorised,
    /// [`KafkaError::RecordTooLarge`]. Transient: everything else.
    pub async fn commit(&mut self, transaction: Transaction) -> Result<Committed, KafkaError> {
        match &self.state {
            State::Ready => {}
            State::Committing => return Err(KafkaError::Interrupted),
            State::Dead(error) => return Err(error.clone()),
        }
        if transaction.is_empty() {
            return Ok(Committed::default());
        }
        self.state = State::Committing;
        let result = Box::pin(self.write_and_end(transaction)).await;
        self.state = match &result {
            Ok(_) => State::Ready,
            Err(error) => State::Dead(error.clone()),
        };
        result
    }

    async fn write_and_end(&mut self, transaction: Transaction) -> Result<Committed, KafkaError> {
        let started = Instant::now();
        let mut committed = Committed {
            record_count: transaction.record_count(),
            partition_count: transaction.partition_count(),
            ..Committed::default()
        };
        let produce = trace_span!(target: "spans", "produce");
        let written = self.write(transaction, &mut committed).instrument(produce).await;
        written.map_err(|error| self.judge(error, started))?;
        committed.produce_time = started.elapsed();
        if let Some(session) = &mut self.session {
            let end = trace_span!(target: "spans", "end transaction");
            let ended = session.end(&self.pool, &self.settings, true).instrument(end).await;
            ended.map_err(|error| self.judge(error, started))?;
        }
        committed.end_time = started.elapsed().saturating_sub(committed.produce_time);
        Ok(committed)
    }

    /// An error that says "fenced" means the broker's own timeout if the transaction is that old.
    fn judge(&self, error: KafkaError, started: Instant) -> KafkaError {
        let Some(session) = &self.session else { return error };
        let limit = self.settings.transaction_timeout;
        if error.class() == Class::Fenced && started.elapsed() >= limit {
            return KafkaError::TransactionExpired {
                transactional_id: session.transactional_id().into(),
                open_for: started.elapsed(),
                limit,
            };
        }
        error
    }
}

/// An answer that ends the producer: fenced, or what its code says.
fn fatal(
    api: &'static str,
    transactional_id: Option<&str>,
    subject: Subject<'_>,
    code: ErrorCode,
    message: Option<&kafka_protocol::protocol::StrBytes>,
) -> KafkaError {
    match (code.class(), transactional_id) {
        (Class::Fenced, Some(id)) => KafkaError::Fenced { transactional_id: id.into(), api, code },
        _ => answer::refused(api, subject, code, message),
    }
}

fn codec_unusable(error: &io::Error) -> KafkaError {
    KafkaError::InvalidProperty {
        name: "compression.type".into(),
        reason: error.to_string(),
        fix: "choose another codec or level".into(),
    }
}
