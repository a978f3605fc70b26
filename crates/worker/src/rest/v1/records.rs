//! `GET /v1/connectors/{name}/records`: the connector's records as Kafka commits them, as server-sent events.
//!
//! Shape: `event: reading` with `{"topics"}` once they are read, first of all; `event: record` with topic, partition, offset, key, value and headers;
//! at the end `event: deleted` with `{"name"}`, or `event: problem` with a problem.
//! Source: HTML standard, "Server-sent events".

use std::convert::Infallible;

use axum::extract::{Path, RawQuery, State};
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::super::answer::{Problem, problem};
use super::super::error::ApiError;
use super::super::openapi::{Answer, Doc, Parameter, Refusal, Values, one};
use super::super::query::query_values;
use super::super::{Api, status};
use super::events::{Deleted, event, kept_alive};
use crate::records::{Came, RecordJson, Records};

/// Topics that are read from here on.
#[derive(Serialize, ToSchema)]
struct Reading {
    topics: Vec<String>,
}

/// A record, and where it is.
#[derive(Serialize, ToSchema)]
struct TopicRecord {
    topic: String,
    #[serde(flatten)]
    record: RecordJson,
}

pub(crate) const STREAM: Doc = Doc {
    parameters: &[Parameter::query(
        "table",
        Values::Texts,
        "schema.table; may be given several times; without it all",
    )],
    answers: &[Answer {
        events: &[
            ("reading", one::<Reading>),
            ("record", one::<TopicRecord>),
            ("deleted", one::<Deleted>),
            ("problem", one::<Problem>),
        ],
        ..Answer::empty(
            status::OK,
            "`event: reading` with {\"topics\"} first; `event: record` with topic, partition, offset, timestamp_ms, key, value, headers; at the end `event: deleted` with {\"name\"} or `event: problem` with a Problem",
        )
    }],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("The records of a connector as Kafka commits them")
};

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
            Came::Reading(topics) => event("reading", &Reading { topics }),
            Came::Record(topic, record) => {
                event("record", &TopicRecord { topic, record: RecordJson::from(&record) })
            }
            Came::Gone => event("deleted", &Deleted { name: self.name.clone() }),
            Came::Failed(failure) => event("problem", &problem(&failure.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use kafka::reader::ConsumedRecord;
    use serde_json::json;

    use super::super::super::openapi::expect_fit;
    use super::*;

    #[test]
    fn a_record_is_what_the_document_says() {
        let record = ConsumedRecord {
            partition: 0,
            offset: 1,
            timestamp_ms: 2,
            key: Some("{\"id\":1}".into()),
            value: None,
            headers: vec![("a".to_owned(), Some("b".into())), ("c".to_owned(), None)],
        };
        let told = TopicRecord { topic: "t".to_owned(), record: RecordJson::from(&record) };
        expect_fit(&told);
        assert_eq!(
            json!(told),
            json!({
                "topic": "t", "partition": 0, "offset": 1, "timestamp_ms": 2, "key": {"id": 1},
                "value": null, "headers": [{"name": "a", "value": "b"}, {"name": "c", "value": null}],
            })
        );
    }
}
