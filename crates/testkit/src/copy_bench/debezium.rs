//! The real Debezium, tuned for throughput.
//!
//! In: a table. Out: the time from the request that creates the connector to the last row, and what the worker used for it.
//! Source: Debezium documentation, "PostgreSQL connector", and Kafka manual, "Producer Configs".

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::Table;
use super::arrival::{Arrival, End};
use crate::Result;
use crate::connector;
use crate::debezium::Worker;
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

/// Larger batches and queues, a producer that waits for full ones.
fn settings(database: &Database, name: &str, table: Table, threads: u32) -> Map<String, Value> {
    let tuned = json!({
        "publication.autocreate.mode": "filtered",
        "table.include.list": format!("public[.]{}", table.name),
        "snapshot.max.threads": threads.to_string(),
        "snapshot.fetch.size": "20480",
        "max.batch.size": "20480",
        "max.queue.size": "81920",
        "poll.interval.ms": "10",
        "producer.override.compression.type": "lz4",
        "producer.override.linger.ms": "20",
        "producer.override.batch.size": "1000000",
        "producer.override.buffer.memory": "134217728",
    });
    connector::settings(database, name, tuned)
}
