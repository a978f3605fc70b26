//! Where a take-over goes on, and as what: the position it writes before it touches the source.
//!
//! In: the checkpoint, the source as it was found. Out: a position that bears our name; whether a slot is made for it.
//! A gap is told here, and either ends the start or is closed by a new snapshot.

use postgres::catalog::{TableKind, TableSummary};
use postgres::publication::{self, PublicationTables};
use postgres::{TableName, quote_identifier};
use tracing::warn;

use super::{Fenced, Source};
use crate::captured;
use crate::continuation::{Start, Wanted, judge, start_over};
use crate::error::ConnectorError;
use crate::history::log::History;
use crate::position::{Gap, Position, SnapshotProgress};
use crate::settings::{Autocreate, GapPolicy, Settings, SnapshotMode};

/// The position to start from, and whether the slot is made for it, dropping another or not.
pub(super) async fn claim(
    settings: &Settings,
    instance: &str,
    claimed: bool,
    fenced: &mut Fenced,
    source: &Source,
    checkpoint: Option<Position>,
) -> Result<(Position, Option<bool>), ConnectorError> {
    let mut origin = source.origin(settings, instance);
    // Whatever becomes of the log: a signal is heeded once.
    if let Some(checkpoint) = &checkpoint {
        origin.requests.heeded = checkpoint.requests.heeded.clone();
    }
    let rows_are_out = checkpoint.as_ref().is_some_and(Position::has_sent_rows);
    let start = decide(settings, checkpoint, source, fenced, &origin).await?;
    Ok(match start {
        Start::Afresh { drop_slot } => {
            // What tables were in a log that is gone tells nothing about this one.
            fenced.history = fenced.log.history(settings);
            // Rows may have vanished since they were sent. The snapshot has not begun, so its records lie behind what is there.
            let gap = if rows_are_out && settings.snapshot.mode.reads_tables() {
                let Source { control, captured, .. } = source;
                Some(Gap::begin(&fenced.client, control, settings, captured).await?)
            } else {
                None
            };
            (Position { gap, ..origin }, Some(drop_slot))
        }
        Start::Adopt { from } => {
            let snapshot = SnapshotProgress::Completed;
            (Position { end_lsn: from, snapshot, ..origin }, None)
        }
        Start::Continue(position) => {
            let Position { instance, stream_options, .. } = origin;
            let first = !claimed && settings.snapshot.mode == SnapshotMode::Always;
            let gap = position.gap.clone().map(|gap| gap.narrowed(settings));
            let position = Position { instance, stream_options, gap, ..*position };
            let again = Position {
                snapshot: SnapshotProgress::Running,
                snapshot_began: None,
                ..position.clone()
            };
            (if first { again } else { position }, None)
        }
    })
}

/// How to start; a gap is told, and either ends the start or is closed by a new snapshot.
async fn decide(
    settings: &Settings,
    checkpoint: Option<Position>,
    source: &Source,
    fenced: &Fenced,
    origin: &Position,
) -> Result<Start, ConnectorError> {
    let wanted = Wanted {
        connector: settings.name.as_str(),
        slot: settings.slot.name.as_str(),
        snapshot: settings.snapshot.mode.reads_tables(),
        stream_options: &origin.stream_options,
    };
    let slot = source.slot.as_ref();
    let judged = match judge(wanted, checkpoint, slot, &source.server) {
        Ok(Start::Continue(position)) => {
            let whole = publication_is_whole(settings, source, &fenced.history, &position).await;
            whole.map(|()| Start::Continue(position))
        }
        judged => judged,
    };
    match (judged, settings.gap_policy) {
        (Err(gap), GapPolicy::Resnapshot) => {
            let Some(start) = start_over(&gap, slot) else { return Err(gap) };
            let told = gap.to_string();
            let what = told.lines().next().unwrap_or_default();
            warn!(connector.name = %settings.name, code = gap.code(), "makes the slot anew and reads the tables again, as the settings say: {what}");
            Ok(start)
        }
        (judged, _) => judged,
    }
}

/// Whether the publication still holds every table that was captured before. What it does not hold, PostgreSQL does not send, and
/// a publication that is mended by us would hide that.
///
/// A publication that somebody else keeps is theirs to change.
async fn publication_is_whole(
    settings: &Settings,
    source: &Source,
    history: &History,
    position: &Position,
) -> Result<(), ConnectorError> {
    if matches!(settings.publication.mode, Autocreate::Disabled | Autocreate::NoTables)
        || position.snapshot != SnapshotProgress::Completed
    {
        return Ok(());
    }
    let name = &settings.publication.name;
    let found = publication::read(&source.control, name).await?;
    let published = found.as_ref().map_or(&[][..], |found| &found.published_tables);
    // A partition may be published under another name.
    let known = |table: &&TableSummary| {
        table.kind == TableKind::Ordinary && history.get(table.oid).is_some()
    };
    let lacking: Vec<TableName> = source
        .captured
        .iter()
        .filter(known)
        .map(TableSummary::table_name)
        .filter(|table| !published.contains(table))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let tables = lacking.iter().map(TableName::to_string).collect::<Vec<_>>().join(", ");
    let statement = if found.is_some() {
        let quoted: Vec<String> = lacking.iter().map(TableName::quoted).collect();
        format!("ALTER PUBLICATION {} ADD TABLE {};", quote_identifier(name), quoted.join(", "))
    } else {
        let tables = PublicationTables::Exactly(lacking.into_iter().map(Into::into).collect());
        let (operations, via_root) =
            (captured::operations(settings), settings.publication.via_partition_root);
        publication::create_statement(name, &tables, operations, via_root)
    };
    let (publication, checkpoint) = (name.clone(), position.end_lsn);
    Err(ConnectorError::Unpublished { publication, tables, statement, checkpoint })
}
