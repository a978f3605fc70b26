//! What a start changes on the source, and nothing else does: replica identities that the settings ask for, and the
//! publication.
//!
//! In: settings and the captured tables. Out: statements that were run, each said in the log.
//! Never: a statement where nothing differs; anything before whoever ran before us is fenced.

use postgres::Connection;
use postgres::catalog::{self, TableKind, TableSummary};
use postgres::identity::{self, WantedIdentity};
use postgres::publication::{self, PublicationState, PublicationTables};
use tracing::{info, warn};

use crate::captured::{self, Powers, SharedTopic};
use crate::error::ConnectorError;
use crate::pushdown::Pushdown;
use crate::settings::{Autocreate, Settings};

/// Ends the start, or warns, when more tables fit than `guardrail.collections.max` allows.
pub(crate) fn guard(settings: &Settings, found: usize) -> Result<(), ConnectorError> {
    let Some(guardrail) = settings.guardrail.filter(|guardrail| found > guardrail.tables_max)
    else {
        return Ok(());
    };
    let exceeded = ConnectorError::TooManyTables { found, tables_max: guardrail.tables_max };
    if guardrail.fails {
        return Err(exceeded);
    }
    warn!(connector.name = %settings.name, code = exceeded.code(), "{exceeded}");
    Ok(())
}

/// Says so if tables share a topic whose keys do not tell them apart.
pub(crate) fn look_for_shared_topics(settings: &Settings, captured: &[TableSummary]) {
    for shared in captured::shared_topics(settings, captured) {
        warn!(connector.name = %settings.name, code = SharedTopic::CODE, "{shared}");
    }
}

/// Sets the replica identities of `replica.identity.autoset.values` where they differ.
pub(crate) async fn replica_identities(
    control: &Connection,
    settings: &Settings,
    captured: &[TableSummary],
) -> Result<(), ConnectorError> {
    let statements = identity_statements(control, settings, captured).await?;
    for statement in &statements {
        info!(connector.name = %settings.name, "runs: {statement}");
    }
    identity::apply(control, &statements).await?;
    Ok(())
}

/// The statements that set the replica identities of `replica.identity.autoset.values`.
///
/// A partitioned table logs no row itself: its partitions get the identity too, unless it is an index, which has another
/// name in each.
pub async fn identity_statements(
    control: &Connection,
    settings: &Settings,
    captured: &[TableSummary],
) -> Result<Vec<String>, ConnectorError> {
    let mut wanted = Vec::new();
    for table in captured {
        let name = table.table_name();
        let choice = match settings.identities.for_table(&table.schema, &table.name)[..] {
            [] => continue,
            [choice] => choice.clone(),
            [first, second, ..] => {
                let (first, second) = (first.clone(), second.clone());
                return Err(ConnectorError::IdentityAmbiguous { table: name, first, second });
            }
        };
        let by_index = matches!(choice, identity::IdentityChoice::Index(_));
        if table.kind == TableKind::PartitionedRoot && !by_index {
            for (oid, table) in catalog::partition_leaves(control, table.oid).await? {
                wanted.push(WantedIdentity { oid, table, choice: choice.clone() });
            }
        }
        wanted.push(WantedIdentity { oid: table.oid, table: name, choice });
    }
    Ok(identity::statements(control, &wanted).await?)
}

/// Says so if the table of the signals does not exist.
fn look_for_signals(settings: &Settings, all: &[TableSummary]) {
    let Some(table) = settings.signals.as_ref().map(|signals| &signals.table) else { return };
    if !all.iter().any(|found| found.table_name() == *table) {
        warn!(connector.name = %settings.name, "signal.data.collection names table {table}, which does not exist: no signal will come; create it with `CREATE TABLE {} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))` and start the connector again", table.quoted());
    }
}

/// Names the captured tables whose updates and deletes PostgreSQL refuses while they are published. Published they are all the
/// same, for their inserts: whoever captures a table says that it is to be published.
fn warn_of_refused_updates(settings: &Settings, captured: &[TableSummary], all: &[TableSummary]) {
    let lacking = all.iter().filter(|table| {
        table.kind != TableKind::PartitionedRoot
            && !table.has_usable_identity
            && captured.iter().any(|captured| captured.oid == table.oid)
    });
    for table in lacking {
        let name = table.table_name();
        warn!(connector.name = %settings.name, code = "PG016", "table {name} has no usable replica identity: PostgreSQL refuses every UPDATE and DELETE of it, also the application's own; run `ALTER TABLE {} REPLICA IDENTITY FULL`, or leave the table out", name.quoted());
    }
}

/// Makes the publication, or brings it to exactly the captured tables.
pub(crate) async fn publication(
    control: &Connection,
    settings: &Settings,
    captured: &[TableSummary],
) -> Result<(), ConnectorError> {
    let name = &settings.publication.name;
    let server = catalog::server(control).await?;
    let powers = Powers { version_num: server.version_num, superuser: server.user_is_superuser };
    let all = catalog::list_tables(control).await?;
    look_for_signals(settings, &all);
    let pushdown = Pushdown::plan(control, settings, captured).await?;
    let tables = captured::published(settings, captured, &all, powers, &pushdown);
    let operations = captured::operations(settings);
    if operations.update || operations.delete {
        warn_of_refused_updates(settings, captured, &all);
    }
    let via_root = settings.publication.via_partition_root;
    let statements = match (settings.publication.mode, publication::read(control, name).await?) {
        (Autocreate::Disabled, None) => {
            return Err(postgres::PostgresError::PublicationMissing {
                publication: name.clone(),
                fix: publication::create_statement(name, &tables, operations, via_root),
                source: None,
            }
            .into());
        }
        (Autocreate::Filtered, Some(found)) => {
            heed_others(settings, &found, &tables)?;
            publication::alter_statements(&found, &tables, operations, via_root)
        }
        (Autocreate::Disabled | Autocreate::NoTables | Autocreate::AllTables, Some(_)) => {
            Vec::new()
        }
        (_, None) => publication::create_statements(name, &tables, operations, via_root),
    };
    for remark in &pushdown.remarks {
        warn!(connector.name = %settings.name, code = remark.code, table = %remark.table, "table {}: {remark}", remark.table);
    }
    for statement in &statements {
        info!(connector.name = %settings.name, publication.name = %name, "runs: {statement}");
    }
    publication::apply(control, &statements).await?;
    Ok(())
}

/// Column lists and row filters that somebody else gave to tables of the publication stay. One in the place of a row filter
/// ends the start: rows might leave the database that should not.
fn heed_others(
    settings: &Settings,
    found: &PublicationState,
    wanted: &PublicationTables,
) -> Result<(), ConnectorError> {
    for left in publication::left_alone(found, wanted) {
        let table = &left.table;
        if left.row_filter.is_some() {
            return Err(ConnectorError::RowFilter {
                table: table.to_string(),
                why: format!(
                    "publication {} has the table already, with a column list or a row filter that somebody else made",
                    found.name
                ),
                fix: "take the table out of the publication, the next start adds it again; or write the condition there yourself and remove this key",
            });
        }
        warn!(connector.name = %settings.name, code = "PG072", table = %table, "[PG072] table {table} has a column list or a row filter in publication {} that somebody else made, it stays as it is", found.name);
    }
    Ok(())
}
