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

/// PostgreSQL 19 tells the level that is really in force in a setting of its own. On RDS nobody has `REPLICATION`; there the
/// role `rds_replication` stands for it.
const SERVER: &str = "\
SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
       coalesce(current_setting('effective_wal_level', true), current_setting('wal_level')), \
       current_setting('max_replication_slots')::int4, (SELECT count(*) FROM pg_replication_slots)::int4, \
       current_setting('max_wal_senders')::int4, (SELECT count(*) FROM pg_stat_get_wal_senders())::int4, \
       (SELECT setting::int8 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), \
       (SELECT pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()), \
       pg_is_in_recovery(), current_database()::text, current_user::text, \
       r.rolreplication OR r.rolsuper OR EXISTS ( \
         SELECT FROM pg_roles g WHERE g.rolname = 'rds_replication' AND pg_has_role(current_user, g.oid, 'MEMBER')), \
       r.rolsuper \
FROM pg_roles r WHERE r.rolname = current_user";

/// `max_slot_wal_keep_size` counts megabytes.
const MEGABYTE: u64 = 1024 * 1024;

/// Asks the server.
pub async fn server(connection: &Connection) -> Result<ServerInfo, PostgresError> {
    let rows = connection.query("tell its settings", SERVER, &[]).await?;
    let row = rows.first().ok_or_else(|| PostgresError::Protocol {
        what: "the role of the session is not in pg_roles".to_owned(),
    })?;
    let count = |index: usize| u32::try_from(row.get::<_, i32>(index)).unwrap_or(0);
    let keep_megabytes: Option<i64> = row.get(7);
    let keep_megabytes = keep_megabytes.and_then(|size| u64::try_from(size).ok());
    Ok(ServerInfo {
        version_num: count(0),
        version: row.get(1),
        wal_level: row.get(2),
        max_replication_slots: count(3),
        replication_slots_used: count(4),
        max_wal_senders: count(5),
        wal_senders_used: count(6),
        max_slot_wal_keep_size_bytes: keep_megabytes.map(|size| size * MEGABYTE),
        encoding: row.get(8),
        in_recovery: row.get(9),
        database: row.get(10),
        user: row.get(11),
        user_can_replicate: row.get(12),
        user_is_superuser: row.get(13),
    })
}

/// What a role may do in the whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolePowers {
    /// `LOGIN`.
    pub may_login: bool,
    /// `REPLICATION`, `SUPERUSER`, or a member of `rds_replication`.
    pub may_replicate: bool,
}

const ROLE: &str = "\
SELECT r.rolcanlogin, \
       r.rolreplication OR r.rolsuper OR EXISTS ( \
         SELECT FROM pg_roles g WHERE g.rolname = 'rds_replication' AND pg_has_role(r.oid, g.oid, 'MEMBER')) \
FROM pg_roles r WHERE r.rolname = $1::text::name";

/// Asks what a role may do; `None` if there is none of this name.
pub async fn role(
    connection: &Connection,
    name: &str,
) -> Result<Option<RolePowers>, PostgresError> {
    let rows = connection.query("look up a role", ROLE, &[&name]).await?;
    let powers =
        rows.first().map(|row| RolePowers { may_login: row.get(0), may_replicate: row.get(1) });
    Ok(powers)
}
