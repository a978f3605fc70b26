//! An ordinary SQL session.
use crate::{ConnectionConfig, PostgresError};

/// An ordinary SQL session; owns the task that drives it. Dropping it ends the session.
pub struct Connection {
    client: tokio_postgres::Client,
    config: ConnectionConfig,
}

impl Connection {
    /// The session itself, for any SQL.
    pub fn client(&self) -> &tokio_postgres::Client {
        &self.client
    }

    /// How it was reached.
    pub fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    pub(crate) fn pending<T>(&self, _: T) -> PostgresError {
        PostgresError::StreamEnded
    }
}

/// Opens an ordinary SQL session on the first host that accepts it.
pub async fn connect(config: &ConnectionConfig) -> Result<Connection, PostgresError> {
    let _ = config;
    Err(PostgresError::StreamEnded)
}
