//! What a snapshot reads, cut into chunks; without what is in Kafka already.
//!
//! In: tables, and what an interrupted run has done of them. Out: [`Work`]: each table ready to encode, and its chunks in the order
//! they are read.
//! A chunk is some blocks of one file, so that a death costs no more than the chunks that were being read. A statement that
//! stands for a table is one chunk.
//! Source: PostgreSQL manual, "TID Range Scan", `pg_relation_filenode`.

use std::sync::Arc;

use pgoutput::Oid;
use postgres::catalog::{self, TableDescription};
use postgres::snapshot::{self, CopyQuery, CtidRange, TableExtent};
use postgres::{Connection, TableName, quote_identifier};
use tracing::info;

use super::done::Done;
use super::plan::SnapshotTable;
use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::settings::{InheritedRows, Settings};
use crate::tables::CapturedTable;

/// Bytes of a table that are read at a time, at least.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;
/// Chunks of one file, at most: what is done of them is written down with each.
const CHUNKS_MAX: u32 = 4096;

/// Everything that is left to read.
pub(super) struct Work {
    /// Tables of which something is left, each with the number of its chunks.
    pub(super) tables: Vec<(CapturedTable, usize)>,
    /// Their chunks.
    pub(super) chunks: Vec<Chunk>,
    /// Tables that are in Kafka.
    pub(super) tables_done: usize,
    /// Bytes of all tables, of which the server says how large they are.
    pub(super) bytes_total: u64,
    /// Bytes of them that are in Kafka.
    pub(super) bytes_done: u64,
}

/// A part of one table, read with one COPY.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Which of the tables.
    pub(super) table: usize,
    /// Where its rows are.
    pub(super) source: Arc<Source>,
    /// Which blocks of it.
    pub(super) range: CtidRange,
    /// How many bytes they have; 0 for a statement.
    pub(super) bytes: u64,
}

/// Where rows of a table are read.
#[derive(Debug)]
pub(super) struct Source {
    /// The table that has them: it, or one of its leaves.
    pub(super) table: Oid,
    /// The file of that table; 0 for a statement.
    pub(super) filenode: u32,
    /// What is copied, of all its blocks.
    query: CopyQuery,
    extent: Option<TableExtent>,
}

impl Chunk {
    /// What is copied.
    pub(super) fn query(&self) -> CopyQuery {
        let ctid_range = (self.range != CtidRange::WHOLE).then_some(self.range);
        CopyQuery { ctid_range, ..self.source.query.clone() }
    }
}

impl Work {
    /// Describes each table, and cuts what is left of it into chunks.
    pub(super) async fn plan(
        wanted: &[SnapshotTable],
        settings: &Settings,
        done: &Done,
        gatherer: &mut Gatherer,
    ) -> Result<Self, ConnectorError> {
        let (tables, chunks) = (Vec::new(), Vec::new());
        let mut work = Self { tables, chunks, tables_done: 0, bytes_total: 0, bytes_done: 0 };
        for table in wanted {
            let control = gatherer.tables().control();
            let Some(description) = catalog::describe_table(control, table.summary.oid).await?
            else {
                continue;
            };
            if description.columns.is_empty() {
                info!(connector.name = %settings.name, "table `{}` has no columns: its rows say nothing, and are not read", description.table_name());
                continue;
            }
            let captured = gatherer.compile_for_snapshot(&description).await?;
            let columns = captured.plan.table().columns.iter();
            let columns: Vec<String> = columns.map(|column| column.name.clone()).collect();
            let control = gatherer.tables().control();
            let sources = sources(control, table, &description, &columns, settings).await?;
            let count = work.add(sources, done, snapshot::reads_ranges(control));
            if count == 0 {
                work.tables_done += 1;
            } else {
                work.tables.push((captured, count));
            }
        }
        Ok(work)
    }

    /// Adds the chunks that are left of a table, and says how many there are.
    fn add(&mut self, sources: Vec<Source>, done: &Done, reads_ranges: bool) -> usize {
        let before = self.chunks.len();
        let table = self.tables.len();
        for source in sources {
            let total = source.bytes(CtidRange::WHOLE);
            let left = done.rest(source.table, source.filenode);
            let source = Arc::new(source);
            let mut bytes_left = 0;
            for range in left.into_iter().flat_map(|gap| source.cut(gap, reads_ranges)) {
                let bytes = source.bytes(range);
                bytes_left += bytes;
                self.chunks.push(Chunk { table, source: Arc::clone(&source), range, bytes });
            }
            self.bytes_total += total;
            self.bytes_done += total.saturating_sub(bytes_left);
        }
        self.chunks.len() - before
    }
}

impl Source {
    fn cut(&self, range: CtidRange, reads_ranges: bool) -> Vec<CtidRange> {
        match self.extent {
            Some(TableExtent { blocks, block_bytes, .. }) if reads_ranges => {
                let step = CHUNK_BYTES.checked_div(block_bytes).unwrap_or(1);
                let step = u32::try_from(step).unwrap_or(u32::MAX);
                range.cut(blocks, step.max(blocks.div_ceil(CHUNKS_MAX)))
            }
            _ => vec![range],
        }
    }

    fn bytes(&self, range: CtidRange) -> u64 {
        let Some(TableExtent { blocks, block_bytes, .. }) = self.extent else { return 0 };
        let end = range.end_block.unwrap_or(blocks).min(blocks);
        u64::from(end.saturating_sub(range.start_block)) * block_bytes
    }
}

/// Where the rows of a table are read, leaf by leaf.
async fn sources(
    control: &Connection,
    wanted: &SnapshotTable,
    table: &TableDescription,
    columns: &[String],
    settings: &Settings,
) -> Result<Vec<Source>, ConnectorError> {
    let repeated = settings.snapshot.inherited_rows == InheritedRows::Repeated;
    let select = match &wanted.select {
        Some(select) => Some(select.clone()),
        // Without ONLY, the rows of inheriting tables are among those of the table.
        None if repeated && catalog::has_inheritors(control, table.oid).await? => {
            Some(select_of(table, columns))
        }
        None => None,
    };
    let pushdown = &settings.publication.pushdown;
    let predicate = pushdown.row_filter(&table.schema, &table.name).map(str::to_owned);
    let query = |name: TableName, select_override: Option<String>| CopyQuery {
        table: name,
        columns: columns.to_vec(),
        ctid_range: None,
        predicate: predicate.clone(),
        select_override,
    };
    if select.is_some() {
        let query = query(table.table_name(), select);
        return Ok(vec![Source { table: table.oid, filenode: 0, query, extent: None }]);
    }
    let mut sources = Vec::new();
    for (leaf, name) in catalog::partition_leaves(control, table.oid).await? {
        let Some(extent) = snapshot::extent(control, leaf).await? else { continue };
        let (filenode, query) = (extent.filenode, query(name, None));
        sources.push(Source { table: leaf, filenode, query, extent: Some(extent) });
    }
    Ok(sources)
}

/// What copies the rows of a table, as a snapshot would.
pub(crate) async fn queries(
    control: &Connection,
    wanted: &SnapshotTable,
    table: &TableDescription,
    columns: &[String],
    settings: &Settings,
) -> Result<Vec<CopyQuery>, ConnectorError> {
    let sources = sources(control, wanted, table, columns, settings).await?;
    Ok(sources.into_iter().map(|source| source.query).collect())
}

/// The rows of a table and of those that inherit from it.
fn select_of(table: &TableDescription, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    format!("SELECT {} FROM {}", columns.join(", "), table.table_name().quoted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_bytes_enough_and_are_not_too_many() {
        let source = |blocks| Source {
            table: Oid(1),
            filenode: 1,
            query: CopyQuery {
                table: TableName::new("s", "t"),
                columns: vec!["a".to_owned()],
                ctid_range: None,
                predicate: None,
                select_override: None,
            },
            extent: Some(TableExtent { filenode: 1, blocks, block_bytes: 8192 }),
        };
        let count = |blocks| source(blocks).cut(CtidRange::WHOLE, true).len();
        assert_eq!((count(0), count(512), count(513), count(10 * 512)), (1, 1, 2, 10));
        assert_eq!(count(u32::MAX), 4096);
        assert_eq!(source(9999).cut(CtidRange::WHOLE, false), [CtidRange::WHOLE]);
        let rest = CtidRange { start_block: 2048, end_block: None };
        assert_eq!(source(4096).bytes(rest), 2048 * 8192);
    }
}
