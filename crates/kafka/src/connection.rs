//! One multiplexed connection to one broker.
//!
//! In: requests of any kind, from any task. Out: their answers, in the order of the requests. Its
//! driver task alone touches the socket: it writes frames, reads frames, and watches the deadline of
//! the oldest request. Never here: retries, metadata, the choice of a broker. A broken connection
//! fails every waiter with the first cause and never heals; [`crate::pool`] opens another.
//! Source: Kafka protocol guide, "Network": one connection's requests are answered in order.

mod driver;
mod open;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{messages::ApiVersionsResponse, protocol::StrBytes};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use crate::{
    KafkaError,
    buffers::Buffers,
    wire::{self, Api},
};
use driver::{Driver, Outgoing};

/// Requests handed to a driver and not yet written.
const REQUESTS_QUEUED_MAX: usize = 16;

/// The first cause of a connection's end, for all who ask.
type Cause = Arc<OnceLock<KafkaError>>;

/// A connection that has been opened, and logged in where that is asked for.
#[derive(Debug)]
pub(crate) struct Connection {
    broker: String,
    client_id: StrBytes,
    requests: mpsc::Sender<Outgoing>,
    cause: Cause,
    versions: ApiVersionsResponse,
    correlation_id: AtomicI32,
    frames: Buffers,
    /// The broker closes a session that outlives its login.
    session_ends_at: Option<Instant>,
    /// Owns the driver: dropping the connection ends it.
    _driver: JoinSet<()>,
}

impl Connection {
    /// `host:port`, for messages.
    pub(crate) fn broker(&self) -> &str {
        &self.broker
    }

    /// False once it broke or its login is about to run out.
    pub(crate) fn is_usable(&self) -> bool {
        let session_lasts = self.session_ends_at.is_none_or(|end| Instant::now() < end);
        session_lasts && self.cause.get().is_none() && !self.requests.is_closed()
    }

    /// What the broker said about itself when the connection was opened.
    pub(crate) fn versions(&self) -> &ApiVersionsResponse {
        &self.versions
    }

    /// The finalized level of a cluster feature.
    pub(crate) fn feature(&self, name: &str) -> Option<i16> {
        let features = &self.versions.finalized_features;
        features.iter().find(|feature| &*feature.name == name).map(|found| found.max_version_level)
    }

    /// The highest version of `R` that both sides speak, at most `limit`.
    ///
    /// Errors: [`KafkaError::UnsupportedApi`].
    pub(crate) fn version<R: Api>(&self, limit: i16) -> Result<i16, KafkaError> {
        let ours = (R::MIN, R::MAX.min(limit));
        let offered = self.versions.api_keys.iter().find(|api| api.api_key == R::KEY as i16);
        let theirs = offered.map(|api| (api.min_version, api.max_version));
        theirs.and_then(|theirs| wire::common_version(ours, theirs)).ok_or_else(|| {
            KafkaError::UnsupportedApi {
                broker: self.broker.clone(),
                api: R::NAME,
                ours: format!("{}–{}", ours.0, ours.1),
                theirs: theirs.map_or_else(|| "none".into(), |(low, high)| format!("{low}–{high}")),
            }
        })
    }

    /// Hands a request over, in the highest common version, and waits for its answer.
    pub(crate) async fn request<R: Api>(
        &self,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, KafkaError> {
        let version = self.version::<R>(i16::MAX)?;
        self.submit(request, version, patience).await?.response().await
    }

    /// Hands a request over. It is written after those handed over before; its answer is awaited
    /// separately, so that several can be on their way.
    pub(crate) async fn submit<R: Api>(
        &self,
        request: &R,
        version: i16,
        patience: Duration,
    ) -> Result<Answer<R>, KafkaError> {
        let correlation_id = self.correlation_id.fetch_add(1, Ordering::Relaxed);
        let (id, buffer) = (&self.client_id, self.frames.get());
        let frame = wire::encode(request, version, correlation_id, id, buffer)
            .map_err(|reason| self.protocol_error::<R>(reason))?;
        let frame = self.frames.lend(frame);
        let (responder, response) = oneshot::channel();
        let outgoing = Outgoing { frame, correlation_id, api: R::NAME, patience, responder };
        if self.requests.send(outgoing).await.is_err() {
            return Err(self.first_cause());
        }
        Ok(Answer {
            response,
            version,
            broker: self.broker.clone(),
            cause: Arc::clone(&self.cause),
            request: std::marker::PhantomData,
        })
    }

    fn protocol_error<R: Api>(&self, reason: String) -> KafkaError {
        KafkaError::Protocol { broker: self.broker.clone(), api: R::NAME, reason }
    }

    fn first_cause(&self) -> KafkaError {
        first_cause(&self.cause, &self.broker)
    }
}

fn first_cause(cause: &Cause, broker: &str) -> KafkaError {
    cause.get().cloned().unwrap_or_else(|| KafkaError::ConnectionLost {
        broker: broker.into(),
        reason: "it was closed here".into(),
    })
}

/// An answer on its way.
#[derive(Debug)]
#[must_use]
pub(crate) struct Answer<R: Api> {
    response: oneshot::Receiver<Bytes>,
    version: i16,
    broker: String,
    cause: Cause,
    request: std::marker::PhantomData<fn() -> R>,
}

impl<R: Api> Answer<R> {
    /// Waits for it.
    ///
    /// Errors: the first cause if the connection breaks; [`KafkaError::Protocol`] for bytes that are
    /// not an answer.
    pub(crate) async fn response(self) -> Result<R::Response, KafkaError> {
        let Ok(frame) = self.response.await else {
            return Err(first_cause(&self.cause, &self.broker));
        };
        wire::decode::<R>(frame, self.version).map_err(|reason| KafkaError::Protocol {
            broker: self.broker,
            api: R::NAME,
            reason,
        })
    }
}
