//! `/connectors/{name}/tasks`: the one task each connector has.
//!
//! In: a name, and the number of a task. Out: what it is to do, and what it is doing. Never: a task apart from its connector.
//! Source: Kafka Connect, `TaskInfo`, `ConnectorStateInfo.TaskState`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::error::ApiError;
use super::info::{TaskId, TaskInfo, TaskState};
use super::openapi::{Answer, Doc, Refusal, list as list_of, map, one};
use super::secrets::{self, Shown};
use super::{Api, status};
use crate::view::ConnectorView;

/// Debezium's class of the task, which its configuration names.
const TASK_CLASS: &str = "io.debezium.connector.postgresql.PostgresConnectorTask";

pub(super) const LIST: Doc = Doc {
    answers: &[Answer::json("one, or none while it is stopped", list_of::<TaskInfo>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("Its task")
};

pub(super) async fn list(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Vec<TaskInfo>>, ApiError> {
    let view = api.group().connector(&name)?;
    let task = view.task_state();
    let task = task.map(|_| TaskInfo { id: TaskId::of(&view.name), config: config(&view) });
    Ok(Json(task.into_iter().collect()))
}

pub(super) const CONFIGS: Doc = Doc {
    answers: &[Answer::json("by NAME-0", map::<Shown>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("The configuration of its task, as Kafka Connect had it before 4.0")
};

/// As Kafka Connect had it before 4.0; clients of then still ask.
pub(super) async fn configs(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<BTreeMap<String, Shown>>, ApiError> {
    let view = api.group().connector(&name)?;
    let task = view.task_state();
    let task = task.map(|_| (format!("{}-0", view.name), config(&view)));
    Ok(Json(task.into_iter().collect()))
}

pub(super) const STATUS: Doc = Doc {
    answers: &[Answer::json("state", one::<TaskState>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("What its task is doing")
};

pub(super) async fn status(
    State(api): State<Api>,
    Path((name, task)): Path<(String, String)>,
) -> Result<Json<TaskState>, ApiError> {
    let view = api.group().connector(&name)?;
    let state = view.task_state().filter(|_| task == "0").ok_or_else(|| no_task(&name, &task))?;
    Ok(Json(TaskState::of(&view, state)))
}

pub(super) const RESTART: Doc = Doc {
    answers: &[Answer::empty(status::DONE, "will be done")],
    refusals: &[Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("Restart the task")
};

pub(super) async fn restart(
    State(api): State<Api>,
    Path((name, task)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let view = api.group().connector(&name)?;
    view.task_state().filter(|_| task == "0").ok_or_else(|| no_task(&name, &task))?;
    Box::pin(api.group().restart(&name, false)).await?;
    Ok(status::DONE)
}

fn config(view: &ConnectorView) -> Shown {
    secrets::hidden(&view.wanted.config).with("task.class", TASK_CLASS)
}

fn no_task(name: &str, task: &str) -> ApiError {
    ApiError::NoTask { name: name.to_owned(), task: task.to_owned() }
}
