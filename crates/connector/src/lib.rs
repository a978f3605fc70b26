//! One connector: from what its user wrote to records in Kafka.
//!
//! In: a [`spec::Spec`]. Out: records and checkpoints in Kafka, acknowledged positions in PostgreSQL. Data moves one
//! way, through [`pipeline`]; positions come back once, after Kafka has committed.
//! Never: HTTP, terminals, files.

pub mod settings;
pub mod spec;
