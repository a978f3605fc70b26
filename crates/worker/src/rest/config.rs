//! `/connectors/{name}/config`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Api;
use super::audit::Changed;
use super::body::{self, Object};
use super::connectors::{created, info};
use super::error::ApiError;
use super::secrets;
use crate::wanted::Config;

pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Config>, ApiError> {
    Ok(Json(secrets::hidden(&api.group().connector(&name)?.wanted.config)))
}

/// Makes the connector, or sets its whole configuration.
pub(super) async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Object(object): Object,
) -> Result<Response, ApiError> {
    let config = body::config(object)?;
    let keys = config.keys().cloned().collect();
    let config = api.incoming(&name, config)?;
    let put = Box::pin(api.group().put_config(&name, config, None)).await?;
    let answer = if put.is_created {
        created(&headers, &put.connector)
    } else {
        Json(info(&put.connector)).into_response()
    };
    Ok((Changed(keys), answer).into_response())
}

/// Sets some keys; null removes one.
pub(super) async fn change(
    State(api): State<Api>,
    Path(name): Path<String>,
    Object(object): Object,
) -> Result<(Changed, Json<Value>), ApiError> {
    let patch = api.incoming_patch(&name, body::patch(object)?)?;
    let view = Box::pin(api.group().patch_config(&name, &patch, None)).await?;
    Ok((Changed(patch.into_keys().collect()), Json(info(&view))))
}
