//! Has the server log its running transactions where a slot would otherwise decode much of the log again.
//!
//! In: word that it would pay. Out: an `xl_running_xacts` in the log, and so a point to which `restart_lsn` can move once reading gets
//! there. The server logs one every 15 s, or when somebody makes a logical slot: that is what is done here, with a temporary one that
//! is dropped at once. It has a session of its own, because an error drops all temporary slots of a session.
//! Never here: an error. Without it batches are what they were. Never more than one at a time, and none on a standby.
//! Source: PostgreSQL manual, `pg_log_standby_snapshot`; `ReplicationSlotReserveWal` and `SnapBuildProcessRunningXacts` in its source.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::name::quote_literal;
use crate::session::{CommandError, Purpose, Session};
use crate::{ConnectionConfig, PostgresError};

/// Making a slot waits for transactions that are open. Those keep `restart_lsn` back anyway.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// Not asked again for so long after it did not work.
const PAUSE: Duration = Duration::from_secs(15);

/// Asks for it. Dropping it ends the session.
pub(super) struct RunningTransactions {
    asked: mpsc::Sender<()>,
    /// Held for its drop.
    _tasks: JoinSet<()>,
}

impl RunningTransactions {
    /// Nothing is opened before it is asked for.
    pub(super) fn new(config: &ConnectionConfig) -> Self {
        let (asked, asks) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(log_when_asked(config.clone(), asks));
        Self { asked, _tasks: tasks }
    }

    /// Asks for it and does not wait. Whoever is asked while at it has been asked once.
    pub(super) fn ask(&self) {
        let _ = self.asked.try_send(());
    }
}

async fn log_when_asked(config: ConnectionConfig, mut asks: mpsc::Receiver<()>) {
    let mut session = None;
    while asks.recv().await.is_some() {
        let logged = match session.take() {
            Some(session) => log(session).await,
            None => log_once(&config).await,
        };
        match logged {
            Ok(still_open) => session = Some(still_open),
            Err(error) => {
                tracing::debug!(%error, "the server did not log its running transactions");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Once, for whoever will read from here later.
pub(super) async fn log_soon(config: &ConnectionConfig) {
    if let Err(error) = log_once(config).await {
        tracing::debug!(%error, "the server did not log its running transactions");
    }
}

/// In a session of its own, which it gives back.
async fn log_once(config: &ConnectionConfig) -> Result<Session, PostgresError> {
    let mut session = Session::open(config, Purpose::Sql).await?;
    let limit = format!("SET statement_timeout = {}", WAIT_MAX.as_millis());
    session.command(&limit).await.map_err(|error| error.while_doing("limit a statement"))?;
    log(session).await
}

async fn log(mut session: Session) -> Result<Session, PostgresError> {
    let name = quote_literal(&format!("tributary_running_{}", session.facts.backend_pid));
    let make = format!(
        "SELECT pg_catalog.pg_create_logical_replication_slot({name}, 'pgoutput', true) \
         WHERE NOT pg_catalog.pg_is_in_recovery()"
    );
    let drop = format!(
        "SELECT pg_catalog.pg_drop_replication_slot(slot_name) \
         FROM pg_catalog.pg_replication_slots WHERE slot_name = {name}"
    );
    let refused = |error: CommandError| error.while_doing("log running transactions");
    session.command(&make).await.map_err(refused)?;
    session.command(&drop).await.map_err(refused)?;
    Ok(session)
}
