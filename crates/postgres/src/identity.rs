//! Replica identities: what of an old row is logged, and the statements that set it.
//!
//! Statements are text first, so that `check` can print what a start would run. Never here: which table gets which.
//! Source: PostgreSQL manual, `ALTER TABLE … REPLICA IDENTITY`.

use std::fmt;

use pgoutput::Oid;
use tokio_postgres::Row;

use crate::name::quote_identifier;
use crate::{Connection, PostgresError, TableName};

/// A replica identity to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityChoice {
    /// The columns of the primary key.
    Default,
    /// The whole row.
    Full,
    /// Nothing.
    Nothing,
    /// The columns of the index of this name.
    Index(String),
}

impl fmt::Display for IdentityChoice {
    /// As SQL, after `REPLICA IDENTITY`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("DEFAULT"),
            Self::Full => formatter.write_str("FULL"),
            Self::Nothing => formatter.write_str("NOTHING"),
            Self::Index(name) => write!(formatter, "USING INDEX {}", quote_identifier(name)),
        }
    }
}

/// A table and the identity it shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedIdentity {
    /// The table.
    pub oid: Oid,
    /// Its name.
    pub table: TableName,
    /// What it shall have.
    pub choice: IdentityChoice,
}

const READ: &str = "\
SELECT c.oid, c.relreplident::text, \
       (SELECT x.relname::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
        WHERE i.indrelid = c.oid AND i.indisreplident LIMIT 1) \
FROM pg_class c WHERE c.oid = ANY($1)";

/// The statements that give these tables their identities; none for those that have them.
pub async fn statements(
    connection: &Connection,
    wanted: &[WantedIdentity],
) -> Result<Vec<String>, PostgresError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let oids: Vec<u32> = wanted.iter().map(|wanted| wanted.oid.0).collect();
    let rows = connection.query("read the replica identities", READ, &[&oids]).await?;
    let differs = |wanted: &&WantedIdentity| {
        let row = rows.iter().find(|row| Oid(row.get(0)) == wanted.oid);
        row.is_some_and(|row| !has(row, &wanted.choice))
    };
    let statement = |wanted: &WantedIdentity| {
        format!("ALTER TABLE ONLY {} REPLICA IDENTITY {};", wanted.table.quoted(), wanted.choice)
    };
    Ok(wanted.iter().filter(differs).map(statement).collect())
}

fn has(row: &Row, choice: &IdentityChoice) -> bool {
    let (current, index): (&str, Option<&str>) = (row.get(1), row.get(2));
    match choice {
        IdentityChoice::Default => current == "d",
        IdentityChoice::Full => current == "f",
        IdentityChoice::Nothing => current == "n",
        IdentityChoice::Index(name) => current == "i" && index == Some(name.as_str()),
    }
}

/// Runs statements of [`statements`], each in a transaction of its own: a table that is locked for long holds up no other.
pub async fn apply(connection: &Connection, statements: &[String]) -> Result<(), PostgresError> {
    for statement in statements {
        connection.run(format!("run `{statement}`"), statement).await?;
    }
    Ok(())
}
