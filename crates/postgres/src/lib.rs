//! Connections to PostgreSQL: ordinary SQL sessions, the replication stream, slots, publications, the catalog,
//! exported-snapshot COPY and the checks before a start.
//!
//! In: a [`ConnectionConfig`] and positions to acknowledge. Out: [`WalChunk`]s of undecoded `CopyData`, COPY text, facts
//! of the catalog, and errors that say what mends them.
//! Never here: what a change means (`pgoutput`), what an event looks like (`envelope`), when a position is safe
//! (`connector`): the one LSN this crate sends is the one it was given.
//! Source: PostgreSQL manual, "Frontend/Backend Protocol" and "Streaming Replication Protocol".

pub mod catalog;
pub mod chunk;
mod config;
mod connect;
mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
mod moment;
mod name;
pub mod preflight;
pub mod publication;
mod replication;
pub mod retention;
mod session;
pub mod slot;
pub mod snapshot;
mod sqlstate;
mod tls;

pub use config::{ChannelBinding, ConnectionConfig, Host, SslMode, SslNegotiation};
pub use connect::{Connection, connect};
pub use error::{Class, PostgresError, ServerError};
pub use moment::Moment;
pub use name::{SlotName, TableName, quote_identifier, quote_literal};
pub use replication::{
    BatchChunk, BatchItem, BatchLimits, BatchRequest, BatchStream, Batches, BatchesEnd, CreateSlot,
    CreatedSlot, Feedback, PgoutputOptions, ReplicationConnection, ReplicationStream,
    SnapshotAction, SystemIdentity, TimelineSwitch, WalChunk,
};
