//! What a group needs before its first case, and takes away after its last: schemas, tables, the connector's configuration.

use serde_json::{Map, Value};

use super::run::{DATABASE, MARKER_TABLE, Verdict, Verdicts};
use super::set::Group;
use crate::connector::Connector;
use crate::session::Session;
use crate::stack::Database;
use crate::{Failure, Result};

const EXTENSIONS: [&str; 7] = ["hstore", "citext", "ltree", "isn", "cube", "postgis", "vector"];
/// Types of extensions that few servers have.
const RARE_TYPES: [(&str, &str); 5] = [
    ("geometry", "postgis"),
    ("geography", "postgis"),
    ("vector", "vector"),
    ("halfvec", "vector"),
    ("sparsevec", "vector"),
];

/// Creates the schema, the marker table and the tables of the selected cases. Out: the cases whose tables cannot be made.
pub(super) async fn set_up(session: &Session, group: &Group) -> Result<Verdicts> {
    session.run("set client_min_messages = error").await?;
    for extension in EXTENSIONS {
        let available = format!("select 1 from pg_available_extensions where name = '{extension}'");
        if session.text(&available).await?.is_some() {
            session
                .run(&format!("create extension if not exists {extension} schema public"))
                .await?;
        }
    }
    let schema = quoted(&group.schema);
    session
        .run(&format!(
            "create schema {schema}; create table {schema}.{MARKER_TABLE}(id int primary key, note text); {}",
            search_path(group)
        ))
        .await?;
    for sql in &group.pre {
        session.run(sql).await?;
    }
    let mut verdicts = Verdicts::new();
    for case in &group.cases {
        for sql in &case.setup {
            if let Err(failure) = session.run(sql).await {
                verdicts.insert(case.id.clone(), set_up_failed(&failure));
                break;
            }
        }
    }
    Ok(verdicts)
}

fn set_up_failed(failure: &Failure) -> Verdict {
    let text = failure.to_string();
    let lacks = |(name, _): &&(&str, &str)| {
        [format!("type \"{name}\" does not exist"), format!("type \"{name}[]\" does not exist")]
            .iter()
            .any(|message| text.contains(message))
    };
    match RARE_TYPES.iter().find(lacks) {
        Some((_, extension)) => Verdict::Skipped(format!("the server lacks {extension}")),
        None => Verdict::broken("the case's tables are made", &text),
    }
}

pub(super) async fn tear_down(database: &Database, group: &Group) -> Result<()> {
    let session = database.session().await?;
    connector(database, group, 0)?.wait_until_slot_free(&session).await?;
    drop_slot(&session, &group.slot).await?;
    for schema in std::iter::once(&group.schema).chain(&group.schemas) {
        let schema = quoted(schema);
        session
            .run(&format!(
                "set client_min_messages = error; drop schema if exists {schema} cascade"
            ))
            .await?;
    }
    let publication = quoted(&group.publication);
    session.run(&format!("drop publication if exists {publication}")).await?;
    for sql in &group.teardown {
        session.run(sql).await?;
    }
    Ok(())
}

/// The group's connector; `restarts` makes its name new, so that it finds no checkpoint of the one before.
pub(super) fn connector(database: &Database, group: &Group, restarts: u32) -> Result<Connector> {
    let mut settings = Map::new();
    for (key, value) in &group.config {
        let mut text = value.as_str().unwrap_or_default().to_owned();
        let port = database.port().to_string();
        let filled = [
            ("${PG_HOST}", "127.0.0.1"),
            ("${PG_PORT}", &port),
            ("${PG_USER}", "postgres"),
            ("${PG_PASSWORD}", "x"),
            ("${PG_DB}", DATABASE),
        ];
        for (placeholder, value) in filled {
            text = text.replace(placeholder, value);
        }
        settings.insert(key.clone(), Value::String(text));
    }
    let name = format!("gold-{}-{restarts}", group.name);
    Ok(Connector::new(database.clone())?.named(&name).with_settings(settings))
}

pub(super) async fn drop_slot(session: &Session, slot: &str) -> Result<()> {
    let drop = format!(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{slot}'"
    );
    session.text(&drop).await.map(std::mem::drop)
}

pub(super) fn search_path(group: &Group) -> String {
    format!("set timezone = 'UTC'; set search_path to {}, public", quoted(&group.schema))
}

pub(super) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
