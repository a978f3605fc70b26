//! The API over HTTP: Kafka Connect's, complete, and `/v1` for what Connect has no word for.
//!
//! In: requests. Out: verbs of [`Group`], answers as JSON. One file per resource; `routes` is the table of contents, `status` the only file
//! with HTTP status codes.
//! Never: a secret in an answer, a file of this machine named by a request unless the worker allows it, a change that is not in the audit log.
//! Source: Kafka manual, "Kafka Connect", "REST API"; answers of Kafka Connect 4.3 with Debezium 3.6, recorded.

mod access;
mod answer;
mod audit;
pub(crate) mod audit_topic;
mod body;
mod config;
mod connectors;
mod error;
mod health;
mod incoming;
mod info;
mod lifecycle;
mod loggers;
mod metrics;
mod offsets;
mod openapi;
mod paths;
mod plugins;
mod query;
mod root;
mod routes;
mod secrets;
mod serve;
mod span;
mod status;
mod tasks;
mod tls;
mod topics;
mod v1;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

pub use access::{Role, Users, UsersError};
pub use audit::AuditRecord;
pub use health::Health;
pub use loggers::LogLevels;
pub use paths::Allowed;
pub use routes::router;
pub(crate) use secrets::is_hidden;
pub use serve::{Peer, serve};
pub use span::TraceParent;
pub use tls::{TlsError, server_config};

use crate::error::WorkerError;
use crate::group::Group;
use crate::logs::LogLines;
use crate::metrics::Board;
use access::Limits;
use audit::Audit;
use error::ApiError;

/// Streams of events that may be open at once.
const EVENT_STREAMS_MAX: usize = 64;
/// Requests that look at sources and topics and may be under way at once: each has sessions of its own there.
const LOOKS_MAX: usize = 4;
/// When to come again if there is no place.
const PLACE_WAIT_SECONDS: u64 = 5;

/// What the API of a worker is started with.
pub struct RestOptions {
    /// TLS, if it is spoken.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may do what; `None` lets everybody do everything.
    pub users: Option<Users>,
    /// An address that other machines reach may be heard without TLS.
    pub is_insecure: bool,
    /// Files and variables of this machine that a configuration may name.
    pub allowed: Allowed,
    /// How to change what is logged.
    pub logs: LogLevels,
    /// What is logged of connectors, to be kept for whoever asks; `None` keeps nothing.
    pub lines: Option<LogLines>,
    /// How a request becomes a part of a trace that began elsewhere; `None` if there are no traces.
    pub trace_parent: Option<TraceParent>,
}

impl RestOptions {
    /// Everybody on this machine may do everything, except have its files read.
    pub fn local() -> Self {
        Self {
            tls: None,
            users: None,
            is_insecure: false,
            allowed: Allowed::default(),
            logs: LogLevels::default(),
            lines: None,
            trace_parent: None,
        }
    }

    /// Why an address must not be heard: one that other machines reach needs users, and TLS for their passwords.
    pub fn refusal(&self, address: SocketAddr) -> Option<WorkerError> {
        let is_protected = self.users.is_some() && (self.tls.is_some() || self.is_insecure);
        (!is_protected && !address.ip().is_loopback()).then_some(WorkerError::Open { address })
    }
}

/// What every handler can reach; cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Parts>);

struct Parts {
    group: Group,
    users: Option<Users>,
    allowed: Allowed,
    logs: LogLevels,
    health: watch::Receiver<Health>,
    board: Board,
    audit: Audit,
    limits: Limits,
    event_streams: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    trace_parent: Option<TraceParent>,
}

impl Api {
    /// The API of one worker. `board`: what `GET /metrics` shows; `audit`: where records of the audit log go besides the log of the process.
    pub(crate) fn new(
        group: Group,
        options: RestOptions,
        health: watch::Receiver<Health>,
        board: Board,
        audit: Option<mpsc::Sender<AuditRecord>>,
    ) -> Self {
        Self(Arc::new(Parts {
            group,
            users: options.users,
            allowed: options.allowed,
            logs: options.logs,
            health,
            board,
            audit: Audit::new(audit),
            limits: Limits::default(),
            event_streams: Arc::new(Semaphore::new(EVENT_STREAMS_MAX)),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            trace_parent: options.trace_parent,
        }))
    }

    fn group(&self) -> &Group {
        &self.0.group
    }

    /// A place among the readers of events, for as long as it is kept.
    fn event_stream(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        place(&self.0.event_streams, "all readers of events")
    }

    /// A place among those that look at sources and topics, for as long as it is kept.
    fn look(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        place(&self.0.looks, "all that check and verify")
    }
}

fn place(places: &Arc<Semaphore>, who: &str) -> Result<OwnedSemaphorePermit, ApiError> {
    let place = Arc::clone(places).try_acquire_owned();
    place.map_err(|_| ApiError::TooMany { from: who.to_owned(), wait_seconds: PLACE_WAIT_SECONDS })
}
