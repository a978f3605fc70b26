//! Restart, pause, resume, stop.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::info::ConnectorState;
use super::openapi::{Answer, Doc, Parameter, Refusal, Values, one};
use super::query::query_flag;
use super::{Api, status};
use crate::view::{ConnectState, ConnectorView};
use crate::wanted::Target;

pub(super) const RESTART: Doc = Doc {
    parameters: &[
        Parameter::query(
            "includeTasks",
            Values::Flag,
            "asks for an answer; the task is always restarted with its connector",
        ),
        Parameter::query("onlyFailed", Values::Flag, "leaves alone what has not failed"),
    ],
    answers: &[
        Answer::json("will be done; only with a parameter", one::<ConnectorState>)
            .with(status::ACCEPTED),
        Answer::empty(status::DONE, "will be done"),
    ],
    refusals: &[Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("Restart the connector with its task")
};

/// A connector and its task are one here, so that a restart always restarts both.
pub(super) async fn restart(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let only_failed = query_flag(&query, "onlyFailed");
    let before = api.group().connector(&name)?;
    Box::pin(api.group().restart(&name, only_failed)).await?;
    if !only_failed && !query_flag(&query, "includeTasks") {
        return Ok(status::DONE.into_response());
    }
    let (connector, task) = after_restart(&before, only_failed);
    Ok((status::ACCEPTED, Json(ConnectorState::with(&before, connector, task))).into_response())
}

/// What the answer of a restart tells: what it is about to do.
fn after_restart(view: &ConnectorView, only_failed: bool) -> (ConnectState, Option<ConnectState>) {
    let restarted = |state| match state {
        ConnectState::Failed => ConnectState::Restarting,
        ConnectState::Paused | ConnectState::Stopped => state,
        ConnectState::Unassigned | ConnectState::Running | ConnectState::Restarting => {
            if only_failed {
                state
            } else {
                ConnectState::Restarting
            }
        }
    };
    (restarted(view.connector_state()), view.task_state().map(restarted))
}

pub(super) const PAUSE: Doc = Doc {
    answers: &[Answer::empty(status::ACCEPTED, "will be done")],
    refusals: &[Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("Pause")
};

pub(super) async fn pause(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    Box::pin(api.group().set_target(&name, Target::Paused)).await?;
    Ok(status::ACCEPTED)
}

pub(super) const RESUME: Doc = Doc {
    answers: &[Answer::empty(status::ACCEPTED, "will be done")],
    refusals: &[Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("Go on")
};

pub(super) async fn resume(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    Box::pin(api.group().set_target(&name, Target::Running)).await?;
    Ok(status::ACCEPTED)
}

pub(super) const STOP: Doc = Doc {
    answers: &[Answer::empty(status::DONE, "will be done")],
    refusals: &[Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("Stop")
};

pub(super) async fn stop(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    Box::pin(api.group().set_target(&name, Target::Stopped)).await?;
    Ok(status::DONE)
}
