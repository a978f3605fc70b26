//! Rows that vanished in a gap, told of once the new snapshot has told of all others.
//!
//! In: the [`Gap`] in the checkpoint, and the topics themselves. Out: a delete event, and its tombstone, for each key whose
//! newest record lies before the snapshot's beginning and leaves a row behind; then a checkpoint without the gap.
//! Nothing else is written meanwhile, so a row that comes back has its event behind its delete. A death on the way costs
//! nothing: a row that was told of ends with a delete or a tombstone, and is not found again.
//! Never: a look at the rows of a table; a record that is not ours; a stream that goes on before this is done.
//! Source: docs/adr/0013-deletes-after-a-gap.md.

mod event;
mod fold;
pub(crate) mod fuzzing;
mod gap;
mod topic;

use std::time::Instant;

use kafka::KafkaError;
use postgres::catalog::{self, TableSummary};
use postgres::snapshot;
use tracing::info;

pub(crate) use self::fold::{Fingerprint, fingerprint};
use self::gap::{Doubt, doubt, files};
pub use self::gap::{Gap, GapTable, GapTopic};
use self::topic::Teller;
use crate::captured;
use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::position::SnapshotProgress;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::snapshot::commit;
use crate::status::{Notice, SnapshotStatus, State, StatusReporter};
use crate::tables::CapturedTable;

/// Tells of the rows that vanished in the gap, if there is one and its snapshot is complete; then the gap is over. Returns once
/// Kafka holds all of it. The stream must stand still.
///
/// Errors: what ended the reading or the producer. What was told of until then counts.
pub(crate) async fn tell(
    settings: &Settings,
    gatherer: &mut Gatherer,
    sink: &mut Sink,
    status: &StatusReporter,
) -> Result<(), ConnectorError> {
    let position = gatherer.position();
    let Some(gap) = position.gap.clone() else { return Ok(()) };
    if position.snapshot != SnapshotProgress::Completed {
        return Ok(());
    }
    let started = Instant::now();
    let mut rows = 0;
    if settings.encoder.skipped_operations.delete {
        info!(connector.name = %settings.name, "does not tell of rows that vanished in the gap: skipped.operations leaves deletes out");
    } else {
        let tables = tables(&gap, settings, gatherer, status).await?;
        let tables_total = tables.len();
        let progress = SnapshotStatus { tables_total, ..SnapshotStatus::default() };
        status.state(State::Snapshotting(progress));
        info!(connector.name = %settings.name, tables = tables_total, "looks for rows that vanished in the gap, in the topics of {tables_total} tables");
        let xid = snapshot::xmax(gatherer.tables().control()).await?;
        let mut teller = Teller { settings, gatherer, sink, status, xid, rows: 0 };
        for topic in &gap.topics {
            let of_topic: Vec<&CapturedTable> =
                tables.iter().filter(|table| table.topic.name() == topic.name).collect();
            match teller.topic(topic, &of_topic).await {
                Err(ConnectorError::Kafka(refused)) if is_of_reading(&refused) => {
                    status.notice(unreadable(&topic.name, &refused));
                }
                told => told?,
            }
        }
        rows = teller.rows;
    }
    gatherer.position_mut().gap = None;
    commit(gatherer, sink, status).await?;
    info!(connector.name = %settings.name, rows, "told of {rows} rows that vanished in the gap, which took {:.1?}", started.elapsed());
    Ok(())
}

/// The tables whose rows can be told of; of the others it says why they cannot.
async fn tables(
    gap: &Gap,
    settings: &Settings,
    gatherer: &mut Gatherer,
    status: &StatusReporter,
) -> Result<Vec<CapturedTable>, ConnectorError> {
    let all = catalog::list_tables(gatherer.tables().control()).await?;
    let captured = captured::select(all, settings);
    let mut tables = Vec::new();
    for topic in &gap.topics {
        for table in &topic.tables {
            let summary = captured
                .iter()
                .find(|found| (&found.schema, &found.name) == (&table.schema, &table.name));
            let doubt = match doubt(settings, &table.schema, &table.name) {
                None if !table.read_whole => Doubt::Before,
                None => match compile(summary, table, topic, gatherer).await? {
                    Ok(table) => {
                        tables.push(table);
                        continue;
                    }
                    Err(doubt) => doubt,
                },
                Some(doubt) => doubt,
            };
            status.notice(not_told(&format!("{}.{}", table.schema, table.name), doubt));
        }
    }
    Ok(tables)
}

/// The table as it is now, if the snapshot has seen all of it, and its records go to this topic and have keys.
async fn compile(
    summary: Option<&TableSummary>,
    then: &GapTable,
    topic: &GapTopic,
    gatherer: &mut Gatherer,
) -> Result<Result<CapturedTable, Doubt>, ConnectorError> {
    let Some(summary) = summary else { return Ok(Err(Doubt::Gone)) };
    let control = gatherer.tables().control();
    let Some(description) = catalog::describe_table(control, summary.oid).await? else {
        return Ok(Err(Doubt::Gone));
    };
    if description.columns.is_empty() {
        return Ok(Err(Doubt::NoKey));
    }
    if files(control, summary.oid).await? != then.files {
        return Ok(Err(Doubt::Rewritten));
    }
    // What the table was where the stream goes on is kept already, by the snapshot.
    let table = gatherer.tables().compile_chunk(&description).await?;
    Ok(if table.topic.name() != topic.name {
        Err(Doubt::Gone)
    } else if table.plan.table().key.is_empty() {
        Err(Doubt::NoKey)
    } else {
        Ok(table)
    })
}

/// Whether the role may not read: a connector that only writes needs no more than that.
fn is_of_reading(refused: &KafkaError) -> bool {
    matches!(refused, KafkaError::NotAuthorized { api: "Fetch" | "ListOffsets", .. })
}

fn unreadable(topic: &str, refused: &KafkaError) -> Notice {
    Notice {
        code: "NT007",
        subject: topic.to_owned(),
        text: format!(
            "[NT007] rows that vanished in the gap stay in {topic}, which cannot be read: {refused}"
        ),
    }
}

fn not_told(table: &str, doubt: Doubt) -> Notice {
    Notice {
        code: "NT007",
        subject: table.to_owned(),
        text: format!(
            "[NT007] rows of {table} that vanished in the gap stay in its topic: {doubt}\n  fix: compare the topic with the table, and write what is missing, or have consumers load the table anew"
        ),
    }
}
