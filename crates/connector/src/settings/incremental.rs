//! How tables are read while the stream runs.
//!
//! Source: Debezium documentation, `incremental.snapshot.*`, `read.only`.

use postgres::TableName;

use super::signal::SignalSettings;
use super::values::{Choice, Values};

/// `incremental.snapshot.*`.
#[derive(Debug, Clone)]
pub struct IncrementalSettings {
    /// Rows of a chunk: all of them if the size was given, else those of the first.
    pub chunk_rows: usize,
    /// `incremental.snapshot.chunk.size` was given.
    pub chunk_rows_given: bool,
    /// Where chunks are marked; `None` writes nothing to the source.
    pub marks: Option<Marks>,
}

/// The rows that Debezium writes into the signal table around each chunk.
#[derive(Debug, Clone)]
pub struct Marks {
    /// The signal table.
    pub table: TableName,
    /// What becomes of them.
    pub strategy: MarkStrategy,
}

/// `incremental.snapshot.watermarking.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkStrategy {
    /// A row opens the window of a chunk, another one closes it.
    InsertInsert,
    /// The row that opens the window is deleted when it closes.
    InsertDelete,
}

impl IncrementalSettings {
    pub(super) fn read(values: &mut Values<'_>, signals: Option<&SignalSettings>) -> Self {
        const CHUNK_SIZE: &str = "incremental.snapshot.chunk.size";
        let chunk_rows = values.number(CHUNK_SIZE, 1, 1_000_000);
        let strategy = values.choice(
            "incremental.snapshot.watermarking.strategy",
            &[
                ("insert_insert", Choice::Is(MarkStrategy::InsertInsert)),
                ("insert_delete", Choice::Is(MarkStrategy::InsertDelete)),
            ],
            MarkStrategy::InsertInsert,
        );
        let read_only = values.flag("read.only");
        let marks = signals.filter(|_| !read_only);
        Self {
            chunk_rows: usize::try_from(chunk_rows).unwrap_or(1),
            chunk_rows_given: values.given(CHUNK_SIZE).is_some(),
            marks: marks.map(|signals| Marks { table: signals.table.clone(), strategy }),
        }
    }
}
