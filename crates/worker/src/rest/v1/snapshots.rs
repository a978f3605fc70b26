//! `POST /v1/connectors/{name}/snapshots`: tables read again while the connector runs, and such reading paused, resumed, stopped.
//!
//! In: what is wanted, as JSON. Out: the id under which `state.signals` of the connector tells how it goes.
//! Never: a condition from somebody who may not change what the connector is: it is SQL that runs as the connector's role.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use connector::{SnapshotWanted, WrittenSignal, table_typed};
use rand::Rng;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::access::{Caller, Role};
use super::super::body::Object;
use super::super::error::ApiError;
use super::super::{Api, status};

/// What is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    action: Action,
    /// `schema.table`; without a schema `public` is meant.
    #[serde(default)]
    tables: Vec<String>,
    #[serde(default, rename = "where")]
    condition: Option<String>,
    #[serde(default)]
    blocking: bool,
    #[serde(default)]
    surrogate_key: Option<String>,
    /// Without one an id is made.
    #[serde(default)]
    id: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Execute,
    Pause,
    Resume,
    Stop,
}

/// Writes the signal.
pub(crate) async fn ask(
    State(api): State<Api>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    Object(object): Object,
) -> Result<impl IntoResponse, ApiError> {
    let wish: Wish = serde_json::from_value(Value::Object(object))
        .map_err(|error| ApiError::body(error.to_string()))?;
    if wish.condition.is_some() && caller.role < Role::Admin {
        let Caller { name: caller, role: has } = caller;
        return Err(ApiError::Forbidden { caller, has, needs: Role::Admin });
    }
    let id = match wish.id.clone() {
        Some(id) if id.is_empty() => return Err(ApiError::body("`id` is empty: leave it out")),
        Some(id) => id,
        None => format!("{:032x}", rand::rng().random::<u128>()),
    };
    let signal = signal(wish)?;
    let sent = Box::pin(api.group().signal(&name, &signal, &id)).await?;
    let answer = json!({
        "id": id,
        "type": signal.kind(),
        "connector": name,
        "topic": sent.topic,
        "end_offset": sent.end_offset,
        "is_new_topic": sent.is_new_topic,
        "is_compacted": sent.is_compacted,
    });
    Ok::<(StatusCode, Json<Value>), _>((status::ACCEPTED, Json(answer)))
}

fn signal(wish: Wish) -> Result<WrittenSignal, ApiError> {
    let Wish { action, tables, condition, blocking, surrogate_key, .. } = wish;
    let has_more = condition.is_some() || blocking || surrogate_key.is_some();
    let tables: Vec<_> = tables.iter().map(|typed| table_typed(typed)).collect();
    let signal = match action {
        Action::Execute if tables.is_empty() => {
            return Err(ApiError::body("`tables` names none, and only tables can be read"));
        }
        Action::Execute => {
            WrittenSignal::Execute(SnapshotWanted { tables, condition, blocking, surrogate_key })
        }
        _ if has_more => {
            return Err(ApiError::body(
                "`where`, `blocking` and `surrogate_key` belong to the action `execute` alone",
            ));
        }
        Action::Stop => WrittenSignal::Stop(tables),
        Action::Pause | Action::Resume if !tables.is_empty() => {
            return Err(ApiError::body(
                "all tables pause and resume together: leave `tables` out, or stop some of them",
            ));
        }
        Action::Pause => WrittenSignal::Pause,
        Action::Resume => WrittenSignal::Resume,
    };
    Ok(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: Value) -> Result<WrittenSignal, String> {
        let wish: Wish = serde_json::from_value(body).map_err(|error| error.to_string())?;
        signal(wish).map_err(|error| error.to_string())
    }

    #[test]
    fn a_wish_is_one_signal() {
        let tables = json!({"tables": ["orders", "s.t"]});
        let WrittenSignal::Execute(wanted) = of(tables).unwrap() else { panic!() };
        let names: Vec<String> = wanted.tables.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["public.orders", "s.t"]);
        assert_eq!(of(json!({"action": "pause"})), Ok(WrittenSignal::Pause));
        assert_eq!(of(json!({"action": "stop"})), Ok(WrittenSignal::Stop(Vec::new())));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for body in [
            json!({}),
            json!({"action": "pause", "tables": ["a"]}),
            json!({"action": "stop", "where": "true"}),
            json!({"action": "resume", "blocking": true}),
            json!({"action": "begin"}),
            json!({"tables": ["a"], "table": "b"}),
        ] {
            assert!(of(body.clone()).is_err(), "{body}");
        }
    }
}
