//! `/connectors/{name}/offsets`: where a connector goes on.
//!
//! In: a name, a position. Out: the position, or that it is another now. Never: one of a connector that is not stopped changed.
//! Source: Kafka Connect, `ConnectorOffsets` (KIP-875).

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Api;
use super::body::{self, Body};
use super::error::ApiError;
use super::openapi::{Answer, Doc, Refusal, one};
use crate::group::Offsets;

/// Where a connector goes on.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schema(as = Offsets)]
pub(super) struct OffsetsBody {
    /// One at most.
    offsets: Vec<PartitionOffset>,
}

/// A part of the source, and how far it was read.
#[derive(Serialize, ToSchema)]
struct PartitionOffset {
    partition: Partition,
    /// As Debezium writes it; null: nothing was read.
    #[schema(required)]
    offset: Option<Map<String, Value>>,
}

/// A part of the source: all of it.
#[derive(Serialize, ToSchema)]
struct Partition {
    /// The connector's `topic.prefix`.
    server: String,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub(super) struct Message {
    message: String,
}

pub(super) const GET: Doc = Doc {
    answers: &[Answer::json("one partition at most", one::<OffsetsBody>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("Where it goes on")
};

pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<OffsetsBody>, ApiError> {
    let offsets = Box::pin(api.group().offsets(&name)).await?;
    let offsets = offsets.map(|Offsets { server, offset }| PartitionOffset {
        partition: Partition { server },
        offset: Some(offset),
    });
    Ok(Json(OffsetsBody { offsets: offsets.into_iter().collect() }))
}

pub(super) const ALTER: Doc = Doc {
    body: Some(one::<OffsetsBody>),
    answers: &[Answer::json("set", one::<Message>)],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("Set where a stopped connector goes on; null forgets")
};

/// Sets the position of a stopped connector; null forgets it.
pub(super) async fn alter(
    State(api): State<Api>,
    Path(name): Path<String>,
    Body(OffsetsBody { offsets }): Body<OffsetsBody>,
) -> Result<Json<Message>, ApiError> {
    // There is one; a body with another number of them was not read.
    let only = offsets.into_iter().next();
    let only = only.and_then(|only| Some((only.partition.server, only.offset?)));
    let offsets = only.map(|(server, offset)| Offsets { server, offset });
    Box::pin(api.group().set_offsets(&name, offsets.as_ref())).await?;
    Ok(message(if offsets.is_some() { "altered" } else { "reset" }))
}

pub(super) const RESET: Doc = Doc {
    answers: &[Answer::json("forgotten", one::<Message>)],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("Forget where a stopped connector goes on")
};

/// Forgets the position of a stopped connector: it begins as a new one.
pub(super) async fn reset(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Message>, ApiError> {
    Box::pin(api.group().set_offsets(&name, None)).await?;
    Ok(message("reset"))
}

fn message(done: &str) -> Json<Message> {
    let message = format!("The offsets for this connector have been {done} successfully");
    Json(Message { message })
}

impl TryFrom<Map<String, Value>> for OffsetsBody {
    type Error = String;

    /// A connector reads one source partition, `{"server": topic.prefix}`, so there is one offset.
    fn try_from(object: Map<String, Value>) -> Result<Self, String> {
        if let Some(field) = object.keys().find(|field| *field != "offsets") {
            return Err(format!("`{field}` is not known: there is `offsets`"));
        }
        let offsets = match object.into_iter().next() {
            Some((_, Value::Array(offsets))) => offsets,
            None | Some((_, Value::Null)) => Vec::new(),
            Some((_, other)) => {
                return Err(format!("`offsets` is {}, not an array", body::kind(&other)));
            }
        };
        let mut offsets = offsets.into_iter();
        let (Some(first), None) = (offsets.next(), offsets.next()) else {
            return Err(
                "partitions and offsets are needed: one entry {\"partition\": {\"server\": …}, \"offset\": {…}}"
                    .to_owned(),
            );
        };
        let Value::String(server) = &first["partition"]["server"] else {
            return Err(
                "`partition` is not {\"server\": …}, where the value is the connector's topic.prefix"
                    .to_owned(),
            );
        };
        let offset = match &first["offset"] {
            Value::Null => None,
            Value::Object(offset) => Some(offset.clone()),
            other => return Err(format!("`offset` is {}, not an object", body::kind(other))),
        };
        let partition = Partition { server: server.clone() };
        Ok(Self { offsets: vec![PartitionOffset { partition, offset }] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::openapi::expect_fit;
    use super::*;

    #[test]
    fn what_is_shown_can_be_set() {
        for offset in [json!({"lsn": 1}), Value::Null] {
            let shown = json!({"offsets": [{"partition": {"server": "s"}, "offset": offset}]});
            let read: OffsetsBody = serde_json::from_value(shown.clone()).unwrap();
            assert_eq!(json!(read), shown);
            expect_fit(&read);
        }
    }

    #[test]
    fn there_is_one_offset() {
        let entry = json!({"partition": {"server": "s"}, "offset": {}});
        for body in [json!({}), json!({"offsets": []}), json!({"offsets": [entry, entry]})] {
            assert!(serde_json::from_value::<OffsetsBody>(body.clone()).is_err(), "{body}");
        }
    }
}
