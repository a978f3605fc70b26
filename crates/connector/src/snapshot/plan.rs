//! What a snapshot reads, and where it joins the stream.
//!
//! In: tables, and why they are read. Out: a [`SnapshotPlan`] whose exported snapshot is alive.
//! Source: PostgreSQL manual, `CREATE_REPLICATION_SLOT … EXPORT_SNAPSHOT`.

use std::cmp::Reverse;

use pgoutput::Lsn;
use postgres::catalog::TableSummary;
use postgres::{CreateSlot, PostgresError, ReplicationConnection, SlotName, SnapshotAction};

use crate::error::ConnectorError;
use crate::position::{Position, SnapshotProgress};
use crate::settings::{Settings, TableOrder};
use crate::walsender;

/// Tables to read, and the snapshot to read them in.
pub(crate) struct SnapshotPlan {
    /// Captured tables, in the order they are read.
    pub(crate) tables: Vec<SnapshotTable>,
    /// Name of the exported snapshot.
    pub(crate) exported: String,
    /// Exactly what committed before this position is in it: here the stream goes on.
    pub(crate) joins_at: Lsn,
    /// The session that exported it, if that is not the one that will stream. It must live until every reader has come.
    pub(crate) exporter: Option<ReplicationConnection>,
    /// Why it is taken.
    pub(crate) purpose: Purpose,
}

/// One table to read.
pub(crate) struct SnapshotTable {
    /// The table.
    pub(crate) summary: TableSummary,
    /// The statement whose rows stand for those of the table.
    pub(crate) select: Option<String>,
}

/// Why a snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is the connector's first.
    Initial,
    /// A signal asked for it: the first of the requests.
    Requested,
}

impl SnapshotTable {
    /// The captured tables that the settings have copied, each as they say.
    pub(crate) fn initial(captured: &[TableSummary], settings: &Settings) -> Vec<Self> {
        let settings = &settings.snapshot;
        let copied = captured.iter().filter(|table| settings.copies(&table.schema, &table.name));
        let mut copied: Vec<&TableSummary> = copied.collect();
        let rows = |table: &&TableSummary| table.estimated_rows.unwrap_or_default();
        match settings.order {
            TableOrder::ByName => {}
            TableOrder::FewestRowsFirst => copied.sort_by_key(rows),
            TableOrder::MostRowsFirst => copied.sort_by_key(|table| Reverse(rows(table))),
        }
        let tables = copied.into_iter().map(|table| Self {
            summary: table.clone(),
            select: settings.select_override(&table.schema, &table.name).map(str::to_owned),
        });
        tables.collect()
    }
}

impl SnapshotPlan {
    /// Exports a snapshot at the consistent point of a slot that lives as long as its session.
    pub(crate) async fn export(
        tables: Vec<SnapshotTable>,
        purpose: Purpose,
        settings: &Settings,
    ) -> Result<Self, ConnectorError> {
        let mut exporter = ReplicationConnection::connect(&settings.source).await?;
        let name = SlotName::new(format!("{:.50}_snapshot", settings.slot.name.as_str()))?;
        let options =
            CreateSlot { snapshot: SnapshotAction::Export, temporary: true, failover: false };
        let created = match exporter.create_slot(&name, options).await {
            // A copy that was overtaken may have stopped with its session open.
            Err(PostgresError::SlotExists { .. }) => {
                walsender::end_temporary(&name, settings).await?;
                exporter.create_slot(&name, options).await?
            }
            created => created?,
        };
        let Some(exported) = created.snapshot_name else {
            return Err(ConnectorError::StageEnded { stage: "snapshot export" });
        };
        let joins_at = created.consistent_point;
        Ok(Self { tables, exported, joins_at, exporter: Some(exporter), purpose })
    }
}

impl Purpose {
    /// Every row is in the Kafka transaction whose position this is, or in one before.
    pub(crate) fn fulfil(self, position: &mut Position) {
        position.snapshot_began = None;
        match self {
            Self::Initial => position.snapshot = SnapshotProgress::Completed,
            Self::Requested => {
                if !position.requests.blocking.is_empty() {
                    position.requests.blocking.remove(0);
                }
            }
        }
    }
}
