//! Rows of a snapshot, from lines of COPY text to records with their markers.
//!
//! In: [`Block`]s, in any order between tables. Out: `r` records whose `source.snapshot` says where in the snapshot they
//! stand: `first`, `first_in_data_collection`, `true`, `last_in_data_collection`, `last`.
//! A row is held back until it is known whether it is the last of its table, and the last row of a table until another table has
//! a row, so that it is not the last of all; a held row is a slice of its block, not a copy. A chunk is done when its last row has gone
//! out, held or not.
//! Source: Debezium documentation, "Snapshot events"; COPY text format: PostgreSQL manual, `COPY`.

use std::sync::Arc;

use bytes::Bytes;
use envelope::{SnapshotMarker, SourcePosition, copy_text};

use super::parts::Chunk;
use super::read::Block;
use crate::append::Row;
use crate::clock;
use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::notification::{ScanStatus, Stage};
use crate::tables::CapturedTable;

/// What every row says of its time: its values are as of when the snapshot began.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsOf {
    /// Wall time, microseconds since 1970-01-01 UTC.
    pub(super) unix_us: i64,
    /// The transaction id that came next.
    pub(super) xid: u64,
}

/// The rows of all tables of one snapshot.
pub(super) struct Rows {
    tables: Vec<Progress>,
    chunks: Arc<[Chunk]>,
    /// The last row of a table that is done, while others are not.
    final_row: Option<(usize, Held)>,
    as_of: AsOf,
    unescaped: Vec<u8>,
    read: u64,
    tables_done: usize,
    /// Tables begun and ended since they were last asked for.
    stages: Vec<Stage>,
    /// Chunks all of whose rows went out since they were last asked for.
    done: Vec<usize>,
}

/// A row that waits.
struct Held {
    line: Bytes,
    chunk: usize,
    /// The chunk was read to its end: with this row it is done.
    ends_chunk: bool,
}

struct Progress {
    table: CapturedTable,
    chunks_left: usize,
    /// The newest row; it may turn out to be the last.
    held: Option<Held>,
    emitted: bool,
    /// Rows read; `None` before its first chunk gave anything.
    rows: Option<u64>,
}

impl Rows {
    /// Starts with none read. Each table comes with the number of its chunks.
    pub(super) fn new(
        tables: Vec<(CapturedTable, usize)>,
        chunks: Arc<[Chunk]>,
        as_of: AsOf,
    ) -> Self {
        let tables = tables
            .into_iter()
            .map(|(table, chunks_left)| Progress {
                table,
                chunks_left,
                held: None,
                emitted: false,
                rows: None,
            })
            .collect();
        Self {
            tables,
            chunks,
            final_row: None,
            as_of,
            unescaped: Vec::new(),
            read: 0,
            tables_done: 0,
            stages: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Rows read so far.
    pub(super) fn rows_read(&self) -> u64 {
        self.read
    }

    /// Tables read completely.
    pub(super) fn tables_done(&self) -> usize {
        self.tables_done
    }

    /// Tables begun and ended since the last call.
    pub(super) fn take_stages(&mut self) -> Vec<Stage> {
        std::mem::take(&mut self.stages)
    }

    /// Chunks all of whose rows are in the open Kafka transaction, or in one before, since the last call.
    pub(super) fn take_done(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.done)
    }

    /// The rows read of a table; it is begun with the first call.
    fn count(&mut self, table: usize, rows: u64) -> u64 {
        let progress = &mut self.tables[table];
        if progress.rows.is_none() {
            self.stages.push(Stage::InProgress { table: name(&progress.table) });
        }
        let count = progress.rows.unwrap_or_default() + rows;
        progress.rows = Some(count);
        self.read += rows;
        count
    }

    /// The next block of some table. Says how many rows it had.
    pub(super) fn push(
        &mut self,
        block: Block,
        gatherer: &mut Gatherer,
    ) -> Result<u64, ConnectorError> {
        let before = self.read;
        match block {
            Block::Rows { chunk, lines } => {
                let table = self.chunks[chunk].table;
                self.count(table, 0);
                let mut start = 0;
                while start < lines.len() {
                    let end = memchr::memchr(b'\n', &lines[start..])
                        .map_or(lines.len(), |length| start + length);
                    self.count(table, 1);
                    let held = Held { line: lines.slice(start..end), chunk, ends_chunk: false };
                    if let Some(row) = self.tables[table].held.replace(held) {
                        self.emit(table, &row, None, gatherer)?;
                    }
                    // With this row there, that of a table that is done is not the last of all.
                    if let Some((done, row)) = self.final_row.take() {
                        let last = SnapshotMarker::LastInDataCollection;
                        self.emit(done, &row, Some(last), gatherer)?;
                    }
                    start = end + 1;
                }
            }
            Block::ChunkDone { chunk } => self.end_chunk(chunk, gatherer)?,
        }
        Ok(self.read - before)
    }

    fn end_chunk(&mut self, chunk: usize, gatherer: &mut Gatherer) -> Result<(), ConnectorError> {
        let table = self.chunks[chunk].table;
        let rows = self.count(table, 0);
        let progress = &mut self.tables[table];
        progress.chunks_left -= 1;
        match &mut progress.held {
            Some(held) if held.chunk == chunk => held.ends_chunk = true,
            _ => self.done.push(chunk),
        }
        if progress.chunks_left > 0 {
            return Ok(());
        }
        let (table_name, status) = (name(&progress.table), ScanStatus::Succeeded);
        let last = progress.held.take();
        self.tables_done += 1;
        self.stages.push(Stage::TableScanCompleted { table: table_name, rows, status });
        if let Some(row) = last
            && let Some((earlier, row)) = self.final_row.replace((table, row))
        {
            let last = SnapshotMarker::LastInDataCollection;
            self.emit(earlier, &row, Some(last), gatherer)?;
        }
        Ok(())
    }

    /// All tables are done.
    pub(super) fn finish(&mut self, gatherer: &mut Gatherer) -> Result<(), ConnectorError> {
        match self.final_row.take() {
            Some((table, row)) => self.emit(table, &row, Some(SnapshotMarker::Last), gatherer),
            None => Ok(()),
        }
    }

    fn emit(
        &mut self,
        table: usize,
        row: &Held,
        last: Option<SnapshotMarker>,
        gatherer: &mut Gatherer,
    ) -> Result<(), ConnectorError> {
        let first_of_all = self.tables.iter().all(|progress| !progress.emitted);
        let progress = &mut self.tables[table];
        let marker = last.unwrap_or(match (first_of_all, progress.emitted) {
            (true, _) => SnapshotMarker::First,
            (false, false) => SnapshotMarker::FirstInDataCollection,
            (false, true) => SnapshotMarker::True,
        });
        progress.emitted = true;
        let at = SourcePosition {
            snapshot: marker,
            committed_at_unix_us: self.as_of.unix_us,
            processed_at_unix_ns: clock::unix_ns(),
            xid: Some(self.as_of.xid),
            lsn: Some(gatherer.position().end_lsn),
            last_commit_lsn: None,
            event_id: None,
            origin: None,
            origin_lsn: None,
        };
        let mut values = Row::new();
        copy_text::split_line(&row.line, &mut self.unescaped, &mut values)?;
        gatherer.read(&progress.table, &at, &values)?;
        if row.ends_chunk {
            self.done.push(row.chunk);
        }
        Ok(())
    }
}

fn name(table: &CapturedTable) -> String {
    let table = table.plan.table();
    format!("{}.{}", table.schema, table.name)
}
