//! Reading tables as of an exported snapshot, by COPY.
use bytes::Bytes;
use pgoutput::Oid;

use crate::{Connection, ConnectionConfig, PostgresError, TableName};

/// A range of a table's blocks, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtidRange {
    /// The first block.
    pub start_block: u32,
    /// The first block no longer in it; `None` reads to the end of the table.
    pub end_block: Option<u32>,
}

/// What to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyQuery {
    /// The table that holds the rows: an ordinary table or a leaf partition.
    pub table: TableName,
    /// The columns, in the order the stream sends them.
    pub columns: Vec<String>,
    /// Only these blocks; `None` is the whole table.
    pub ctid_range: Option<CtidRange>,
    /// Only rows for which this SQL condition holds.
    pub predicate: Option<String>,
    /// Instead of the table, the rows of this SELECT (`snapshot.select.statement.overrides`); must have `columns`.
    pub select_override: Option<String>,
}

/// A session that sees exactly what an exported snapshot saw.
pub struct SnapshotReader(());

/// COPY text of one query, in chunks of whole lines.
pub struct CopyStream<'a>(&'a mut SnapshotReader);

impl SnapshotReader {
    /// Opens a session and imports the snapshot: `REPEATABLE READ READ ONLY`.
    ///
    /// Errors: [`PostgresError::SnapshotGone`] when the exporting session has ended.
    pub async fn open(config: &ConnectionConfig, snapshot: &str) -> Result<Self, PostgresError> {
        let _ = (config, snapshot);
        Err(PostgresError::StreamEnded)
    }

    /// Starts a COPY. It has to be read to its end before the next one.
    pub async fn copy(&mut self, query: &CopyQuery) -> Result<CopyStream<'_>, PostgresError> {
        let _ = query;
        Ok(CopyStream(self))
    }
}

impl CopyStream<'_> {
    /// The next chunk: whole lines of COPY text format, each with its newline. `None` after the last. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Bytes>, PostgresError> {
        let _ = &self.0;
        Ok(None)
    }
}

/// Cuts a table into ranges of about `bytes_per_chunk`; the last one is open. Before PostgreSQL 14, and for a table with
/// fewer bytes, one range is the whole table. Of a partitioned root: plan its leaves
/// ([`crate::catalog::partition_leaves`]).
pub async fn plan_chunks(
    connection: &Connection,
    table: Oid,
    bytes_per_chunk: u64,
) -> Result<Vec<Option<CtidRange>>, PostgresError> {
    Err(connection.pending((table, bytes_per_chunk)))
}
