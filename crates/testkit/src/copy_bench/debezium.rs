//! The real Debezium, tuned for throughput.
//!
//! In: a table. Out: the time from the request that creates the connector to the last row, and what the worker used for it.
//! Source: Debezium documentation, "PostgreSQL connector".

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::Table;
use super::arrival::{Arrival, End};
use crate::Result;
use crate::connector;
use crate::debezium::{Worker, tuned};
use crate::process_stat::Usage;
use crate::stack::Database;

pub(super) async fn measure(
    worker: &Worker,
    database: &Database,
    table: Table,
    run: u32,
    threads: u32,
) -> Result<(Duration, Usage)> {
    let name = format!("debezium_{}_{run}", table.name);
    let arrival = Arrival::open(database, &name, table)?;
    let before = worker.usage()?;
    let started = Instant::now();
    let client = &worker.client;
    client.create(&name, settings(database, &name, table, threads)).await?;
    let arrived =
        arrival.wait(End::Counted, async || client.expect_not_failed(&name).await).await?;
    let used = worker.usage()?.since(before);
    client.delete(&name).await?;
    database.session().await?.drop_slot(&name).await?;
    arrival.expect_each_row_once().await?;
    Ok((arrived.duration_since(started), used))
}

fn settings(database: &Database, name: &str, table: Table, threads: u32) -> Map<String, Value> {
    let mut more = tuned();
    more["publication.autocreate.mode"] = json!("filtered");
    more["table.include.list"] = json!(format!("public[.]{}", table.name));
    more["snapshot.max.threads"] = json!(threads.to_string());
    more["snapshot.fetch.size"] = json!("20480");
    connector::settings(database, name, more)
}
