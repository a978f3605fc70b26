//! An ordinary SQL session: our connection and login, tokio-postgres on top.
//!
//! In: a configuration. Out: a [`Connection`] with every setting that makes its text the same as the stream's.
//! Never here: retries, pools.

use std::error::Error as _;
use std::io;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, SimpleQueryMessage, SimpleQueryRow, Statement};

use crate::session::{Purpose, Replayed, Session, no_answer};
use crate::sqlstate::statement_error;
use crate::{ConnectionConfig, PostgresError, ServerError};

/// `idle_session_timeout` exists from here on; it must not end a session that waits for the next schema change.
const VERSION_NUM_IDLE_TIMEOUT: u32 = 140_000;

const DURING: &str = "running a statement";

/// An ordinary SQL session; owns the task that drives it. Dropping it ends the session.
pub struct Connection {
    client: Client,
    config: ConnectionConfig,
    server_version_num: u32,
    pub(crate) catalog: CatalogStatements,
    /// Held for its drop: the driver ends with the connection.
    _driver: JoinSet<()>,
}

/// The statements that describe a table, prepared once.
#[derive(Default)]
pub(crate) struct CatalogStatements {
    pub(crate) table: OnceCell<Statement>,
    pub(crate) columns: OnceCell<Statement>,
    pub(crate) types: OnceCell<Statement>,
    pub(crate) keys: OnceCell<Statement>,
    pub(crate) horizon: OnceCell<Statement>,
}

impl Connection {
    /// The session itself, for any SQL. [`PostgresError::from_sql`] turns its errors into ours.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How it was reached.
    pub fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// `server_version_num`: 150004 is 15.4.
    pub fn server_version_num(&self) -> u32 {
        self.server_version_num
    }

    /// Waits for what `answer` gives, as long as `database.query.timeout.ms` allows; `action` is for errors.
    ///
    /// Errors: what the server refuses; [`PostgresError::Deadline`].
    pub(crate) async fn answered<T>(
        &self,
        action: impl Into<String>,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresError> {
        let waited = self.config.answer_timeout;
        match timeout(waited, answer).await {
            Ok(answer) => answer.map_err(|error| PostgresError::from_sql(action, &error)),
            Err(_elapsed) => Err(no_answer(format!("the answer to \"{}\"", action.into()), waited)),
        }
    }

    pub(crate) async fn query(
        &self,
        action: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PostgresError> {
        self.answered(action, self.client.query(sql, parameters)).await
    }

    /// The first row of a query, each value in PostgreSQL's text form, as the stream has it; `None` without rows.
    pub async fn text_row(
        &self,
        action: &'static str,
        query: &str,
    ) -> Result<Option<Vec<Option<String>>>, PostgresError> {
        let messages = self.answered(action, self.client.simple_query(query)).await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let values = |row: &SimpleQueryRow| {
            (0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect()
        };
        Ok(row.map(values))
    }

    /// Whether a query answers `t`.
    pub async fn is_true(&self, action: &'static str, query: &str) -> Result<bool, PostgresError> {
        let row = self.text_row(action, query).await?;
        Ok(row.is_some_and(|row| row.first().is_some_and(|value| value.as_deref() == Some("t"))))
    }

    /// Runs statements without results. `action` says in an error what they were for.
    pub async fn run(
        &self,
        action: impl Into<String>,
        statements: &str,
    ) -> Result<(), PostgresError> {
        self.answered(action, self.client.batch_execute(statements)).await
    }
}

impl std::ops::Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Opens an ordinary SQL session on the first host that accepts it.
///
/// Errors: of the last host tried; see [`PostgresError`].
pub async fn connect(config: &ConnectionConfig) -> Result<Connection, PostgresError> {
    let session = Session::open(config, Purpose::Sql).await?;
    let server_version_num = session.facts.server_version_num;
    // The channel is as secure as the configuration asked for; tokio-postgres only has to talk.
    let mut plain = tokio_postgres::Config::new();
    plain.user(&config.user).ssl_mode(tokio_postgres::config::SslMode::Disable);
    let (client, driver) = plain
        .connect_raw(Replayed::new(session), NoTls)
        .await
        .map_err(|error| PostgresError::from_sql("open a session", &error))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = driver.await {
            // Whoever waits for an answer gets the error; between statements nobody waits.
            tracing::debug!(error = %error, "SQL session ended");
        }
    });
    let connection = Connection {
        client,
        config: config.clone(),
        server_version_num,
        catalog: CatalogStatements::default(),
        _driver: tasks,
    };
    prepare_session(&connection).await?;
    Ok(connection)
}

async fn prepare_session(connection: &Connection) -> Result<(), PostgresError> {
    if connection.server_version_num >= VERSION_NUM_IDLE_TIMEOUT {
        connection.run("set idle_session_timeout", "SET idle_session_timeout = 0").await?;
    }
    for statement in &connection.config.initial_statements {
        connection.run(format!("run the initial statement `{statement}`"), statement).await?;
    }
    Ok(())
}

impl PostgresError {
    /// What an error of an SQL session means; `action` completes "refused to …".
    pub fn from_sql(action: impl Into<String>, error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refused) => statement_error(action, Box::new(ServerError::from(refused))),
            None if error.is_closed() => Self::Closed { during: DURING, source: None },
            None => match io_error(error) {
                Some(source) => Self::Closed { during: DURING, source: Some(source) },
                None => Self::Protocol { what: error.to_string() },
            },
        }
    }
}

/// The operating system's error inside tokio-postgres's, where there is one.
fn io_error(error: &tokio_postgres::Error) -> Option<io::Error> {
    let source = error.source()?.downcast_ref::<io::Error>()?;
    Some(io::Error::new(source.kind(), source.to_string()))
}

impl From<&tokio_postgres::error::DbError> for ServerError {
    fn from(error: &tokio_postgres::error::DbError) -> Self {
        Self {
            severity: error.severity().to_owned(),
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
        }
    }
}
