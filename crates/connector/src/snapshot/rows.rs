//! Rows of a snapshot, from lines of COPY text to records with their markers.
//!
//! In: [`Block`]s, in any order between tables. Out: `r` records whose `source.snapshot` says where in the snapshot they
//! stand: `first`, `first_in_data_collection`, `true`, `last_in_data_collection`, `last`.
//! A row is held back until it is known whether it is the last of its table, and the last row of a table until it is
//! known whether it is the last of all; a held row is a slice of its block, not a copy.
//! Source: Debezium documentation, "Snapshot events"; COPY text format: PostgreSQL manual, `COPY`.

use bytes::Bytes;
use envelope::{SnapshotMarker, SourcePosition, copy_text};

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
    /// The last row of a table that is done, while others are not.
    final_row: Option<(usize, Bytes)>,
    as_of: AsOf,
    unescaped: Vec<u8>,
    read: u64,
    tables_done: usize,
    /// Tables begun and ended since they were last asked for.
    stages: Vec<Stage>,
}

struct Progress {
    table: CapturedTable,
    chunks_left: usize,
    /// The newest row; it may turn out to be the last.
    held: Option<Bytes>,
    emitted: bool,
    /// Rows read; `None` before its first chunk gave anything.
    rows: Option<u64>,
}

impl Rows {
    /// Starts with none read. Each table comes with the number of its chunks.
    pub(super) fn new(tables: Vec<(CapturedTable, usize)>, as_of: AsOf) -> Self {
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
            final_row: None,
            as_of,
            unescaped: Vec::new(),
            read: 0,
            tables_done: 0,
            stages: Vec::new(),
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

    /// The next block of some table.
    pub(super) fn push(
        &mut self,
        block: Block,
        gatherer: &mut Gatherer,
    ) -> Result<(), ConnectorError> {
        match block {
            Block::Rows { table, lines } => {
                self.count(table, 0);
                let mut start = 0;
                while start < lines.len() {
                    let end = memchr::memchr(b'\n', &lines[start..])
                        .map_or(lines.len(), |length| start + length);
                    self.count(table, 1);
                    let line = lines.slice(start..end);
                    if let Some(row) = self.tables[table].held.replace(line) {
                        self.emit(table, &row, None, gatherer)?;
                    }
                    start = end + 1;
                }
            }
            Block::ChunkDone { table } => {
                let rows = self.count(table, 0);
                let progress = &mut self.tables[table];
                progress.chunks_left -= 1;
                if progress.chunks_left == 0 {
                    self.tables_done += 1;
                    let table_name = name(&progress.table);
                    let status = ScanStatus::Succeeded;
                    self.stages.push(Stage::TableScanCompleted { table: table_name, rows, status });
                    if let Some(row) = progress.held.take()
                        && let Some((earlier, row)) = self.final_row.replace((table, row))
                    {
                        let last = SnapshotMarker::LastInDataCollection;
                        self.emit(earlier, &row, Some(last), gatherer)?;
                    }
                }
            }
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
        line: &[u8],
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
        copy_text::split_line(line, &mut self.unescaped, &mut values)?;
        gatherer.read(&progress.table, &at, &values)
    }
}

fn name(table: &CapturedTable) -> String {
    let table = table.plan.table();
    format!("{}.{}", table.schema, table.name)
}
