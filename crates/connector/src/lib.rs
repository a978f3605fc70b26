//! One connector: from what its user wrote to records in Kafka.
//!
//! In: a [`spec::Spec`], resolved to [`settings::Settings`]. Out: records and checkpoints in Kafka, acknowledged positions
//! in PostgreSQL. Data moves one way, through `pipeline`; positions come back once, after Kafka has committed.
//! Never: HTTP, terminals, files but that of the signals and those where large transactions wait.
//!
//! Start reading in `pipeline.rs`.

mod added;
mod append;
mod asked;
mod boundary;
mod captured;
pub mod check;
mod checkpoint;
mod clock;
mod context;
mod continuation;
mod destroy;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod gather;
mod heartbeat;
mod history;
mod hold;
mod incremental;
pub mod lifecycle;
pub mod measure;
mod metadata;
mod notification;
pub mod offsets;
mod oversized;
mod pace;
mod pipeline;
pub mod position;
mod progress;
mod provision;
mod pushdown;
mod reselect;
mod retention;
mod schemas;
pub mod settings;
mod shape;
mod signal;
mod sink;
mod snapshot;
mod source;
mod spans;
pub mod spec;
mod spill;
pub mod status;
mod streamed;
mod tables;
mod takeover;
mod topics;
mod vanished;
pub mod verify;
mod walsender;
mod watermarks;
mod way;

pub use boundary::BoundaryLimits;
pub use captured::{Powers, SharedTopic, operations, published, select, shared_topics};
pub use destroy::{Destroy, Destroyed, destroy};
pub use error::{Class, ConnectorError};
pub use lifecycle::run;
pub use provision::identity_statements;
pub use pushdown::{Pushdown, PushdownRemark};
pub use retention::watch_at_rest;
pub use shape::{read_by_snapshot, table_of};
pub use signal::{SentSignal, SnapshotWanted, WrittenSignal, send_signal, table_typed};
