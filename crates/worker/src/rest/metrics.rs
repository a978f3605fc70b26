//! `GET /metrics`, for Prometheus.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::openapi::{Answer, Doc};
use super::{Api, status};
use crate::clock::now_ms;
use crate::metrics::{CONTENT_TYPE, render};

pub(super) const METRICS: Doc = Doc {
    answers: &[Answer {
        text: Some("text/plain"),
        ..Answer::empty(status::OK, "the text exposition format of Prometheus, 0.0.4")
    }],
    ..Doc::of("What the connectors of this worker have done, for Prometheus")
};

pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], render(&api.0.board.instance(now_ms())))
}
