//! Who asks, and what they may do.
//!
//! In: a request. Out: the same with a [`Caller`], or a refusal. Three roles, each may do what the one before may: read, operate (pause,
//! resume, stop, restart), admin (whatever changes what a connector is).
//! Never: a password or token in a log or an answer.

mod limits;
mod users;

use std::fmt;
use std::net::SocketAddr;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub(super) use limits::Limits;
pub use users::{Users, UsersError};

use super::Api;
use super::error::ApiError;
use super::serve::Peer;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Read,
    /// Pause, resume, stop, restart.
    Operate,
    /// Everything.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        })
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) role: Role,
}

/// Addresses that need nobody's name: whether the worker is alive is no secret.
const OPEN: [&str; 2] = ["/health", "/ready"];

/// Finds out who asks; who asks too often, or with wrong passwords, has to wait.
pub(super) async fn know(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map_or_else(unknown_peer, |peer| peer.0);
    if let Err(wait) = api.0.limits.request(peer.ip()) {
        return too_many(peer, wait);
    }
    let Some(users) = &api.0.users else {
        if let Some(origin) = foreign(request.headers()) {
            return ApiError::Foreign { origin }.into_response();
        }
        let everybody = Caller { name: "anonymous".to_owned(), role: Role::Admin };
        request.extensions_mut().insert(everybody.clone());
        return with_caller(next.run(request).await, everybody);
    };
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    if let Err(wait) = api.0.limits.may_try(peer.ip()) {
        return too_many(peer, wait);
    }
    let Some(caller) = users.find(request.headers()).await else {
        api.0.limits.failed(peer.ip());
        return ApiError::Unauthenticated.into_response();
    };
    request.extensions_mut().insert(caller.clone());
    with_caller(next.run(request).await, caller)
}

/// Lets only those pass that have the role a route needs.
pub(super) async fn demand(
    State(needs): State<Role>,
    caller: Option<Extension<Caller>>,
    request: Request,
    next: Next,
) -> Response {
    match caller {
        None => ApiError::Unauthenticated.into_response(),
        Some(Extension(caller)) if caller.role < needs => {
            ApiError::Forbidden { caller: caller.name, has: caller.role, needs }.into_response()
        }
        Some(_) => next.run(request).await,
    }
}

/// The site whose page asks, if it is not ours. Where nobody has to say who they are, a browser on this machine would do what any page it shows
/// tells it to; and a name that leads here need not be ours (DNS rebinding).
fn foreign(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if let Some(origin) = text(header::ORIGIN) {
        let of_origin = origin.split_once("://").map_or(origin, |(_, host)| host);
        if of_origin != host {
            return Some(origin.to_owned());
        }
        if !is_address_or_local(host) {
            return Some(origin.to_owned());
        }
    }
    // Browsers say where a request without an Origin comes from, too.
    match text(HeaderName::from_static("sec-fetch-site")) {
        Some("cross-site" | "same-site") => Some(host.to_owned()),
        _ => None,
    }
}

/// Whether a `Host` is an address or this machine: nobody else can make such a name lead here.
fn is_address_or_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

/// For the audit log, which sees only the answer.
fn with_caller(mut response: Response, caller: Caller) -> Response {
    response.extensions_mut().insert(caller);
    response
}

fn too_many(peer: SocketAddr, wait_seconds: u64) -> Response {
    ApiError::TooMany { from: peer.ip().to_string(), wait_seconds }.into_response()
}

fn unknown_peer() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 0))
}
