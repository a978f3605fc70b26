//! The database while a key is altered: read-only for applications, and the statement.
//!
//! In: an administrator's session. Out: statements. Never: the connector's own sessions ended; a statement of ours that nobody waits for.
//! Source: PostgreSQL manual, `ALTER DATABASE`, `default_transaction_read_only`, "Server Signaling Functions".

use std::time::{Duration, Instant};

use pgoutput::Lsn;
use postgres::{Connection, ConnectionConfig, PostgresError, quote_identifier};

use crate::error::CliError;

/// How `pg_stat_activity` shows our sessions.
pub(super) const APPLICATION: &str = "tributary alter-key";

const LOOK: Duration = Duration::from_millis(50);
/// How long a backend may take to end.
const END_MAX: Duration = Duration::from_secs(10);

/// Sessions of applications in this database: not ours, and not those of whoever has a walsender by the same name, as connectors do.
const OTHERS: &str = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
    AND backend_type = 'client backend' \
    AND application_name NOT IN (SELECT application_name FROM pg_stat_activity WHERE backend_type = 'walsender')";

/// The database of the table.
pub(super) struct Source {
    config: ConnectionConfig,
    control: Connection,
    database: String,
}

impl Source {
    pub(super) async fn connect(config: ConnectionConfig) -> Result<Self, CliError> {
        let control = session(&config).await?;
        let database = one(&control, "SELECT current_database()").await?;
        Ok(Self { config, control, database })
    }

    /// Whether the steps can be taken at all; nothing was changed yet.
    pub(super) async fn check(&self) -> Result<(), CliError> {
        let setting = "SELECT coalesce((SELECT split_part(entry, '=', 2) FROM pg_db_role_setting s, unnest(setconfig) entry \
            WHERE s.setrole = 0 AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) \
            AND entry LIKE 'default_transaction_read_only=%'), 'off')";
        let may_alter = "SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database WHERE datname = current_database()";
        let prepared = "SELECT coalesce(string_agg(gid, ', '), '') FROM pg_prepared_xacts WHERE database = current_database()";
        if one(&self.control, setting).await? == "on" {
            return Err(self.unfit("it is read-only already", "an earlier alter-key may have been killed: run it with --undo; otherwise find out who made it so"));
        }
        if one(&self.control, may_alter).await? != "t" {
            return Err(self.unfit(
                "the role of --source does not own it",
                "name a role with --source that is its owner or a superuser",
            ));
        }
        let prepared = one(&self.control, prepared).await?;
        if !prepared.is_empty() {
            let what = format!("transactions are prepared and not ended: {prepared}");
            return Err(self.unfit(&what, "COMMIT PREPARED or ROLLBACK PREPARED them"));
        }
        Ok(())
    }

    pub(super) async fn set_read_only(&self) -> Result<(), CliError> {
        self.alter("SET default_transaction_read_only = on").await
    }

    /// Ends a statement that still runs, and lets applications write again.
    pub(super) async fn set_writable(&mut self) -> Result<(), CliError> {
        // The session may have gone with whatever went wrong.
        let control = session(&self.config).await?;
        self.control = control;
        // A statement goes on although nobody waits for it, that of an earlier run that was killed, too.
        self.ended(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = '{APPLICATION}'")).await?;
        self.alter("RESET default_transaction_read_only").await
    }

    /// Ends the sessions that may write still, and says where the log ends after the last of them.
    pub(super) async fn quiesce(&self) -> Result<Lsn, CliError> {
        // Who connected before is not bound by what the database says since.
        let since = one(&self.control, "SELECT clock_timestamp()").await?;
        self.ended(&format!(
            "SELECT pg_terminate_backend(pid) {OTHERS} AND backend_start <= '{since}'"
        ))
        .await?;
        let end = one(&self.control, "SELECT pg_current_wal_insert_lsn()").await?;
        end.parse().map_err(|_| self.unfit(&format!("its log ends at `{end}`"), "report this"))
    }

    /// Runs the statement in a session of its own.
    pub(super) async fn run(&self, sql: &str) -> Result<(), CliError> {
        let session = session(&self.config).await?;
        let ran = session.client().batch_execute(sql).await;
        Ok(ran.map_err(|error| PostgresError::from_sql(format!("run `{sql}`"), &error))?)
    }

    async fn alter(&self, what: &str) -> Result<(), CliError> {
        let sql = format!("ALTER DATABASE {} {what}", quote_identifier(&self.database));
        Ok(self.control.run(format!("run `{sql}`"), &sql).await?)
    }

    /// Signals processes until the query finds none.
    async fn ended(&self, sql: &str) -> Result<(), CliError> {
        let started = Instant::now();
        while self.control.text_row("end sessions of applications", sql).await?.is_some() {
            if started.elapsed() >= END_MAX {
                let what = format!("a session does not end within {END_MAX:?}");
                return Err(self.unfit(&what, "look at pg_stat_activity for what it does"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn unfit(&self, what: &str, fix: &str) -> CliError {
        CliError::UnfitDatabase {
            database: self.database.clone(),
            what: what.to_owned(),
            fix: fix.to_owned(),
        }
    }
}

/// A session that may write whatever the database says.
async fn session(config: &ConnectionConfig) -> Result<Connection, CliError> {
    let session = postgres::connect(config).await?;
    let writable = "SET default_transaction_read_only = off";
    session.run("keep our own session writable", writable).await?;
    Ok(session)
}

async fn one(session: &Connection, sql: &str) -> Result<String, CliError> {
    let row = session.text_row("look at the database", sql).await?;
    Ok(row.and_then(|row| row.into_iter().next().flatten()).unwrap_or_default())
}
