//! A table as the stream describes it, kept beyond the frame that brought it.
//!
//! In: a Relation message. Out: an owned copy, and whether a new message says anything new.
//! Never: what only the catalog knows (NOT NULL, defaults, key order).
//! Source: PostgreSQL manual, "Logical Replication Message Formats", `Relation`; "`pg_class`", `relreplident`.

use crate::{Oid, message};

/// One table at one point of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Its `pg_class.oid`.
    pub oid: Oid,
    /// Its schema; `pg_catalog` is written out, though the wire leaves it empty.
    pub namespace: String,
    /// Its name without the schema.
    pub name: String,
    /// What the server logs about old rows.
    pub replica_identity: ReplicaIdentity,
    /// The published columns, in the order of each row's values.
    pub columns: Vec<RelationColumn>,
}

impl Relation {
    /// Whether `message` describes this very table, so that nothing need be copied.
    pub(crate) fn is_described_by(&self, message: &message::Relation<'_>) -> bool {
        self.oid == message.oid
            && self.replica_identity == message.replica_identity
            && self.name == message.name
            && self.namespace == schema_name(message.namespace)
            && self.columns.len() == message.columns.len()
            && self.columns.iter().zip(message.columns.iter()).all(|(own, new)| {
                own.name == new.name
                    && own.type_oid == new.type_oid
                    && own.type_modifier == new.type_modifier
                    && own.is_identity == new.is_identity
            })
    }
}

impl From<&message::Relation<'_>> for Relation {
    fn from(message: &message::Relation<'_>) -> Self {
        Self {
            oid: message.oid,
            namespace: schema_name(message.namespace).to_owned(),
            name: message.name.to_owned(),
            replica_identity: message.replica_identity,
            columns: message.columns.iter().map(RelationColumn::from).collect(),
        }
    }
}

/// One published column of a [`Relation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    /// Its name.
    pub name: String,
    /// Its type's `pg_type.oid`.
    pub type_oid: Oid,
    /// Its `pg_attribute.atttypmod`; -1 without one.
    pub type_modifier: i32,
    /// Flag 1: part of the replica identity.
    pub is_identity: bool,
}

impl From<message::RelationColumn<'_>> for RelationColumn {
    fn from(column: message::RelationColumn<'_>) -> Self {
        Self {
            name: column.name.to_owned(),
            type_oid: column.type_oid,
            type_modifier: column.type_modifier,
            is_identity: column.is_identity,
        }
    }
}

/// What the server logs about the old row of an update or delete: `pg_class.relreplident`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplicaIdentity {
    /// `d`: the primary key.
    Default,
    /// `n`: nothing.
    Nothing,
    /// `f`: all columns.
    Full,
    /// `i`: the columns of one unique index.
    Index,
}

impl ReplicaIdentity {
    /// Its letter in `relreplident` and on the wire.
    pub const fn letter(self) -> char {
        match self {
            Self::Default => 'd',
            Self::Nothing => 'n',
            Self::Full => 'f',
            Self::Index => 'i',
        }
    }

    /// The identity of a letter of `relreplident`; `None` for a letter that is none.
    pub const fn from_letter(letter: char) -> Option<Self> {
        match letter {
            'd' => Some(Self::Default),
            'n' => Some(Self::Nothing),
            'f' => Some(Self::Full),
            'i' => Some(Self::Index),
            _ => None,
        }
    }
}

/// The wire writes the schema of built-in tables as an empty string.
fn schema_name(wire: &str) -> &str {
    if wire.is_empty() { "pg_catalog" } else { wire }
}
