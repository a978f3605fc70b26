//! What the stream did to a table while a chunk of it was on its way. Pure.
//!
//! In: changes, as they are delivered. Out: [`Note`]s, for the window to go through once the chunk is here.

use std::sync::Arc;

use pgoutput::{Before, Relation, TupleData, TupleValue, Xid};

/// Notes that take more than this make the stream wait for the chunk, which does not depend on it.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Values of a row, in the order of the relation's columns; `None` is NULL, or not known.
pub(super) type Values = Vec<Option<Box<[u8]>>>;

/// What happened to the table.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// The row that had these values before is another one now, or gone.
    Changed {
        /// The table, as the stream described it.
        relation: Arc<Relation>,
        /// What is known of the row before; its key is unchanged where the server did not tell it.
        old: Values,
    },
    /// All rows are gone.
    Truncated,
    /// The table has, or may have, another form.
    Described,
}

impl Note {
    /// A row was updated, or deleted. Without an old row the new one has the same identity.
    pub(super) fn changed(
        relation: &Arc<Relation>,
        before: &Before<'_>,
        after: Option<TupleData<'_>>,
    ) -> Self {
        let old = match before {
            Before::Key(tuple) | Before::Full(tuple) => Some(*tuple),
            Before::Absent => after,
        };
        let value = |value| match value {
            TupleValue::Text(text) | TupleValue::Binary(text) => Some(Box::from(text)),
            TupleValue::Null | TupleValue::UnchangedToast => None,
        };
        let old = old.map(|tuple| tuple.iter().map(value).collect()).unwrap_or_default();
        Self::Changed { relation: Arc::clone(relation), old }
    }

    fn len_bytes(&self) -> usize {
        const EACH: usize = 64;
        match self {
            Self::Changed { old, .. } => {
                let value = |value: &Option<Box<[u8]>>| value.as_ref().map_or(0, |text| text.len());
                EACH + old.iter().map(value).sum::<usize>() + old.len() * 16
            }
            Self::Truncated | Self::Described => EACH,
        }
    }
}

/// Notes of one chunk, each with its transaction, in the order of the stream.
#[derive(Debug, Default)]
pub(super) struct Notes {
    notes: Vec<(Xid, Note)>,
    bytes: usize,
}

impl Notes {
    pub(super) fn add(&mut self, xid: Xid, note: Note) {
        self.bytes += note.len_bytes();
        self.notes.push((xid, note));
    }

    /// No more should be added before the chunk is here.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Xid, Note)> {
        self.notes.iter()
    }
}
