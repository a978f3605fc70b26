//! One version of one table. In: a relation of the stream and the catalog, joined by `connector`. Out: plain data.
//! Never: looks anything up.
//!
//! Source: PostgreSQL manual, "`pg_attribute`", "`pg_type`", "`pg_attrdef`".

use pgoutput::{Oid, ReplicaIdentity};

use crate::treatment::ColumnTreatment;

/// One version of one table: what the stream says of it joined with what only the catalog knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Object id.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What the server logs of old rows.
    pub replica_identity: ReplicaIdentity,
    /// All columns of a row, in the order their values arrive.
    pub columns: Vec<Column>,
    /// Indexes into `columns` in key order; empty gives a null key.
    pub key: Vec<usize>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent properties of pg_attribute and the settings"
)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// `atttypmod`, -1 without one.
    pub type_modifier: i32,
    /// `NOT NULL`.
    pub not_null: bool,
    /// SQL text of its default as `pg_get_expr` shows it.
    pub default: Option<String>,
    /// Computed by the server; its expression is not a default.
    pub generated: bool,
    /// False leaves it out of the value; a key column stays in the key.
    pub captured: bool,
    /// Part of the replica identity.
    pub is_identity: bool,
    /// What the settings do to it beyond the form of its type.
    pub treatment: ColumnTreatment,
}

/// A type, with what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataType {
    /// Object id.
    pub oid: Oid,
    /// `typname`, like `int4` or `_text`.
    pub name: String,
    /// What sort of type.
    pub kind: TypeKind,
}

/// What sort of type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A base type.
    Base,
    /// An enum.
    Enum {
        /// In `enumsortorder`.
        labels: Vec<String>,
    },
    /// A domain.
    Domain {
        /// The type it restricts.
        base: Box<DataType>,
        /// `typtypmod`, -1 without one.
        type_modifier: i32,
    },
    /// An array.
    Array {
        /// Type of its elements.
        element: Box<DataType>,
        /// `typdelim`: what stands between two elements, a comma for nearly all types.
        delimiter: u8,
    },
    /// A row type.
    Composite {
        /// The schema it is in.
        schema: String,
        /// In their order; dropped ones are not among them.
        attributes: Vec<Attribute>,
    },
    /// A range.
    Range,
    /// A multirange.
    Multirange,
    /// Dropped meanwhile: the catalog no longer knows it.
    Unknown,
}

/// One attribute of a row type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// `atttypmod`, -1 without one.
    pub type_modifier: i32,
}

impl Table {
    /// `schema.table`, for messages.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// `schema.table.column`, for messages.
    pub(crate) fn column_name(&self, index: usize) -> String {
        format!("{}.{}.{}", self.schema, self.name, self.columns[index].name)
    }
}

impl Column {
    /// The same column as a part of the key: never masked, and optional if the value leaves it out, as Debezium, which then
    /// does not look it up in the catalog.
    pub(crate) fn in_key(&self) -> Self {
        Self {
            treatment: ColumnTreatment::default(),
            not_null: self.not_null && self.captured,
            default: self.default.clone().filter(|_| self.captured),
            ..self.clone()
        }
    }
}
