//! A span for each request, for traces.
//!
//! In: a request, perhaps one of a trace that began elsewhere. Out: a span with the target `spans`, of which nothing is made unless somebody
//! records them. Never: a query, a header, a body.
//! Source: OpenTelemetry, semantic conventions, "HTTP spans"; W3C, "Trace Context".

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, trace_span};

use super::Api;

/// Puts a span into the trace that a request names in its headers, if it names one.
pub type TraceParent = fn(&HeaderMap, &Span);

/// Answers inside a span.
pub(super) async fn span(State(api): State<Api>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let method = request.method().as_str();
    let span = trace_span!(
        target: "spans",
        "request",
        otel.name = format!("{method} {route}").trim_end(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.path = request.uri().path(),
        http.response.status_code = Empty,
    );
    if let Some(join) = api.0.trace_parent
        && !span.is_disabled()
    {
        join(request.headers(), &span);
    }
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}
