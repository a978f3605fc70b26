//! `GET /v1/connectors/{name}/logs`: the last lines a connector wrote into the log, and with `follow=true` those that come.
//!
//! Shape: `{"lines": [{"at_ms", "level", "worker", "text"}]}`; followed, server-sent events: `event: line` each, at the end `event: deleted` with
//! `{"name"}`, or `event: problem` with a problem.
//! Source: HTML standard, "Server-sent events".

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::super::Api;
use super::super::answer::problem;
use super::super::connectors::{query_flag, query_values};
use super::super::error::ApiError;
use super::events::{event, kept_alive};
use crate::logs::{Lines, Logged};

const LINES: usize = 100;
const LINES_MAX: usize = 1000;

pub(crate) async fn read(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let count = count(&query)?;
    if !query_flag(&query, "follow") {
        let _place = api.look()?;
        let lines = Box::pin(api.group().log(&name, count)).await?.into_last();
        return Ok(Json(json!({"lines": lines})).into_response());
    }
    let place = api.event_stream()?;
    let lines = Box::pin(api.group().log(&name, count)).await?;
    let told = Told { name, lines, is_over: false, _place: place };
    let events = futures_util::stream::unfold(told, |mut told| async move {
        let event = told.next().await?;
        Some((Ok::<_, Infallible>(event), told))
    });
    Ok(kept_alive(events).into_response())
}

/// What one reader is told.
struct Told {
    name: String,
    lines: Lines,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Told {
    async fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        let logged = self.lines.next().await;
        self.is_over = !matches!(logged, Logged::Line(_));
        Some(match logged {
            Logged::Line(line) => event("line", &json!(line)),
            Logged::Gone => event("deleted", &json!({"name": self.name})),
            Logged::Failed(failure) => event("problem", &problem(&failure.into())),
        })
    }
}

fn count(query: &str) -> Result<usize, ApiError> {
    let Some(given) = query_values(query, "lines").pop() else { return Ok(LINES) };
    match given.parse::<usize>() {
        Ok(count) if count <= LINES_MAX => Ok(count),
        _ => Err(ApiError::body(format!("lines is `{given}`, not a number up to {LINES_MAX}"))),
    }
}
