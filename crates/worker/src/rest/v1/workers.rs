//! `GET /v1/workers`: who is there, and how much each has.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::Api;

pub(crate) async fn list(State(api): State<Api>) -> Json<Value> {
    let connectors = api.group().connectors();
    let workers = api.group().members().into_iter().map(|member| {
        let has =
            connectors.iter().filter(|view| view.is_assigned && view.worker_id() == member.id);
        json!({"id": member.id, "url": member.url, "connectors": has.count()})
    });
    Json(json!({"group": api.group().options().group, "workers": workers.collect::<Vec<_>>()}))
}
