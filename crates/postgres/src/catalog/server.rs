//! The server's version and the settings that matter to logical replication.
use crate::{Connection, PostgresError};

/// The server, as far as logical replication cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `server_version_num`: 150004 is 15.4.
    pub version_num: u32,
    /// The version as people write it.
    pub version: String,
    /// `wal_level`.
    pub wal_level: String,
    /// `max_replication_slots`.
    pub max_replication_slots: u32,
    /// Slots that exist now.
    pub replication_slots_used: u32,
    /// `max_wal_senders`.
    pub max_wal_senders: u32,
    /// Walsenders that run now.
    pub wal_senders_used: u32,
    /// `max_slot_wal_keep_size` in bytes; `None` is without limit.
    pub max_slot_wal_keep_size_bytes: Option<u64>,
    /// The database's encoding, `UTF8`.
    pub encoding: String,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// The database.
    pub database: String,
    /// The role of this session.
    pub user: String,
    /// Whether that role may start replication.
    pub user_can_replicate: bool,
    /// Whether that role is a superuser.
    pub user_is_superuser: bool,
}

/// Asks the server.
pub async fn server(connection: &Connection) -> Result<ServerInfo, PostgresError> {
    Err(connection.pending(()))
}
