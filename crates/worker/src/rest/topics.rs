//! `/connectors/{name}/topics`: where a connector has written to.
//!
//! In: a name. Out: the topics it was told of. Never: a topic that is made or taken away.
//! Source: Kafka Connect, KIP-558.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::openapi::{Answer, Doc, Refusal, one};
use super::{Api, status};

/// By connector; there is one.
#[derive(Serialize, ToSchema)]
pub(super) struct Topics(BTreeMap<String, TopicNames>);

/// Topics a connector has written to.
#[derive(Serialize, ToSchema)]
struct TopicNames {
    topics: Vec<String>,
}

pub(super) const LIST: Doc = Doc {
    answers: &[Answer::json("topics, by connector", one::<Topics>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("Topics it has written to")
};

pub(super) async fn list(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Topics>, ApiError> {
    let view = api.group().connector(&name)?;
    let topics = view.topics().to_vec();
    Ok(Json(Topics([(name, TopicNames { topics })].into())))
}

pub(super) const RESET: Doc = Doc {
    answers: &[Answer::empty(status::ACCEPTED, "forgotten")],
    refusals: &[Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("Forget them")
};

pub(super) async fn reset(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    Box::pin(api.group().reset_topics(&name)).await?;
    Ok(status::ACCEPTED)
}
