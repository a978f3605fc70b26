//! What events do not show as it is, or show though it was to be hidden. In: what a plan leaves out or cannot mask, and what becomes of values while rows are written.
//! Out: one notice per column and kind, however many rows there are. Never: a value, which may be confidential.

use std::collections::BTreeSet;
use std::fmt;

use pgoutput::Oid;

use crate::table::Table;

/// Something about a column that the settings or the events do not let one see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is.
    pub kind: NoticeKind,
    /// `schema.table.column`.
    pub column: String,
    /// `typname`.
    pub type_name: String,
}

/// What it is about the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeKind {
    /// The column is not in them.
    Omitted,
    /// A value is not in them as it is: the event form cannot hold it.
    Altered,
    /// An unchanged value stored out of line is null in them, as if it were NULL.
    Unavailable,
    /// A mask is asked for that its type cannot have: its values are in the events as they are.
    Unmasked,
    /// It is masked, and part of the record key, which is not.
    UnmaskedInKey,
}

impl Notice {
    pub(crate) fn new(kind: NoticeKind, table: &Table, column: usize) -> Self {
        let type_name = table.columns[column].data_type.name.clone();
        Self { kind, column: table.column_name(column), type_name }
    }

    /// Its stable code, with a page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self.kind {
            NoticeKind::Omitted => "NT001",
            NoticeKind::Altered => "NT002",
            NoticeKind::Unavailable => "NT003",
            NoticeKind::Unmasked => "NT004",
            NoticeKind::UnmaskedInKey => "NT005",
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, column, type_name } = self;
        let code = self.code();
        match kind {
            NoticeKind::Omitted => write!(
                formatter,
                "[{code}] column {column} of type {type_name} is left out of the events, as Debezium leaves it out\n  fix: set tributary.unmapped.types=capture to have it, or add {column} to column.exclude.list to say that it is not wanted"
            ),
            NoticeKind::Altered => write!(
                formatter,
                "[{code}] a value of column {column} is not in its event as it is: the form of {type_name} that the settings choose cannot hold it\n  fix: choose another decimal.handling.mode, time.precision.mode or interval.handling.mode, if one of them decides about {type_name}; docs/reference/types.md tells what stands for such values"
            ),
            NoticeKind::Unavailable => write!(
                formatter,
                "[{code}] an unchanged value of column {column} is null in its event: the server did not send it, and {type_name} has no placeholder\n  fix: alter table … replica identity full, so that the server sends it"
            ),
            NoticeKind::Unmasked => write!(
                formatter,
                "[{code}] column {column} of type {type_name} is not masked: only character columns can be, and Debezium too sends its values as they are\n  fix: add {column} to column.exclude.list, or make the expression of column.mask.* match character columns only"
            ),
            NoticeKind::UnmaskedInKey => write!(
                formatter,
                "[{code}] column {column} is masked in the values of records and shown in their keys, as Debezium shows it: a key has to tell rows apart\n  fix: choose other columns for the key with message.key.columns, if the value is confidential"
            ),
        }
    }
}

/// Notices of the rows written so far.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    told: BTreeSet<(Oid, usize, NoticeKind)>,
    fresh: Vec<Notice>,
}

impl Notices {
    /// Keeps the first of its kind and column.
    #[cold]
    pub(crate) fn add(&mut self, kind: NoticeKind, table: &Table, column: usize) {
        if self.told.insert((table.oid, column, kind)) {
            self.fresh.push(Notice::new(kind, table, column));
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.fresh)
    }
}
