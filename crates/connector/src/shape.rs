//! From what is known of a table to what the encoder is made from. Pure.
//!
//! In: a relation of the stream, or a description of the catalog, and the [`Version`] that was decided on. Out: an
//! [`envelope::Table`]: which columns are captured, how each is treated, and which make the key.
//! Never: a decision about what is true; [`resolve`](crate::history::resolve) has made those.

use std::collections::HashMap;

use envelope::{Attribute, Column, DataType, Table, TypeKind};
use pgoutput::{Oid, Relation, RelationColumn, ReplicaIdentity};
use postgres::catalog::{TableDescription, TypeDescription};

use crate::history::Version;
use crate::settings::Settings;

/// A table that the catalog alone describes, as a snapshot reads it.
pub fn table_of(description: &TableDescription, settings: &Settings) -> Table {
    join(&relation_of(description), &Version::of(description), settings)
}

/// Joins what the stream says of a table with what was decided about the rest.
///
/// The key is what `message.key.columns` says, and else the table's own. Source: Debezium documentation, "Event keys".
pub(crate) fn join(relation: &Relation, version: &Version, settings: &Settings) -> Table {
    let (schema, name) = (&relation.namespace, &relation.name);
    let columns = relation.columns.iter().zip(&version.columns).map(|(column, decided)| {
        let captured = settings.columns.captures(schema, name, &column.name);
        let data_type = data_type_of(&decided.type_);
        Column {
            treatment: settings.column_treatments.of(schema, name, &column.name, &data_type.name),
            name: column.name.clone(),
            data_type,
            type_modifier: column.type_modifier,
            // What is left out has no more than its type, even where it stays in the key.
            not_null: captured && decided.not_null,
            default: decided.default.clone().filter(|_| captured),
            generated: decided.generated,
            captured,
            is_identity: column.is_identity,
        }
    });
    let place = |name: &String| relation.columns.iter().position(|column| &column.name == name);
    Table {
        oid: relation.oid,
        schema: schema.clone(),
        name: name.clone(),
        replica_identity: relation.replica_identity,
        columns: columns.collect(),
        key: match settings.message_keys.for_table(schema, name) {
            Some(chosen) => chosen.iter().map(place).collect::<Option<_>>().unwrap_or_default(),
            None => version.key.columns.clone(),
        },
    }
}

/// The table with the columns a snapshot reads: those that are captured, and those of its keys.
pub fn read_by_snapshot(description: &TableDescription, settings: &Settings) -> TableDescription {
    let (schema, name) = (&description.schema, &description.name);
    let message_key = settings.message_keys.for_table(schema, name).unwrap_or_default();
    let in_key = |attnum| description.keys.iter().any(|key| key.columns.contains(&attnum));
    let mut read = description.clone();
    read.columns.retain(|column| {
        settings.columns.captures(schema, name, &column.name)
            || message_key.contains(&column.name)
            || in_key(column.attnum)
    });
    if read.columns.is_empty() {
        // A line of COPY has at least one value.
        read.columns.extend(description.columns.first().cloned());
    }
    read
}

/// The relation of a description: generated columns too, which the stream leaves out before PostgreSQL 18.
pub(crate) fn relation_of(description: &TableDescription) -> Relation {
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

/// Gives enums the labels they had when they were first seen.
pub(crate) fn keep_labels(type_: &mut DataType, first: &mut HashMap<Oid, Vec<String>>) {
    match &mut type_.kind {
        TypeKind::Enum { labels } => {
            let first = first.entry(type_.oid).or_insert_with(|| labels.clone());
            labels.clone_from(first);
        }
        TypeKind::Domain { base, .. } => keep_labels(base, first),
        TypeKind::Array { element, .. } => keep_labels(element, first),
        TypeKind::Composite { attributes, .. } => {
            for attribute in attributes {
                keep_labels(&mut attribute.data_type, first);
            }
        }
        _ => {}
    }
}

fn data_type_of(described: &TypeDescription) -> DataType {
    use postgres::catalog::TypeKind as Kind;
    let kind = match &described.kind {
        Kind::Base => TypeKind::Base,
        Kind::Enum { labels, .. } => TypeKind::Enum { labels: labels.clone() },
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
