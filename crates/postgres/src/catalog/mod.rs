//! What only the catalog knows about tables: types, defaults, keys, partitions, and the server's settings.
//!
//! In: a [`Connection`](crate::Connection) and an oid. Out: descriptions as the catalog is *now*. The stream's `Relation` message says which
//! columns a row has; this says what they mean. Never here: caching of descriptions, decisions about capturing.
//! Source: PostgreSQL manual, "System Catalogs"; the choice of the fallback key is Debezium's.

mod describe;
mod horizon;
mod labels;
mod server;
mod tables;

pub use describe::{describe_table, describe_tables, describe_type};
pub use horizon::{CatalogHorizon, horizon};
pub use labels::enum_labels;
pub use server::{RolePowers, ServerInfo, role, server};
pub use tables::{files, has_inheritors, list_tables, partition_leaves, table_oid};

use pgoutput::{Oid, ReplicaIdentity, Xid};

use crate::TableName;

/// One table, as the catalog describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDescription {
    /// The table.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What of an old row is logged.
    pub replica_identity: ReplicaIdentity,
    /// The columns of the index of `REPLICA IDENTITY USING INDEX`, in index order; `None` without such an index.
    pub replica_identity_index_columns: Option<Vec<String>>,
    /// The columns of the primary key, in index order.
    pub primary_key: Option<Vec<String>>,
    /// The key of a table without a primary key, as Debezium chooses it: the columns of its first unique index, the
    /// clustered one before the others, then by name. Columns may be nullable. Unlike Debezium, partial indexes and those
    /// over expressions never count: they do not identify every row.
    pub unique_key: Option<Vec<String>>,
    /// All columns that are not dropped, in order of their number.
    pub columns: Vec<ColumnDescription>,
    /// Ordinary, root or leaf.
    pub kind: TableKind,
    /// The direct parent of a partition.
    pub is_partition_of: Option<Oid>,
    /// The transaction that created it; its later changes do not touch this.
    pub created_by: Xid,
    /// Every index that can be its key: the primary one first, then the others as for `unique_key`.
    pub keys: Vec<KeyDescription>,
}

/// One index that can be a table's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// The index.
    pub index: Oid,
    /// Whether it is the primary key's.
    pub is_primary: bool,
    /// Whether it is checked at once; a deferrable one is no replica identity.
    pub is_immediate: bool,
    /// Numbers of its columns, in index order.
    pub columns: Vec<i16>,
    /// Transactions that wrote the catalog rows which show it: whoever sees the rows of any one of them, sees it.
    pub written_by: Vec<Xid>,
}

impl TableDescription {
    /// The name, for messages and SQL.
    pub fn table_name(&self) -> TableName {
        TableName::new(&self.schema, &self.name)
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDescription {
    /// Its name.
    pub name: String,
    /// Its number, from 1; dropped columns leave gaps.
    pub attnum: i16,
    /// Its type, resolved to the bottom.
    pub type_: TypeDescription,
    /// `atttypmod`: length, precision and scale as the type packs them; -1 for none.
    pub type_modifier: i32,
    /// Declared `NOT NULL`, or part of the primary key.
    pub not_null: bool,
    /// The default as SQL, by `pg_get_expr`; `None` for generated and identity columns.
    pub default: Option<String>,
    /// `GENERATED ALWAYS AS (…)`: pgoutput does not send it unless PostgreSQL 18 is told to.
    pub generated: bool,
    /// `GENERATED … AS IDENTITY`.
    pub identity: bool,
    /// The transaction that wrote its row of `pg_attribute` last: name, type, nullability, whether it has a default.
    pub written_by: Xid,
    /// The transaction that wrote its default.
    pub default_written_by: Option<Xid>,
}

/// A data type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeDescription {
    /// Its oid.
    pub oid: Oid,
    /// Its schema; `pg_catalog` for built-in types. Empty for a type that is unknown.
    pub schema: String,
    /// `typname`, for example `int4` or `_int4`.
    pub name: String,
    /// What it is made of.
    pub kind: TypeKind,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A scalar.
    Base,
    /// An enum, with its labels in `enumsortorder`.
    Enum {
        /// The labels.
        labels: Vec<String>,
        /// The transactions that wrote them, one for each.
        written_by: Vec<Xid>,
    },
    /// A domain over another type, itself possibly a domain.
    Domain {
        /// The type below.
        base: Box<TypeDescription>,
        /// `typtypmod` of the domain, -1 for none.
        type_modifier: i32,
    },
    /// A true array (not `int2vector` and its like).
    Array {
        /// The element's type.
        element: Box<TypeDescription>,
        /// `typdelim`: what stands between two elements in the text of an array.
        delimiter: u8,
    },
    /// A row type, with its attributes in order; dropped ones are not among them.
    Composite {
        /// The attributes.
        attributes: Vec<AttributeDescription>,
    },
    /// A range.
    Range,
    /// A multirange.
    Multirange,
    /// Dropped meanwhile, or a pseudo-type.
    Unknown,
}

/// One attribute of a row type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeDescription {
    /// Its name.
    pub name: String,
    /// Its type, resolved to the bottom.
    pub type_: TypeDescription,
    /// `atttypmod`, -1 for none.
    pub type_modifier: i32,
}

/// What kind of table it is, as far as publications care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Holds rows, belongs to no root.
    Ordinary,
    /// Partitioned: holds no rows itself. May itself be a partition of another.
    PartitionedRoot,
    /// Holds rows, belongs to a root.
    Partition,
}

/// How long a table's rows live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Logged: can be published.
    Permanent,
    /// Not in the WAL: cannot be published.
    Unlogged,
    /// Of one session.
    Temporary,
}

/// One table in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSummary {
    /// The table.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Ordinary, root or leaf.
    pub kind: TableKind,
    /// What of an old row is logged.
    pub replica_identity: ReplicaIdentity,
    /// Whether PostgreSQL accepts updates and deletes once it is published.
    pub has_usable_identity: bool,
    /// Whether it has a primary key.
    pub has_primary_key: bool,
    /// The owning role.
    pub owner: String,
    /// How long its rows live.
    pub persistence: Persistence,
    /// The planner's estimate; `None` before the first `ANALYZE`. Of a root: what its own statistics say.
    pub estimated_rows: Option<u64>,
    /// The direct parent of a partition.
    pub is_partition_of: Option<Oid>,
}

impl TableSummary {
    /// The name, for messages and SQL.
    pub fn table_name(&self) -> TableName {
        TableName::new(&self.schema, &self.name)
    }
}
