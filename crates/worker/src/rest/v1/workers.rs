//! `GET /v1/workers`: who is there, and how much each has.
//!
//! In: nothing. Out: the members of the group as Kafka's coordinator knows them. Never: a worker that is asked anything.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::openapi::{Answer, Doc, one};

/// The workers of a group.
#[derive(Serialize, ToSchema)]
pub(crate) struct Workers {
    group: String,
    workers: Vec<Worker>,
}

/// A worker.
#[derive(Serialize, ToSchema)]
struct Worker {
    /// As connectors name it.
    id: String,
    /// Where its API is.
    url: String,
    /// How many it has.
    #[schema(value_type = u64)]
    connectors: usize,
}

pub(crate) const LIST: Doc =
    Doc { answers: &[Answer::json("workers", one::<Workers>)], ..Doc::of("Workers of the group") };

pub(crate) async fn list(State(api): State<Api>) -> Json<Workers> {
    let connectors = api.group().connectors();
    let workers = api.group().members().into_iter().map(|member| {
        let has =
            connectors.iter().filter(|view| view.is_assigned && view.worker_id() == member.id);
        Worker { connectors: has.count(), id: member.id, url: member.url }
    });
    let workers = workers.collect();
    Json(Workers { group: api.group().options().group.clone(), workers })
}
