//! Publications: what they hold, and the statements that make them hold exactly what is captured.
//!
//! Statements are text first, so that `check` can print what a start would run. Never here: which tables to capture, and what
//! of them; whether a row filter or a column list is safe.
//! Source: PostgreSQL manual, `CREATE PUBLICATION`, `ALTER PUBLICATION`, "Row Filters", "Column Lists".

mod filter;
mod statements;

use tokio_postgres::Row;

use crate::name::quote_identifier;
use crate::{Connection, PostgresError, TableName};

pub use filter::{RowFilterFlaw, row_filter_flaw};
pub use statements::{
    alter_statements, apply, create_statement, create_statements, left_alone, options_statement,
    remade, same_options_statement,
};

/// Which operations a publication publishes.
#[expect(clippy::struct_excessive_bools, reason = "four independent switches of PostgreSQL's own")]
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
    /// The tables it lists itself, by name; a root stands for its partitions. Empty with `all_tables`. Row filters are as
    /// the server shows them.
    pub tables: Vec<PublishedTable>,
    /// The schemas of `FOR TABLES IN SCHEMA` (PostgreSQL 15 and later).
    pub schemas: Vec<String>,
    /// The tables whose changes it publishes now, under the name they are published as.
    pub published_tables: Vec<TableName>,
    /// What it publishes of them.
    pub publish: PublishOperations,
    /// `publish_via_partition_root`.
    pub via_root: bool,
    /// Its comment; it says which column lists and row filters are ours.
    pub comment: Option<String>,
}

impl PublicationState {
    /// Whether it lists the table itself.
    pub fn lists(&self, table: &TableName) -> bool {
        self.tables.iter().any(|listed| listed.table == *table)
    }
}

/// A table of a publication, with what is published of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTable {
    /// The table.
    pub table: TableName,
    /// Its column list, in the table's order; without one all columns are published (PostgreSQL 15 and later).
    pub columns: Option<Vec<String>>,
    /// The condition of its row filter; without one all rows are published (PostgreSQL 15 and later).
    pub row_filter: Option<String>,
}

impl From<TableName> for PublishedTable {
    /// The whole table.
    fn from(table: TableName) -> Self {
        Self { table, columns: None, row_filter: None }
    }
}

impl PublishedTable {
    /// Whether the whole table is published.
    pub fn is_whole(&self) -> bool {
        self.columns.is_none() && self.row_filter.is_none()
    }

    /// As `FOR TABLE` has it. `ONLY` keeps tables out that inherit from it; the partitions of a partitioned table are in with it.
    fn object(&self) -> String {
        let columns = self.columns.as_ref();
        let columns = columns.map(|columns| format!(" ({})", quoted(columns))).unwrap_or_default();
        let filter = self.row_filter.as_ref();
        let filter = filter.map(|condition| format!(" WHERE ({condition})")).unwrap_or_default();
        format!("ONLY {}{columns}{filter}", self.table.quoted())
    }
}

/// Which tables a publication shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicationTables {
    /// Exactly these.
    Exactly(Vec<PublishedTable>),
    /// Whatever there is in these schemas, now and later, and these others (PostgreSQL 15 and later).
    Schemas {
        /// The schemas.
        schemas: Vec<String>,
        /// Tables of other schemas. PostgreSQL refuses column lists beside whole schemas.
        tables: Vec<PublishedTable>,
    },
    /// Whatever there is, now and later. Stops updates of tables without replica identity.
    All,
}

const READ: &str = "\
SELECT p.oid, pg_get_userbyid(p.pubowner)::text, p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, \
       p.pubviaroot, obj_description(p.oid, 'pg_publication') \
FROM pg_publication p WHERE p.pubname = $1::text::name";

const READ_TABLES: &str = "\
SELECT n.nspname::text, c.relname::text, NULL::text[], NULL::text \
FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
WHERE r.prpubid = $1 ORDER BY 1, 2";

/// The same where tables may have column lists and row filters.
const READ_PARTS: &str = "\
SELECT n.nspname::text, c.relname::text, \
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM unnest(r.prattrs) listed(attnum) \
        JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = listed.attnum), \
       pg_get_expr(r.prqual, r.prrelid) \
FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
WHERE r.prpubid = $1 ORDER BY 1, 2";

const READ_SCHEMAS: &str = "\
SELECT n.nspname::text FROM pg_publication_namespace p JOIN pg_namespace n ON n.oid = p.pnnspid \
WHERE p.pnpubid = $1 ORDER BY 1";

const READ_PUBLISHED: &str = "\
SELECT schemaname::text, tablename::text FROM pg_publication_tables WHERE pubname = $1::text::name ORDER BY 1, 2";

/// `FOR TABLES IN SCHEMA`, column lists and row filters exist from here on.
pub const VERSION_NUM_PARTS: u32 = 150_000;

/// Reads a publication; `None` when there is none of this name.
pub async fn read(
    connection: &Connection,
    name: &str,
) -> Result<Option<PublicationState>, PostgresError> {
    const ACTION: &str = "read the publication";
    let rows = connection.query(ACTION, READ, &[&name]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let oid: u32 = row.get(0);
    let has_parts = connection.server_version_num() >= VERSION_NUM_PARTS;
    let read_tables = if has_parts { READ_PARTS } else { READ_TABLES };
    let tables = connection.query(ACTION, read_tables, &[&oid]).await?;
    let published = connection.query(ACTION, READ_PUBLISHED, &[&name]).await?;
    let schemas =
        if has_parts { connection.query(ACTION, READ_SCHEMAS, &[&oid]).await? } else { Vec::new() };
    let named = |row: &Row| TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
    let listed = |row: &Row| PublishedTable {
        table: named(row),
        columns: row.get(2),
        row_filter: row.get(3),
    };
    Ok(Some(PublicationState {
        name: name.to_owned(),
        owner: row.get(1),
        all_tables: row.get(2),
        tables: tables.iter().map(listed).collect(),
        schemas: schemas.iter().map(|row| row.get(0)).collect(),
        published_tables: published.iter().map(named).collect(),
        publish: PublishOperations {
            insert: row.get(3),
            update: row.get(4),
            delete: row.get(5),
            truncate: row.get(6),
        },
        via_root: row.get(7),
        comment: row.get(8),
    }))
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quote_identifier(name)).collect();
    quoted.join(", ")
}
