//! What the publication can leave out without harm: columns that are not captured, rows that a filter does not want.
//!
//! In: the settings, and what the catalog says of each captured table now. Out: a [`Pushdown`]: column lists, row filters, and
//! what is to be said of them. Never: a list that lacks a column which an old row is recognised by, now or after the table chooses
//! another of its unique indexes for it; a filter over other columns than those. PostgreSQL would refuse the
//! application's own updates and deletes.
//! Source: PostgreSQL manual, "Row Filters", "Column Lists"; docs/adr/0010-what-the-publication-leaves-out.md.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use pgoutput::{Relation, ReplicaIdentity};
use postgres::catalog::{self, TableDescription, TableKind, TableSummary};
use postgres::publication::{
    PublishOperations, PublishedTable, RowFilterFlaw, VERSION_NUM_PARTS, row_filter_flaw,
};
use postgres::{Connection, TableName};

use crate::captured::operations;
use crate::error::ConnectorError;
use crate::settings::Settings;

/// What a publication shall hold of the captured tables, where that is not all.
#[derive(Clone, Debug, Default)]
pub struct Pushdown {
    parts: HashMap<TableName, PublishedTable>,
    /// What is to be said.
    pub remarks: Vec<PushdownRemark>,
}

/// What is to be said of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushdownRemark {
    /// The stable code.
    pub code: &'static str,
    /// The table.
    pub table: TableName,
    /// What is the matter, with its code in front and what to do at the end.
    text: String,
}

impl fmt::Display for PushdownRemark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl PushdownRemark {
    fn new(code: &'static str, table: &TableName, what: &str, fix: &str) -> Self {
        let text = format!("[{code}] {what}\n  fix: {fix}");
        Self { code, table: table.clone(), text }
    }

    /// A part is published, and later statements may find it in their way.
    fn in_force(table: &TableName) -> Self {
        let what = "only a part of it is published: PostgreSQL will refuse to drop or to retype a published column, and to update or delete rows once the table's replica identity is FULL or has a column that is not published";
        let fix = "before such a change, take the table out of the publication, and start the connector again after it; see docs/guides/pushdown.md";
        Self::new("PG070", table, what, fix)
    }

    /// Columns are published that nobody captures.
    fn all_columns(table: &TableName, why: Unsafe) -> Self {
        let fix = match why {
            Unsafe::Version => "use PostgreSQL 15 or later",
            Unsafe::FullIdentity => {
                "ALTER TABLE … REPLICA IDENTITY DEFAULT, if it has a primary key"
            }
            Unsafe::GeneratedIdentity => "choose an index without generated columns",
        };
        let what = format!(
            "its columns that are not captured leave the database all the same, and are dropped after: {}",
            why.reason()
        );
        Self::new("PG071", table, &what, fix)
    }
}

/// Why a table has no column list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsafe {
    Version,
    FullIdentity,
    GeneratedIdentity,
}

impl Unsafe {
    fn reason(self) -> &'static str {
        match self {
            Self::Version => "this server has no column lists",
            Self::FullIdentity => {
                "with REPLICA IDENTITY FULL PostgreSQL would refuse every update and delete of a table with a column list"
            }
            Self::GeneratedIdentity => {
                "a generated column is part of its replica identity, and a column list cannot have it"
            }
        }
    }
}

impl Pushdown {
    /// What is published of a table.
    pub(crate) fn of(&self, table: TableName) -> PublishedTable {
        self.parts.get(&table).cloned().unwrap_or_else(|| table.into())
    }

    /// Whether a table has a column list. PostgreSQL takes none beside whole schemas.
    pub(crate) fn has_column_lists(&self) -> bool {
        self.parts.values().any(|part| part.columns.is_some())
    }

    /// Looks at each captured table.
    ///
    /// Errors: [`ConnectorError::RowFilter`], because rows that should not leave the database may not leave it.
    pub async fn plan(
        control: &Connection,
        settings: &Settings,
        captured: &[TableSummary],
    ) -> Result<Self, ConnectorError> {
        let mut pushdown = Self::default();
        let wanted = &settings.publication.pushdown;
        for typed in wanted.filtered_tables() {
            if !captured.iter().any(|table| table.table_name().to_string() == typed) {
                let why = "no captured table has this name";
                let fix = "correct the name in the key, or capture the table";
                return Err(refusal(typed, why.to_owned(), fix));
            }
        }
        let signals = settings.signals.as_ref().map(|signals| &signals.table);
        for table in captured {
            let name = table.table_name();
            let filter = wanted.row_filter(&table.schema, &table.name);
            if Some(&name) == signals || (!wanted.columns && filter.is_none()) {
                continue;
            }
            let shapes = shapes(control, table).await?;
            let has_parts = control.server_version_num() >= VERSION_NUM_PARTS;
            let columns = if wanted.columns {
                pushdown.columns(&name, &shapes, settings, has_parts)
            } else {
                None
            };
            if let Some(condition) = filter {
                check_filter(control, settings, condition, &shapes, has_parts).await?;
            }
            let row_filter = filter.map(str::to_owned);
            let part = PublishedTable { table: name.clone(), columns, row_filter };
            if !part.is_whole() {
                pushdown.remarks.push(PushdownRemark::in_force(&name));
                pushdown.parts.insert(name, part);
            }
        }
        Ok(pushdown)
    }

    /// The column list of a table, if it needs one and can have it.
    fn columns(
        &mut self,
        name: &TableName,
        shapes: &[TableDescription],
        settings: &Settings,
        has_parts: bool,
    ) -> Option<Vec<String>> {
        let list = match column_list(shapes, settings, operations(settings)) {
            Ok(list) => list?,
            Err(why) => {
                self.remarks.push(PushdownRemark::all_columns(name, why));
                return None;
            }
        };
        if has_parts {
            return Some(list);
        }
        self.remarks.push(PushdownRemark::all_columns(name, Unsafe::Version));
        None
    }
}

/// The table, and where it is partitioned the tables that hold its rows, each of which has an identity of its own.
async fn shapes(
    control: &Connection,
    table: &TableSummary,
) -> Result<Vec<TableDescription>, ConnectorError> {
    let mut oids = vec![table.oid];
    if table.kind == TableKind::PartitionedRoot {
        oids.extend(catalog::partition_leaves(control, table.oid).await?.iter().map(|leaf| leaf.0));
    }
    let mut shapes = Vec::with_capacity(oids.len());
    for oid in oids {
        shapes.extend(catalog::describe_table(control, oid).await?);
    }
    Ok(shapes)
}

/// The columns to publish of a table, `None` for all: those that are captured or in a key, and those of every index that an
/// old row could be recognised by.
fn column_list(
    shapes: &[TableDescription],
    settings: &Settings,
    publish: PublishOperations,
) -> Result<Option<Vec<String>>, Unsafe> {
    let Some(table) = shapes.first() else { return Ok(None) };
    let (schema, name) = (&table.schema, &table.name);
    let message_key = settings.message_keys.for_table(schema, name).unwrap_or_default();
    let indexed: BTreeSet<&str> = shapes.iter().flat_map(indexed).collect();
    let needed = |column: &str| {
        settings.columns.captures(schema, name, column)
            || message_key.iter().any(|key| key == column)
            || indexed.contains(column)
    };
    let columns = || table.columns.iter().filter(|column| !column.generated);
    let list: Vec<String> =
        columns().map(|column| &column.name).filter(|name| needed(name)).cloned().collect();
    if list.len() == columns().count() {
        return Ok(None);
    }
    if publish.update || publish.delete {
        for shape in shapes {
            if shape.replica_identity == ReplicaIdentity::Full {
                return Err(Unsafe::FullIdentity);
            }
            let identity = logged(shape);
            let generated = |column: &&catalog::ColumnDescription| column.generated;
            if shape.columns.iter().filter(generated).any(|it| identity.contains(&it.name)) {
                return Err(Unsafe::GeneratedIdentity);
            }
        }
    }
    Ok(Some(list))
}

/// Columns of every index that may be a replica identity, now or later.
fn indexed(shape: &TableDescription) -> impl Iterator<Item = &str> {
    let attnums = shape.keys.iter().flat_map(|key| &key.columns);
    let name = move |attnum: &i16| shape.columns.iter().find(|column| column.attnum == *attnum);
    attnums.filter_map(name).map(|column| column.name.as_str())
}

/// Columns of a table that are logged of old rows.
fn logged(shape: &TableDescription) -> Vec<String> {
    match shape.replica_identity {
        ReplicaIdentity::Full => all_columns(shape),
        ReplicaIdentity::Index => shape.replica_identity_index_columns.clone().unwrap_or_default(),
        ReplicaIdentity::Default => shape.primary_key.clone().unwrap_or_default(),
        ReplicaIdentity::Nothing => Vec::new(),
    }
}

fn all_columns(shape: &TableDescription) -> Vec<String> {
    let columns = shape.columns.iter().filter(|column| !column.generated);
    columns.map(|column| column.name.clone()).collect()
}

/// Refuses a row filter that stream and snapshot could not both heed, or that would be in the application's way.
async fn check_filter(
    control: &Connection,
    settings: &Settings,
    condition: &str,
    shapes: &[TableDescription],
    has_parts: bool,
) -> Result<(), ConnectorError> {
    let Some(table) = shapes.first() else { return Ok(()) };
    let (name, typed) = (table.table_name(), format!("{}.{}", table.schema, table.name));
    if !has_parts {
        let why = "this server's publications have no row filters";
        return Err(refusal(&typed, why.to_owned(), "use PostgreSQL 15 or later"));
    }
    let publish = operations(settings);
    let all = all_columns(table);
    let mut common = all.clone();
    if publish.update || publish.delete {
        // A partitioned table logs no row itself.
        let holders = if table.kind == TableKind::PartitionedRoot { &shapes[1..] } else { shapes };
        for holder in holders {
            let logged = logged(holder);
            common.retain(|column| logged.contains(column));
        }
    }
    let fix =
        "write a condition over its columns, named without the table, with built-in functions only";
    match row_filter_flaw(control, &name, condition, &all, &common).await? {
        None => Ok(()),
        Some(RowFilterFlaw::Invalid(why)) => Err(refusal(&typed, why, fix)),
        Some(RowFilterFlaw::BeyondIdentity) => {
            let why = format!(
                "it looks at columns that are not part of the replica identity ({}): PostgreSQL would refuse the application's updates and deletes",
                common.join(", ")
            );
            let fix = "write it over these columns, or give the table REPLICA IDENTITY FULL, or an index with the columns it needs; or skip updates and deletes with skipped.operations";
            Err(refusal(&typed, why, fix))
        }
    }
}

fn refusal(table: &str, why: String, fix: &'static str) -> ConnectorError {
    ConnectorError::RowFilter { table: table.to_owned(), why, fix }
}

/// Captured columns of a table that the stream does not have, because they came after the column list.
pub(crate) fn unpublished(
    relation: &Relation,
    now: &TableDescription,
    settings: &Settings,
) -> Vec<String> {
    if !settings.publication.pushdown.columns {
        return Vec::new();
    }
    let (schema, name) = (&relation.namespace, &relation.name);
    let lacking = now.columns.iter().filter(|column| {
        !column.generated
            && settings.columns.captures(schema, name, &column.name)
            && !relation.columns.iter().any(|known| known.name == column.name)
    });
    lacking.map(|column| column.name.clone()).collect()
}

#[cfg(test)]
mod tests;
