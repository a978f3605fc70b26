//! A connector with all there is to say of it.
//!
//! In: what the group knows of it. Out: one truthful state; null is what is not known.
//! Never: a secret; who gets in at the source.

use connector::status::{IncrementalStatus, SignalsStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::connectors::path_part;
use super::super::secrets::Shown;
use super::super::{Api, secrets};
use crate::told::{Cause, NoticeTold, Phase, RetentionTold, SnapshotTold};
use crate::view::ConnectorView;
use crate::wanted::{Config, Target};

/// A connector with all there is to say of it; null is what is not known.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connector {
    name: String,
    /// `host:port/database`.
    source: String,
    state: DetailedState,
    /// What it shall be doing.
    target: Target,
    /// Counts every change of what is wanted.
    revision: u64,
    /// The revision that the state is about.
    #[schema(required)]
    applied_revision: Option<u64>,
    created_at_ms: i64,
    updated_at_ms: i64,
    /// The worker that has it.
    #[schema(required)]
    worker: Option<String>,
    #[schema(required)]
    worker_url: Option<String>,
    /// The entries of its list of tables.
    tables: Vec<ListedTopic>,
    /// Topics it has written to.
    topics: Vec<String>,
    config: Shown,
    links: Links,
}

/// What a connector is doing, as its worker told last.
#[derive(Serialize, ToSchema)]
struct DetailedState {
    phase: Phase,
    #[schema(required)]
    since_ms: Option<i64>,
    #[schema(required)]
    told_at_ms: Option<i64>,
    #[schema(required)]
    cause: Option<Cause>,
    lag: Lag,
    #[schema(required)]
    committed_lsn: Option<String>,
    #[schema(required)]
    records_committed: Option<u64>,
    #[schema(required)]
    snapshot: Option<SnapshotTold>,
    #[schema(required)]
    incremental: Option<IncrementalStatus>,
    #[schema(required)]
    signals: Option<SignalsStatus>,
    #[schema(required)]
    retention: Option<RetentionTold>,
    notices: Vec<NoticeTold>,
}

/// How far a connector is behind its source.
#[derive(Serialize, ToSchema)]
struct Lag {
    /// Of the source's log that were not acknowledged.
    #[schema(required)]
    bytes: Option<u64>,
    /// What the newest transaction took from its commit at the source until Kafka had committed it.
    #[schema(required)]
    seconds: Option<f64>,
}

/// An entry of a list of tables.
#[derive(Serialize, ToSchema)]
struct ListedTopic {
    /// The table; or the pattern, if it is one.
    table: String,
    #[schema(required)]
    topic: Option<String>,
}

/// Where there is more.
#[derive(Serialize, ToSchema)]
struct Links {
    #[serde(rename = "self")]
    this: String,
    connect: String,
    status: String,
    offsets: String,
    topics: String,
}

impl Connector {
    pub(super) fn of(api: &Api, view: &ConnectorView) -> Self {
        let config = &view.wanted.config;
        let members = api.group().members();
        let has = |id: &str| view.is_assigned && id == view.worker_id();
        let worker = members.into_iter().find(|member| has(&member.id));
        let (worker, worker_url) = worker.map(|worker| (worker.id, worker.url)).unzip();
        Self {
            name: view.name.clone(),
            source: source(config),
            state: DetailedState::of(view),
            target: view.wanted.target,
            revision: view.wanted.revision,
            applied_revision: view.told.as_ref().map(|told| told.revision),
            created_at_ms: view.wanted.created_at_ms,
            updated_at_ms: view.wanted.updated_at_ms,
            worker,
            worker_url,
            tables: tables(api, view),
            topics: view.topics().to_vec(),
            config: secrets::hidden(config),
            links: Links::of(&view.name),
        }
    }
}

impl DetailedState {
    /// What a worker told that has gone is not so any more, but how far it had come is.
    fn of(view: &ConnectorView) -> Self {
        let told = view.told.as_ref();
        let living = told.filter(|_| view.is_assigned);
        let retention = living.and_then(|told| told.retention.clone());
        Self {
            phase: view.phase(),
            since_ms: living.map(|told| told.since_ms),
            told_at_ms: told.map(|told| told.at_ms),
            cause: living.and_then(|told| told.cause.clone()),
            lag: Lag {
                bytes: retention.as_ref().map(|retention| retention.unacknowledged_bytes),
                seconds: living.and_then(|told| told.latency_ms).map(seconds),
            },
            committed_lsn: told.and_then(|told| told.committed_lsn.clone()),
            records_committed: living.map(|told| told.records_committed),
            snapshot: living.and_then(|told| told.snapshot),
            incremental: living.and_then(|told| told.incremental.clone()),
            signals: living.and_then(|told| told.signals.clone()),
            retention,
            notices: living.map(|told| told.notices.clone()).unwrap_or_default(),
        }
    }
}

impl Links {
    fn of(name: &str) -> Self {
        let path = path_part(name);
        Self {
            this: format!("/v1/connectors/{path}"),
            connect: format!("/connectors/{path}"),
            status: format!("/connectors/{path}/status"),
            offsets: format!("/connectors/{path}/offsets"),
            topics: format!("/connectors/{path}/topics"),
        }
    }
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
fn tables(api: &Api, view: &ConnectorView) -> Vec<ListedTopic> {
    let settings = api.group().settings(&view.name, &view.wanted.config).ok();
    let tables = view.listed_tables().into_iter().map(|listed| {
        let topic = listed.name.split_once('.').filter(|_| listed.is_literal).and_then(
            |(schema, table)| settings.as_ref().map(|settings| settings.topic_of(schema, table)),
        );
        ListedTopic { table: listed.name, topic }
    });
    tables.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::openapi::expect_fit;
    use super::*;
    use crate::wanted::Wanted;

    #[test]
    fn a_state_is_what_the_document_says() {
        let told = json!({
            "worker": "w:1", "term": 1, "created_at_ms": 1, "revision": 1, "restarts": 0,
            "since_ms": 1, "at_ms": 1, "phase": "retrying",
            "cause": {"code": "PG001", "text": "nobody answers", "attempt": 2},
            "snapshot": {
                "tables_total": 1, "tables_done": 0, "rows_read": 1, "rows_estimated": 2,
                "bytes_total": 3, "bytes_done": 1, "seconds_left": null,
            },
            "incremental": {
                "table": "s.t", "rows_read": 1, "read_up_to": "1", "reads_to": null,
                "tables_waiting": 0, "paused": false,
            },
            "signals": {
                "topic_offset": 3,
                "snapshots": [{"signal": "i", "tables_left": 1, "rows_read": 1, "missed": ["a"]}],
            },
            "retention": {
                "retained_bytes": 1, "unacknowledged_bytes": 1, "limit_bytes": null,
                "growth_bytes_per_second": 1, "seconds_until_limit": null, "cause": "a",
            },
            "committed_lsn": "0/1", "records_committed": 1, "latency_ms": 1500,
            "notices": [{"code": "NT001", "subject": "s.t.c", "text": "a"}],
        });
        let view = ConnectorView {
            name: "a".to_owned(),
            wanted: Wanted::new(Config::new(), Target::Running, 1),
            told: Some(serde_json::from_value(told).unwrap()),
            is_assigned: true,
        };
        let state = DetailedState::of(&view);
        assert_eq!(state.lag.seconds, Some(1.5));
        expect_fit(&state);
        expect_fit(&DetailedState::of(&ConnectorView { told: None, ..view }));
        expect_fit(&Links::of("a"));
    }

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
