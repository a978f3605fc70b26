//! `/connectors/{name}/offsets`: where a connector goes on.
//!
//! Source: Kafka Connect, `ConnectorOffsets` (KIP-875).

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Api;
use super::body::{self, Object};
use super::error::ApiError;
use crate::group::Offsets;

pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let offsets = Box::pin(api.group().offsets(&name)).await?;
    let offsets = offsets.map(
        |Offsets { server, offset }| json!({"partition": {"server": server}, "offset": offset}),
    );
    Ok(Json(json!({"offsets": offsets.into_iter().collect::<Vec<_>>()})))
}

/// Sets the position of a stopped connector; null forgets it.
pub(super) async fn alter(
    State(api): State<Api>,
    Path(name): Path<String>,
    Object(object): Object,
) -> Result<Json<Value>, ApiError> {
    let (server, offset) = only_offset(object)?;
    let forgotten = offset.is_none();
    match offset {
        Some(offset) => {
            let offsets = Offsets { server, offset };
            Box::pin(api.group().set_offsets(&name, Some(&offsets))).await?;
        }
        None => Box::pin(api.group().set_offsets(&name, None)).await?,
    }
    Ok(message(if forgotten { "reset" } else { "altered" }))
}

/// Forgets the position of a stopped connector: it begins as a new one.
pub(super) async fn reset(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Box::pin(api.group().set_offsets(&name, None)).await?;
    Ok(message("reset"))
}

fn message(done: &str) -> Json<Value> {
    Json(
        json!({"message": format!("The offsets for this connector have been {done} successfully")}),
    )
}

/// The one offset of a body: a connector reads one source partition, `{"server": topic.prefix}`.
fn only_offset(
    object: Map<String, Value>,
) -> Result<(String, Option<Map<String, Value>>), ApiError> {
    if let Some(field) = object.keys().find(|field| *field != "offsets") {
        return Err(ApiError::body(format!("`{field}` is not known: there is `offsets`")));
    }
    let offsets = match object.into_iter().next() {
        Some((_, Value::Array(offsets))) => offsets,
        None | Some((_, Value::Null)) => Vec::new(),
        Some((_, other)) => {
            return Err(ApiError::body(format!(
                "`offsets` is {}, not an array",
                body::kind(&other)
            )));
        }
    };
    let mut offsets = offsets.into_iter();
    let (Some(first), None) = (offsets.next(), offsets.next()) else {
        return Err(ApiError::body(
            "partitions and offsets are needed: one entry {\"partition\": {\"server\": …}, \"offset\": {…}}",
        ));
    };
    let server = match &first["partition"]["server"] {
        Value::String(server) => server.clone(),
        _ => {
            return Err(ApiError::body(
                "`partition` is not {\"server\": …}, where the value is the connector's topic.prefix",
            ));
        }
    };
    match &first["offset"] {
        Value::Null => Ok((server, None)),
        Value::Object(offset) => Ok((server, Some(offset.clone()))),
        other => Err(ApiError::body(format!("`offset` is {}, not an object", body::kind(other)))),
    }
}
