//! `GET /`: what this is.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::openapi::{Answer, Doc, one};

/// The version of Kafka Connect whose API this is; tools decide by it what they may ask.
const CONNECT_VERSION: &str = "4.3.1";
/// Ours.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Root {
    /// The version of Kafka Connect whose API this is, then ours.
    version: String,
    commit: &'static str,
    kafka_cluster_id: String,
}

pub(super) const ROOT: Doc = Doc {
    answers: &[Answer::json("versions and the Kafka cluster", one::<Root>)],
    ..Doc::of("What this is")
};

pub(super) async fn root(State(api): State<Api>) -> Json<Root> {
    Json(Root {
        version: format!("{CONNECT_VERSION}-tributary-{VERSION}"),
        commit: "unknown",
        kafka_cluster_id: api.group().cluster_id().to_owned(),
    })
}
