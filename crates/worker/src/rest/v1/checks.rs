//! `/v1/connectors/{name}/check`: both sides of a connector looked at, as it is or as a change would make it.
//!
//! In: a name, and for a plan the keys that would change. Out: a report, ready or not. Nothing is changed.
//! Never: a plan for somebody who may not make the change: the source's password goes wherever the configuration says.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use connector::check::Report;
use serde_json::{Map, Value, json};

use super::super::audit::Changed;
use super::super::body::Object;
use super::super::error::ApiError;
use super::super::{Api, secrets};
use super::connectors::patch;
use crate::wanted::Config;

pub(crate) async fn check(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let _place = api.look()?;
    Ok(Json(body(&Box::pin(api.group().check(&name)).await?)))
}

/// What a change of some keys would change, and what would be found.
pub(crate) async fn plan(
    State(api): State<Api>,
    Path(name): Path<String>,
    Object(object): Object,
) -> Result<Response, ApiError> {
    let _place = api.look()?;
    let patch = api.incoming_patch(&name, patch(object)?)?;
    let before = api.group().connector(&name)?.wanted.config;
    let (after, report) = Box::pin(api.group().plan(&name, &patch)).await?;
    let mut body = body(&report);
    body["changes"] = changes(&before, &after);
    Ok((Changed(patch.into_keys().collect()), Json(body)).into_response())
}

fn body(report: &Report) -> Value {
    let mut body = json!(report);
    body["ready"] = json!(report.is_ready());
    body
}

/// Keys that differ, as they are shown; a secret that becomes another is hidden on both sides.
fn changes(before: &Config, after: &Config) -> Value {
    let mut changes = Map::new();
    for key in before.keys().chain(after.keys()) {
        let (from, to) = (before.get(key), after.get(key));
        if from != to {
            let shown = |value: Option<&String>| value.map(|value| secrets::shown(key, value));
            changes.insert(key.clone(), json!({"from": shown(from), "to": shown(to)}));
        }
    }
    changes.into()
}
