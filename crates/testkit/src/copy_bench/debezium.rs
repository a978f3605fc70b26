//! The real Debezium, tuned, in a Kafka Connect worker that is up before anything is measured.
//!
//! In: a table. Out: the time from the request that creates the connector to the last row, and what the worker used for it.
//! Source: Debezium documentation, "PostgreSQL connector", and Kafka manual, "Producer Configs".

use std::time::{Duration, Instant};

use embedded::{Connect, ConnectOptions, Plugin, Silent};
use serde_json::{Map, Value, json};

use super::arrival::{Arrival, End};
use super::{Table, drop_slot};
use crate::connect::Client;
use crate::connector;
use crate::process_stat::{Usage, usage};
use crate::stack::Database;
use crate::{Failure, Result};

const HEAP_MIB: u32 = 2_048;

/// A worker.
pub(super) struct Worker {
    connect: Connect,
    client: Client,
}

impl Worker {
    pub(super) async fn start(database: &Database) -> Result<Self> {
        let mut options = ConnectOptions::new(database.bootstrap(), &[Plugin::DebeziumPostgres]);
        options.heap_mib = HEAP_MIB;
        let connect = Connect::start(options, &Silent).await?;
        let client = Client::new(&connect.url());
        Ok(Self { connect, client })
    }

    pub(super) async fn measure(
        &self,
        database: &Database,
        table: Table,
        run: u32,
        threads: u32,
    ) -> Result<(Duration, Usage)> {
        let name = format!("debezium_{}_{run}", table.name);
        let arrival = Arrival::open(database, &name, table)?;
        let id = self.connect.pid().ok_or_else(|| Failure::new("the worker has ended"))?;
        let before = usage(id)?;
        let started = Instant::now();
        self.client.create(&name, settings(database, &name, table, threads)).await?;
        let arrived =
            arrival.wait(End::Counted, async || self.client.expect_not_failed(&name).await).await?;
        let after = usage(id)?;
        self.client.delete(&name).await?;
        drop_slot(&database.session().await?, &name).await?;
        arrival.expect_each_row_once().await?;
        let used = Usage {
            rss_bytes: after.rss_bytes,
            processor: after.processor.saturating_sub(before.processor),
            peak_rss_bytes: after.peak_rss_bytes,
        };
        Ok((arrived.duration_since(started), used))
    }

    pub(super) async fn stop(self) {
        self.connect.stop().await;
    }
}

/// Tuned for throughput: larger batches and queues, a producer that waits for full ones.
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
