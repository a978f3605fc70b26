//! One connected, authenticated session, and the simple query protocol on it.
//!
//! In: a configuration. Out: a [`Session`] ready for commands, whose socket can be taken over by the replication stream, by
//! a COPY, or by tokio-postgres. So there is one way to connect, one TLS and one authentication for all of them.
//! Never here: what a command means. Source: PostgreSQL manual, "Message Flow".

mod alive;
mod authenticate;
mod frame;
mod hosts;
mod replay;
mod transport;
mod wire;

pub(crate) use alive::while_it_lives;
pub(crate) use frame::{COPY_DATA, HEADER_BYTES, frame_len};
pub(crate) use replay::Replayed;
pub(crate) use transport::Stream;
pub(crate) use wire::{
    LARGE_BYTES, READ_BYTES, Wire, closed, cut, impossible_length, server_error, server_notice,
    unexpected,
};

use std::time::Duration;

use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;
use tokio::time::timeout;

use crate::sqlstate::statement_error;
use crate::{ConnectionConfig, PostgresError, ServerError};

/// The oldest server we work with.
const VERSION_NUM_MIN: u32 = 130_000;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// SQL.
    Sql,
    /// A walsender of one database: replication commands, and SQL by simple query.
    Replication,
}

/// What the server told about itself and the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionFacts {
    /// `server_version_num`: 150004 is 15.4.
    pub(crate) server_version_num: u32,
    /// The version as people write it.
    pub(crate) server_version: String,
    /// The server process.
    pub(crate) backend_pid: i32,
    /// The key that cancels its queries.
    pub(crate) secret_key: i32,
    /// `host:port` or the socket's path.
    pub(crate) address: String,
    /// Every `ParameterStatus` of the start.
    pub(crate) parameters: Vec<(String, String)>,
}

/// A session ready for a command.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    pub(crate) facts: SessionFacts,
    /// How it was reached, and how long an answer may take.
    pub(crate) config: ConnectionConfig,
}

/// One row of a simple query, as text.
pub(crate) type Row = Vec<Option<String>>;

/// Why a command did not work.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The server said no; the session is ready for the next command.
    Refused(Box<ServerError>),
    /// The session is over.
    Broken(PostgresError),
}

impl CommandError {
    /// Without a more particular meaning for the refusal.
    pub(crate) fn while_doing(self, action: impl Into<String>) -> PostgresError {
        match self {
            Self::Refused(source) => statement_error(action, source),
            Self::Broken(error) => error,
        }
    }
}

impl From<PostgresError> for CommandError {
    fn from(error: PostgresError) -> Self {
        Self::Broken(error)
    }
}

impl Session {
    /// Connects to the first host that accepts us and fits `target_session_attrs`.
    ///
    /// Errors: of the last host. [`PostgresError::ServerVersion`] before PostgreSQL 13.
    pub(crate) async fn open(
        config: &ConnectionConfig,
        purpose: Purpose,
    ) -> Result<Self, PostgresError> {
        let session = hosts::first_that_fits(config, purpose).await?;
        if session.facts.server_version_num < VERSION_NUM_MIN {
            let version = session.facts.server_version;
            return Err(PostgresError::ServerVersion { version });
        }
        Ok(session)
    }

    /// Runs one statement by the simple query protocol and collects its rows. Errors: also [`PostgresError::Deadline`].
    pub(crate) async fn command(&mut self, sql: &str) -> Result<Vec<Row>, CommandError> {
        let waited = self.config.answer_timeout;
        let answered = timeout(waited, self.exchange(sql)).await;
        answered.unwrap_or_else(|_| Err(no_answer("an answer of the server", waited).into()))
    }

    /// As [`Self::command`], for a statement that may wait for other sessions as long as they live.
    pub(crate) async fn patient_command(&mut self, sql: &str) -> Result<Vec<Row>, CommandError> {
        let (config, facts) = (self.config.clone(), self.facts.clone());
        Box::pin(while_it_lives(&config, &facts, self.exchange(sql))).await
    }

    async fn exchange(&mut self, sql: &str) -> Result<Vec<Row>, CommandError> {
        self.wire.send(|buffer| frontend::query(sql, buffer)).await?;
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            match self.wire.message("waiting for the answer to a command").await? {
                Message::DataRow(body) => rows.push(text_row(&body)?),
                Message::ErrorResponse(body) => refused = Some(Box::new(server_error(&body))),
                Message::ReadyForQuery(_) => break,
                Message::RowDescription(_)
                | Message::CommandComplete(_)
                | Message::EmptyQueryResponse
                | Message::NoticeResponse(_)
                | Message::NotificationResponse(_)
                | Message::ParameterStatus(_) => {}
                _ => return Err(unexpected("the answer to a command").into()),
            }
        }
        refused.map_or(Ok(rows), |error| Err(CommandError::Refused(error)))
    }
}

/// A server that still acknowledges what it is sent, and does nothing.
pub(crate) fn no_answer(what: impl Into<String>, waited: Duration) -> PostgresError {
    PostgresError::Deadline {
        what: what.into(),
        waited,
        fix: "it is tried again; see whether the server hangs, or the statement waits for a lock (pg_stat_activity), or raise database.query.timeout.ms".to_owned(),
    }
}

/// The values of a row, as text.
pub(crate) fn text_row(body: &DataRowBody) -> Result<Row, PostgresError> {
    use fallible_iterator::FallibleIterator as _;
    let malformed = |_| unexpected("a data row");
    let mut ranges = body.ranges();
    let mut row = Row::new();
    while let Some(range) = ranges.next().map_err(malformed)? {
        row.push(range.map(|range| String::from_utf8_lossy(&body.buffer()[range]).into_owned()));
    }
    Ok(row)
}
