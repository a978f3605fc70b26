//! Which tables of the database a connector captures, and the publication that gives exactly them. Pure.
//!
//! Never: a table that the settings leave out. Publishing it could make the application's own UPDATE fail.

use std::collections::{HashMap, HashSet};

use pgoutput::Oid;
use postgres::catalog::{Persistence, TableKind, TableSummary};
use postgres::publication::{PublicationTables, PublishOperations};

use crate::settings::{Autocreate, Settings};

/// The tables that are captured, in the order a snapshot reads them.
///
/// With `publish.via.partition.root=true` a partitioned table is one table, and its partitions are part of it; otherwise
/// its leaf partitions are the tables, each under its own name. Unlogged and temporary tables are not in the log.
pub fn select(tables: Vec<TableSummary>, settings: &Settings) -> Vec<TableSummary> {
    let via_root = settings.publication.via_partition_root;
    let parents: HashMap<Oid, Oid> = tables
        .iter()
        .filter_map(|table| table.is_partition_of.map(|parent| (table.oid, parent)))
        .collect();
    let mut captured: Vec<TableSummary> = tables
        .into_iter()
        .filter(|table| table.persistence == Persistence::Permanent)
        .filter(|table| via_root || table.kind != TableKind::PartitionedRoot)
        .filter(|table| settings.tables.captures(&table.schema, &table.name))
        .collect();
    if via_root {
        let chosen: HashSet<Oid> = captured.iter().map(|table| table.oid).collect();
        captured.retain(|table| !ancestors(table.oid, &parents).any(|oid| chosen.contains(&oid)));
    }
    captured.sort_by(|left, right| (&left.schema, &left.name).cmp(&(&right.schema, &right.name)));
    captured
}

fn ancestors(oid: Oid, parents: &HashMap<Oid, Oid>) -> impl Iterator<Item = Oid> {
    std::iter::successors(parents.get(&oid).copied(), |parent| parents.get(parent).copied())
}

/// The tables the publication shall hold.
pub fn published(settings: &Settings, captured: &[TableSummary]) -> PublicationTables {
    match settings.publication.mode {
        Autocreate::AllTables => PublicationTables::All,
        Autocreate::NoTables => PublicationTables::Exactly(Vec::new()),
        Autocreate::Filtered | Autocreate::Disabled => {
            PublicationTables::Exactly(captured.iter().map(TableSummary::table_name).collect())
        }
    }
}

/// The operations the publication shall publish: all that are not skipped.
pub fn operations(settings: &Settings) -> PublishOperations {
    let skipped = &settings.encoder.skipped_operations;
    PublishOperations {
        insert: !skipped.create,
        update: !skipped.update,
        delete: !skipped.delete,
        truncate: !skipped.truncate,
    }
}
