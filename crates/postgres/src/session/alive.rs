//! Waiting for what may take as long as it takes, on a server that may have died without a word.
//!
//! In: a session's wait. Out: what it gives, or the reason why it will never come. After each `database.query.timeout.ms` without an
//! answer another session looks whether the server is there and still has the process that we wait for.
//! Never: an end of a statement only because it takes long.

use tokio::time::timeout;

use super::{Purpose, Session, SessionFacts};
use crate::{ConnectionConfig, PostgresError};

/// Waits for `answer` as long as the server lives.
///
/// Errors: those of `answer`; why the server cannot be reached; [`PostgresError::Closed`] if the process is gone.
pub(crate) async fn while_it_lives<T, E: From<PostgresError>>(
    config: &ConnectionConfig,
    facts: &SessionFacts,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut answer = std::pin::pin!(answer);
    loop {
        match timeout(config.answer_timeout, answer.as_mut()).await {
            Ok(answered) => return answered,
            Err(_elapsed) => Box::pin(look(config, facts)).await?,
        }
    }
}

async fn look(config: &ConnectionConfig, facts: &SessionFacts) -> Result<(), PostgresError> {
    let mut session = match Session::open(config, Purpose::Sql).await {
        Ok(session) => session,
        Err(error) if is_dead(&error) => return Err(error),
        // A server that refuses us is there.
        Err(_) => return Ok(()),
    };
    if session.facts.address != facts.address {
        return Ok(()); // Another of several hosts knows nothing of it.
    }
    let pid = facts.backend_pid;
    let sql = format!("SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = {pid}");
    let found = session.command(&sql).await;
    let rows = found.map_err(|error| error.while_doing("look for a silent session"))?;
    if rows.is_empty() {
        let during = "waiting for an answer: the server process of the session is gone";
        return Err(PostgresError::Closed { during, source: None });
    }
    Ok(())
}

fn is_dead(error: &PostgresError) -> bool {
    matches!(
        error,
        PostgresError::Connect { .. }
            | PostgresError::ConnectTimeout { .. }
            | PostgresError::Closed { .. }
            | PostgresError::Shutdown { .. }
    )
}
