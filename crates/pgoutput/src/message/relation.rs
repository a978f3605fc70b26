//! How messages name tables: the Relation message with its columns, and lists of tables.
//!
//! In: bytes of a message. Out: views that borrow them. Never: copies; [`crate::Relation`] is the owned form.
//! Source: PostgreSQL manual, "Logical Replication Message Formats", `Relation` and `Truncate`.

use crate::reader::Reader;
use crate::{DecodeError, Oid, ReplicaIdentity, Xid};

/// `R`: a table, sent before its first change of a session and again when its definition may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Of the streamed transaction.
    pub xid: Option<Xid>,
    /// The table's `pg_class.oid`.
    pub oid: Oid,
    /// Its schema; empty for `pg_catalog`.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What the server logs about old rows.
    pub replica_identity: ReplicaIdentity,
    /// The published columns.
    pub columns: RelationColumns<'a>,
}

/// One column of a [`Relation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationColumn<'a> {
    /// Flag 1: part of the replica identity.
    pub is_identity: bool,
    /// Its name.
    pub name: &'a str,
    /// Its type's `pg_type.oid`.
    pub type_oid: Oid,
    /// Its `pg_attribute.atttypmod`; -1 without one.
    pub type_modifier: i32,
}

/// The columns of a [`Relation`]. Walked whole when decoded, so that reading them cannot fail.
///
/// Shape: `Int16` count, then per column `Int8` flags · `String` name · `Int32` type oid · `Int32` type modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationColumns<'a> {
    count: u16,
    columns: &'a [u8],
}

impl<'a> RelationColumns<'a> {
    /// Reads the whole list, as [`encode::relation_columns`](crate::encode::relation_columns) writes it.
    ///
    /// Errors: [`DecodeError`] with the offset in `bytes`, also when bytes are left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("Relation columns", bytes);
        let columns = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(columns)
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = reader.u16("column count")?;
        let all = reader.rest();
        for _ in 0..count {
            RelationColumn::read(reader)?;
        }
        let columns = &all[..all.len() - reader.rest().len()];
        Ok(Self { count, columns })
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns in the order of each row's values.
    pub fn iter(&self) -> impl Iterator<Item = RelationColumn<'a>> + use<'a> {
        let mut reader = Reader::new("Relation columns", self.columns);
        // Never an error: `read` has walked these very bytes.
        (0..self.count).map_while(move |_| RelationColumn::read(&mut reader).ok())
    }

    /// The bytes after the count, as on the wire.
    pub(crate) fn columns(&self) -> &'a [u8] {
        self.columns
    }
}

impl<'a> RelationColumn<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            is_identity: reader.flags("column flags", 1)? == 1,
            name: reader.string("column name")?,
            type_oid: reader.oid("column type")?,
            type_modifier: reader.i32("column type modifier")?,
        })
    }
}

/// The tables of a [`Truncate`](super::Truncate): `Int32` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationOids<'a> {
    oids: &'a [[u8; 4]],
}

impl<'a> RelationOids<'a> {
    /// Takes big-endian oids, as on the wire.
    pub const fn new(oids: &'a [[u8; 4]]) -> Self {
        Self { oids }
    }

    /// How many tables there are.
    pub const fn len(&self) -> usize {
        self.oids.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.oids.is_empty()
    }

    /// The tables in the order of the wire.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Oid> + use<'a> {
        self.oids.iter().map(|oid| Oid(u32::from_be_bytes(*oid)))
    }
}
