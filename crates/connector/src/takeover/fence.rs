//! Steps 1 and 2 of a take-over: nobody else writes, and then it is read how far they came.
//!
//! In: settings. Out: [`Fenced`], the Kafka side that is ours alone, and the checkpoint. Never: a checkpoint that can still move.

use std::time::Duration;

use failpoint::{Check, Point, pass};
use kafka::{Client, Producer, Transaction};
use pgoutput::Oid;
use postgres::catalog;

use super::Source;
use crate::checkpoint::CheckpointLog;
use crate::error::ConnectorError;
use crate::history::Version;
use crate::history::log::History;
use crate::position::{Position, SnapshotProgress};
use crate::settings::Settings;
use crate::snapshot::Done;
use crate::spans::{self, within};

/// How long a run that comes back looks for a successor before it fences.
const SUCCESSOR_LOOK_MAX: Duration = Duration::from_millis(300);

/// The Kafka side, ours alone.
pub(super) struct Fenced {
    pub(super) client: Client,
    pub(super) producer: Producer,
    pub(super) log: CheckpointLog,
    pub(super) history: History,
    /// Tables whose history ends with the next checkpoint.
    pub(super) left_out: Vec<Oid>,
    pub(super) done: Done,
}

impl Fenced {
    /// Whether somebody else has taken over since the checkpoint was read: then the slot was not compared with what is true, and a gap
    /// between the two is none.
    pub(super) async fn overtaken(
        &self,
        settings: &Settings,
        read: Option<&Position>,
    ) -> Option<ConnectorError> {
        let newest = self.log.read(&self.client).await.ok()?;
        let connector = settings.name.to_string();
        (newest.as_ref() != read).then_some(ConnectorError::Superseded { connector })
    }

    pub(super) async fn write_checkpoint(
        &mut self,
        position: &Position,
    ) -> Result<(), ConnectorError> {
        let mut transaction = Transaction::new(self.producer.settings().batch_bytes_max);
        for table in std::mem::take(&mut self.left_out) {
            self.history.forget(table, &mut transaction);
        }
        self.log.append(&mut transaction, position);
        self.producer.commit(transaction).await?;
        Ok(())
    }

    /// The checkpoint of a slot that was just made, together with what the captured tables are at this moment.
    pub(super) async fn write_first_checkpoint(
        &mut self,
        position: &Position,
        source: &Source,
    ) -> Result<(), ConnectorError> {
        let mut transaction = Transaction::new(self.producer.settings().batch_bytes_max);
        for table in &source.captured {
            if let Some(now) = catalog::describe_table(&source.control, table.oid).await? {
                self.history.keep(table.oid, Version::of(&now), &mut transaction)?;
            }
        }
        self.log.append(&mut transaction, position);
        self.producer.commit(transaction).await?;
        Ok(())
    }
}

/// Steps 1 and 2: whoever wrote before us is fenced, and then the checkpoint is read.
pub(super) async fn fence(
    settings: &Settings,
    instance: &str,
    claimed: bool,
) -> Result<(Fenced, Option<Position>), ConnectorError> {
    let client = Client::connect(settings.store.clone()).await?;
    let log = CheckpointLog::open(&client, settings).await?;
    if claimed {
        // A look that decides nothing but who leaves. It waits for an open transaction of this connector, which most often is our
        // own and only ends by fencing; a successor has ended it already.
        let look = tokio::time::timeout(SUCCESSOR_LOOK_MAX, log.read(&client)).await;
        if let Ok(newest) = look
            && newest?.is_some_and(|newest| newest.instance != instance)
        {
            return Err(ConnectorError::Superseded { connector: settings.name.to_string() });
        }
    }
    let too_early =
        if failpoint::is_out(Check::FenceFirst) { Some(log.read(&client).await?) } else { None };
    pass(Point::BeforeFencing).await?;
    let producer = within(spans::step("fence"), log.producer(&client, settings)).await?;
    pass(Point::AfterFencing).await?;
    let checkpoint = match too_early {
        Some(checkpoint) => checkpoint,
        None => within(spans::step("read the checkpoint"), log.read(&client)).await?,
    };
    if claimed && checkpoint.as_ref().is_some_and(|newest| newest.instance != instance) {
        // The look before found no end, because a successor is busy. It takes over again when it sees that nobody replaced it.
        return Err(ConnectorError::Superseded { connector: settings.name.to_string() });
    }
    let mut history = log.history(settings);
    let had_begun = |checkpoint: &Position| checkpoint.snapshot != SnapshotProgress::Pending;
    if checkpoint.as_ref().is_some_and(had_begun) {
        history.load(&client).await?;
    }
    let mut done = log.snapshot_done(settings);
    if checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.snapshot_began.is_some()) {
        done.load(&client).await?;
    }
    let fenced = Fenced { client, producer, log, history, left_out: Vec::new(), done };
    Ok((fenced, checkpoint))
}
