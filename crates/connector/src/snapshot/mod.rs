//! The initial snapshot: every captured table, read at the slot's consistent point.
//!
//! In: the snapshot exported by the slot's creation, imported by every reader. Out: an `r` record for each row, then the
//! checkpoint that says so, in the Kafka transaction of the last rows.
//! It joins the stream exactly: the slot begins where the exported snapshot ends, so a commit is in one of them, never in
//! both. If we die before the end, the exported snapshot is gone, but rows of it are in Kafka. Then the slot stays, what it
//! has since comes first, up to the consistent point of a temporary slot, and the tables are read again at that point: a
//! row that vanished in between has its delete event, and the topics never go back in time.
//! Never: `pg_current_wal_lsn()` as a seam. A commit can be in the log and not yet visible.
//! Source: PostgreSQL manual, `CREATE_REPLICATION_SLOT … EXPORT_SNAPSHOT`, `SET TRANSACTION SNAPSHOT`.

mod plan;
mod read;
mod rows;

pub(crate) use plan::{Purpose, SnapshotPlan, SnapshotTable};

use std::time::Instant;

use pgoutput::Oid;
use postgres::catalog::{self, TableDescription};
use postgres::snapshot::{self, CopyQuery, plan_chunks};
use postgres::{Connection, TableName, quote_identifier};
use tracing::{info, warn};

use self::read::Chunk;
use self::rows::{AsOf, Rows};
use crate::boundary::{Boundary, Due};
use crate::clock;
use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::notification::{Aggregate, Stage};
use crate::settings::{InheritedRows, Settings};
use crate::sink::Sink;
use crate::status::{SnapshotStatus, State, StatusReporter};
use crate::tables::CapturedTable;

/// Bytes of a table one reader takes at a time, when several share it.
const CHUNK_BYTES: u64 = 64 * 1024 * 1024;

/// Reads every table of the plan into Kafka, and waits until Kafka holds all of it.
///
/// Errors: what ended a reader or the producer. Nothing of an unfinished snapshot counts.
pub(crate) async fn take(
    plan: SnapshotPlan,
    settings: &Settings,
    gatherer: &mut Gatherer,
    sink: &mut Sink,
    status: &StatusReporter,
) -> Result<(), ConnectorError> {
    let started = Instant::now();
    let mut progress = SnapshotStatus {
        tables_total: plan.tables.len(),
        rows_estimated: plan.tables.iter().filter_map(|table| table.summary.estimated_rows).sum(),
        ..SnapshotStatus::default()
    };
    let (tables, chunks) = Box::pin(prepare(&plan.tables, settings, gatherer)).await?;
    let mut blocks = read::start(plan.exported, chunks, settings);
    let as_of = AsOf {
        unix_us: clock::unix_ns() / 1000,
        xid: snapshot::xmax(gatherer.tables().control()).await?,
    };
    let names = names(&tables);
    gatherer.notify(&Aggregate::Initial, &Stage::Started, &names).await?;
    let mut rows = Rows::new(tables, as_of);
    let mut boundary = Boundary::new(settings.commit.boundary(), Instant::now());
    loop {
        progress.rows_read = rows.rows_read();
        progress.tables_done = rows.tables_done();
        status.state(State::Snapshotting(progress));
        let filled = gatherer.filled();
        let due = boundary.due(filled, Instant::now());
        if due == Due::Now && !sink.is_busy() {
            gatherer.tell(status);
            sink.hand_over(gatherer.take()).await?;
            boundary.handed_over(filled.records, Instant::now());
        }
        tokio::select! {
            biased;
            committed = sink.committed(), if sink.is_busy() => {
                let committed = committed?;
                status.committed(committed.end_lsn, committed.records);
            }
            block = blocks.next(), if !boundary.is_full(gatherer.filled().bytes) => match block? {
                Some(block) => {
                    rows.push(block, gatherer)?;
                    for stage in rows.take_stages() {
                        gatherer.notify(&Aggregate::Initial, &stage, &names).await?;
                    }
                    boundary.opened(Instant::now());
                }
                None => break,
            },
        }
    }
    rows.finish(gatherer)?;
    gatherer.notify(&Aggregate::Initial, &Stage::Completed, &names).await?;
    let lost = gatherer.lost_eras();
    if lost.dates > 0 {
        warn!(connector.name = %settings.name, "{} dates before Christ, the first in {}, are in the snapshot as dates of the same year after Christ, as Debezium writes them there; set tributary.snapshot.date.era=kept for the values the stream has", lost.dates, lost.first);
    }
    plan.purpose.fulfil(gatherer.position_mut());
    if sink.is_busy() {
        sink.committed().await?;
    }
    gatherer.tell(status);
    sink.hand_over(gatherer.take()).await?;
    let committed = sink.committed().await?;
    status.committed(committed.end_lsn, committed.records);
    info!(connector.name = %settings.name, rows = rows.rows_read(), "snapshot of {} rows from {} tables at {} took {:.1?}", rows.rows_read(), progress.tables_total, gatherer.position().end_lsn, started.elapsed());
    Ok(())
}

/// Describes each table, and cuts the reading into chunks: one per table for a single reader, so that rows come table by
/// table; ranges of its pages where several readers share the work.
async fn prepare(
    wanted: &[SnapshotTable],
    settings: &Settings,
    gatherer: &mut Gatherer,
) -> Result<(Vec<(CapturedTable, usize)>, Vec<Chunk>), ConnectorError> {
    let mut tables: Vec<(CapturedTable, usize)> = Vec::new();
    let mut chunks = Vec::new();
    for SnapshotTable { summary, select } in wanted {
        let control = gatherer.tables().control();
        let Some(description) = catalog::describe_table(control, summary.oid).await? else {
            continue;
        };
        if description.columns.is_empty() {
            info!(connector.name = %settings.name, "table `{}` has no columns: its rows say nothing, and are not read", description.table_name());
            continue;
        }
        let captured = gatherer.compile_for_snapshot(&description).await?;
        let columns: Vec<String> =
            captured.plan.table().columns.iter().map(|column| column.name.clone()).collect();
        tables.push((captured, 0));
        let control = gatherer.tables().control();
        let max_threads = settings.snapshot.max_threads;
        let mut queries = match select {
            Some(select) => vec![overridden(&description, columns, select)],
            None if settings.snapshot.inherited_rows == InheritedRows::Repeated
                && catalog::has_inheritors(control, summary.oid).await? =>
            {
                // Without ONLY, the rows of inheriting tables are among those of the table.
                let all = select_of(&description, &columns);
                vec![overridden(&description, columns, &all)]
            }
            None => table_queries(control, summary.oid, &columns, max_threads).await?,
        };
        let pushdown = &settings.publication.pushdown;
        if let Some(condition) = pushdown.row_filter(&summary.schema, &summary.name) {
            for query in &mut queries {
                query.predicate = Some(condition.to_owned());
            }
        }
        if let Some((_, count)) = tables.last_mut() {
            *count = queries.len();
        }
        let table = tables.len() - 1;
        chunks.extend(queries.into_iter().map(|query| Chunk { table, query }));
    }
    Ok((tables, chunks))
}

/// Names of the tables, comma-separated.
fn names(tables: &[(CapturedTable, usize)]) -> String {
    let names = tables.iter().map(|(table, _)| {
        let table = table.plan.table();
        format!("{}.{}", table.schema, table.name)
    });
    names.collect::<Vec<_>>().join(",")
}

/// The rows of a table and of those that inherit from it.
fn select_of(table: &TableDescription, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    format!("SELECT {} FROM {}", columns.join(", "), table.table_name().quoted())
}

/// One query for the rows of a statement.
fn overridden(table: &TableDescription, columns: Vec<String>, select: &str) -> CopyQuery {
    CopyQuery {
        table: TableName::new(&table.schema, &table.name),
        columns,
        ctid_range: None,
        predicate: None,
        select_override: Some(select.to_owned()),
    }
}

/// The queries that together read a table, leaf by leaf.
async fn table_queries(
    control: &Connection,
    table: Oid,
    columns: &[String],
    max_threads: usize,
) -> Result<Vec<CopyQuery>, ConnectorError> {
    let mut queries = Vec::new();
    for (leaf, name) in catalog::partition_leaves(control, table).await? {
        let ranges = if max_threads > 1 {
            plan_chunks(control, leaf, CHUNK_BYTES).await?
        } else {
            vec![None]
        };
        queries.extend(ranges.into_iter().map(|ctid_range| CopyQuery {
            table: name.clone(),
            columns: columns.to_vec(),
            ctid_range,
            predicate: None,
            select_override: None,
        }));
    }
    Ok(queries)
}
