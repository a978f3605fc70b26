//! Proofs of what the project promises, on a real PostgreSQL and a real Apache Kafka. Development only.
//!
//! In: the `tributary` binary, seen from outside. Out: what a `read_committed` consumer that shares no code with it
//! (librdkafka) finds in Kafka, compared with what PostgreSQL holds.
//! Never: a mock, a look inside the connector, a wait without a condition.

pub mod connect;
pub mod connector;
pub mod differential;
pub mod drain;
pub mod event;
pub mod failure;
pub mod golden;
pub mod oracle;
pub mod pgbench;
pub mod process_stat;
pub mod session;
pub mod sink;
pub mod stack;
pub mod tail;
pub mod wait;

pub use failure::{Failure, Result};
