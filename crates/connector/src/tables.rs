//! The captured tables of one connector: from a relation of the stream to an encoder plan and its topic.
//!
//! In: Relation messages and, beside them, what only the catalog knows (nullability, defaults, type names, keys).
//! Out: a [`Captured`] for each relation, made anew whenever the server describes it again.
//! Never: a key the stream contradicts. Under REPLICA IDENTITY DEFAULT the relation itself names the key's columns; the
//! catalog, which may be newer, only gives their order.

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{Attribute, Column, DataType, EncoderSettings, Notice, Table, TablePlan, TypeKind};
use pgoutput::{Oid, Relation, RelationColumn, ReplicaIdentity};
use postgres::Connection;
use postgres::catalog::{self, ColumnDescription, TableDescription, TypeDescription};
use tracing::{debug, info};

use crate::error::ConnectorError;
use crate::reselect::Reselect;
use crate::settings::Settings;
use crate::topics::Topics;

/// What to do with the changes of one relation.
#[derive(Debug)]
pub(crate) enum Captured {
    /// The settings leave this table out; a publication may contain it all the same.
    No,
    /// Encode them by this plan, into this topic.
    Yes(Box<CapturedTable>),
}

/// A captured table, ready to encode.
#[derive(Debug)]
pub(crate) struct CapturedTable {
    /// One writer per column.
    pub(crate) plan: TablePlan,
    /// Where its records go.
    pub(crate) topic: kafka::Topic,
    /// `post.processors`: what to read again when the stream does not carry it.
    pub(crate) reselects: Vec<Reselect>,
}

/// All relations the stream has described.
pub(crate) struct Tables {
    settings: Arc<Settings>,
    encoder: Arc<EncoderSettings>,
    control: Connection,
    topics: Topics,
    by_oid: HashMap<Oid, Captured>,
    /// What plans say of their columns, until somebody asks.
    notices: Vec<Notice>,
}

impl Tables {
    /// Starts with none described.
    pub(crate) fn new(
        settings: &Arc<Settings>,
        encoder: Arc<EncoderSettings>,
        control: Connection,
        topics: Topics,
    ) -> Self {
        Self {
            settings: Arc::clone(settings),
            encoder,
            control,
            topics,
            by_oid: HashMap::new(),
            notices: Vec::new(),
        }
    }

    /// The server described a relation, for the first time or anew.
    pub(crate) async fn define(&mut self, relation: &Relation) -> Result<(), ConnectorError> {
        let captured = if self.settings.tables.captures(&relation.namespace, &relation.name) {
            let description = catalog::describe_table(&self.control, relation.oid).await?;
            let types = self.missing_types(relation, description.as_ref()).await?;
            let table = join(relation, description.as_ref(), &types, &self.settings);
            Captured::Yes(Box::new(self.compile(table).await?))
        } else {
            debug!(schema = relation.namespace, table = relation.name, "not captured");
            Captured::No
        };
        self.by_oid.insert(relation.oid, captured);
        Ok(())
    }

    /// What to do with the changes of a relation the stream has described.
    pub(crate) fn get(&self, oid: Oid) -> Option<&Captured> {
        self.by_oid.get(&oid)
    }

    /// Plan and topic of a table that is described by the catalog alone, as a snapshot reads it.
    pub(crate) async fn compile_described(
        &mut self,
        description: &TableDescription,
    ) -> Result<CapturedTable, ConnectorError> {
        self.compile(table_of(description, &self.settings)).await
    }

    /// What is to be known of columns since this was last asked.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The session that reads the catalog.
    pub(crate) fn control(&self) -> &Connection {
        &self.control
    }

    /// Topics by name, made when first needed.
    pub(crate) fn topics(&mut self) -> &mut Topics {
        &mut self.topics
    }

    async fn compile(&mut self, table: Table) -> Result<CapturedTable, ConnectorError> {
        let plan = TablePlan::compile(table, &self.encoder)?;
        self.notices.extend(plan.notices());
        let topic = self.topics.ensure(plan.topic()).await?;
        info!(
            schema = plan.table().schema,
            table = plan.table().name,
            topic = plan.topic(),
            "captures table `{}.{}`",
            plan.table().schema,
            plan.table().name
        );
        let wanted = self.settings.reselects.iter();
        let reselects =
            wanted.filter_map(|settings| Reselect::new(plan.table(), settings)).collect();
        Ok(CapturedTable { plan, topic, reselects })
    }

    /// Types of columns the catalog no longer describes as the stream does: the table was dropped or altered since.
    async fn missing_types(
        &self,
        relation: &Relation,
        description: Option<&TableDescription>,
    ) -> Result<HashMap<Oid, TypeDescription>, ConnectorError> {
        let mut types = HashMap::new();
        for column in &relation.columns {
            if described(column, description).is_none() && !types.contains_key(&column.type_oid) {
                let found = catalog::describe_type(&self.control, column.type_oid).await?;
                types.extend(found.map(|found| (column.type_oid, found)));
            }
        }
        Ok(types)
    }
}

/// The catalog's column of the same name and type, if there still is one.
fn described<'a>(
    column: &RelationColumn,
    description: Option<&'a TableDescription>,
) -> Option<&'a ColumnDescription> {
    description?
        .columns
        .iter()
        .find(|found| found.name == column.name && found.type_.oid == column.type_oid)
}

/// The relation a snapshot reads: all columns, generated ones too, which the stream leaves out before PostgreSQL 18.
fn relation_of(description: &TableDescription) -> Relation {
    let identity: &[String] = match description.replica_identity {
        ReplicaIdentity::Default => description.primary_key.as_deref().unwrap_or_default(),
        ReplicaIdentity::Index => {
            description.replica_identity_index_columns.as_deref().unwrap_or_default()
        }
        ReplicaIdentity::Full | ReplicaIdentity::Nothing => &[],
    };
    let full = description.replica_identity == ReplicaIdentity::Full;
    Relation {
        oid: description.oid,
        namespace: description.schema.clone(),
        name: description.name.clone(),
        replica_identity: description.replica_identity,
        columns: description
            .columns
            .iter()
            .map(|column| RelationColumn {
                name: column.name.clone(),
                type_oid: column.type_.oid,
                type_modifier: column.type_modifier,
                is_identity: full || identity.contains(&column.name),
            })
            .collect(),
    }
}

/// A table that the catalog alone describes, as a snapshot reads it.
pub fn table_of(description: &TableDescription, settings: &Settings) -> Table {
    join(&relation_of(description), Some(description), &HashMap::new(), settings)
}

/// Joins what the stream says of a table with what only the catalog knows.
fn join(
    relation: &Relation,
    description: Option<&TableDescription>,
    types: &HashMap<Oid, TypeDescription>,
    settings: &Settings,
) -> Table {
    let columns = relation
        .columns
        .iter()
        .map(|column| {
            let found = described(column, description);
            let captured =
                settings.columns.captures(&relation.namespace, &relation.name, &column.name);
            let data_type = found.map(|found| &found.type_).or_else(|| types.get(&column.type_oid));
            let data_type = data_type.map_or_else(|| unknown(column.type_oid), data_type_of);
            Column {
                treatment: settings.column_treatments.of(
                    &relation.namespace,
                    &relation.name,
                    &column.name,
                    &data_type.name,
                ),
                name: column.name.clone(),
                data_type,
                type_modifier: column.type_modifier,
                // What is left out has no more than its type, even where it stays in the key.
                not_null: captured && found.is_some_and(|found| found.not_null),
                default: found.filter(|_| captured).and_then(|found| found.default.clone()),
                generated: found.is_some_and(|found| found.generated),
                captured,
                is_identity: column.is_identity,
            }
        })
        .collect();
    Table {
        oid: relation.oid,
        schema: relation.namespace.clone(),
        name: relation.name.clone(),
        replica_identity: relation.replica_identity,
        columns,
        key: key_columns(relation, description, settings),
    }
}

/// Indexes of the key's columns, in the key's order.
///
/// `message.key.columns` first; then, under REPLICA IDENTITY DEFAULT, the columns the stream flags; then the primary
/// key, then a unique index. Source: Debezium documentation, "Event keys".
fn key_columns(
    relation: &Relation,
    description: Option<&TableDescription>,
    settings: &Settings,
) -> Vec<usize> {
    let index_of = |name: &String| relation.columns.iter().position(|column| &column.name == name);
    let all = |names: &[String]| names.iter().map(index_of).collect::<Option<Vec<usize>>>();
    if let Some(chosen) = settings.message_keys.for_table(&relation.namespace, &relation.name) {
        return all(&chosen).unwrap_or_default();
    }
    let primary = description.and_then(|table| table.primary_key.as_deref()).and_then(all);
    let flagged: Vec<usize> =
        (0..relation.columns.len()).filter(|&index| relation.columns[index].is_identity).collect();
    if relation.replica_identity == ReplicaIdentity::Default && !flagged.is_empty() {
        return match primary {
            Some(primary) if same_members(&primary, &flagged) => primary,
            _ => flagged,
        };
    }
    let unique = || description.and_then(|table| table.unique_key.as_deref()).and_then(all);
    primary.or_else(unique).unwrap_or_default()
}

fn same_members(left: &[usize], right: &[usize]) -> bool {
    left.len() == right.len() && left.iter().all(|index| right.contains(index))
}

fn unknown(oid: Oid) -> DataType {
    DataType { oid, name: format!("type {}", oid.0), kind: TypeKind::Unknown }
}

fn data_type_of(described: &TypeDescription) -> DataType {
    use postgres::catalog::TypeKind as Kind;
    let kind = match &described.kind {
        Kind::Base => TypeKind::Base,
        Kind::Enum { labels } => TypeKind::Enum { labels: labels.clone() },
        Kind::Domain { base, type_modifier } => {
            TypeKind::Domain { base: Box::new(data_type_of(base)), type_modifier: *type_modifier }
        }
        Kind::Array { element, delimiter } => {
            TypeKind::Array { element: Box::new(data_type_of(element)), delimiter: *delimiter }
        }
        Kind::Composite { attributes } => {
            let attributes = attributes.iter().map(|attribute| Attribute {
                name: attribute.name.clone(),
                data_type: data_type_of(&attribute.type_),
                type_modifier: attribute.type_modifier,
            });
            TypeKind::Composite {
                schema: described.schema.clone(),
                attributes: attributes.collect(),
            }
        }
        Kind::Range => TypeKind::Range,
        Kind::Multirange => TypeKind::Multirange,
        Kind::Unknown => TypeKind::Unknown,
    };
    DataType { oid: described.oid, name: described.name.clone(), kind }
}
