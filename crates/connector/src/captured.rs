//! Which tables of the database a connector captures, and the publication that gives exactly them. Pure.
//!
//! Never: a table that the settings leave out. Publishing it could make the application's own UPDATE fail.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use pgoutput::Oid;
use postgres::TableName;
use postgres::catalog::{Persistence, TableKind, TableSummary};
use postgres::publication::{PublicationTables, PublishOperations};

use crate::pushdown::Pushdown;
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

/// Topics that several tables go to although the keys of their records do not tell the tables apart.
pub fn shared_topics(settings: &Settings, captured: &[TableSummary]) -> Vec<SharedTopic> {
    let mut tables: BTreeMap<String, Vec<TableName>> = BTreeMap::new();
    if settings.encoder.keys_name_the_table() {
        return Vec::new();
    }
    for table in captured {
        let topic = settings.topic_of(&table.schema, &table.name);
        tables.entry(topic).or_default().push(table.table_name());
    }
    let shared = tables.into_iter().filter(|(_, tables)| tables.len() > 1);
    shared.map(|(topic, tables)| SharedTopic { topic, tables }).collect()
}

/// Several tables in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTopic {
    /// The topic.
    pub topic: String,
    /// The tables.
    pub tables: Vec<TableName>,
}

impl SharedTopic {
    /// The stable code its text begins with.
    pub const CODE: &'static str = "CO040";
}

impl fmt::Display for SharedTopic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables: Vec<String> = self.tables.iter().map(TableName::to_string).collect();
        write!(
            formatter,
            "[{}] tables {} share topic `{}`, and nothing in a key says of which table it is: rows with equal keys are one row to whoever compacts or upserts\n  fix: set topic.naming.strategy to io.debezium.schema.SchemaUnicodeTopicNamingStrategy, which keeps all names apart, or to a regex strategy with topic.key.enforce.uniqueness=true",
            Self::CODE,
            tables.join(", "),
            self.topic
        )
    }
}

/// What decides whether a publication may take in whole schemas.
#[derive(Clone, Copy, Debug)]
pub struct Powers {
    /// `server_version_num`; `FOR TABLES IN SCHEMA` exists from 15 on.
    pub version_num: u32,
    /// Only a superuser may publish a schema.
    pub superuser: bool,
}

/// `FOR TABLES IN SCHEMA` exists from here on.
const VERSION_NUM_SCHEMAS: u32 = 150_000;

/// The tables the publication shall hold, out of `all` of the database: the captured ones, and that of the signals.
///
/// Where the lists admit whatever a schema holds now and may hold later, the schema is published as a whole, so that a new
/// table is captured from its first change on.
pub fn published(
    settings: &Settings,
    captured: &[TableSummary],
    all: &[TableSummary],
    powers: Powers,
    pushdown: &Pushdown,
) -> PublicationTables {
    let signals = settings.signals.as_ref().map(|signals| &signals.table);
    let signals = all
        .iter()
        .filter(|table| Some(&table.table_name()) == signals)
        .filter(|table| !captured.iter().any(|captured| captured.oid == table.oid));
    match settings.publication.mode {
        Autocreate::AllTables => PublicationTables::All,
        Autocreate::NoTables => PublicationTables::Exactly(Vec::new()),
        Autocreate::Filtered | Autocreate::Disabled => {
            let mut schemas = whole_schemas(settings, all, powers);
            if pushdown.has_column_lists() {
                schemas.clear();
            }
            let rest = captured.iter().chain(signals);
            let rest = rest.filter(|table| !schemas.contains(&table.schema));
            let tables = rest.map(|table| pushdown.of(table.table_name())).collect();
            if schemas.is_empty() {
                PublicationTables::Exactly(tables)
            } else {
                PublicationTables::Schemas { schemas, tables }
            }
        }
    }
}

/// Schemas of which every table is captured, whatever its name.
fn whole_schemas(settings: &Settings, all: &[TableSummary], powers: Powers) -> Vec<String> {
    let possible = settings.publication.future_tables
        && powers.superuser
        && powers.version_num >= VERSION_NUM_SCHEMAS;
    if !possible {
        return Vec::new();
    }
    let mut schemas: Vec<String> = all.iter().map(|table| table.schema.clone()).collect();
    schemas.sort_unstable();
    schemas.dedup();
    schemas.retain(|schema| {
        let there = all.iter().filter(|table| table.schema == *schema);
        // What is published with its schema has no row filter.
        settings.tables.captures_whatever(schema)
            && !settings.publication.pushdown.filters_schema(schema)
            && there.into_iter().all(|table| {
                settings.tables.captures(schema, &table.name) || table.name == "spatial_ref_sys"
            })
    });
    schemas
}

/// The operations the publication shall publish: all that are not skipped.
pub fn operations(settings: &Settings) -> PublishOperations {
    let skipped = &settings.encoder.skipped_operations;
    PublishOperations {
        // A signal is an inserted row.
        insert: !skipped.create || settings.signals.is_some(),
        update: !skipped.update,
        delete: !skipped.delete,
        truncate: !skipped.truncate,
    }
}
