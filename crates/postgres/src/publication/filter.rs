//! Whether a condition can be a row filter. In: a table, what of an old row is logged of it, a condition. Out: what is wrong
//! with it. Nothing is run: the server only parses.
//!
//! PostgreSQL itself checks more when the publication is made: functions must be built in and immutable. What it does not check
//! then is what makes the application's own statements fail later.
//! Source: PostgreSQL manual, "Row Filters", "Restrictions", "UPDATE and DELETE".

use super::quoted;
use crate::{Connection, PostgresError, TableName};

/// Why a condition cannot be the row filter of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowFilterFlaw {
    /// It is no condition over the columns of the table; what the server says.
    Invalid(String),
    /// It looks at columns that are not logged of old rows: PostgreSQL would refuse the application's updates and deletes.
    BeyondIdentity,
}

/// Looks for a flaw: `columns` are all that can be published of the table, `logged` those logged of old rows.
pub async fn row_filter_flaw(
    connection: &Connection,
    table: &TableName,
    condition: &str,
    columns: &[String],
    logged: &[String],
) -> Result<Option<RowFilterFlaw>, PostgresError> {
    if let Err(refused) = parse(connection, table, condition, columns).await? {
        return Ok(Some(RowFilterFlaw::Invalid(refused)));
    }
    let beyond = parse(connection, table, condition, logged).await?.is_err();
    Ok(beyond.then_some(RowFilterFlaw::BeyondIdentity))
}

/// Whether the condition can be understood with these columns alone; the server's words if not.
async fn parse(
    connection: &Connection,
    table: &TableName,
    condition: &str,
    columns: &[String],
) -> Result<Result<(), String>, PostgresError> {
    // Columns are named without their table: a partition has another name.
    let query = format!(
        "SELECT FROM (SELECT {} FROM ONLY {}) AS published_row WHERE ({condition})",
        quoted(columns),
        table.quoted()
    );
    match connection.client().prepare(&query).await {
        Ok(statement) if statement.params().is_empty() => Ok(Ok(())),
        Ok(_) => Ok(Err("it has parameters".to_owned())),
        Err(error) => match error.as_db_error() {
            Some(refused) => Ok(Err(refused.message().to_owned())),
            None => Err(PostgresError::from_sql("parse a row filter", &error)),
        },
    }
}
