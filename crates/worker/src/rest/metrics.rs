//! `GET /metrics`, for Prometheus.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::Api;
use crate::clock::now_ms;
use crate::metrics::{CONTENT_TYPE, render};

pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], render(&api.0.board.instance(now_ms())))
}
