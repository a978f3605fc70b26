//! Many connectors on a group of workers: what is wanted of them, who runs them, and the API to ask.
//!
//! In: requests over HTTP, the group's topics. Out: running connectors, records of what is wanted and what is told.
//! Kafka is the coordinator: the config topic says what is wanted, a consumer group on it says who does it, and two fences, the
//! transactional id and the slot, make sure that only one does whatever the group believes.
//! Never: how a change gets from PostgreSQL to Kafka; that is `connector`'s.

mod asking;
mod change;
mod clock;
mod error;
mod follow;
mod group;
mod host;
mod logs;
pub mod metrics;
mod options;
mod records;
pub mod rest;
mod running;
mod seal;
mod telling;
mod told;
mod topics;
mod verifying;
mod view;
mod wanted;
mod worker;
mod written;

pub use error::{GroupError, WorkerError};
pub use group::{Group, Offsets, Put};
pub use logs::{LogLine, LogLines, LogSender, log_lines};
pub use options::{PARTITIONS, SESSION_TIMEOUT, WorkerOptions};
pub use records::record_json;
pub use seal::{SealKey, SealKeyError};
pub use told::{Cause, NoticeTold, Phase, RetentionTold, SnapshotTold, Told};
pub use view::{ConnectState, ConnectorView, Member};
pub use wanted::{Config, DestroyWanted, Patch, Target, Wanted};
pub use worker::run;
