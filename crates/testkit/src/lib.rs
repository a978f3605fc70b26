//! Proofs of what the project promises, on a real PostgreSQL and a real Apache Kafka. Development only.
//!
//! In: the `tributary` binary, seen from outside. Out: what a `read_committed` consumer that shares no code with it
//! (librdkafka) finds in Kafka, compared with what PostgreSQL holds.
//! Never: a mock, a look inside the connector, a wait without a condition.

pub mod avro;
mod backlog;
mod binary;
pub mod chaos;
mod command;
pub mod connect;
pub mod connector;
pub mod copy_bench;
pub mod cost_bench;
mod debezium;
pub mod differential;
mod disk;
pub mod drain;
pub mod event;
mod examples;
pub mod failpoints;
pub mod failure;
pub mod faults;
pub mod figures;
pub mod fleet;
pub mod golden;
pub mod kafka_tool;
mod lag;
pub mod latency_bench;
pub mod oracle;
mod orders;
pub mod overload_bench;
mod pace;
mod payload;
pub mod pgbench;
pub mod process_stat;
pub mod produce;
pub mod proxy;
mod psql;
pub mod rest;
mod row_tally;
pub mod session;
pub mod sink;
pub mod snapshots;
pub mod soak_bench;
pub mod stack;
pub mod start_bench;
pub mod tail;
pub mod terminal;
pub mod transactions_bench;
pub mod wait;
pub mod worker;

pub use failure::{Failure, Result};
