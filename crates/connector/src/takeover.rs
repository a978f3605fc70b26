//! Taking over a connector, in the one order that is right.
//!
//! 1. `Producer::init` fences whoever wrote before us and ends its open transaction, on all partitions.
//! 2. The checkpoint is read to its end, committed records only. Read earlier, it could still move: the classic mistake.
//! 3. The slot is looked at and compared with the checkpoint ([`continuation`](crate::continuation)).
//! 4. A stale walsender of ours is ended; a slot has one reader.
//! 5. The caller streams from the checkpoint and skips what of a half-sent transaction is in Kafka.
//!
//! In: settings. Out: [`Taken`]. Never: a record before step 1 is done, a read of the source before step 2.
//! Source: KIP-98, KIP-618.

mod claim;
mod fence;

use std::sync::Arc;
use std::time::Duration;

use envelope::EncoderSettings;
use failpoint::{Point, pass};
use kafka::{Client, Producer};
use pgoutput::Lsn;
use postgres::catalog::{self, TableSummary};
use postgres::slot::{self, SlotState};
use postgres::{Connection, CreateSlot, ReplicationConnection, SnapshotAction};
use tracing::{info, warn};

use self::fence::{Fenced, fence};
use crate::added;
use crate::captured;
use crate::checkpoint::CheckpointLog;
use crate::continuation::Server;
use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::oversized::RecordLimits;
use crate::position::{Position, Requests, SnapshotProgress};
use crate::provision;
use crate::schemas::Schemas;
use crate::settings::{EnumLabels, Settings};
use crate::snapshot::{Done, Purpose, SnapshotPlan, SnapshotTable};
use crate::spans::{self, within};
use crate::tables::Tables;
use crate::topics::Topics;
use crate::walsender;

/// A successor that fences has written its name after this time, unless its source is away; then it is asked again who is first.
const SUCCESSOR_CLAIMS_WITHIN: Duration = Duration::from_secs(2);

/// How long a run that was fenced looks for a successor.
const FENCED_LOOK_MAX: Duration = Duration::from_secs(10);

/// A connector that is ours alone, ready to run.
pub(crate) struct Taken {
    /// Whoever wrote before us is fenced.
    pub(crate) producer: Producer,
    /// Where our checkpoints go.
    pub(crate) log: CheckpointLog,
    /// Stands at the position to go on from.
    pub(crate) gatherer: Gatherer,
    /// The session that will stream; it holds the exported snapshot as long as it does nothing.
    pub(crate) replication: ReplicationConnection,
    /// `confirmed_flush_lsn` of the slot.
    pub(crate) acknowledged: Lsn,
    /// Set when the tables are to be read first.
    pub(crate) snapshot: Option<SnapshotPlan>,
    /// What is done of it, or of another that was asked for.
    pub(crate) done: Done,
}

/// Takes over.
///
/// `claimed` says whether this run held the connector before: then a checkpoint of another run means that it was taken
/// over from, and it leaves instead of taking over in turn.
pub(crate) async fn take_over(
    settings: &Arc<Settings>,
    instance: &str,
    claimed: &mut bool,
) -> Result<Taken, ConnectorError> {
    let taken = Box::pin(each_step(settings, instance, claimed));
    within(spans::take_over(settings), taken).await
}

async fn each_step(
    settings: &Arc<Settings>,
    instance: &str,
    claimed: &mut bool,
) -> Result<Taken, ConnectorError> {
    let (mut fenced, checkpoint) = fence(settings, instance, *claimed).await?;
    pass(Point::AfterCheckpointRead).await?;
    let read = checkpoint.clone();
    let look = Source::look(settings, checkpoint.as_ref());
    let mut source = within(spans::step("look at the source"), look).await?;
    let decided = claim::claim(settings, instance, *claimed, &mut fenced, &source, checkpoint);
    let (mut claim, afresh) = match decided.await {
        Ok(claim) => claim,
        Err(gap) => return Err(fenced.overtaken(settings, read.as_ref()).await.unwrap_or(gap)),
    };
    if afresh.is_none() {
        let (control, captured, history) = (&source.control, &source.captured, &fenced.history);
        fenced.left_out =
            added::heed_lists(control, settings, captured, history, &mut claim).await?;
    }
    // Whoever is taken over from finds our name in the checkpoint before its walsender ends.
    fenced.write_checkpoint(&claim).await?;
    *claimed = true;
    pass(Point::AfterClaim).await?;
    within(spans::step("end a stale walsender"), source.free(settings)).await?;
    provision::replica_identities(&source.control, settings, &source.captured).await?;
    provision::publication(&source.control, settings, &source.captured).await?;
    let reads = afresh.is_some() && settings.snapshot.mode.reads_tables();
    if reads || claim.snapshot == SnapshotProgress::Running {
        tokio::time::sleep(settings.snapshot.delay).await;
    }
    let (position, snapshot) = match afresh {
        None if claim.snapshot == SnapshotProgress::Running => {
            let plan = read_on(settings, &source).await?;
            (claim, Some(plan))
        }
        None => (claim, None),
        Some(drop_slot) => {
            let begun = Box::pin(begin(settings, &mut fenced, &mut source, claim, drop_slot));
            within(spans::step("make the slot"), begun).await?
        }
    };
    let first_labels = match settings.enum_labels {
        EnumLabels::FirstSeen => Some(catalog::enum_labels(&source.control).await?),
        EnumLabels::Current => None,
    };
    let mut taken = assemble(settings, fenced, source, position, snapshot).await?;
    if let Some(labels) = first_labels {
        taken.gatherer.tables().keep_first_labels(labels);
    }
    Ok(taken)
}

/// Whether the connector is still this run's although a broker says that it is fenced: a successor writes its name into the checkpoint,
/// whereas a broker that took us for dead, or an administrator who ended our transaction, does not.
///
/// A look that fails, or finds no end because a transaction of this connector is open, decides nothing: `false` for the latter, since
/// ours is over.
pub(crate) async fn is_still_ours(
    settings: &Settings,
    instance: &str,
) -> Result<bool, ConnectorError> {
    tokio::time::sleep(SUCCESSOR_CLAIMS_WITHIN).await;
    let client = Client::connect(settings.store.clone()).await?;
    let log = CheckpointLog::open(&client, settings).await?;
    let look = tokio::time::timeout(FENCED_LOOK_MAX, log.read(&client)).await;
    let Ok(newest) = look else { return Ok(false) };
    Ok(newest?.is_some_and(|newest| newest.instance == instance))
}

/// Puts the parts together for the pipeline.
async fn assemble(
    settings: &Arc<Settings>,
    fenced: Fenced,
    source: Source,
    position: Position,
    snapshot: Option<SnapshotPlan>,
) -> Result<Taken, ConnectorError> {
    let Fenced { client, producer, log, history, done, .. } = fenced;
    let Source { server, control, read_at, replication, slot, .. } = source;
    let made_now = snapshot.as_ref().is_some_and(|plan| plan.exporter.is_none());
    let acknowledged = match slot.and_then(|slot| slot.confirmed_flush_lsn) {
        Some(confirmed_flush) if !made_now => confirmed_flush.min(position.end_lsn),
        _ => position.end_lsn,
    };
    let encoder = EncoderSettings { database: server.database, ..settings.encoder.clone() };
    let encoder = Arc::new(encoder);
    let mut topics = Topics::new(client, settings.topic_creation.clone());
    let whole_records = match &settings.oversized.topic {
        Some(name) => Some(topics.ensure(name).await?),
        None => None,
    };
    let limits = RecordLimits::new(settings, whole_records);
    let schemas = Schemas::new(&settings.schemas)?;
    let names = (topics, schemas);
    let mut tables = Tables::new(settings, Arc::clone(&encoder), control, names, history);
    tables.session_begins(read_at);
    let gatherer = Gatherer::new(settings, &encoder, tables, limits, position)?;
    Ok(Taken { producer, log, gatherer, replication, acknowledged, snapshot, done })
}

/// Makes the slot, and plans the snapshot if one is wanted. A checkpoint that says so was written first: a slot that is
/// found without one is not ours to drop.
async fn begin(
    settings: &Settings,
    fenced: &mut Fenced,
    source: &mut Source,
    origin: Position,
    drop_slot: bool,
) -> Result<(Position, Option<SnapshotPlan>), ConnectorError> {
    let slot = &settings.slot.name;
    if drop_slot {
        source.replication.drop_slot(slot, true).await?;
        info!(connector.name = %settings.name, slot.name = %slot, "dropped slot `{slot}`, from which nothing goes on");
    }
    // Whether a row vanished in a gap can only be told while nothing else is written.
    let concurrent = settings.snapshot.concurrent && origin.gap.is_none();
    let reads_tables = settings.snapshot.mode.reads_tables() && !concurrent;
    let options = CreateSlot {
        snapshot: if reads_tables { SnapshotAction::Export } else { SnapshotAction::NoExport },
        temporary: false,
        failover: settings.slot.failover,
    };
    let created = source.replication.create_slot(slot, options).await?;
    let end_lsn = created.consistent_point;
    info!(connector.name = %settings.name, slot.name = %slot, "created slot `{slot}` at {end_lsn}");
    pass(Point::AfterSlotMade).await?;
    if let Some(exported) = created.snapshot_name {
        let tables = SnapshotTable::initial(&source.captured, settings);
        let purpose = Purpose::Initial;
        let plan = SnapshotPlan { tables, exported, joins_at: end_lsn, exporter: None, purpose };
        return Ok((
            Position { end_lsn, snapshot: SnapshotProgress::Running, ..origin },
            Some(plan),
        ));
    }
    let mut position = Position { end_lsn, snapshot: SnapshotProgress::Completed, ..origin };
    if concurrent {
        added::request_all(settings, &source.captured, &mut position.requests);
    }
    fenced.write_first_checkpoint(&position, source).await?;
    Ok((position, None))
}

/// Plans a snapshot beside the slot: for the rest of one that did not come to its end, or because every start has one.
async fn read_on(settings: &Settings, source: &Source) -> Result<SnapshotPlan, ConnectorError> {
    let tables = SnapshotTable::initial(&source.captured, settings);
    let plan = SnapshotPlan::export(tables, Purpose::Initial, settings).await?;
    info!(connector.name = %settings.name, "reads tables at {}, after what the slot has up to there", plan.joins_at);
    Ok(plan)
}

/// The PostgreSQL side, as it was found.
struct Source {
    control: Connection,
    /// How far the log had come before the session that streams was opened.
    read_at: Lsn,
    replication: ReplicationConnection,
    server: Server,
    captured: Vec<TableSummary>,
    slot: Option<SlotState>,
}

impl Source {
    async fn look(
        settings: &Settings,
        checkpoint: Option<&Position>,
    ) -> Result<Self, ConnectorError> {
        let control = postgres::connect(&settings.source).await?;
        let read_at = catalog::horizon(&control, &settings.slot.name).await?.read_at;
        let mut replication = ReplicationConnection::connect(&settings.source).await?;
        let identity = replication.identify_system().await?;
        let switches = match replication.timeline_history(identity.timeline).await {
            // On the timeline of the checkpoint it is one safety more, and servers may have lost it.
            Err(error) if checkpoint.is_none_or(|it| it.timeline == identity.timeline) => {
                warn!(connector.name = %settings.name, "where timeline {} began is not known: {error}", identity.timeline);
                Vec::new()
            }
            switches => switches?,
        };
        let is_standby =
            control.is_true("tell whether it is a standby", "SELECT pg_is_in_recovery()").await?;
        let server = Server {
            system_id: identity.system_id,
            timeline: identity.timeline,
            flushed: (!is_standby).then_some(identity.flushed),
            database: identity.database,
            switches,
        };
        let captured = captured::select(catalog::list_tables(&control).await?, settings);
        if captured.is_empty() {
            warn!(connector.name = %settings.name, "no table matches the include and exclude lists: nothing will be captured");
        }
        provision::guard(settings, captured.len())?;
        provision::look_for_shared_topics(settings, &captured);
        let slot = slot::read(&control, &settings.slot.name).await?;
        Ok(Self { control, read_at, replication, server, captured, slot })
    }

    /// The position of a connector that has sent nothing yet.
    fn origin(&self, settings: &Settings, instance: &str) -> Position {
        Position {
            system_id: self.server.system_id.clone(),
            timeline: self.server.timeline,
            timeline_began: self.server.began(self.server.timeline),
            slot: settings.slot.name.to_string(),
            instance: instance.to_owned(),
            end_lsn: Lsn::ZERO,
            last_commit_lsn: None,
            half_sent: None,
            snapshot: SnapshotProgress::Pending,
            snapshot_began: None,
            stream_options: settings.stream_options_fingerprint(),
            requests: Requests::default(),
            gap: None,
        }
    }

    /// Step 4: ends a walsender of our own that still holds the slot.
    async fn free(&self, settings: &Settings) -> Result<(), ConnectorError> {
        match &self.slot {
            Some(slot) => walsender::free(&self.control, slot, settings).await,
            None => Ok(()),
        }
    }
}
