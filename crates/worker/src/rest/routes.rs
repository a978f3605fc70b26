//! Every route, what it needs, and the layers around them: the table of contents of the API.
//!
//! In: [`Api`]. Out: a router. Never: a route without a role, a change that is not logged.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::access::{self, Role};
use super::error::ApiError;
use super::{Api, answer, audit, config, connectors, health, lifecycle, loggers, metrics, offsets};
use super::{plugins, root, tasks, topics, v1};

/// One method of one path.
pub(super) struct Route {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the handler knows it; tests hold it against the documents")
    )]
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Who may use it; `None`: everybody, known or not.
    pub(super) role: Option<Role>,
    handler: MethodRouter<Api>,
}

/// All of them.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = connect();
    routes.extend(ours());
    routes
}

/// Kafka Connect's.
fn connect() -> Vec<Route> {
    use Role::{Admin, Operate, Read};
    vec![
        open("/health", get(health::health)),
        of("GET", "/", Read, get(root::root)),
        of("GET", "/connectors", Read, get(connectors::list)),
        of("POST", "/connectors", Admin, post(connectors::create)),
        of("GET", "/connectors/{name}", Read, get(connectors::get)),
        of("DELETE", "/connectors/{name}", Admin, delete(connectors::remove)),
        of("GET", "/connectors/{name}/config", Read, get(config::get)),
        of("PUT", "/connectors/{name}/config", Admin, put(config::put)),
        of("PATCH", "/connectors/{name}/config", Admin, patch(config::change)),
        of("GET", "/connectors/{name}/status", Read, get(connectors::status)),
        of("GET", "/connectors/{name}/tasks", Read, get(tasks::list)),
        of("GET", "/connectors/{name}/tasks-config", Read, get(tasks::configs)),
        of("GET", "/connectors/{name}/tasks/{task}/status", Read, get(tasks::status)),
        of("POST", "/connectors/{name}/tasks/{task}/restart", Operate, post(tasks::restart)),
        of("POST", "/connectors/{name}/restart", Operate, post(lifecycle::restart)),
        of("PUT", "/connectors/{name}/pause", Operate, put(lifecycle::pause)),
        of("PUT", "/connectors/{name}/resume", Operate, put(lifecycle::resume)),
        of("PUT", "/connectors/{name}/stop", Operate, put(lifecycle::stop)),
        of("GET", "/connectors/{name}/topics", Read, get(topics::list)),
        of("PUT", "/connectors/{name}/topics/reset", Operate, put(topics::reset)),
        of("GET", "/connectors/{name}/offsets", Read, get(offsets::get)),
        of("PATCH", "/connectors/{name}/offsets", Admin, patch(offsets::alter)),
        of("DELETE", "/connectors/{name}/offsets", Admin, delete(offsets::reset)),
        of("GET", "/connector-plugins", Read, get(plugins::list)),
        of("GET", "/connector-plugins/{plugin}/config", Read, get(plugins::definitions_of)),
        of("PUT", "/connector-plugins/{plugin}/config/validate", Read, put(plugins::validate)),
        of("GET", "/admin/loggers", Read, get(loggers::list)),
        of("GET", "/admin/loggers/{logger}", Read, get(loggers::get)),
        of("PUT", "/admin/loggers/{logger}", Admin, put(loggers::set)),
    ]
}

/// What Connect has no word for.
fn ours() -> Vec<Route> {
    use Role::{Admin, Operate, Read};
    vec![
        open("/ready", get(health::ready)),
        of("GET", "/metrics", Read, get(metrics::metrics)),
        of("GET", "/openapi.json", Read, get(v1::openapi::document)),
        of("GET", "/v1/connectors", Read, get(v1::connectors::list)),
        of("GET", "/v1/connectors/{name}", Read, get(v1::connectors::get)),
        of("PATCH", "/v1/connectors/{name}", Admin, patch(v1::connectors::change)),
        of("DELETE", "/v1/connectors/{name}", Admin, delete(v1::connectors::destroy)),
        of("POST", "/v1/connectors/{name}/snapshots", Operate, post(v1::snapshots::ask)),
        of("GET", "/v1/connectors/{name}/check", Read, get(v1::checks::check)),
        of("POST", "/v1/connectors/{name}/check", Admin, post(v1::checks::plan)),
        of("GET", "/v1/connectors/{name}/logs", Read, get(v1::logs::read)),
        of("GET", "/v1/connectors/{name}/records", Read, get(v1::records::stream)),
        of("GET", "/v1/connectors/{name}/verify", Read, get(v1::verify::stream)),
        of("GET", "/v1/workers", Read, get(v1::workers::list)),
        of("GET", "/v1/events", Read, get(v1::events::stream)),
    ]
}

fn open(path: &'static str, handler: MethodRouter<Api>) -> Route {
    Route { method: "GET", path, role: None, handler }
}

fn of(method: &'static str, path: &'static str, role: Role, handler: MethodRouter<Api>) -> Route {
    Route { method, path, role: Some(role), handler }
}

/// The whole API.
pub fn router(api: Api) -> Router {
    let mut router = Router::new();
    for Route { path, role, handler, .. } in routes() {
        let handler = match role {
            Some(role) => handler.layer(from_fn_with_state(role, access::demand)),
            None => handler,
        };
        router = router.route(path, handler);
    }
    router
        .fallback(async || ApiError::NoRoute)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn(expect_json_is_accepted))
        .layer(from_fn_with_state(api.clone(), access::know))
        .layer(from_fn(answer::render))
        .layer(from_fn_with_state(api.clone(), audit::log))
        .with_state(api)
}

async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        // `Allow` is added by the router.
        return StatusCode::OK.into_response();
    }
    ApiError::Method { method: method.to_string() }.into_response()
}

async fn expect_json_is_accepted(
    uri: Uri,
    headers: HeaderMap,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_accepted = accept.is_none_or(|accept| {
        let accepted = accept.split(',').map(|range| range.split(';').next().unwrap_or("").trim());
        accepted.into_iter().any(|range| {
            matches!(range, "" | "*/*" | "application/*" | "application/json")
                || (range == "text/event-stream" && uri.path().starts_with("/v1/"))
                || (range == "text/plain" && uri.path() == "/metrics")
                || (range.ends_with("+json") && range.starts_with("application/"))
        })
    });
    if is_accepted { next.run(request).await } else { ApiError::Accept.into_response() }
}
