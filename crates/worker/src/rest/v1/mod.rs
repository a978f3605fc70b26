//! `/v1`: what Kafka Connect has no word for.

pub(super) mod checks;
mod connector;
pub(super) mod connectors;
pub(super) mod events;
pub(super) mod logs;
pub(super) mod records;
pub(super) mod snapshots;
pub(super) mod verify;
pub(super) mod workers;
