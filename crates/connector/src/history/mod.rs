//! What a table was at one point of the log, as far as the log does not say it itself.
//!
//! A `Relation` message names columns and types, and under REPLICA IDENTITY DEFAULT the key. Nullability, defaults, enum
//! labels, and the key under any other identity are in the catalog only, which may be newer than the stream: hours, if
//! the connector stood still. [`resolve`] decides what of the catalog the stream can have already, by the transactions that
//! wrote it ([`order`]), and takes the rest from the [`Version`] that was true when the stream was last read. Those are
//! kept with the checkpoint ([`log`]), in the Kafka transactions of the rows they belong to.
//! Never: a fact of the catalog that is known to be newer than the stream.
//! Source: `docs/adr/0007-key-of-its-time.md`.

pub(crate) mod fuzzing;
pub(crate) mod log;
pub(crate) mod order;
pub(crate) mod reading;
mod record;
pub(crate) mod resolve;

use pgoutput::Oid;
use postgres::catalog::{KeyDescription, TableDescription, TypeDescription};

/// A table as it was at one point of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Its schema.
    pub(crate) schema: String,
    /// Its name.
    pub(crate) name: String,
    /// Its columns, in the order of the stream.
    pub(crate) columns: Vec<VersionColumn>,
    /// Its key.
    pub(crate) key: VersionKey,
}

/// The key of a [`Version`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VersionKey {
    /// Indexes of its columns, in the key's order; empty for no key.
    pub(crate) columns: Vec<usize>,
    /// The index that makes it; `None` when only the stream told of it.
    pub(crate) index: Option<Oid>,
    /// It is a primary key that is checked at once: under REPLICA IDENTITY DEFAULT the stream tells of it.
    pub(crate) is_told: bool,
}

/// One column of a [`Version`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionColumn {
    /// Its number, which outlives every renaming; `None` when the catalog did not know the column any more.
    pub(crate) attnum: Option<i16>,
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) type_: TypeDescription,
    /// Its type modifier.
    pub(crate) type_modifier: i32,
    /// Whether it may be NULL.
    pub(crate) not_null: bool,
    /// Its default, as SQL.
    pub(crate) default: Option<String>,
    /// Whether its value is generated.
    pub(crate) generated: bool,
}

impl Version {
    /// The table as the catalog has it.
    pub(crate) fn of(description: &TableDescription) -> Self {
        let columns: Vec<VersionColumn> = description
            .columns
            .iter()
            .map(|column| VersionColumn {
                attnum: Some(column.attnum),
                name: column.name.clone(),
                type_: column.type_.clone(),
                type_modifier: column.type_modifier,
                not_null: column.not_null,
                default: column.default.clone(),
                generated: column.generated,
            })
            .collect();
        let key = description.keys.iter().find_map(|key| VersionKey::of(key, &columns));
        let (schema, name) = (description.schema.clone(), description.name.clone());
        Self { schema, name, columns, key: key.unwrap_or_default() }
    }

    /// Numbers of the key's columns; `None` for one the catalog did not know.
    pub(crate) fn key_attnums(&self) -> impl Iterator<Item = Option<i16>> + '_ {
        let attnum = |&index: &usize| self.columns.get(index).and_then(|column| column.attnum);
        self.key.columns.iter().map(attnum)
    }
}

impl VersionKey {
    /// The key an index makes; `None` when a column of it is not there.
    fn of(key: &KeyDescription, columns: &[VersionColumn]) -> Option<Self> {
        let place = |attnum: &i16| columns.iter().position(|column| column.attnum == Some(*attnum));
        Some(Self {
            columns: key.columns.iter().map(place).collect::<Option<Vec<usize>>>()?,
            index: Some(key.index),
            is_told: key.is_primary && key.is_immediate,
        })
    }
}
