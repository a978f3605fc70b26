//! Which captured columns the events will not have, or will show though they are masked, before somebody finds out.
//!
//! Method: the encoder compiles each table, and what it has to say of them is the finding.

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{Notice, TablePlan};
use postgres::catalog::{self, TableSummary};
use postgres::{Connection, PostgresError, TableName};

use super::{Finding, Severity, failure, finding};
use crate::settings::Settings;
use crate::shape;

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
        match TablePlan::compile(shape::table_of(&description, settings), &encoder) {
            Ok(plan) => findings.extend(plan.notices().iter().map(warning)),
            Err(error) => {
                findings.push(failure(&description.table_name().to_string(), &error));
            }
        }
    }
    Ok(findings)
}

/// The columns that a snapshot reads of each table.
pub(super) async fn read_by_snapshot(
    connection: &Connection,
    tables: &[TableSummary],
    settings: &Settings,
) -> Result<HashMap<TableName, Vec<String>>, PostgresError> {
    let mut read = HashMap::new();
    for table in tables {
        let Some(description) = catalog::describe_table(connection, table.oid).await? else {
            continue;
        };
        let columns = shape::read_by_snapshot(&description, settings).columns;
        let columns = columns.into_iter().map(|column| column.name).collect();
        read.insert(table.table_name(), columns);
    }
    Ok(read)
}

fn warning(notice: &Notice) -> Finding {
    finding(Severity::Warning, &notice.column, notice.to_string())
}
