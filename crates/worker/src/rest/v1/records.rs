//! `GET /v1/connectors/{name}/records`: the connector's records as Kafka commits them, as server-sent events.
//!
//! Shape: `event: reading` with `{"topics"}` once they are read, first of all; `event: record` with topic, partition, offset, key, value and headers;
//! at the end `event: deleted` with `{"name"}`, or `event: problem` with a problem.
//! Source: HTML standard, "Server-sent events".

use std::convert::Infallible;

use axum::extract::{Path, RawQuery, State};
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::super::Api;
use super::super::answer::problem;
use super::super::connectors::query_values;
use super::super::error::ApiError;
use super::events::{event, kept_alive};
use crate::records::{Came, Records, record_json};

pub(crate) async fn stream(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let place = api.event_stream()?;
    let tables = query_values(query.as_deref().unwrap_or_default(), "table");
    let records = api.group().records(&name, &tables)?;
    let told = Told { name, records, _place: place };
    let events = futures_util::stream::unfold(told, |mut told| async move {
        let event = told.next().await?;
        Some((Ok(event), told))
    });
    Ok(kept_alive(events))
}

/// What one reader is told.
struct Told {
    name: String,
    records: Records,
    _place: OwnedSemaphorePermit,
}

impl Told {
    async fn next(&mut self) -> Option<Event> {
        Some(match self.records.next().await? {
            Came::Reading(topics) => event("reading", &json!({"topics": topics})),
            Came::Record(topic, record) => {
                let mut body = json!({"topic": topic});
                if let (Some(body), Some(more)) =
                    (body.as_object_mut(), record_json(&record).as_object_mut())
                {
                    body.append(more);
                }
                event("record", &body)
            }
            Came::Gone => event("deleted", &json!({"name": self.name})),
            Came::Failed(failure) => event("problem", &problem(&failure.into())),
        })
    }
}
