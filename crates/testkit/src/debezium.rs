//! The real Debezium in a Kafka Connect worker of a benchmark's own, which is up before anything is measured.
//!
//! In: a database. Out: a worker and its API, and the settings that make it fast. Never: a setting of one benchmark.
//! Source: Debezium documentation, "PostgreSQL connector", and Kafka manual, "Producer Configs".

use embedded::{Connect, ConnectOptions, Jvm, Plugin, Silent};
use serde_json::{Value, json};

use crate::connect::Client;
use crate::process_stat::{Usage, usage};
use crate::stack::Database;
use crate::{Failure, Result};

/// Settings of a connector that is to be fast: larger batches and queues, a producer that waits for full ones.
pub(crate) fn tuned() -> Value {
    json!({
        "max.batch.size": "20480",
        "max.queue.size": "81920",
        "poll.interval.ms": "10",
        "producer.override.compression.type": "lz4",
        "producer.override.linger.ms": "20",
        "producer.override.batch.size": "1000000",
        "producer.override.buffer.memory": "134217728",
    })
}

/// A worker, started as Kafka's own scripts start one.
pub(crate) struct Worker {
    connect: Connect,
    pub(crate) client: Client,
}

impl Worker {
    pub(crate) async fn start(database: &Database) -> Result<Self> {
        let mut options = ConnectOptions::new(database.bootstrap(), &[Plugin::DebeziumPostgres]);
        options.jvm = Jvm::KafkaScripts;
        let connect = Connect::start(options, &Silent).await?;
        let client = Client::new(&connect.url());
        Ok(Self { connect, client })
    }

    /// What its process has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(self.connect.pid().ok_or_else(|| Failure::new("the worker has ended"))?)
    }

    pub(crate) async fn stop(self) {
        self.connect.stop().await;
    }
}
