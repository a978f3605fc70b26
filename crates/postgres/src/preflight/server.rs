//! The server as a whole: settings, slots, walsenders, the way in.

use super::Check;
use super::Severity::{Error, Info, Warning};
use crate::name::{quote_identifier, quote_literal};
use crate::{PostgresError, ReplicationConnection, slot};

/// Logical decoding on a standby works from here on.
const VERSION_NUM_STANDBY_DECODING: u32 = 160_000;

/// What a connector needs at once: the stream itself.
const WAL_SENDERS_NEEDED: u32 = 1;

impl Check<'_> {
    pub(super) fn server_settings(&mut self) {
        let server = self.server.clone();
        if server.wal_level != "logical" {
            let message = format!(
                "wal_level is `{}`; without `logical` nothing can be streamed",
                server.wal_level
            );
            let fix = "ALTER SYSTEM SET wal_level = 'logical';  -- then restart PostgreSQL";
            self.find("PG013", Error, "wal_level", message, Some(fix.to_owned()));
        }
        if server.encoding != "UTF8" {
            let message =
                format!("the database's encoding is {}; only UTF8 is supported", server.encoding);
            let fix = "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;  -- then move the data there";
            self.find("PG049", Error, server.database.as_str(), message, Some(fix.to_owned()));
        }
        if server.in_recovery {
            let capable = server.version_num >= VERSION_NUM_STANDBY_DECODING;
            let message = if capable {
                "this is a standby: publications can only be changed on the primary, and the slot is lost with it"
            } else {
                "this is a standby, and logical decoding on a standby needs PostgreSQL 16"
            };
            let severity = if capable { Warning } else { Error };
            let fix =
                "connect to the primary (several hosts and target_session_attrs=primary find it)";
            self.find("PG050", severity, self.address(), message, Some(fix.to_owned()));
        }
        if server.wal_senders_used + WAL_SENDERS_NEEDED > server.max_wal_senders {
            let max = server.max_wal_senders;
            let message = format!("all {max} walsenders are in use");
            let fix = format!(
                "ALTER SYSTEM SET max_wal_senders = {};  -- then restart PostgreSQL",
                max + 5
            );
            self.find("PG041", Error, "max_wal_senders", message, Some(fix));
        }
        if !server.user_can_replicate {
            let user = server.user.as_str();
            let message = format!("role `{user}` may not start replication");
            let fix = format!("ALTER ROLE {} REPLICATION;", quote_identifier(user));
            self.find("PG042", Error, user, message, Some(fix));
        }
        self.wal_limit(server.max_slot_wal_keep_size_bytes);
    }

    fn wal_limit(&mut self, limit_bytes: Option<u64>) {
        let (message, fix) = match limit_bytes {
            None => {
                let fix =
                    "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();";
                let message =
                    "no limit: a connector that stays away keeps WAL until the disk is full";
                (message.to_owned(), Some(fix.to_owned()))
            }
            Some(bytes) => {
                let megabytes = bytes / (1024 * 1024);
                let message = format!(
                    "a connector that falls {megabytes} MB of WAL behind loses its slot and needs a new snapshot"
                );
                (message, None)
            }
        };
        self.find("PG051", Info, "max_slot_wal_keep_size", message, fix);
    }

    /// The slot, if it is there; room for it, if it is not.
    pub(super) async fn slot(&mut self) -> Result<(), PostgresError> {
        let name = &self.expectations.slot;
        let Some(state) = slot::read(self.connection, name).await? else {
            self.slots_needed += 1;
            return self.room_for_slot().await;
        };
        let subject = format!("slot {name}");
        if let Err(error) = state.check_usable(&self.server.database) {
            let fix = format!("SELECT pg_drop_replication_slot({});", quote_literal(name.as_str()));
            self.find(error.code(), Error, subject, plain(&error), Some(fix));
        } else if let Some(pid) = state.active_pid {
            let message = format!(
                "server process {pid} reads it now; a start waits for it, or takes it over if it is ours"
            );
            let fix = format!("SELECT pg_terminate_backend({pid});");
            self.find("PG011", Warning, subject, message, Some(fix));
        }
        Ok(())
    }

    async fn room_for_slot(&mut self) -> Result<(), PostgresError> {
        let (used, max) = (self.server.replication_slots_used, self.server.max_replication_slots);
        if used < max {
            return Ok(());
        }
        let sql = "SELECT slot_name::text FROM pg_replication_slots WHERE NOT active ORDER BY 1";
        let rows = self.connection.query("list the replication slots", sql, &[]).await?;
        let unused: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let message =
            format!("all {max} replication slots are taken (not in use: {})", unused.join(", "));
        let fix = match unused.first() {
            Some(name) => format!("SELECT pg_drop_replication_slot({});", quote_literal(name)),
            None => format!(
                "ALTER SYSTEM SET max_replication_slots = {};  -- then restart PostgreSQL",
                max + 5
            ),
        };
        self.find("PG040", Error, "max_replication_slots", message, Some(fix));
        Ok(())
    }

    /// Reading in batches takes a copy of the slot; without room for it the slot is streamed.
    pub(super) fn room_for_batches(&mut self) {
        let (used, max) = (self.server.replication_slots_used, self.server.max_replication_slots);
        // That the slot itself has no room has been found with its cause.
        let has_own = used + self.slots_needed <= max;
        if !self.expectations.batches || !has_own || used + self.slots_needed < max {
            return;
        }
        let message = format!(
            "no slot of {max} is left for a temporary copy, so a connector that is far behind catches up by streaming, several times slower"
        );
        let more = max + 5;
        let fix =
            format!("ALTER SYSTEM SET max_replication_slots = {more};  -- then restart PostgreSQL");
        self.find("PG061", Info, "max_replication_slots", message, Some(fix));
    }

    /// Tries the way in that the stream will take.
    pub(super) async fn replication_connection(&mut self) {
        let Err(error) = ReplicationConnection::connect(self.connection.config()).await else {
            return;
        };
        // These have been found with their causes.
        let known = matches!(
            error,
            PostgresError::NoPrivilege { .. } | PostgresError::TooManyConnections { .. }
        );
        if !known {
            let user = quote_identifier(&self.server.user);
            let database = quote_identifier(&self.server.database);
            let message = format!("a replication connection is not possible: {}", plain(&error));
            let fix =
                format!("in pg_hba.conf: host {database} {user} <our address>/32 scram-sha-256");
            self.find("PG052", Error, self.address(), message, Some(fix));
        }
    }

    fn address(&self) -> String {
        self.connection.config().address()
    }
}

/// An error's first line without its code, which the finding carries itself.
fn plain(error: &PostgresError) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.split_once("] ").map_or(first, |(_, rest)| rest).to_owned()
}
