//! All tables in short.
use pgoutput::Oid;

use super::TableSummary;
use crate::{Connection, PostgresError, TableName};

/// Lists every table of the database that is not the system's own, by schema and name.
pub async fn list_tables(connection: &Connection) -> Result<Vec<TableSummary>, PostgresError> {
    Err(connection.pending(()))
}

/// The tables that hold the rows of `oid`: its leaf partitions, or itself when it is not partitioned.
pub async fn partition_leaves(
    connection: &Connection,
    oid: Oid,
) -> Result<Vec<(Oid, TableName)>, PostgresError> {
    Err(connection.pending(oid))
}
