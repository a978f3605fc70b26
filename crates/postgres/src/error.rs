//! What can go wrong between us and PostgreSQL, and what to do about it.
//!
//! Every text begins with its code; `docs/errors/<code>.md` explains it. Sources are chained, never repeated in a text.

use std::io;
use std::time::Duration;

use pgoutput::Lsn;

use crate::{SlotName, TableName};

mod class;

pub use class::Class;

/// An `ErrorResponse` of the server, every field a person may need.
///
/// Source: PostgreSQL manual, "Error and Notice Message Fields".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{severity} {sqlstate}: {message}{}{}", field("detail", detail.as_deref()), field("hint", hint.as_deref()))]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`, never localised.
    pub severity: String,
    /// The five characters of the SQLSTATE.
    pub sqlstate: String,
    /// The message, in the server's language.
    pub message: String,
    /// What the server adds about this one occurrence.
    pub detail: Option<String>,
    /// What the server suggests.
    pub hint: Option<String>,
}

fn field(name: &str, value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!("\n  {name}: {value}"))
}

/// Anything that stops work with PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Nobody listens, the name does not resolve, the network is down.
    #[error(
        "[PG001] cannot connect to PostgreSQL at {address}\n  fix: check host and port, that the server runs and listens there (listen_addresses), and firewalls between"
    )]
    Connect {
        /// `host:port` or the socket's path.
        address: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The connection was not ready in time.
    #[error(
        "[PG002] PostgreSQL at {address} did not accept the connection within {timeout:?}\n  fix: check the network, or raise connect_timeout"
    )]
    ConnectTimeout {
        /// `host:port` or the socket's path.
        address: String,
        /// What we waited.
        timeout: Duration,
    },
    /// The server has no TLS and sslmode insists on it.
    #[error(
        "[PG003] PostgreSQL at {address} offers no TLS, but sslmode={mode} requires it\n  fix: turn on `ssl` in postgresql.conf, or use sslmode=prefer if the network is trusted"
    )]
    TlsRefused {
        /// `host:port`.
        address: String,
        /// The sslmode in force.
        mode: &'static str,
    },
    /// The certificate was not accepted, by us or by the server.
    #[error(
        "[PG004] TLS with PostgreSQL at {address} failed (sslmode={mode})\n  fix: give the authority that signed the server's certificate as sslrootcert, connect by a name the certificate carries, and check sslcert and sslkey"
    )]
    TlsHandshake {
        /// `host:port`.
        address: String,
        /// The sslmode in force.
        mode: &'static str,
        /// What rustls said.
        #[source]
        source: io::Error,
    },
    /// A certificate or key file cannot be used.
    #[error("[PG005] cannot use {setting} {path}: {reason}\n  fix: {fix}")]
    TlsMaterial {
        /// `sslrootcert`, `sslcert` or `sslkey`.
        setting: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        fix: &'static str,
        /// The reason of the operating system, where there is one.
        #[source]
        source: Option<io::Error>,
    },
    /// Wrong password, unknown role, or no line in `pg_hba.conf` lets us in.
    #[error(
        "[PG006] PostgreSQL at {address} refused user `{user}`\n  fix: check user and password; `pg_hba.conf` needs a line for this user, database and address"
    )]
    Authentication {
        /// `host:port` or the socket's path.
        address: String,
        /// The role that asked.
        user: String,
        /// What the server said.
        #[source]
        source: Box<ServerError>,
    },
    /// The server asks for a way of authentication that we do not speak.
    #[error(
        "[PG007] PostgreSQL at {address} asks for {method}, which is not supported\n  fix: let `pg_hba.conf` offer scram-sha-256, md5, cert or (over TLS) password for this user"
    )]
    UnsupportedAuthentication {
        /// `host:port` or the socket's path.
        address: String,
        /// What it asked for.
        method: String,
    },
    /// The server wants the password in the clear, on a connection anybody can read.
    #[error(
        "[PG008] PostgreSQL at {address} asks for the password in clear text over an unencrypted connection; it was not sent\n  fix: use sslmode=require or stronger, or scram-sha-256 in `pg_hba.conf`"
    )]
    CleartextRefused {
        /// `host:port` or the socket's path.
        address: String,
    },
    /// A connection setting makes no sense.
    #[error("[PG009] {setting}: {reason}\n  fix: {fix}")]
    Configuration {
        /// The parameter, by the name the user typed.
        setting: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        fix: String,
    },
    /// The replication slot does not exist.
    #[error(
        "[PG010] replication slot `{slot}` does not exist: the changes since it was dropped are gone\n  fix: take a new snapshot; find out who dropped the slot (a failover to a standby drops it, unless it is a failover slot)"
    )]
    SlotMissing {
        /// The slot.
        slot: SlotName,
        /// What the server said, where it was asked.
        #[source]
        source: Option<Box<ServerError>>,
    },
    /// Another walsender holds the slot.
    #[error("[PG011] replication slot `{slot}` is in use by the server process {}\n  fix: stop the other reader, or end a stale one with SELECT pg_terminate_backend({});", pid_text(*pid), pid_text(*pid))]
    SlotActive {
        /// The slot.
        slot: SlotName,
        /// The walsender that holds it, where known.
        pid: Option<i32>,
    },
    /// PostgreSQL removed WAL the slot still needed.
    #[error(
        "[PG012] replication slot `{slot}` lost WAL it still needed ({reason}): changes are missing from here on\n  fix: take a new snapshot with a new slot; raise max_slot_wal_keep_size so that it does not happen again"
    )]
    SlotLost {
        /// The slot.
        slot: SlotName,
        /// `wal_status` and, since 16, `invalidation_reason`.
        reason: String,
    },
    /// The server does not log what logical decoding needs.
    #[error(
        "[PG013] wal_level is `{wal_level}`, logical decoding needs `logical`\n  fix: ALTER SYSTEM SET wal_level = 'logical'; and restart PostgreSQL"
    )]
    WalLevel {
        /// What it is now.
        wal_level: String,
    },
    /// The publication does not exist.
    #[error("[PG014] publication `{publication}` does not exist in this database\n  fix: {fix}")]
    PublicationMissing {
        /// The publication, or publications.
        publication: String,
        /// The statement that makes it.
        fix: String,
        /// What the server said, where it was asked.
        #[source]
        source: Option<Box<ServerError>>,
    },
    /// The role may not do what we need.
    #[error("[PG015] not allowed to {action}\n  fix: {fix}")]
    NoPrivilege {
        /// What was tried.
        action: String,
        /// The statement that grants it.
        fix: String,
        /// What the server said.
        #[source]
        source: Box<ServerError>,
    },
    /// PostgreSQL would refuse updates and deletes of this table once it is published.
    #[error(
        "[PG016] table {table} has no usable replica identity: PostgreSQL refuses its updates and deletes while it is published\n  fix: {fix}"
    )]
    NoReplicaIdentity {
        /// The table.
        table: TableName,
        /// The statement that gives it one.
        fix: String,
    },
    /// The server sent what the protocol does not allow.
    #[error(
        "[PG017] protocol violation by the server: {what}\n  fix: make sure that host and port lead to PostgreSQL itself, not to a pooler or proxy"
    )]
    Protocol {
        /// What was wrong.
        what: String,
    },
    /// The connection ended while we needed it.
    #[error(
        "[PG018] connection to PostgreSQL closed while {during}\n  fix: none needed, it is tried again; if it keeps happening, look into the server's log and at the network"
    )]
    Closed {
        /// What we were doing.
        during: &'static str,
        /// What the operating system said, where it said something.
        #[source]
        source: Option<io::Error>,
    },
    /// The server is going down, coming up, or an administrator ended our session.
    #[error(
        "[PG019] PostgreSQL ended or refused the session: it is shutting down, starting up, or an administrator ended it\n  fix: none needed, it is tried again"
    )]
    Shutdown {
        /// What the server said.
        #[source]
        source: Box<ServerError>,
    },
    /// All connection slots are taken.
    #[error(
        "[PG020] PostgreSQL at {address} has no connection left\n  fix: it is tried again; raise max_connections (max_wal_senders for replication), or close idle sessions"
    )]
    TooManyConnections {
        /// `host:port` or the socket's path.
        address: String,
        /// What the server said.
        #[source]
        source: Box<ServerError>,
    },
    /// A statement failed.
    #[error("[PG021] PostgreSQL refused to {action}\n  fix: see the server's own message below")]
    Statement {
        /// What was tried.
        action: String,
        /// What the server said.
        #[source]
        source: Box<ServerError>,
    },
    /// The slot is there already.
    #[error(
        "[PG022] replication slot `{slot}` already exists\n  fix: choose another slot name, or drop it with SELECT pg_drop_replication_slot('{slot}');"
    )]
    SlotExists {
        /// The slot.
        slot: SlotName,
    },
    /// The server ended the replication stream in good order.
    #[error(
        "[PG023] PostgreSQL ended the replication stream\n  fix: none needed, it is tried again"
    )]
    StreamEnded,
    /// The exported snapshot ended with its session.
    #[error(
        "[PG024] snapshot `{snapshot}` is gone: the session that exported it has ended\n  fix: none needed, a new snapshot is taken"
    )]
    SnapshotGone {
        /// The name it was exported under.
        snapshot: String,
        /// What the server said.
        #[source]
        source: Box<ServerError>,
    },
    /// A table is not any more what it was when its reading was planned.
    #[error(
        "[PG033] {action}: the table was changed or written anew meanwhile\n  fix: none needed, what is left of it is read with a new snapshot"
    )]
    Redefined {
        /// What was done with it.
        action: String,
        /// What the server said, if it was the server who noticed.
        #[source]
        source: Option<Box<ServerError>>,
    },
    /// The server is too old.
    #[error(
        "[PG025] PostgreSQL {version} is too old, version 13 or later is needed\n  fix: upgrade PostgreSQL"
    )]
    ServerVersion {
        /// What it is.
        version: String,
    },
    /// The slot belongs to something else.
    #[error(
        "[PG026] replication slot `{slot}` cannot be used: {reason}\n  fix: choose another slot name"
    )]
    SlotForeign {
        /// The slot.
        slot: SlotName,
        /// Other database, other plugin, physical.
        reason: String,
    },
    /// Something did not happen in time.
    #[error("[PG027] {what} did not happen within {waited:?}\n  fix: {fix}")]
    Deadline {
        /// What was awaited.
        what: String,
        /// How long.
        waited: Duration,
        /// What to do.
        fix: String,
    },
    /// `max_replication_slots` is exhausted.
    #[error(
        "[PG040] no replication slot is free on the server\n  fix: drop unused slots (SELECT slot_name, active FROM pg_replication_slots;), or ALTER SYSTEM SET max_replication_slots = …; and restart PostgreSQL"
    )]
    NoFreeSlot {
        /// What the server said.
        #[source]
        source: Box<ServerError>,
    },
    /// The server needs a password and none was given.
    #[error(
        "[PG028] PostgreSQL at {address} asks for a password of user `{user}`, and none is configured\n  fix: put it into the URL, or set database.password"
    )]
    PasswordMissing {
        /// `host:port` or the socket's path.
        address: String,
        /// The role.
        user: String,
    },
    /// `channel_binding=require` and the server cannot.
    #[error(
        "[PG029] channel_binding=require, but PostgreSQL at {address} did not authenticate with SCRAM-SHA-256-PLUS\n  fix: use TLS with a certificate signed by SHA-256 or better and scram-sha-256 in `pg_hba.conf`, or channel_binding=prefer"
    )]
    ChannelBinding {
        /// `host:port`.
        address: String,
    },
    /// No host fits `target_session_attrs`.
    #[error(
        "[PG030] PostgreSQL at {address} is not what target_session_attrs={wanted} asks for\n  fix: it is tried again; name the primary among the hosts"
    )]
    SessionAttributes {
        /// The last host tried.
        address: String,
        /// The attribute.
        wanted: &'static str,
    },
    /// Only a primary has the slot to give, and this server is not promoted yet.
    #[error(
        "[PG034] this server is a standby, which cannot serve replication slot `{slot}`\n  fix: it is tried again; promote the standby, or connect to the primary"
    )]
    Standby {
        /// The slot.
        slot: SlotName,
        /// What the server said.
        #[source]
        source: Box<ServerError>,
    },
    /// The stream would begin later than asked for.
    #[error(
        "[PG031] replication slot `{slot}` stands at {confirmed}, past the position {asked} that was asked for: what lies between is gone\n  fix: take a new snapshot; find out who advanced the slot"
    )]
    SlotAhead {
        /// The slot.
        slot: SlotName,
        /// `confirmed_flush_lsn`.
        confirmed: Lsn,
        /// Where the stream should have begun.
        asked: Lsn,
    },
    /// The server's answer to our SCRAM exchange is wrong.
    #[error(
        "[PG032] SCRAM authentication with PostgreSQL at {address} failed on our side: the server did not prove that it knows the password\n  fix: check that host and port lead to the right server, and that nothing sits between"
    )]
    Scram {
        /// `host:port`.
        address: String,
        /// What did not fit.
        #[source]
        source: io::Error,
    },
    /// Rows that waited on our own disk cannot be read back.
    #[error("[PG035] rows on disk are lost\n  fix: none, they come again")]
    Scratch(#[source] io::Error),
}

fn pid_text(pid: Option<i32>) -> String {
    pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string())
}
