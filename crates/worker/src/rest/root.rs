//! `GET /`: what this is.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Api;

/// The version of Kafka Connect whose API this is; tools decide by it what they may ask.
const CONNECT_VERSION: &str = "4.3.1";
/// Ours.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn root(State(api): State<Api>) -> Json<Value> {
    Json(json!({
        "version": format!("{CONNECT_VERSION}-tributary-{VERSION}"),
        "commit": "unknown",
        "kafka_cluster_id": api.group().cluster_id(),
    }))
}
