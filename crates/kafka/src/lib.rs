//! Apache Kafka on our own connection: a crash-only transactional producer, readers and the few
//! admin requests a connector needs.
//!
//! In: a [`ClientConfig`], [`Transaction`]s of records. Out: committed transactions, records read
//! back, findings about a cluster. Never here: Debezium, PostgreSQL, retries of a produce request,
//! librdkafka or OpenSSL. Source: the Kafka protocol guide, KIP-98 (transactions), KIP-890 (TV2).

mod admin;
mod answer;
#[doc(hidden)]
pub mod benching;
mod buffers;
mod client;
mod codes;
pub mod compacted;
mod compression;
pub mod config;
mod connection;
mod coordinator;
mod error;
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
pub mod group;
mod hanging;
pub mod membership;
pub mod partitioner;
mod pool;
pub mod preflight;
mod producer;
mod read;
pub mod reader;
mod record;
mod sasl;
mod tls;
mod topic;
mod transaction;
mod wire;

pub use admin::{ConfigEntry, Isolation, NewTopic};
pub use client::{Client, ClusterDescription};
pub use codes::{Class, ErrorCode};
pub use compression::Compression;
pub use config::{ClientConfig, HerokuKafka, KafkaSettings};
pub use error::KafkaError;
pub use producer::{Committed, Forgotten, Producer, ProducerSettings};
pub use record::lone_batch_bytes;
pub use topic::{Broker, PartitionDescription, Topic, TopicDescription, TopicPartitionId};
pub use transaction::Transaction;
