//! `/connectors` and `/connectors/{name}`.
//!
//! Source: Kafka Connect, `ConnectorInfo`, `ConnectorStateInfo`, `CreateConnectorRequest`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::audit::Changed;
use super::body::{self, Object};
use super::error::ApiError;
use super::{Api, root, secrets, status};
use crate::view::{ConnectState, ConnectorView};
use crate::wanted::Target;

/// What stands as it is in a part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Json<Value> {
    let expanded = query_values(query.as_deref().unwrap_or_default(), "expand");
    if expanded.is_empty() {
        return Json(json!(api.group().names()));
    }
    let mut connectors = Map::new();
    for view in api.group().connectors() {
        let mut parts = Map::new();
        // Others are left out, as Connect does.
        if expanded.iter().any(|part| part == "info") {
            parts.insert("info".to_owned(), info(&view));
        }
        if expanded.iter().any(|part| part == "status") {
            parts.insert("status".to_owned(), state(&view));
        }
        connectors.insert(view.name, Value::Object(parts));
    }
    Json(Value::Object(connectors))
}

pub(super) async fn create(
    State(api): State<Api>,
    headers: HeaderMap,
    Object(request): Object,
) -> Result<Response, ApiError> {
    let Create { name, config, target } = Create::read(request)?;
    let keys = config.keys().cloned().collect();
    let config = api.incoming(&name, config)?;
    let view = Box::pin(api.group().create(&name, config, target)).await?;
    Ok((Changed(keys), created(&headers, &view)).into_response())
}

/// Answers that a connector was made, and where it is.
pub(super) fn created(headers: &HeaderMap, view: &ConnectorView) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let path = format!("/connectors/{}", path_part(&view.name));
    let location = host.map_or_else(|| path.clone(), |host| format!("http://{host}{path}"));
    (status::CREATED, [(header::LOCATION, location)], Json(info(view))).into_response()
}

pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(info(&api.group().connector(&name)?)))
}

pub(super) async fn status(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(state(&api.group().connector(&name)?)))
}

pub(super) async fn remove(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    Box::pin(api.group().delete(&name)).await?;
    Ok(status::DONE)
}

/// `{name, config, initial_state?}`.
struct Create {
    name: String,
    config: BTreeMap<String, String>,
    target: Target,
}

impl Create {
    fn read(request: Map<String, Value>) -> Result<Self, ApiError> {
        let (mut name, mut config, mut target) = (None, None, Target::Running);
        for (field, value) in request {
            match (field.as_str(), value) {
                (_, Value::Null) => {}
                ("name", Value::String(text)) => name = Some(text.trim().to_owned()),
                ("config", Value::Object(object)) => config = Some(body::config(object)?),
                ("initial_state", Value::String(text)) => target = target_of(&text)?,
                ("name" | "config" | "initial_state", other) => {
                    return Err(ApiError::body(format!("`{field}` is {}", body::kind(&other))));
                }
                _ => {
                    return Err(ApiError::body(format!(
                        "`{field}` is not known: there are `name`, `config` and `initial_state`"
                    )));
                }
            }
        }
        let config = config
            .ok_or_else(|| ApiError::body("`config` is missing: {\"name\": …, \"config\": {…}}"))?;
        let name = name.or_else(|| config.get("name").cloned()).unwrap_or_default();
        Ok(Self { name, config, target })
    }
}

fn target_of(text: &str) -> Result<Target, ApiError> {
    [Target::Running, Target::Paused, Target::Stopped]
        .into_iter()
        .find(|target| target.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            ApiError::body(format!("`initial_state` is `{text}`: write RUNNING, PAUSED or STOPPED"))
        })
}

/// `ConnectorInfo`.
pub(super) fn info(view: &ConnectorView) -> Value {
    // Before any worker had it there is none, as with Connect.
    let task = view.told.as_ref().and(view.task_state());
    let tasks = task.map(|_| json!({"connector": view.name, "task": 0}));
    json!({
        "name": view.name,
        "config": secrets::hidden(&view.wanted.config),
        "tasks": tasks.into_iter().collect::<Vec<_>>(),
        "type": "source",
    })
}

/// `ConnectorStateInfo`.
pub(super) fn state(view: &ConnectorView) -> Value {
    states(view, view.connector_state(), view.task_state())
}

/// The same, for states it is about to have.
pub(super) fn states(
    view: &ConnectorView,
    connector: ConnectState,
    task: Option<ConnectState>,
) -> Value {
    let tasks = task.map(|state| {
        let mut task = part(view, state);
        task.insert("id".to_owned(), json!(0));
        task
    });
    json!({
        "name": view.name,
        "connector": part(view, connector),
        "tasks": tasks.into_iter().collect::<Vec<_>>(),
        "type": "source",
    })
}

/// State and place of a connector or its task; with the cause where it is one of failure.
pub(super) fn part(view: &ConnectorView, state: ConnectState) -> Map<String, Value> {
    let mut part = Map::new();
    part.insert("state".to_owned(), json!(state.as_str()));
    part.insert("worker_id".to_owned(), json!(view.worker_id()));
    part.insert("version".to_owned(), json!(root::VERSION));
    if matches!(state, ConnectState::Failed | ConnectState::Restarting)
        && let Some(cause) = view.told.as_ref().and_then(|told| told.cause.as_ref())
    {
        part.insert("trace".to_owned(), json!(cause.text));
    }
    part
}

/// A name as a part of a path.
pub(super) fn path_part(name: &str) -> String {
    utf8_percent_encode(name, PART).to_string()
}

/// The values of a parameter, which may stand there more than once.
pub(super) fn query_values(query: &str, name: &str) -> Vec<String> {
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    query
        .split('&')
        .filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key) == name).then(|| decoded(value))
        })
        .collect()
}

/// Whether a parameter is true, as Java reads it: any other word is false.
pub(super) fn query_flag(query: &str, name: &str) -> bool {
    query_values(query, name).last().is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
