//! What was asked to be changed, by whom, and how it came out: in the log of the process (target `audit`), and as records.
//!
//! In: requests that change something, and every refusal. Out: one line each. Never: a body, a value of a configuration; of a configuration
//! only the names of keys that were given.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::http::{Extensions, Method};
use axum::middleware::Next;
use axum::response::{IntoResponseParts, Response, ResponseParts};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Api;
use super::access::Caller;
use super::error::ApiError;
use super::serve::Peer;
use crate::clock::now_ms;

/// Keys of a configuration that a request gave.
#[derive(Clone, Debug)]
pub(super) struct Changed(pub(super) Vec<String>);

impl IntoResponseParts for Changed {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Who asked; empty if nobody knows.
    pub caller: String,
    /// Where from.
    pub peer: String,
    /// Method of the request.
    pub method: String,
    /// Its path, without parameters.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Code of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Keys of a configuration that were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// Where the audit log goes.
pub(super) struct Audit {
    records: Option<mpsc::Sender<AuditRecord>>,
    left_out: AtomicU64,
}

impl Audit {
    pub(super) fn new(records: Option<mpsc::Sender<AuditRecord>>) -> Self {
        Self { records, left_out: AtomicU64::new(0) }
    }

    fn write(&self, record: AuditRecord) {
        let AuditRecord { caller, peer, method, path, status, .. } = &record;
        let (code, keys) = (record.code.as_deref().unwrap_or_default(), record.keys.join(","));
        info!(
            target: "audit",
            caller, peer, method, path, status, code, keys,
            "`{caller}` from {peer}: {method} {path}: {status} {code}"
        );
        if let Some(records) = &self.records
            && records.try_send(record).is_err()
        {
            // The line above has it; a topic that cannot be written must not hold up the API.
            let left_out = self.left_out.fetch_add(1, Ordering::Relaxed) + 1;
            warn!(code = "WK032", left_out, "a record of the audit log is in this log only");
        }
    }
}

/// Writes the line of a request that changes something, or is refused.
pub(super) async fn log(State(api): State<Api>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string());
    let response = next.run(request).await;
    let changes = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let is_check = path.ends_with("/config/validate");
    if (changes && !is_check) || is_refusal(response.extensions()) {
        let found = response.extensions();
        api.0.audit.write(AuditRecord {
            at_ms: now_ms(),
            caller: found.get::<Caller>().map(|caller| caller.name.clone()).unwrap_or_default(),
            peer: peer.unwrap_or_default(),
            method: method.to_string(),
            path,
            status: response.status().as_u16(),
            code: found.get::<Arc<ApiError>>().map(|error| error.code().to_owned()),
            keys: found.get::<Changed>().map(|changed| changed.0.clone()).unwrap_or_default(),
        });
    }
    response
}

/// Whether somebody was not let do something.
fn is_refusal(extensions: &Extensions) -> bool {
    extensions.get::<Arc<ApiError>>().is_some_and(|error| {
        matches!(
            **error,
            ApiError::Unauthenticated
                | ApiError::Forbidden { .. }
                | ApiError::Foreign { .. }
                | ApiError::NotAllowed { .. }
                | ApiError::TooMany { .. }
                | ApiError::TooLarge { .. }
        )
    })
}
