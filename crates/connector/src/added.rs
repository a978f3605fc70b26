//! Tables that have joined the lists of a connector that ran before, and tables that have left them.
//!
//! In: the tables that are captured now, what is kept of those that were, what the publication held until now. Out: requests to
//! read the new ones while the stream runs; the ones nobody captures any more.
//! A table whose changes the stream has from its creation on is not read: it is new in the database, not in the lists.
//! Never: a table that `snapshot.include.collection.list` leaves out, or any where `snapshot.mode` reads none.
//! Source: `docs/adr/0015-tables-that-come-and-go.md`.

use pgoutput::Oid;
use postgres::TableName;
use postgres::catalog::{self, CatalogHorizon, TableSummary};
use postgres::{Connection, publication};
use tracing::info;
use uuid::Uuid;

use crate::error::ConnectorError;
use crate::history::log::History;
use crate::position::{
    BlockingRequest, IncrementalRequest, Position, RequestedTable, Requests, SnapshotProgress,
};
use crate::settings::Settings;

/// Asks for the tables that have joined the lists since the last start; returns those that have left them.
pub(crate) async fn heed_lists(
    control: &Connection,
    settings: &Settings,
    captured: &[TableSummary],
    history: &History,
    position: &mut Position,
) -> Result<Vec<Oid>, ConnectorError> {
    // A snapshot that is not complete reads whatever is captured now.
    if position.snapshot == SnapshotProgress::Completed {
        request_new_tables(control, settings, captured, history, &mut position.requests).await?;
    }
    Ok(left_out(settings, history))
}

async fn request_new_tables(
    control: &Connection,
    settings: &Settings,
    captured: &[TableSummary],
    history: &History,
    requests: &mut Requests,
) -> Result<(), ConnectorError> {
    let snapshot = &settings.snapshot;
    if !(snapshot.added_tables && snapshot.mode.reads_tables() && snapshot.mode.streams()) {
        return Ok(());
    }
    let unknown: Vec<&TableSummary> = captured
        .iter()
        .filter(|table| history.get(table.oid).is_none())
        .filter(|table| snapshot.copies(&table.schema, &table.name))
        .filter(|table| !is_requested(requests, &table.table_name()))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let found = publication::read(control, &settings.publication.name).await?;
    let published = found.map(|found| found.published_tables).unwrap_or_default();
    let horizon = catalog::horizon(control, &settings.slot.name).await?;
    let id = Uuid::new_v4().to_string();
    for table in unknown {
        let name = table.table_name();
        if published.contains(&name) && is_new(control, table.oid, &horizon).await? {
            continue;
        }
        info!(connector.name = %settings.name, signal.id = id, "table {name} is captured from now on: its rows are read while the others stream");
        request(requests, &id, table, settings);
    }
    Ok(())
}

/// Asks for all tables, to be read while the stream runs.
pub(crate) fn request_all(settings: &Settings, captured: &[TableSummary], requests: &mut Requests) {
    let id = Uuid::new_v4().to_string();
    let copied =
        captured.iter().filter(|table| settings.snapshot.copies(&table.schema, &table.name));
    for table in copied {
        request(requests, &id, table, settings);
    }
    // They were published before the slot was made.
    requests.incremental.iter_mut().for_each(|request| request.is_added = false);
}

/// The tables that were captured and are not any more.
fn left_out(settings: &Settings, history: &History) -> Vec<Oid> {
    let left = history.iter().filter(|(_, version)| {
        let is_captured = settings.tables.captures(&version.schema, &version.name);
        if !is_captured {
            info!(connector.name = %settings.name, "table {}.{} is not captured any more", version.schema, version.name);
        }
        !is_captured
    });
    left.map(|(table, _)| table).collect()
}

/// A statement that stands for a table can only be read while the stream stands still.
fn request(requests: &mut Requests, id: &str, table: &TableSummary, settings: &Settings) {
    let select = settings.snapshot.select_override(&table.schema, &table.name);
    let requested = RequestedTable {
        schema: table.schema.clone(),
        name: table.name.clone(),
        filter: select.map(str::to_owned),
    };
    if select.is_some() {
        requests.blocking.push(BlockingRequest { signal: id.to_owned(), tables: vec![requested] });
    } else {
        requests.incremental.push(IncrementalRequest {
            signal: id.to_owned(),
            table: requested,
            surrogate_key: None,
            is_added: true,
            progress: None,
        });
    }
}

fn is_requested(requests: &Requests, table: &TableName) -> bool {
    let incremental = requests.incremental.iter().map(|request| &request.table);
    let blocking = requests.blocking.iter().flat_map(|request| &request.tables);
    incremental.chain(blocking).any(|requested| requested.table_name() == *table)
}

/// Whether the table was made after what the slot has still to give begins.
async fn is_new(
    control: &Connection,
    table: Oid,
    horizon: &CatalogHorizon,
) -> Result<bool, ConnectorError> {
    let Some(settled_before) = horizon.settled_before else { return Ok(false) };
    let description = catalog::describe_table(control, table).await?;
    Ok(description.is_some_and(|table| horizon.full(table.created_by) >= settled_before))
}
