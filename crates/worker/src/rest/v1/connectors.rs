//! `/v1/connectors`: one truthful state each, and changes of some keys at a revision.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::super::audit::Changed;
use super::super::body::{self, Object};
use super::super::connectors::{path_part, query_flag};
use super::super::error::ApiError;
use super::super::{Api, secrets, status};
use crate::error::GroupError;
use crate::view::ConnectorView;
use crate::wanted::{Config, DestroyWanted};

pub(crate) async fn list(State(api): State<Api>) -> Json<Value> {
    let connectors: Vec<Value> =
        api.group().connectors().iter().map(|view| connector(&api, view)).collect();
    Json(json!({"connectors": connectors}))
}

pub(crate) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let view = api.group().connector(&name)?;
    Ok(answer(&api, &view))
}

/// Sets and removes some keys, at the revision of `If-Match`.
pub(crate) async fn change(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Object(object): Object,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    let view = api.group().connector(&name)?;
    // Asked first, so that who is late learns that and not what is wrong with a change that was made for another configuration.
    if let Some(expected) = expected.filter(|expected| *expected != view.wanted.revision) {
        let revision = view.wanted.revision;
        return Err(GroupError::Changed { name, expected, revision }.into());
    }
    let patch = api.incoming_patch(&name, patch(object)?)?;
    let view = Box::pin(api.group().patch_config(&name, &patch, expected)).await?;
    Ok((Changed(patch.into_keys().collect()), answer(&api, &view)).into_response())
}

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
    ([(header::ETAG, etag)], Json(connector(api, view))).into_response()
}

/// Everything there is to say of a connector.
pub(super) fn connector(api: &Api, view: &ConnectorView) -> Value {
    let config = &view.wanted.config;
    let path = path_part(&view.name);
    let members = api.group().members();
    let worker = members.iter().find(|member| view.is_assigned && member.id == view.worker_id());
    json!({
        "name": view.name,
        "source": source(config),
        "state": state(view),
        "target": view.wanted.target,
        "revision": view.wanted.revision,
        "applied_revision": view.told.as_ref().map(|told| told.revision),
        "created_at_ms": view.wanted.created_at_ms,
        "updated_at_ms": view.wanted.updated_at_ms,
        "worker": worker.map(|worker| &worker.id),
        "worker_url": worker.map(|worker| &worker.url),
        "tables": tables(api, view),
        "topics": view.topics(),
        "config": secrets::hidden(config),
        "links": {
            "self": format!("/v1/connectors/{path}"),
            "connect": format!("/connectors/{path}"),
            "status": format!("/connectors/{path}/status"),
            "offsets": format!("/connectors/{path}/offsets"),
            "topics": format!("/connectors/{path}/topics"),
        },
    })
}

/// What it is doing, as its worker told last. What a worker told that has gone is not so any more, but how far it had come is.
fn state(view: &ConnectorView) -> Value {
    let told = view.told.as_ref();
    let living = told.filter(|_| view.is_assigned);
    let retention = living.and_then(|told| told.retention.as_ref());
    json!({
        "phase": view.phase(),
        "since_ms": living.map(|told| told.since_ms),
        "told_at_ms": told.map(|told| told.at_ms),
        "cause": living.and_then(|told| told.cause.as_ref()),
        "lag": {
            "bytes": retention.map(|retention| retention.unacknowledged_bytes),
            "seconds": living.and_then(|told| told.latency_ms).map(seconds),
        },
        "committed_lsn": told.and_then(|told| told.committed_lsn.as_ref()),
        "records_committed": living.map(|told| told.records_committed),
        "snapshot": living.and_then(|told| told.snapshot.as_ref()),
        "incremental": living.and_then(|told| told.incremental.as_ref()),
        "signals": living.and_then(|told| told.signals.as_ref()),
        "retention": retention,
        "notices": living.map_or(&[][..], |told| &told.notices),
    })
}

/// Exact below 2^52 milliseconds.
#[expect(clippy::cast_precision_loss)]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// Where its source is, without who gets in: `host:port/database`.
fn source(config: &Config) -> String {
    let given = |key: &str| config.get(key).map(String::as_str).filter(|value| !value.is_empty());
    if let Some(url) = given("tributary.source.url") {
        let Some((_, rest)) = url.split_once("://") else {
            return secrets::shown("tributary.source.url", url);
        };
        let place = rest.split(['?', '#']).next().unwrap_or_default();
        return place.rsplit('@').next().unwrap_or_default().to_owned();
    }
    match given("database.hostname") {
        Some(host) => {
            let port = given("database.port").unwrap_or("5432");
            format!("{host}:{port}/{}", given("database.dbname").unwrap_or_default())
        }
        None => "DATABASE_URL of its worker".to_owned(),
    }
}

/// The tables its list names, with their topics; of an entry that is a pattern, the pattern.
fn tables(api: &Api, view: &ConnectorView) -> Value {
    let settings = api.group().settings(&view.name, &view.wanted.config).ok();
    let tables = view.listed_tables().into_iter().map(|listed| {
        let topic = listed.name.split_once('.').filter(|_| listed.is_literal).and_then(
            |(schema, table)| settings.as_ref().map(|settings| settings.topic_of(schema, table)),
        );
        json!({"table": listed.name, "topic": topic})
    });
    tables.collect()
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

/// Keys with their new values; null removes one.
pub(super) fn patch(
    object: Map<String, Value>,
) -> Result<BTreeMap<String, Option<String>>, ApiError> {
    let mut object = object.into_iter();
    match (object.next(), object.next()) {
        (Some((field, Value::Object(config))), None) if field == "config" => body::patch(config),
        _ => Err(ApiError::body(
            "write {\"config\": {\"key\": \"value\", \"other.key\": null}}; null removes a key",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_told_without_who_gets_in() {
        let of = |pairs: &[(&str, &str)]| {
            source(
                &pairs
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            )
        };
        assert_eq!(
            of(&[("tributary.source.url", "postgres://u:p@w@h:5/d?sslmode=require")]),
            "h:5/d"
        );
        assert_eq!(
            of(&[("tributary.source.url", "host=h password=p")]),
            "host=h password=[hidden]"
        );
        assert_eq!(of(&[("database.hostname", "h"), ("database.dbname", "d")]), "h:5432/d");
    }
}
