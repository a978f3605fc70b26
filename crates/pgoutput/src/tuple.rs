//! One row on the wire. In: the bytes of a `TupleData`. Out: its values, borrowed.
//!
//! Never: copies, interprets or checks a value; text stays the bytes the server sent.
//! Source: PostgreSQL manual, "Logical Replication Message Formats", `TupleData`.

use crate::DecodeError;
use crate::reader::Reader;

/// One row, borrowed from its frame. Walked whole when decoded, so that reading its values cannot fail.
///
/// Shape: `Int16` column count, then per column `Byte1` kind (`n` null, `u` unchanged TOAST, `t` text, `b` binary),
/// the last two followed by `Int32` length and the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TupleData<'a> {
    column_count: u16,
    values: &'a [u8],
}

impl<'a> TupleData<'a> {
    /// Reads a whole `TupleData`, as [`encode::tuple`](crate::encode::tuple) writes it.
    ///
    /// Errors: [`DecodeError`] with the offset in `bytes`, also when bytes are left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("TupleData", bytes);
        let tuple = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(tuple)
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let column_count = reader.u16("column count")?;
        let all = reader.rest();
        for _ in 0..column_count {
            read_value(reader)?;
        }
        let values = &all[..all.len() - reader.rest().len()];
        Ok(Self { column_count, values })
    }

    /// How many columns the row has.
    pub fn column_count(&self) -> usize {
        usize::from(self.column_count)
    }

    /// The values in the order of the relation's columns.
    pub fn iter(&self) -> TupleValues<'a> {
        TupleValues {
            remaining: self.column_count(),
            reader: Reader::new("TupleData", self.values),
        }
    }

    /// The bytes after the column count, as on the wire.
    pub(crate) fn values(&self) -> &'a [u8] {
        self.values
    }
}

impl<'a> IntoIterator for TupleData<'a> {
    type Item = TupleValue<'a>;
    type IntoIter = TupleValues<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &TupleData<'a> {
    type Item = TupleValue<'a>;
    type IntoIter = TupleValues<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One column's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TupleValue<'a> {
    /// SQL NULL. In a key tuple also every column outside the replica identity.
    Null,
    /// Stored out of line and not changed, so the server does not have it at hand.
    UnchangedToast,
    /// The type's text form in the client encoding.
    Text(&'a [u8]),
    /// The type's binary form; only when the option `binary` is on.
    Binary(&'a [u8]),
}

/// The values of one [`TupleData`], in column order.
#[derive(Clone, Debug)]
pub struct TupleValues<'a> {
    remaining: usize,
    reader: Reader<'a>,
}

impl<'a> Iterator for TupleValues<'a> {
    type Item = TupleValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        // Never an error: `TupleData::read` has walked these very bytes.
        read_value(&mut self.reader).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for TupleValues<'_> {}

/// The old row as REPLICA IDENTITY let the server log it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldTuple<'a> {
    /// `K`: the columns of the replica identity; the others are null.
    Key(TupleData<'a>),
    /// `O`: all columns, with REPLICA IDENTITY FULL.
    Full(TupleData<'a>),
}

#[inline]
fn read_value<'a>(reader: &mut Reader<'a>) -> Result<TupleValue<'a>, DecodeError> {
    match reader.u8("column kind")? {
        b't' => reader.counted_bytes("column value").map(TupleValue::Text),
        b'n' => Ok(TupleValue::Null),
        b'u' => Ok(TupleValue::UnchangedToast),
        b'b' => reader.counted_bytes("column value").map(TupleValue::Binary),
        found => Err(reader.unexpected_tag("column kind", found, "`n`, `u`, `t` or `b`")),
    }
}
