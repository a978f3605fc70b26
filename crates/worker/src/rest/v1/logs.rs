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
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::super::Api;
use super::super::answer::{Problem, problem};
use super::super::error::ApiError;
use super::super::openapi::{Answer, Doc, Parameter, Refusal, Values, one};
use super::super::query::{query_flag, query_values};
use super::events::{Deleted, event, kept_alive};
use crate::logs::{Lines, LogLine, Logged};

const LINES: u64 = 100;
const LINES_MAX: u64 = 1000;

/// What a connector wrote into the log.
#[derive(Serialize, ToSchema)]
#[schema(as = LogLines)]
struct LastLines {
    /// The oldest first.
    lines: Vec<LogLine>,
}

pub(crate) const READ: Doc = Doc {
    parameters: &[
        Parameter::query(
            "lines",
            Values::Number { most: LINES_MAX, default: LINES },
            "so many lines at most",
        ),
        Parameter::query("follow", Values::Flag, "go on with those that come"),
    ],
    answers: &[Answer {
        events: &[
            ("line", one::<LogLine>),
            ("deleted", one::<Deleted>),
            ("problem", one::<Problem>),
        ],
        ..Answer::json(
            "the last lines; followed, `event: line` each, at the end `event: deleted` with {\"name\"} or `event: problem` with a Problem",
            one::<LastLines>,
        )
    }],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("What a connector wrote into the log last, and what it writes")
};

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
        return Ok(Json(LastLines { lines }).into_response());
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
            Logged::Line(line) => event("line", &line),
            Logged::Gone => event("deleted", &Deleted { name: self.name.clone() }),
            Logged::Failed(failure) => event("problem", &problem(&failure.into())),
        })
    }
}

fn count(query: &str) -> Result<usize, ApiError> {
    let given = query_values(query, "lines").pop().unwrap_or_else(|| LINES.to_string());
    match given.parse() {
        Ok(count) if count as u64 <= LINES_MAX => Ok(count),
        _ => Err(ApiError::body(format!("lines is `{given}`, not a number up to {LINES_MAX}"))),
    }
}
