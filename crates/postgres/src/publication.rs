//! Publications: what they hold, and the statements that make them hold exactly what is captured.
//!
//! Statements are text first, so that `check` can print what a start would run. Never here: which tables to capture.
//! Source: PostgreSQL manual, `CREATE PUBLICATION`, `ALTER PUBLICATION`.

use crate::{Connection, PostgresError, TableName};

/// Which operations a publication publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishOperations {
    /// Inserts.
    pub insert: bool,
    /// Updates.
    pub update: bool,
    /// Deletes.
    pub delete: bool,
    /// Truncates.
    pub truncate: bool,
}

impl PublishOperations {
    /// Everything, PostgreSQL's default.
    pub const ALL: Self = Self { insert: true, update: true, delete: true, truncate: true };
}

/// One publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationState {
    /// Its name.
    pub name: String,
    /// The owning role.
    pub owner: String,
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// The tables it lists itself, by name; a root stands for its partitions. Empty with `all_tables`.
    pub tables: Vec<TableName>,
    /// The schemas of `FOR TABLES IN SCHEMA` (PostgreSQL 15 and later).
    pub schemas: Vec<String>,
    /// The tables whose changes it publishes now, under the name they are published as.
    pub published_tables: Vec<TableName>,
    /// What it publishes of them.
    pub publish: PublishOperations,
    /// `publish_via_partition_root`.
    pub via_root: bool,
}

/// Which tables a publication shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicationTables {
    /// Exactly these.
    Exactly(Vec<TableName>),
    /// Whatever there is, now and later. Stops updates of tables without replica identity.
    All,
}

/// Reads a publication; `None` when there is none of this name.
pub async fn read(
    connection: &Connection,
    name: &str,
) -> Result<Option<PublicationState>, PostgresError> {
    Err(connection.pending(name))
}

/// `CREATE PUBLICATION …` for these tables.
pub fn create_statement(
    name: &str,
    tables: &PublicationTables,
    publish: PublishOperations,
    via_root: bool,
) -> String {
    let _ = (name, tables, publish, via_root);
    String::new()
}

/// The statements that turn `current` into a publication of exactly this; empty when it is so already.
pub fn alter_statements(
    current: &PublicationState,
    tables: &PublicationTables,
    publish: PublishOperations,
    via_root: bool,
) -> Vec<String> {
    let _ = (current, tables, publish, via_root);
    Vec::new()
}

/// Runs statements of [`create_statement`] and [`alter_statements`], all in one transaction.
pub async fn apply(connection: &Connection, statements: &[String]) -> Result<(), PostgresError> {
    Err(connection.pending(statements))
}
