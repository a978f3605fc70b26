//! The initial snapshot: every captured table, read at the slot's consistent point.
//!
//! In: the snapshot exported by the slot's creation, imported by every reader. Out: an `r` record for each row, then the
//! checkpoint that says so, in the Kafka transaction of the last rows.
//! It joins the stream exactly: the slot begins where the exported snapshot ends, so a commit is in one of them, never in
//! both. If we die before the end, the exported snapshot is gone, but parts of it are in Kafka ([`Done`]). Then the slot stays,
//! what it has since comes first, up to the consistent point of a temporary slot, and the other parts are read at that point: what
//! was read before is as of that point by then, and the topics never go back in time. A row that moved meanwhile from a part that
//! is left into one that is done comes by the stream alone; the pipeline fills in what the stream lacks of it.
//! Never: `pg_current_wal_lsn()` as a seam. A commit can be in the log and not yet visible.
//! Source: PostgreSQL manual, `CREATE_REPLICATION_SLOT … EXPORT_SNAPSHOT`, `SET TRANSACTION SNAPSHOT`.

mod done;
pub(crate) mod fuzzing;
mod parts;
mod plan;
mod read;
mod rows;

pub(crate) use done::Done;
pub(crate) use parts::queries;
pub(crate) use plan::{Purpose, SnapshotPlan, SnapshotTable};

use std::sync::Arc;
use std::time::{Duration, Instant};

use failpoint::{Point, pass};
use postgres::snapshot;
use tracing::{Span, info, warn};

use self::parts::{Chunk, Work};
use self::rows::{AsOf, Rows};
use crate::boundary::{Boundary, Due};
use crate::clock;
use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::notification::{Aggregate, Stage};
use crate::pace::Pace;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::status::{SnapshotStatus, State, StatusReporter};
use crate::tables::CapturedTable;

/// Reads what is left of the plan's tables into Kafka, and waits until Kafka holds all of it.
///
/// Errors: what ended a reader or the producer. What is done of an unfinished snapshot is in Kafka with its rows.
pub(crate) async fn take(
    plan: SnapshotPlan,
    done: &mut Done,
    settings: &Settings,
    gatherer: &mut Gatherer,
    sink: &mut Sink,
    status: &StatusReporter,
) -> Result<(), ConnectorError> {
    let started = Instant::now();
    done.begin(*gatherer.position_mut().snapshot_began.get_or_insert(plan.joins_at));
    let work = Box::pin(Work::plan(&plan.tables, settings, done, gatherer)).await?;
    let mut progress = work.status(&plan);
    if work.tables_done > 0 || work.bytes_done > 0 {
        info!(connector.name = %settings.name, "the snapshot goes on: {} of {} tables and {} of {} MB are in Kafka already", work.tables_done, plan.tables.len(), work.bytes_done / 1_000_000, work.bytes_total / 1_000_000);
    }
    let chunks: Arc<[Chunk]> = work.chunks.into();
    let mut blocks = read::start(plan.exported, Arc::clone(&chunks), settings);
    let as_of = AsOf {
        unix_us: clock::unix_ns() / 1000,
        xid: snapshot::xmax(gatherer.tables().control()).await?,
    };
    let names = names(&work.tables);
    gatherer.notify(&Aggregate::Initial, &Stage::Started, &names).await?;
    let mut rows = Rows::new(work.tables, Arc::clone(&chunks), as_of);
    let mut boundary = Boundary::new(settings.commit.boundary(settings.delivery), Instant::now());
    let mut pace = Pace::new(settings.snapshot.rows_per_second_max);
    loop {
        progress.rows_read = rows.rows_read();
        progress.tables_done = work.tables_done + rows.tables_done();
        progress.elapsed = started.elapsed();
        status.state(State::Snapshotting(progress));
        let filled = gatherer.filled();
        let due = boundary.due(filled, Instant::now());
        if due == Due::Now && !sink.is_busy() {
            gatherer.tell(status);
            sink.hand_over(gatherer.take()).await?;
            pass(Point::ChunkHandedOver).await?;
            boundary.handed_over(filled.records, Instant::now());
        }
        let waits = pace.waits_until(Instant::now());
        let room = waits.is_none() && !boundary.is_full(gatherer.filled().bytes);
        tokio::select! {
            biased;
            committed = sink.committed(), if sink.is_busy() => {
                let committed = committed?;
                status.committed(&committed);
                pass(Point::ChunkCommitted).await?;
            }
            block = blocks.next(), if room => match block? {
                Some(block) => {
                    pace.spent(rows.push(block, gatherer)?, Instant::now());
                    for chunk in rows.take_done() {
                        let Chunk { source, range, bytes, .. } = &chunks[chunk];
                        done.keep(source.table, source.filenode, *range, gatherer.kept_with_rows());
                        progress.bytes_done += bytes;
                        pass(Point::ChunkRead).await?;
                    }
                    for stage in rows.take_stages() {
                        gatherer.notify(&Aggregate::Initial, &stage, &names).await?;
                    }
                    boundary.opened(Instant::now);
                }
                None => break,
            },
            () = until(waits) => {}
        }
    }
    rows.finish(gatherer)?;
    gatherer.notify(&Aggregate::Initial, &Stage::Completed, &names).await?;
    warn_of_lost_eras(settings, gatherer);
    pass(Point::BeforeCompletion).await?;
    complete(plan.purpose, Ok(rows.rows_read()), done, gatherer);
    commit(gatherer, sink, status).await?;
    pass(Point::AfterCompletion).await?;
    tell_of_end(settings, gatherer, &progress, started.elapsed());
    Ok(())
}

/// Gives the open Kafka transaction to stage 3, once it has committed the one before; for as long as the stream stands still.
pub(crate) async fn hand_over(
    gatherer: &mut Gatherer,
    sink: &mut Sink,
    status: &StatusReporter,
) -> Result<(), ConnectorError> {
    if sink.is_busy() {
        let committed = sink.committed().await?;
        status.committed(&committed);
    }
    gatherer.tell(status);
    sink.hand_over(gatherer.take()).await
}

/// The same, and waits until Kafka holds it.
pub(crate) async fn commit(
    gatherer: &mut Gatherer,
    sink: &mut Sink,
    status: &StatusReporter,
) -> Result<(), ConnectorError> {
    hand_over(gatherer, sink, status).await?;
    let committed = sink.committed().await?;
    status.committed(&committed);
    Ok(())
}

/// The snapshot is over in the open Kafka transaction: it came to its end, after so many rows, or is given up for a reason.
pub(crate) fn complete(
    purpose: Purpose,
    outcome: Result<u64, String>,
    done: &mut Done,
    gatherer: &mut Gatherer,
) {
    gatherer.is_over(purpose, outcome);
    done.forget(gatherer.kept_with_rows());
}

fn tell_of_end(
    settings: &Settings,
    gatherer: &Gatherer,
    progress: &SnapshotStatus,
    took: Duration,
) {
    let SnapshotStatus { rows_read, tables_total, .. } = progress;
    Span::current().record("rows", rows_read);
    let at = gatherer.position().end_lsn;
    info!(connector.name = %settings.name, rows = rows_read, "snapshot of {rows_read} rows from {tables_total} tables at {at} took {took:.1?}");
}

fn warn_of_lost_eras(settings: &Settings, gatherer: &Gatherer) {
    let lost = gatherer.lost_eras();
    if lost.dates > 0 {
        warn!(connector.name = %settings.name, "{} dates before Christ, the first in {}, are in the snapshot as dates of the same year after Christ, as Debezium writes them there; set tributary.snapshot.date.era=kept for the values the stream has", lost.dates, lost.first);
    }
}

impl Work {
    fn status(&self, plan: &SnapshotPlan) -> SnapshotStatus {
        let estimated = plan.tables.iter().filter_map(|table| table.summary.estimated_rows);
        SnapshotStatus {
            tables_total: plan.tables.len(),
            tables_done: self.tables_done,
            rows_estimated: estimated.sum(),
            bytes_total: self.bytes_total,
            bytes_done: self.bytes_done,
            bytes_done_before: self.bytes_done,
            ..SnapshotStatus::default()
        }
    }
}

/// Never, if there is no such time.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Names of the tables, comma-separated.
fn names(tables: &[(CapturedTable, usize)]) -> String {
    let names = tables.iter().map(|(table, _)| {
        let table = table.plan.table();
        format!("{}.{}", table.schema, table.name)
    });
    names.collect::<Vec<_>>().join(",")
}
