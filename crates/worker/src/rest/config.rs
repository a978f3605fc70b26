//! `/connectors/{name}/config`: the configuration, whole or some keys of it.
//!
//! In: keys and values. Out: the same with secrets hidden, or the connector that has them now.
//! Never: a value in the audit log; of a configuration it has the names of keys only.
//! Source: Kafka Connect, `ConnectorsResource`, KIP-477.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::audit::Changed;
use super::body::{Body, ConfigPatch, GivenConfig};
use super::connectors::{CREATED, created};
use super::error::ApiError;
use super::info::ConnectorInfo;
use super::openapi::{Answer, Doc, Refusal, one};
use super::secrets::{self, Shown};

pub(super) const GET: Doc = Doc {
    answers: &[Answer::json("the configuration", one::<Shown>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("Its configuration")
};

pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Shown>, ApiError> {
    Ok(Json(secrets::hidden(&api.group().connector(&name)?.wanted.config)))
}

pub(super) const PUT: Doc = Doc {
    body: Some(one::<GivenConfig>),
    answers: &[Answer::json("set", one::<ConnectorInfo>), CREATED],
    refusals: &[Refusal::Wrong, Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("Make a connector, or set its whole configuration")
};

/// Makes the connector, or sets its whole configuration.
pub(super) async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(GivenConfig(config)): Body<GivenConfig>,
) -> Result<Response, ApiError> {
    let keys = config.keys().cloned().collect();
    let config = api.incoming(&name, config)?;
    let put = Box::pin(api.group().put_config(&name, config, None)).await?;
    let answer = if put.is_created {
        created(&headers, &put.connector)
    } else {
        Json(ConnectorInfo::of(&put.connector)).into_response()
    };
    Ok((Changed(keys), answer).into_response())
}

pub(super) const CHANGE: Doc = Doc {
    body: Some(one::<ConfigPatch>),
    answers: &[Answer::json("set", one::<ConnectorInfo>)],
    refusals: &[Refusal::Wrong, Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("Set some keys; null removes one")
};

/// Sets some keys; null removes one.
pub(super) async fn change(
    State(api): State<Api>,
    Path(name): Path<String>,
    Body(ConfigPatch(patch)): Body<ConfigPatch>,
) -> Result<(Changed, Json<ConnectorInfo>), ApiError> {
    let patch = api.incoming_patch(&name, patch)?;
    let view = Box::pin(api.group().patch_config(&name, &patch, None)).await?;
    Ok((Changed(patch.into_keys().collect()), Json(ConnectorInfo::of(&view))))
}
