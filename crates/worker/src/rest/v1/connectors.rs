//! `/v1/connectors`: one truthful state each (`connector`), and changes of some keys at a revision.
//!
//! In: a name, keys with their new values, the revision the caller has seen. Out: the connector as it is then.
//! Never: a change at another revision than the one asked for.
//! Source: RFC 9110, `ETag` and `If-Match`.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::audit::Changed;
use super::super::body::{Body, ConfigPatch};
use super::super::error::ApiError;
use super::super::openapi::{Answer, Doc, Parameter, Refusal, Values, one};
use super::super::query::query_flag;
use super::super::{Api, status};
use super::connector::Connector;
use crate::error::GroupError;
use crate::view::ConnectorView;
use crate::wanted::DestroyWanted;

const ETAG: &[(&str, &str)] = &[("ETag", "the revision, for If-Match")];

/// All connectors, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connectors {
    connectors: Vec<Connector>,
}

/// A change of some keys.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>", deny_unknown_fields)]
pub(crate) struct ConnectorChange {
    pub(super) config: ConfigPatch,
}

pub(crate) const LIST: Doc = Doc {
    answers: &[Answer::json("connectors", one::<Connectors>)],
    ..Doc::of("All connectors with all there is to say")
};

pub(crate) async fn list(State(api): State<Api>) -> Json<Connectors> {
    let views = api.group().connectors();
    Json(Connectors { connectors: views.iter().map(|view| Connector::of(&api, view)).collect() })
}

pub(crate) const GET: Doc = Doc {
    answers: &[Answer { headers: ETAG, ..Answer::json("the connector", one::<Connector>) }],
    refusals: &[Refusal::NotFound],
    ..Doc::of("One connector with all there is to say")
};

pub(crate) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let view = api.group().connector(&name)?;
    Ok(answer(&api, &view))
}

pub(crate) const CHANGE: Doc = Doc {
    parameters: &[Parameter {
        name: "If-Match",
        is_header: true,
        values: Values::Text,
        description: "ETag of the revision the change is made for; without it any",
    }],
    body: Some(one::<ConnectorChange>),
    answers: &[Answer { headers: ETAG, ..Answer::json("changed", one::<Connector>) }],
    refusals: &[Refusal::Wrong, Refusal::NotFound, Refusal::Conflict, Refusal::Changed],
    ..Doc::of("Set and unset keys, at a revision")
};

/// Sets and removes some keys, at the revision of `If-Match`.
pub(crate) async fn change(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(change): Body<ConnectorChange>,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    let view = api.group().connector(&name)?;
    // Asked first, so that who is late learns that and not what is wrong with a change that was made for another configuration.
    if let Some(expected) = expected.filter(|expected| *expected != view.wanted.revision) {
        let revision = view.wanted.revision;
        return Err(GroupError::Changed { name, expected, revision }.into());
    }
    let ConnectorChange { config: ConfigPatch(patch) } = change;
    let patch = api.incoming_patch(&name, patch)?;
    let view = Box::pin(api.group().patch_config(&name, &patch, expected)).await?;
    Ok((Changed(patch.into_keys().collect()), answer(&api, &view)).into_response())
}

pub(crate) const DESTROY: Doc = Doc {
    parameters: &[Parameter::query("topics", Values::Flag, "its topics, too")],
    answers: &[Answer::empty(
        status::ACCEPTED,
        "will be done; then the connector is not found any more",
    )],
    refusals: &[Refusal::NotFound, Refusal::Conflict],
    ..Doc::of("End a connector with its slot and its publication")
};

/// Ends a connector, its slot and its publication; with `topics=true` its topics, too.
pub(crate) async fn destroy(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    let topics = query_flag(query.as_deref().unwrap_or_default(), "topics");
    Box::pin(api.group().destroy(&name, DestroyWanted { topics })).await?;
    Ok(status::ACCEPTED)
}

fn answer(api: &Api, view: &ConnectorView) -> Response {
    let etag = HeaderValue::from_str(&format!("\"{}\"", view.wanted.revision));
    let etag = etag.unwrap_or_else(|_| HeaderValue::from_static(""));
    ([(header::ETAG, etag)], Json(Connector::of(api, view))).into_response()
}

/// The revision of `If-Match`; `None` if any will do.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let revision = quoted.and_then(|revision| revision.parse().ok());
    revision.map(Some).ok_or_else(|| {
        ApiError::body(
            "If-Match is not an ETag that GET /v1/connectors/{name} gave, as in If-Match: \"3\"",
        )
    })
}

impl TryFrom<Map<String, Value>> for ConnectorChange {
    type Error = String;

    fn try_from(object: Map<String, Value>) -> Result<Self, String> {
        let mut object = object.into_iter();
        match (object.next(), object.next()) {
            (Some((field, Value::Object(config))), None) if field == "config" => {
                Ok(Self { config: config.try_into()? })
            }
            _ => Err(
                "write {\"config\": {\"key\": \"value\", \"other.key\": null}}; null removes a key"
                    .to_owned(),
            ),
        }
    }
}
