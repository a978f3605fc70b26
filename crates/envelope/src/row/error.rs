//! Why a row could not be written. In: the number of a column. Out: an error with the names of the table.

use crate::EnvelopeError;
use crate::table::Table;
use crate::value::Malformed;

/// Why a row could not be written, and at which column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowError {
    pub(crate) column: usize,
    pub(crate) cause: RowErrorCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowErrorCause {
    Malformed(Malformed),
    Binary,
    Inexpressible,
    Unavailable,
}

impl RowError {
    /// With the names of the table.
    pub(crate) fn of_table(self, table: &Table) -> EnvelopeError {
        let column = table.column_name(self.column);
        let type_name = table.columns[self.column].data_type.name.clone();
        match self.cause {
            RowErrorCause::Malformed(malformed) => {
                EnvelopeError::MalformedValue { column, type_name, reason: malformed.0 }
            }
            RowErrorCause::Binary => EnvelopeError::BinaryValue { column },
            RowErrorCause::Inexpressible => EnvelopeError::Inexpressible { column, type_name },
            RowErrorCause::Unavailable => EnvelopeError::Unavailable { column, type_name },
        }
    }
}
