//! Which captured columns cannot be encoded: all of them at once, where a start would stop at the first.
//!
//! Method: the encoder compiles a table of each column alone, and its refusal is the finding.

use std::sync::Arc;

use connector::settings::Settings;
use envelope::{Column, DataType, Table, TablePlan, TypeKind};
use postgres::catalog::{self, ColumnDescription, TableDescription, TableSummary, TypeDescription};
use postgres::{Connection, PostgresError};

use super::{Finding, failure};

pub(super) async fn check(
    connection: &Connection,
    tables: &[TableSummary],
    settings: &Settings,
) -> Result<Vec<Finding>, PostgresError> {
    let encoder = Arc::new(settings.encoder.clone());
    let mut findings = Vec::new();
    for table in tables {
        let Some(description) = catalog::describe_table(connection, table.oid).await? else {
            continue;
        };
        for column in description.columns.iter().filter(|column| !column.generated) {
            let alone = table_of(&description, column, settings);
            if let Err(error) = TablePlan::compile(alone, &encoder) {
                let subject =
                    format!("{}.{}.{}", description.schema, description.name, column.name);
                findings.push(failure(&subject, &error));
            }
        }
    }
    Ok(findings)
}

/// The table as if it had this column only.
fn table_of(
    description: &TableDescription,
    column: &ColumnDescription,
    settings: &Settings,
) -> Table {
    let (schema, name) = (&description.schema, &description.name);
    let chosen = settings.message_keys.for_table(schema, name);
    let unique = || description.primary_key.as_ref().or(description.unique_key.as_ref());
    let key = chosen.as_ref().or_else(unique);
    let in_key = key.is_some_and(|key| key.contains(&column.name));
    Table {
        oid: description.oid,
        schema: schema.clone(),
        name: name.clone(),
        replica_identity: description.replica_identity,
        columns: vec![Column {
            name: column.name.clone(),
            data_type: data_type(&column.type_),
            type_modifier: column.type_modifier,
            not_null: column.not_null,
            default: column.default.clone(),
            generated: column.generated,
            captured: settings.columns.captures(schema, name, &column.name),
            is_identity: in_key,
            treatment: settings.column_treatments.of(
                schema,
                name,
                &column.name,
                &column.type_.name,
            ),
        }],
        key: if in_key { vec![0] } else { Vec::new() },
    }
}

fn data_type(described: &TypeDescription) -> DataType {
    use catalog::TypeKind as Kind;
    let kind = match &described.kind {
        Kind::Base => TypeKind::Base,
        Kind::Enum { labels } => TypeKind::Enum { labels: labels.clone() },
        Kind::Domain { base, type_modifier } => {
            TypeKind::Domain { base: Box::new(data_type(base)), type_modifier: *type_modifier }
        }
        Kind::Array { element } => TypeKind::Array { element: Box::new(data_type(element)) },
        Kind::Composite => TypeKind::Composite,
        Kind::Range => TypeKind::Range,
        Kind::Multirange => TypeKind::Multirange,
        Kind::Unknown => TypeKind::Unknown,
    };
    DataType { oid: described.oid, name: described.name.clone(), kind }
}
