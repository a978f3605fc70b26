//! One connector: from what its user wrote to records in Kafka.
//!
//! In: a [`spec::Spec`], resolved to [`settings::Settings`]. Out: records and checkpoints in Kafka, acknowledged positions
//! in PostgreSQL. Data moves one way, through `pipeline`; positions come back once, after Kafka has committed.
//! Never: HTTP, terminals, files.
//!
//! Start reading in `pipeline.rs`.

mod append;
mod boundary;
mod captured;
mod checkpoint;
mod clock;
mod context;
mod continuation;
mod error;
mod gather;
mod heartbeat;
mod history;
mod hold;
mod incremental;
pub mod lifecycle;
mod metadata;
mod notification;
mod pipeline;
pub mod position;
mod progress;
mod provision;
mod pushdown;
mod reselect;
pub mod settings;
mod shape;
mod signal;
mod sink;
mod snapshot;
mod source;
pub mod spec;
pub mod status;
mod tables;
mod takeover;
mod topics;
mod watermarks;
mod way;

pub use boundary::BoundaryLimits;
pub use captured::{Powers, SharedTopic, operations, published, select, shared_topics};
pub use error::{Class, ConnectorError};
pub use lifecycle::run;
pub use provision::identity_statements;
pub use pushdown::{Pushdown, PushdownRemark};
pub use shape::{read_by_snapshot, table_of};
