//! The real Debezium on the same WAL.
//!
//! In: a slot made before the work. Out: the time from the request that creates the connector to the row written last, and what the worker
//! used for it. Never: exactly once, which Kafka Connect has in its distributed mode only.
//! Source: Debezium documentation, "PostgreSQL connector".

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Result;
use crate::backlog::marker_arrived;
use crate::connector;
use crate::debezium::{Worker, tuned};
use crate::process_stat::Usage;
use crate::session::Session;
use crate::stack::Database;

/// A slot that a connector which has no offsets yet begins with.
pub(super) async fn make_slot(session: &Session, name: &str) -> Result<()> {
    let create = format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')");
    session.text(&create).await.map(drop)
}

pub(super) async fn measure(
    worker: &Worker,
    database: &Database,
    name: &str,
    is_tuned: bool,
) -> Result<(Duration, Usage)> {
    let mut more = if is_tuned { tuned() } else { json!({}) };
    more["snapshot.mode"] = json!("no_data");
    more["publication.name"] = json!(database.name());
    more["publication.autocreate.mode"] = json!("disabled");
    let settings = connector::settings(database, name, more);
    let before = worker.usage()?;
    let started = Instant::now();
    let client = &worker.client;
    client.create(name, settings).await?;
    let arrived =
        marker_arrived(database, name, async || client.expect_not_failed(name).await).await?;
    let usage = worker.usage()?.since(before);
    client.delete(name).await?;
    Ok((arrived.duration_since(started), usage))
}
