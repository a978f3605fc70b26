//! `/connectors/{name}/topics`: where a connector has written to.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::{Api, status};

pub(super) async fn list(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let view = api.group().connector(&name)?;
    let mut answer = Map::new();
    answer.insert(name, json!({"topics": view.topics()}));
    Ok(Json(Value::Object(answer)))
}

pub(super) async fn reset(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    Box::pin(api.group().reset_topics(&name)).await?;
    Ok(status::ACCEPTED)
}
