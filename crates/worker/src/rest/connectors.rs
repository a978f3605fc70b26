//! `/connectors` and `/connectors/{name}`.
//!
//! In: requests of tools made for Kafka Connect. Out: its shapes (`info`). Never: a slot or a topic taken away; that is `/v1`'s.
//! Source: Kafka Connect, `ConnectorsResource`, `CreateConnectorRequest`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::audit::Changed;
use super::body::{self, Body, GivenConfig};
use super::error::ApiError;
use super::info::{ConnectorInfo, ConnectorState};
use super::openapi::{Answer, Doc, Parameter, Refusal, Values, one};
use super::query::query_values;
use super::{Api, status};
use crate::view::ConnectorView;
use crate::wanted::Target;

/// What stands as it is in a part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Names, or a map of name to what `expand` asks for.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum ConnectorList {
    Names(Vec<String>),
    Expanded(BTreeMap<String, Expanded>),
}

/// What `expand` asks for of a connector.
#[derive(Serialize, ToSchema)]
struct Expanded {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    info: Option<ConnectorInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<ConnectorState>,
}

pub(super) const LIST: Doc = Doc {
    parameters: &[Parameter::query(
        "expand",
        Values::SomeOf(&["info", "status"]),
        "may be given twice",
    )],
    answers: &[Answer::json(
        "names, or a map of name to what expand asks for",
        one::<ConnectorList>,
    )],
    ..Doc::of("Names of all connectors, or more of each")
};

pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let expanded = query_values(query.as_deref().unwrap_or_default(), "expand");
    if expanded.is_empty() {
        return Json(ConnectorList::Names(api.group().names()));
    }
    // Others are left out, as Connect does.
    let has = |wanted: &str| expanded.iter().any(|part| part == wanted);
    let connectors = api.group().connectors().into_iter().map(|view| {
        let info = has("info").then(|| ConnectorInfo::of(&view));
        let status = has("status").then(|| ConnectorState::of(&view));
        (view.name, Expanded { info, status })
    });
    Json(ConnectorList::Expanded(connectors.collect()))
}

/// A connector that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>", deny_unknown_fields)]
pub(super) struct CreateConnector {
    /// Without it `name` of the configuration counts.
    #[schema(required = false)]
    name: Option<String>,
    config: GivenConfig,
    /// Without it the connector runs.
    #[schema(required = false)]
    initial_state: Option<Target>,
}

pub(super) const CREATE: Doc = Doc {
    body: Some(one::<CreateConnector>),
    answers: &[CREATED],
    refusals: &[Refusal::Wrong, Refusal::Conflict],
    ..Doc::of("Make a connector")
};

/// The answer when a connector was made.
pub(super) const CREATED: Answer = Answer {
    headers: &[("Location", "where the connector is")],
    ..Answer::json("made", one::<ConnectorInfo>).with(status::CREATED)
};

pub(super) async fn create(
    State(api): State<Api>,
    headers: HeaderMap,
    Body(request): Body<CreateConnector>,
) -> Result<Response, ApiError> {
    let CreateConnector { name, config: GivenConfig(config), initial_state } = request;
    let name = name.or_else(|| config.get("name").cloned()).unwrap_or_default();
    let target = initial_state.unwrap_or(Target::Running);
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
    let info = Json(ConnectorInfo::of(view));
    (status::CREATED, [(header::LOCATION, location)], info).into_response()
}

pub(super) const GET: Doc = Doc {
    answers: &[Answer::json("the connector", one::<ConnectorInfo>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("A connector")
};

pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<ConnectorInfo>, ApiError> {
    Ok(Json(ConnectorInfo::of(&api.group().connector(&name)?)))
}

pub(super) const STATUS: Doc = Doc {
    answers: &[Answer::json("states", one::<ConnectorState>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("What it and its task are doing")
};

pub(super) async fn status(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<ConnectorState>, ApiError> {
    Ok(Json(ConnectorState::of(&api.group().connector(&name)?)))
}

pub(super) const REMOVE: Doc = Doc {
    answers: &[Answer::empty(status::DONE, "ended")],
    refusals: &[Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("End a connector; slot, publication and topics stay")
};

pub(super) async fn remove(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    Box::pin(api.group().delete(&name)).await?;
    Ok(status::DONE)
}

impl TryFrom<Map<String, Value>> for CreateConnector {
    type Error = String;

    fn try_from(request: Map<String, Value>) -> Result<Self, String> {
        let (mut name, mut config, mut initial_state) = (None, None, None);
        for (field, value) in request {
            match (field.as_str(), value) {
                (_, Value::Null) => {}
                ("name", Value::String(text)) => name = Some(text.trim().to_owned()),
                ("config", Value::Object(object)) => config = Some(GivenConfig::try_from(object)?),
                ("initial_state", Value::String(text)) => initial_state = Some(target_of(&text)?),
                ("name" | "config" | "initial_state", other) => {
                    return Err(format!("`{field}` is {}", body::kind(&other)));
                }
                _ => {
                    return Err(format!(
                        "`{field}` is not known: there are `name`, `config` and `initial_state`"
                    ));
                }
            }
        }
        let config = config.ok_or("`config` is missing: {\"name\": …, \"config\": {…}}")?;
        Ok(Self { name, config, initial_state })
    }
}

fn target_of(text: &str) -> Result<Target, String> {
    [Target::Running, Target::Paused, Target::Stopped]
        .into_iter()
        .find(|target| target.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("`initial_state` is `{text}`: write RUNNING, PAUSED or STOPPED"))
}

/// A name as a part of a path.
pub(super) fn path_part(name: &str) -> String {
    utf8_percent_encode(name, PART).to_string()
}
