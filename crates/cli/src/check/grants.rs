//! `tributary check --sql`: what a role needs to run a connector, and no more, as statements for an administrator.
//!
//! In: a connector's configuration, a session that sees the catalog. Out: SQL on stdout. Nothing is run.
//! The publication is among it, so that the role has to own nothing.
//! Source: PostgreSQL manual, "Logical Replication: Security", "GRANT".

use std::collections::BTreeSet;
use std::process::ExitCode;

use connector::settings::{Autocreate, Settings};
use connector::{Powers, Pushdown};
use postgres::catalog::{self, TableSummary};
use postgres::{Connection, PostgresError, publication, quote_identifier};

use crate::error::CliError;
use crate::output::Output;

/// Prints the statements.
pub(super) async fn run(
    settings: &Settings,
    role: Option<&str>,
    output: Output,
) -> Result<ExitCode, CliError> {
    let connection = postgres::connect(&settings.source).await?;
    let role = role.unwrap_or_else(|| settings.source.user());
    let all = catalog::list_tables(&connection).await?;
    let tables = connector::select(all.clone(), settings);
    let mut statements = of_role(&connection, role).await?;
    let quoted = quote_identifier(role);
    let database = quote_identifier(settings.source.dbname());
    statements.push(format!("GRANT CONNECT ON DATABASE {database} TO {quoted};"));
    statements.extend(of_tables(&connection, settings, &tables, &quoted).await?);
    if let Some(signals) = &settings.signals {
        let privileges =
            if settings.incremental.marks.is_some() { "SELECT, INSERT" } else { "SELECT" };
        let table = signals.table.quoted();
        statements.push(format!("GRANT {privileges} ON TABLE {table} TO {quoted};"));
    }
    statements.extend(connector::identity_statements(&connection, settings, &tables).await?);
    statements.extend(of_publication(&connection, settings, &tables, &all).await?);
    let name = &settings.name;
    output.line(&format!("-- What {quoted} needs to run connector `{name}`, and no more."));
    output.line(
        "-- For a superuser, or the owner of database and tables. Set a password with \\password.",
    );
    for statement in statements {
        output.line(&statement);
    }
    output.line(
        "-- Optional: lets the connector name the sessions whose transactions hold the log back.",
    );
    output.line(&format!("-- GRANT pg_read_all_stats TO {quoted};"));
    Ok(ExitCode::SUCCESS)
}

async fn of_role(connection: &Connection, role: &str) -> Result<Vec<String>, PostgresError> {
    let quoted = quote_identifier(role);
    let found = catalog::role(connection, role).await?;
    Ok(match found {
        None => vec![format!("CREATE ROLE {quoted} LOGIN REPLICATION;")],
        Some(found) if found.may_replicate && found.may_login => Vec::new(),
        // Managed services keep the attribute to themselves, and have a role instead.
        Some(_) => vec![format!(
            "ALTER ROLE {quoted} LOGIN REPLICATION; -- on Amazon RDS: GRANT rds_replication TO {quoted};"
        )],
    })
}

/// Reading: the columns that snapshots read, where they are, in leaves of partitioned tables too.
async fn of_tables(
    connection: &Connection,
    settings: &Settings,
    tables: &[TableSummary],
    role: &str,
) -> Result<Vec<String>, PostgresError> {
    let mut schemas = BTreeSet::new();
    let mut grants = Vec::new();
    for table in tables {
        let Some(description) = catalog::describe_table(connection, table.oid).await? else {
            continue;
        };
        let read = connector::read_by_snapshot(&description, settings).columns;
        let columns = if read.len() == description.columns.len() {
            String::new()
        } else {
            let names: Vec<String> =
                read.iter().map(|column| quote_identifier(&column.name)).collect();
            format!(" ({})", names.join(", "))
        };
        let leaves = catalog::partition_leaves(connection, table.oid).await?;
        let mut places: BTreeSet<_> = leaves.into_iter().map(|(_, name)| name).collect();
        places.insert(table.table_name());
        for place in places {
            schemas.insert(place.schema.clone());
            grants.push(format!("GRANT SELECT{columns} ON TABLE {} TO {role};", place.quoted()));
        }
    }
    let usage = schemas
        .iter()
        .map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {role};", quote_identifier(schema)));
    Ok(usage.chain(grants).collect())
}

/// The publication, unless it is there or somebody else's business.
async fn of_publication(
    connection: &Connection,
    settings: &Settings,
    tables: &[TableSummary],
    all: &[TableSummary],
) -> Result<Vec<String>, CliError> {
    let name = &settings.publication.name;
    let is_ours = matches!(settings.publication.mode, Autocreate::Filtered | Autocreate::AllTables);
    if !is_ours || publication::read(connection, name).await?.is_some() {
        return Ok(Vec::new());
    }
    let pushdown = Pushdown::plan(connection, settings, tables).await?;
    let version_num = catalog::server(connection).await?.version_num;
    // As the role would make it, so that it finds nothing to change.
    let powers = Powers { version_num, superuser: false };
    let wanted = connector::published(settings, tables, all, powers, &pushdown);
    let operations = connector::operations(settings);
    let via_root = settings.publication.via_partition_root;
    Ok(publication::create_statements(name, &wanted, operations, via_root))
}
