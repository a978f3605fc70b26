//! Every route, what it needs, and the layers around them: the table of contents of the API.
//!
//! In: [`Api`]. Out: a router. Never: a route without a role, a change that is not logged.

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};

use super::access::{self, Role};
use super::error::ApiError;
use super::openapi::{self, Doc};
use super::{
    Api, answer, audit, config, connectors, health, lifecycle, loggers, metrics, offsets, span,
};
use super::{plugins, root, tasks, topics, v1};

/// One method of one path.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Who may use it; `None`: everybody, known or not.
    pub(super) role: Option<Role>,
    /// What else the document says of it.
    pub(super) doc: Doc,
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
        open("/health", health::health, health::HEALTH),
        get("/", Read, root::root, root::ROOT),
        get("/connectors", Read, connectors::list, connectors::LIST),
        post("/connectors", Admin, connectors::create, connectors::CREATE),
        get("/connectors/{name}", Read, connectors::get, connectors::GET),
        delete("/connectors/{name}", Admin, connectors::remove, connectors::REMOVE),
        get("/connectors/{name}/config", Read, config::get, config::GET),
        put("/connectors/{name}/config", Admin, config::put, config::PUT),
        patch("/connectors/{name}/config", Admin, config::change, config::CHANGE),
        get("/connectors/{name}/status", Read, connectors::status, connectors::STATUS),
        get("/connectors/{name}/tasks", Read, tasks::list, tasks::LIST),
        get("/connectors/{name}/tasks-config", Read, tasks::configs, tasks::CONFIGS),
        get("/connectors/{name}/tasks/{task}/status", Read, tasks::status, tasks::STATUS),
        post("/connectors/{name}/tasks/{task}/restart", Operate, tasks::restart, tasks::RESTART),
        post("/connectors/{name}/restart", Operate, lifecycle::restart, lifecycle::RESTART),
        put("/connectors/{name}/pause", Operate, lifecycle::pause, lifecycle::PAUSE),
        put("/connectors/{name}/resume", Operate, lifecycle::resume, lifecycle::RESUME),
        put("/connectors/{name}/stop", Operate, lifecycle::stop, lifecycle::STOP),
        get("/connectors/{name}/topics", Read, topics::list, topics::LIST),
        put("/connectors/{name}/topics/reset", Operate, topics::reset, topics::RESET),
        get("/connectors/{name}/offsets", Read, offsets::get, offsets::GET),
        patch("/connectors/{name}/offsets", Admin, offsets::alter, offsets::ALTER),
        delete("/connectors/{name}/offsets", Admin, offsets::reset, offsets::RESET),
        get("/connector-plugins", Read, plugins::list, plugins::LIST),
        get("/connector-plugins/{plugin}/config", Read, plugins::settings, plugins::SETTINGS),
        put("/connector-plugins/{plugin}/config/validate", Read, plugins::check, plugins::CHECK),
        get("/admin/loggers", Read, loggers::list, loggers::LIST),
        get("/admin/loggers/{logger}", Read, loggers::get, loggers::GET),
        put("/admin/loggers/{logger}", Admin, loggers::set, loggers::SET),
    ]
}

/// What Connect has no word for.
fn ours() -> Vec<Route> {
    use Role::{Admin, Operate, Read};
    vec![
        open("/ready", health::ready, health::READY),
        get("/metrics", Read, metrics::metrics, metrics::METRICS),
        get("/openapi.json", Read, openapi::document, openapi::DOC),
        get("/v1/connectors", Read, v1::connectors::list, v1::connectors::LIST),
        get("/v1/connectors/{name}", Read, v1::connectors::get, v1::connectors::GET),
        patch("/v1/connectors/{name}", Admin, v1::connectors::change, v1::connectors::CHANGE),
        delete("/v1/connectors/{name}", Admin, v1::connectors::destroy, v1::connectors::DESTROY),
        post("/v1/connectors/{name}/snapshots", Operate, v1::snapshots::ask, v1::snapshots::ASK),
        get("/v1/connectors/{name}/check", Read, v1::checks::check, v1::checks::CHECK),
        post("/v1/connectors/{name}/check", Admin, v1::checks::plan, v1::checks::PLAN),
        get("/v1/connectors/{name}/logs", Read, v1::logs::read, v1::logs::READ),
        get("/v1/connectors/{name}/records", Read, v1::records::stream, v1::records::STREAM),
        get("/v1/connectors/{name}/verify", Read, v1::verify::stream, v1::verify::STREAM),
        get("/v1/workers", Read, v1::workers::list, v1::workers::LIST),
        get("/v1/events", Read, v1::events::stream, v1::events::STREAM),
    ]
}

/// A route for everybody.
fn open<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H, doc: Doc) -> Route {
    Route { method: "GET", path, role: None, doc, handler: routing::get(handler) }
}

/// Routes for those who have a role, one function for each method.
macro_rules! methods {
    ($($function:ident $method:literal),*) => {$(
        fn $function<H: Handler<T, Api>, T: 'static>(
            path: &'static str,
            role: Role,
            handler: H,
            doc: Doc,
        ) -> Route {
            let handler = routing::$function(handler);
            Route { method: $method, path, role: Some(role), doc, handler }
        }
    )*};
}

methods!(get "GET", put "PUT", post "POST", patch "PATCH", delete "DELETE");

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
        .layer(from_fn_with_state(api.clone(), span::span))
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
