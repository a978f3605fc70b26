//! The rows of one chunk, less those the stream has made stale. Pure.
//!
//! In: lines of COPY text, what their snapshot saw, and what the stream did since the chunk was asked for. Out: the lines
//! that still hold, once the stream has come far enough.
//! Never: a row that is older than what the stream has delivered; never one before what it is made of was delivered.

use std::collections::HashMap;

use bytes::Bytes;
use envelope::copy_text;
use pgoutput::{Lsn, Relation, ReplicaIdentity, TupleValue, Xid};
use postgres::catalog::{CatalogHorizon, TableDescription};
use postgres::chunk::{Mark, Order};

use super::notes::{Note, Values};
use crate::append::Row;
use crate::error::ConnectorError;

/// Whether a chunk can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Its other rows hold.
    Usable,
    /// It has to be read again.
    Stale,
}

/// The rows of one chunk.
#[derive(Debug)]
pub(crate) struct Window {
    seen: CatalogHorizon,
    order: Order,
    /// Names of the columns of a line.
    columns: Vec<String>,
    /// The columns that tell which row an old row of the stream is; none where the stream has no old rows.
    identity: Vec<usize>,
    /// `None` is stale.
    lines: Vec<Option<Bytes>>,
    /// Places of lines by the identity of their rows; made when the first change asks for it.
    places: Option<HashMap<Vec<u8>, Vec<usize>>>,
    bytes: usize,
}

impl Window {
    /// The rows as they were read.
    pub(crate) fn new(
        table: &TableDescription,
        columns: Vec<String>,
        seen: CatalogHorizon,
        order: Order,
        lines: Vec<Bytes>,
    ) -> Self {
        let bytes = lines.iter().map(Bytes::len).sum();
        Self {
            seen,
            order,
            identity: identity(table, &columns),
            columns,
            lines: lines.into_iter().map(Some).collect(),
            places: None,
            bytes,
        }
    }

    /// What the snapshot of the rows saw.
    pub(crate) fn seen(&self) -> &CatalogHorizon {
        &self.seen
    }

    /// Everything that is in the rows was delivered, where everything that committed before `reached` was.
    #[inline]
    pub(crate) fn is_due(&self, reached: Lsn) -> bool {
        reached >= self.seen.read_at
    }

    /// Rows that were read.
    pub(crate) fn rows_read(&self) -> usize {
        self.lines.len()
    }

    /// Bytes that were read.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// They were read in the order of `ctid`.
    pub(crate) fn is_by_ctid(&self) -> bool {
        self.order == Order::Ctid
    }

    /// The rows that hold.
    pub(crate) fn into_lines(self) -> impl Iterator<Item = Bytes> {
        self.lines.into_iter().flatten()
    }

    /// Where the next chunk begins, in the order of a key: behind the last row, stale or not.
    ///
    /// Call before any change is applied.
    pub(crate) fn end(&self) -> Result<Option<Mark>, ConnectorError> {
        let Order::Key(key) = &self.order else { return Ok(None) };
        let Some(Some(line)) = self.lines.last() else { return Ok(None) };
        let mut unescaped = Vec::new();
        let mut row = Row::new();
        copy_text::split_line(line, &mut unescaped, &mut row)?;
        let value = |name: &String| {
            let place = self.columns.iter().position(|column| column == name)?;
            match row.get(place)? {
                TupleValue::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            }
        };
        let values = key.iter().map(value).collect::<Option<Vec<_>>>();
        Ok(values.map(|values| Mark::Key { columns: key.clone(), values }))
    }

    /// The stream did something to the table in a transaction. What the snapshot saw is in the rows already.
    pub(crate) fn apply(&mut self, xid: Xid, note: &Note) -> Fit {
        if self.seen.shows(xid) {
            return Fit::Usable;
        }
        match note {
            Note::Described => Fit::Stale,
            Note::Truncated => {
                self.lines.iter_mut().for_each(|line| *line = None);
                Fit::Usable
            }
            Note::Changed { relation, old } => match self.identity_of(relation, old) {
                Some(identity) => self.drop_row(&identity),
                None => Fit::Stale,
            },
        }
    }

    fn drop_row(&mut self, identity: &[u8]) -> Fit {
        if self.places.is_none() {
            match self.index() {
                Ok(places) => self.places = Some(places),
                // A line that cannot be split is an error when it is sent; here it only cannot be compared.
                Err(_) => return Fit::Stale,
            }
        }
        let places = self.places.as_mut().and_then(|places| places.get_mut(identity));
        if let Some(place) = places.and_then(Vec::pop) {
            self.lines[place] = None;
        }
        Fit::Usable
    }

    /// The identity of an old row of the stream; `None` if its columns are not those the lines have.
    fn identity_of(&self, relation: &Relation, old: &Values) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for &column in &self.identity {
            let name = &self.columns[column];
            let place = relation.columns.iter().position(|column| column.name == *name)?;
            write_part(old.get(place)?.as_deref(), &mut out);
        }
        Some(out)
    }

    fn index(&self) -> Result<HashMap<Vec<u8>, Vec<usize>>, ConnectorError> {
        let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        if self.identity.is_empty() {
            return Ok(places);
        }
        for (place, line) in self.lines.iter().enumerate() {
            let Some(line) = line else { continue };
            let mut unescaped = Vec::new();
            let mut row = Row::new();
            copy_text::split_line(line, &mut unescaped, &mut row)?;
            let mut identity = Vec::new();
            for &column in &self.identity {
                let value = match row.get(column) {
                    Some(TupleValue::Text(text)) => Some(*text),
                    _ => None,
                };
                write_part(value, &mut identity);
            }
            places.entry(identity).or_default().push(place);
        }
        Ok(places)
    }
}

/// One value, so that no two lists of values look the same.
fn write_part(value: Option<&[u8]>, out: &mut Vec<u8>) {
    let length = value.map_or(u64::MAX, |value| value.len() as u64);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value.unwrap_or_default());
}

/// The columns an old row of the stream can be told by. Under FULL it has all of them: the key is enough if there is one,
/// and else rows that look alike in what is read of them are alike.
fn identity(table: &TableDescription, columns: &[String]) -> Vec<usize> {
    let place = |name: &String| columns.iter().position(|column| column == name);
    let places = |names: &Vec<String>| names.iter().filter_map(place).collect::<Vec<_>>();
    let primary_key = table.primary_key.as_ref().map(places);
    match table.replica_identity {
        ReplicaIdentity::Default => primary_key.unwrap_or_default(),
        ReplicaIdentity::Index => {
            table.replica_identity_index_columns.as_ref().map(places).unwrap_or_default()
        }
        // The stream leaves generated columns out before PostgreSQL 18.
        ReplicaIdentity::Full => primary_key.unwrap_or_else(|| {
            let stored = table.columns.iter().filter(|column| !column.generated);
            stored.filter_map(|column| place(&column.name)).collect()
        }),
        ReplicaIdentity::Nothing => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
