//! `/connectors/{name}/tasks`: the one task each connector has.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::connectors::part;
use super::error::ApiError;
use super::{Api, secrets, status};
use crate::view::ConnectorView;

/// Debezium's class of the task, which its configuration names.
const TASK_CLASS: &str = "io.debezium.connector.postgresql.PostgresConnectorTask";

pub(super) async fn list(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let view = api.group().connector(&name)?;
    let task = view
        .task_state()
        .map(|_| json!({"id": {"connector": view.name, "task": 0}, "config": config(&view)}));
    Ok(Json(json!(task.into_iter().collect::<Vec<_>>())))
}

/// As Kafka Connect had it before 4.0; clients of then still ask.
pub(super) async fn configs(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let view = api.group().connector(&name)?;
    let mut configs = Map::new();
    if view.task_state().is_some() {
        configs.insert(format!("{}-0", view.name), config(&view));
    }
    Ok(Json(Value::Object(configs)))
}

pub(super) async fn status(
    State(api): State<Api>,
    Path((name, task)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let view = api.group().connector(&name)?;
    let state = view.task_state().filter(|_| task == "0").ok_or_else(|| no_task(&name, &task))?;
    let mut answer = Map::new();
    answer.insert("id".to_owned(), json!(0));
    answer.append(&mut part(&view, state));
    Ok(Json(Value::Object(answer)))
}

pub(super) async fn restart(
    State(api): State<Api>,
    Path((name, task)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let view = api.group().connector(&name)?;
    view.task_state().filter(|_| task == "0").ok_or_else(|| no_task(&name, &task))?;
    Box::pin(api.group().restart(&name, false)).await?;
    Ok(status::DONE)
}

fn config(view: &ConnectorView) -> Value {
    let mut config = secrets::hidden(&view.wanted.config);
    config.insert("task.class".to_owned(), TASK_CLASS.to_owned());
    json!(config)
}

fn no_task(name: &str, task: &str) -> ApiError {
    ApiError::NoTask { name: name.to_owned(), task: task.to_owned() }
}
