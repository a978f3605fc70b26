//! `POST /v1/connectors/{name}/snapshots`: tables read again while the connector runs, and such reading paused, resumed, stopped.
//!
//! In: what is wanted, as JSON. Out: the id under which `state.signals` of the connector tells how it goes.
//! Never: a condition from somebody who may not change what the connector is: it is SQL that runs as the connector's role.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use connector::{SnapshotWanted, WrittenSignal, table_typed};
use rand::Rng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::access::{Caller, Role};
use super::super::body::Body;
use super::super::error::ApiError;
use super::super::openapi::{Answer, Doc, Refusal, one};
use super::super::{Api, status};

/// What is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SnapshotWish)]
pub(crate) struct Wish {
    #[serde(default)]
    #[schema(default = "execute")]
    action: Action,
    /// `schema.table`, or a table of `public`; those to read, or with `stop` those to leave.
    #[serde(default)]
    tables: Vec<String>,
    /// Only rows for which this SQL holds; needs the role admin.
    #[serde(default, rename = "where")]
    condition: Option<String>,
    /// The stream stands still meanwhile.
    #[serde(default)]
    blocking: bool,
    /// A column to read in the order of.
    #[serde(default)]
    surrogate_key: Option<String>,
    /// Id of the signal; without it one is made.
    #[serde(default)]
    id: Option<String>,
}

/// What is to be done with snapshots.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[schema(as = SnapshotAction)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Execute,
    Pause,
    Resume,
    Stop,
}

/// The signal that was written.
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotSignal {
    id: String,
    /// `execute-snapshot`, `pause-snapshot`, `resume-snapshot` or `stop-snapshot`.
    #[serde(rename = "type")]
    kind: &'static str,
    connector: String,
    /// The connector's topic of signals.
    topic: String,
    /// Once `state.signals.topic_offset` is here, the signal was heeded.
    end_offset: i64,
    /// The topic was made for it.
    is_new_topic: bool,
    /// Of several signals that were not read the last alone may be left.
    is_compacted: bool,
}

pub(crate) const ASK: Doc = Doc {
    body: Some(one::<Wish>),
    answers: &[Answer::json("the signal is written", one::<SnapshotSignal>).with(status::ACCEPTED)],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("Have tables read again; pause, resume or stop that")
};

/// Writes the signal.
pub(crate) async fn ask(
    State(api): State<Api>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    Body(wish): Body<Wish>,
) -> Result<(StatusCode, Json<SnapshotSignal>), ApiError> {
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
    let answer = SnapshotSignal {
        id,
        kind: signal.kind(),
        connector: name,
        topic: sent.topic,
        end_offset: sent.end_offset,
        is_new_topic: sent.is_new_topic,
        is_compacted: sent.is_compacted,
    };
    Ok((status::ACCEPTED, Json(answer)))
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
    use serde_json::{Value, json};

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
