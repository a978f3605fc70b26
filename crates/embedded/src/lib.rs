//! A real PostgreSQL and a real Apache Kafka for people and tests that have none; for tests also a Kafka Connect and a schema
//! registry.
//!
//! In: which version, which folder, which settings. Out: servers that answer, on free loopback ports, and that end with the
//! process that started them, however it ends. Never here: a mock, a container, a registry's address, knowledge of change
//! data capture. PostgreSQL is an installed one or the binaries published to Maven repositories; Kafka runs in `KRaft` mode.
//!
//! ```no_run
//! # async fn example() -> Result<(), embedded::EmbeddedError> {
//! use embedded::{Kafka, KafkaOptions, Postgres, PostgresOptions, Silent, StopMode};
//!
//! let postgres = Postgres::start(PostgresOptions::default(), &Silent).await?;
//! let kafka = Kafka::start(KafkaOptions::default(), &Silent).await?;
//! assert!(postgres.url().starts_with("postgres://postgres@127.0.0.1:"));
//! assert!(kafka.bootstrap().starts_with("127.0.0.1:"));
//! kafka.stop().await?;
//! postgres.stop(StopMode::Fast).await?;
//! # Ok(())
//! # }
//! ```

mod archive;
mod cache;
mod connect;
mod connect_client;
mod error;
mod flink;
mod java;
mod kafka;
mod lock;
mod log;
mod maven;
mod ports;
mod postgres;
mod probe;
mod progress;
mod registry;
pub mod tools;
mod user;
mod watchdog;

pub use connect::{Connect, ConnectOptions, Plugin};
pub use connect_client::ConnectClient;
pub use error::{Class, EmbeddedError};
pub use flink::FlinkJson;
pub use java::Jvm;
pub use kafka::{
    Kafka, KafkaOptions, KafkaVersion, Listener, ListenerSecurity, SaslMechanism, SaslUser,
    TlsClientAuth, TlsFiles,
};
pub use postgres::{Postgres, PostgresOptions, PostgresSource, StopMode};
pub use progress::{Event, Progress, Silent};
pub use registry::SchemaRegistry;
