//! Incremental snapshots, from the requests in the position to rows in the open Kafka transaction.
//!
//! In: what signals asked for, chunks as they are read, the stream's progress. Out: `r` records between two source
//! transactions, and the position that says how far each table has come.
//! `Incremental` decides which rows hold, and when.

use envelope::{SnapshotMarker, SourcePosition, copy_text};
use failpoint::{Point, pass};
use pgoutput::{Lsn, Oid};
use postgres::catalog::{self, TableDescription};
use postgres::chunk::{Chunk, ChunkQuery, Mark};
use postgres::{Class, PostgresError};
use regex::Regex;
use tracing::{info, warn};

use super::{Gathered, Gatherer};
use crate::append::{Row, RowChange, append_row};
use crate::clock;
use crate::error::ConnectorError;
use crate::incremental::{Answer, Here, NextChunk, Window};
use crate::lifecycle::chain;
use crate::notification::{Aggregate, ScanStatus, Stage};
use crate::position::{IncrementalProgress, IncrementalRequest, RequestedTable};
use crate::signal::{Execute, Signal};
use crate::status::IncrementalStatus;

impl Gatherer {
    /// A table is to be read, and nothing of it is on its way.
    pub(crate) fn wants_chunk(&self) -> bool {
        let requests = &self.position().requests;
        !requests.incremental.is_empty()
            && !requests.incremental_paused
            && self.incremental.is_idle()
            && self.until.is_none()
            && !self.is_to_stand_still()
    }

    /// It can be asked for now.
    pub(crate) fn is_chunk_askable(&self) -> bool {
        self.incremental.is_askable()
    }

    /// Asks for the next chunk.
    pub(crate) async fn ask_for_chunk(&mut self) -> Result<(), ConnectorError> {
        while let Some(request) = self.position().requests.incremental.first().cloned() {
            if let Some(table) = self.requested_oid(&request.table).await? {
                let query = self.chunk_query(request, table);
                self.incremental.ask(query);
                return Ok(());
            }
            self.finish_table(0, ScanStatus::UnknownSchema).await?;
        }
        Ok(())
    }

    /// What to read next of a table. Where an earlier one of the same name stood means nothing for this one.
    fn chunk_query(&self, request: IncrementalRequest, table: Oid) -> ChunkQuery {
        let progress = request.progress.filter(|progress| progress.oid == table.0);
        let (after, until) =
            progress.map_or((None, None), |progress| (progress.after, progress.until));
        let RequestedTable { schema, name, filter } = request.table;
        let published = self.settings.publication.pushdown.row_filter(&schema, &name);
        let filter = match (filter, published) {
            (Some(asked), Some(published)) => Some(format!("({published}) AND ({asked})")),
            (asked, published) => asked.or_else(|| published.map(str::to_owned)),
        };
        ChunkQuery {
            table,
            surrogate_key: request.surrogate_key,
            filter,
            after,
            until,
            rows_max: 0,
            blocks_max: 0,
            bytes_max: 0,
        }
    }

    /// The captured table of this name, as the catalog has it now.
    async fn requested_oid(&self, table: &RequestedTable) -> Result<Option<Oid>, ConnectorError> {
        if !self.settings.tables.captures(&table.schema, &table.name) {
            return Ok(None);
        }
        Ok(catalog::table_oid(self.tables.control(), &table.table_name()).await?)
    }

    /// A chunk was asked for and is not here yet.
    pub(crate) fn awaits_chunk(&self) -> bool {
        self.incremental.is_asked()
    }

    /// The stream has to wait until the chunk that was asked for is here.
    pub(crate) fn is_overrun(&self) -> bool {
        self.incremental.is_overrun()
    }

    /// The chunk that was asked for; if none was, returns once one can be. Safe to cancel.
    pub(crate) async fn next_chunk(&mut self) -> Result<NextChunk, ConnectorError> {
        self.incremental.next().await
    }

    /// A chunk is here: its rows wait for the stream, or go out at once if that has come far enough already.
    pub(crate) async fn take_chunk(&mut self, answer: Answer) -> Result<Gathered, ConnectorError> {
        let Answer { number, outcome, read_in } = answer;
        if !self.incremental.is_awaited(number) {
            return Ok(Gathered::Nothing);
        }
        let chunk = match outcome {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                self.incremental.forget_chunk();
                self.finish_table(0, ScanStatus::UnknownSchema).await?;
                return Ok(Gathered::Records);
            }
            Err(error) => return self.give_up_table(error).await,
        };
        pass(Point::IncrementalRead).await?;
        let here = self.here(chunk)?;
        if self.incremental.plan(&here.description).is_none() {
            let plan = self.tables.compile_chunk(&here.description).await?;
            self.incremental.keep_plan(here.description.clone(), plan);
        }
        if !self.incremental.arrived(here, read_in) || self.progress.in_transaction() {
            return Ok(Gathered::Nothing);
        }
        self.send_chunk_at(self.position().end_lsn).await
    }

    fn here(&self, chunk: Chunk) -> Result<Here, ConnectorError> {
        let Chunk { description, columns, seen, order, lines, .. } = chunk;
        let Chunk { is_last, block_mark, until, began_again, .. } = chunk;
        // Debezium reads on until a chunk is empty, and readers of its marks can tell.
        let reads_on = self.settings.incremental.marks.is_some() && block_mark.is_none();
        let is_last = is_last && (!reads_on || lines.is_empty());
        let window = Window::new(&description, columns, seen, order, lines);
        let end = match block_mark {
            Some(mark) => Some(mark),
            None => window.end()?,
        };
        Ok(Here { table: description.oid, window, end, until, is_last, began_again, description })
    }

    /// Puts the rows of the chunk that is here into the open Kafka transaction, if they are due where everything that committed
    /// before `reached` was delivered. Only between source transactions.
    pub(super) async fn send_chunk_at(&mut self, reached: Lsn) -> Result<Gathered, ConnectorError> {
        if !self.incremental.is_due(reached) {
            return Ok(Gathered::Nothing);
        }
        let Some(here) = self.incremental.take() else { return Ok(Gathered::Nothing) };
        let Here { table, window, end, until, is_last, began_again, description } = *here;
        let rows_read = u64::try_from(window.rows_read()).unwrap_or_default();
        self.tables.keep_unless_known(&description, &mut self.transaction)?;
        self.send_rows(&description, window)?;
        pass(Point::IncrementalSent).await?;
        let Some(request) = self.position_mut().requests.incremental.first_mut() else {
            return Ok(Gathered::Nothing);
        };
        let earlier = request.progress.take().filter(|earlier| earlier.oid == table.0);
        if began_again {
            info!(
                signal.id = request.signal,
                "`{}` has another key or other files than before: it is read from its beginning",
                request.table.table_name()
            );
        }
        let rows = rows_read + earlier.as_ref().map_or(0, |earlier| earlier.rows);
        let after = end.or_else(|| earlier.and_then(|earlier| earlier.after));
        let stage = Stage::ChunkDone {
            table: request.table.table_name().to_string(),
            maximum_key: shown(until.as_ref()),
            last_processed_key: shown(after.as_ref()),
        };
        request.progress = Some(IncrementalProgress { oid: table.0, after, until, rows });
        if is_last {
            let status = if rows == 0 { ScanStatus::Empty } else { ScanStatus::Succeeded };
            self.finish_table(rows, status).await?;
        } else {
            self.tell_incremental(&stage).await?;
        }
        Ok(Gathered::Records)
    }

    fn send_rows(
        &mut self,
        description: &TableDescription,
        window: Window,
    ) -> Result<(), ConnectorError> {
        let Self { incremental, transaction, scratch, limits, .. } = self;
        let Some(table) = incremental.plan(description) else {
            return Err(ConnectorError::StageEnded { stage: "incremental snapshot" });
        };
        let now_ns = clock::unix_ns();
        let at = SourcePosition {
            event_id: None,
            snapshot: SnapshotMarker::Incremental,
            committed_at_unix_us: now_ns / 1000,
            processed_at_unix_ns: now_ns,
            xid: None,
            lsn: None,
            last_commit_lsn: None,
            origin: None,
            origin_lsn: None,
        };
        let mut unescaped = Vec::new();
        for line in window.into_lines() {
            let mut values = Row::new();
            copy_text::split_line(&line, &mut unescaped, &mut values)?;
            // Behind the columns of the table may be a surrogate key.
            values.truncate(table.plan.table().columns.len());
            let row = RowChange::Read(&values);
            append_row(table, &at, &row, Some(transaction), limits, scratch)?;
        }
        Ok(())
    }

    /// The first of the tables is done with, however it ended.
    async fn finish_table(&mut self, rows: u64, status: ScanStatus) -> Result<(), ConnectorError> {
        let Some(request) = self.position().requests.incremental.first() else { return Ok(()) };
        let table = request.table.table_name().to_string();
        let aggregate = Aggregate::Incremental { signal: request.signal.clone() };
        match status {
            ScanStatus::Succeeded | ScanStatus::Empty => {
                info!(signal.id = request.signal, "incremental snapshot of `{table}`: {rows} rows");
            }
            ScanStatus::UnknownSchema => {
                warn!(
                    signal.id = request.signal,
                    "`{table}` is not captured or does not exist any more: its incremental snapshot is given up"
                );
            }
            ScanStatus::SqlException => {}
        }
        self.news.signals.table_done(&table, rows, status.missed());
        let tables = self.incremental_tables();
        let stage = Stage::TableScanCompleted { table, rows, status };
        self.notify(&aggregate, &stage, &tables).await?;
        let left = &mut self.position_mut().requests.incremental;
        left.remove(0);
        if left.is_empty() {
            self.notify(&aggregate, &Stage::Completed, "").await?;
        }
        Ok(())
    }

    /// The server refuses to read the table: so it would again.
    async fn give_up_table(&mut self, error: PostgresError) -> Result<Gathered, ConnectorError> {
        self.incremental.forget_chunk();
        if error.class() != Class::Definite {
            return Err(error.into());
        }
        let Some(request) = self.position().requests.incremental.first() else {
            return Ok(Gathered::Nothing);
        };
        let rows = request.progress.as_ref().map_or(0, |progress| progress.rows);
        let code = error.code();
        warn!(
            signal.id = request.signal,
            code,
            "the incremental snapshot of `{}` is given up, what was read of it stays: {}",
            request.table.table_name(),
            chain(&error)
        );
        self.finish_table(rows, ScanStatus::SqlException).await?;
        Ok(Gathered::Records)
    }

    /// A signal asks for tables to be read. One that waits already is not read twice.
    pub(super) async fn add_incremental(
        &mut self,
        signal: &Signal,
        execute: &Execute,
        tables: Vec<RequestedTable>,
    ) -> Result<(), ConnectorError> {
        let names = tables.iter().map(|table| table.table_name().to_string()).collect();
        self.news.signals.ask(&signal.id, names, false);
        let waiting = &mut self.position_mut().requests.incremental;
        for table in tables {
            if waiting.iter().any(|request| request.table == table) {
                info!(signal.id, "`{}` is being read already", table.table_name());
                continue;
            }
            waiting.push(IncrementalRequest {
                signal: signal.id.clone(),
                table,
                surrogate_key: execute.surrogate_key.clone(),
                is_added: false,
                progress: None,
            });
        }
        let tables = self.incremental_tables();
        info!(signal.id, "incremental snapshot of {tables}");
        let aggregate = Aggregate::Incremental { signal: signal.id.clone() };
        self.notify(&aggregate, &Stage::Started, &tables).await
    }

    /// A signal asks for tables to be left as they are; all of them if it names none.
    pub(super) async fn stop_incremental(
        &mut self,
        signal: &Signal,
        patterns: &[Regex],
    ) -> Result<(), ConnectorError> {
        let waiting = std::mem::take(&mut self.position_mut().requests.incremental);
        if waiting.is_empty() {
            warn!(signal.id, "`stop-snapshot`: there is no incremental snapshot");
            return Ok(());
        }
        let is_stopped = |request: &IncrementalRequest| {
            let name = request.table.table_name().to_string();
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_match(&name))
        };
        let reads = waiting.first().is_some_and(is_stopped);
        let (stopped, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_stopped);
        if reads {
            self.incremental.forget_chunk();
        }
        let is_over = left.is_empty();
        self.position_mut().requests.incremental = left;
        if is_over {
            self.position_mut().requests.incremental_paused = false;
        }
        let names: Vec<String> =
            stopped.iter().map(|request| request.table.table_name().to_string()).collect();
        info!(signal.id, "incremental snapshot of {} is stopped", names.join(", "));
        for name in &names {
            self.news.signals.table_done(name, 0, Some("was stopped"));
        }
        let aggregate = Aggregate::Incremental { signal: signal.id.clone() };
        let names = if patterns.is_empty() { String::new() } else { names.join(",") };
        self.notify(&aggregate, &Stage::Aborted, &names).await
    }

    /// A signal asks for the reading to rest, or to go on.
    pub(super) async fn pause_incremental(
        &mut self,
        signal: &Signal,
        pause: bool,
    ) -> Result<(), ConnectorError> {
        let requests = &mut self.position_mut().requests;
        if requests.incremental.is_empty() {
            warn!(signal.id, "`{}`: there is no incremental snapshot", signal.kind);
            return Ok(());
        }
        if requests.incremental_paused == pause {
            return Ok(());
        }
        requests.incremental_paused = pause;
        if pause {
            self.incremental.forget_chunk();
        }
        let (stage, word) =
            if pause { (Stage::Paused, "paused") } else { (Stage::Resumed, "resumed") };
        info!(signal.id, "the incremental snapshot is {word}");
        let aggregate = Aggregate::Incremental { signal: signal.id.clone() };
        let tables = self.incremental_tables();
        self.notify(&aggregate, &stage, &tables).await
    }

    async fn tell_incremental(&mut self, stage: &Stage) -> Result<(), ConnectorError> {
        if self.notifications.is_none() {
            return Ok(());
        }
        let first = self.position().requests.incremental.first();
        let signal = first.map(|request| request.signal.clone()).unwrap_or_default();
        let tables = self.incremental_tables();
        self.notify(&Aggregate::Incremental { signal }, stage, &tables).await
    }

    /// How far the tables have come.
    pub(super) fn incremental_status(&self) -> Option<IncrementalStatus> {
        let requests = &self.position().requests;
        let request = requests.incremental.first()?;
        let progress = request.progress.as_ref();
        Some(IncrementalStatus {
            table: request.table.table_name().to_string(),
            rows_read: progress.map_or(0, |progress| progress.rows),
            reads_to: progress.and_then(|progress| progress.until.as_ref()).map(Mark::to_string),
            read_up_to: progress.and_then(|progress| progress.after.as_ref()).map(Mark::to_string),
            tables_waiting: requests.incremental.len() - 1,
            is_paused: requests.incremental_paused,
        })
    }

    /// Names of the tables that are read or wait, comma-separated.
    fn incremental_tables(&self) -> String {
        let waiting = self.position().requests.incremental.iter();
        let names: Vec<String> =
            waiting.map(|request| request.table.table_name().to_string()).collect();
        names.join(",")
    }
}

/// A mark as a notification has it.
fn shown(mark: Option<&Mark>) -> String {
    mark.map_or_else(|| "<null>".to_owned(), Mark::to_string)
}
