//! Taking over a connector, in the one order that is right.
//!
//! 1. `Producer::init` fences whoever wrote before us and ends its open transaction.
//! 2. The checkpoint is read to its end, committed records only. Read earlier, it could still move: the classic mistake.
//! 3. The slot is looked at and compared with the checkpoint ([`continuation`](crate::continuation)).
//! 4. A stale walsender of ours is ended; a slot has one reader.
//! 5. The caller streams from the checkpoint and skips what of a half-sent transaction is in Kafka.
//!
//! In: settings. Out: [`Taken`]. Never: a record before step 1 is done, a read of the source before step 2.
//! Source: KIP-98, KIP-618.

use std::sync::Arc;
use std::time::Duration;

use envelope::EncoderSettings;
use kafka::{Client, Producer, Transaction};
use pgoutput::Lsn;
use postgres::catalog::{self, TableSummary};
use postgres::slot::{self, SlotState};
use postgres::{Connection, CreateSlot, ReplicationConnection, SnapshotAction};
use tracing::{info, warn};

use crate::captured;
use crate::checkpoint::CheckpointLog;
use crate::continuation::{Server, Start, Wanted, judge, start_over};
use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::history::Version;
use crate::history::log::History;
use crate::position::{Position, Requests, SnapshotProgress};
use crate::provision;
use crate::settings::{EnumLabels, GapPolicy, Settings, SnapshotMode};
use crate::snapshot::{Purpose, SnapshotPlan, SnapshotTable};
use crate::tables::Tables;
use crate::topics::Topics;

/// How long a run that comes back looks for a successor before it fences.
const SUCCESSOR_LOOK_MAX: Duration = Duration::from_millis(300);

/// How long a walsender may take to let go of the slot.
const WALSENDER_END_MAX: Duration = Duration::from_secs(5);

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
    let (mut fenced, checkpoint) = fence(settings, instance, *claimed).await?;
    let mut source = Source::look(settings, checkpoint.as_ref()).await?;
    let origin = source.origin(settings, instance);
    let (claim, afresh) = match decide(settings, checkpoint, &source, &origin)? {
        Start::Afresh { drop_slot } => {
            // What tables were in a log that is gone tells nothing about this one.
            fenced.history = fenced.log.history(settings);
            (origin, Some(drop_slot))
        }
        Start::Adopt { from } => {
            let snapshot = SnapshotProgress::Completed;
            (Position { end_lsn: from, snapshot, ..origin }, None)
        }
        Start::Continue(position) => {
            let Position { instance, stream_options, .. } = origin;
            let first = !*claimed && settings.snapshot.mode == SnapshotMode::Always;
            let snapshot = if first { SnapshotProgress::Running } else { position.snapshot };
            (Position { instance, snapshot, stream_options, ..*position }, None)
        }
    };
    // Whoever is taken over from finds our name in the checkpoint before its walsender ends.
    fenced.write_checkpoint(&claim).await?;
    *claimed = true;
    source.free(settings).await?;
    provision::replica_identities(&source.control, settings, &source.captured).await?;
    provision::publication(&source.control, settings, &source.captured).await?;
    let (position, snapshot) = match afresh {
        None if claim.snapshot == SnapshotProgress::Running => {
            let plan = read_again(settings, &source).await?;
            (claim, Some(plan))
        }
        None => (claim, None),
        Some(drop_slot) => begin(settings, &mut fenced, &mut source, claim, drop_slot).await?,
    };
    let first_labels = match settings.enum_labels {
        EnumLabels::FirstSeen => Some(catalog::enum_labels(&source.control).await?),
        EnumLabels::Current => None,
    };
    let mut taken = assemble(settings, fenced, source, position, snapshot);
    if let Some(labels) = first_labels {
        taken.gatherer.tables().keep_first_labels(labels);
    }
    Ok(taken)
}

/// How to start; a gap is told, and either ends the start or is closed by a new snapshot.
fn decide(
    settings: &Settings,
    checkpoint: Option<Position>,
    source: &Source,
    origin: &Position,
) -> Result<Start, ConnectorError> {
    let wanted = Wanted {
        connector: settings.name.as_str(),
        slot: settings.slot.name.as_str(),
        snapshot: settings.snapshot.mode.reads_tables(),
        stream_options: &origin.stream_options,
    };
    let slot = source.slot.as_ref();
    let judged = judge(wanted, checkpoint, slot, &source.server);
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

/// Steps 1 and 2: whoever wrote before us is fenced, and then the checkpoint is read.
async fn fence(
    settings: &Settings,
    instance: &str,
    claimed: bool,
) -> Result<(Fenced, Option<Position>), ConnectorError> {
    let client = Client::connect(settings.store.clone()).await?;
    let log = CheckpointLog::open(&client, settings).await?;
    if claimed {
        // A look that decides nothing but who leaves. It waits for open transactions, and the open one is most often our
        // own, which only fencing ends; a successor has ended it already.
        let look = tokio::time::timeout(SUCCESSOR_LOOK_MAX, log.read(&client)).await;
        if let Ok(newest) = look
            && newest?.is_some_and(|newest| newest.instance != instance)
        {
            return Err(ConnectorError::Superseded { connector: settings.name.to_string() });
        }
    }
    let producer = Producer::init(&client, settings.producer.clone()).await?;
    let checkpoint = log.read(&client).await?;
    let mut history = log.history(settings);
    let had_begun = |checkpoint: &Position| checkpoint.snapshot != SnapshotProgress::Pending;
    if checkpoint.as_ref().is_some_and(had_begun) {
        history.load(&client).await?;
    }
    Ok((Fenced { client, producer, log, history }, checkpoint))
}

/// Puts the parts together for the pipeline.
fn assemble(
    settings: &Arc<Settings>,
    fenced: Fenced,
    source: Source,
    position: Position,
    snapshot: Option<SnapshotPlan>,
) -> Taken {
    let Fenced { client, producer, log, history } = fenced;
    let Source { server, control, read_at, replication, slot, .. } = source;
    let made_now = snapshot.as_ref().is_some_and(|plan| plan.exporter.is_none());
    let acknowledged = match slot.and_then(|slot| slot.confirmed_flush_lsn) {
        Some(confirmed_flush) if !made_now => confirmed_flush.min(position.end_lsn),
        _ => position.end_lsn,
    };
    let encoder = EncoderSettings { database: server.database, ..settings.encoder.clone() };
    let encoder = Arc::new(encoder);
    let topics = Topics::new(client, settings.topic_creation.clone());
    let mut tables = Tables::new(settings, Arc::clone(&encoder), control, topics, history);
    tables.session_begins(read_at);
    let gatherer = Gatherer::new(settings, &encoder, tables, position);
    Taken { producer, log, gatherer, replication, acknowledged, snapshot }
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
    let reads_tables = settings.snapshot.mode.reads_tables();
    let options = CreateSlot {
        snapshot: if reads_tables { SnapshotAction::Export } else { SnapshotAction::NoExport },
        temporary: false,
        failover: settings.slot.failover,
    };
    let created = source.replication.create_slot(slot, options).await?;
    let end_lsn = created.consistent_point;
    info!(connector.name = %settings.name, slot.name = %slot, "created slot `{slot}` at {end_lsn}");
    if let Some(exported) = created.snapshot_name {
        let tables = SnapshotTable::initial(&source.captured, settings);
        let purpose = Purpose::Initial;
        let plan = SnapshotPlan { tables, exported, joins_at: end_lsn, exporter: None, purpose };
        return Ok((
            Position { end_lsn, snapshot: SnapshotProgress::Running, ..origin },
            Some(plan),
        ));
    }
    let position = Position { end_lsn, snapshot: SnapshotProgress::Completed, ..origin };
    fenced.write_first_checkpoint(&position, source).await?;
    Ok((position, None))
}

/// Plans a snapshot beside the slot: after one that did not come to its end, or because every start has one.
async fn read_again(settings: &Settings, source: &Source) -> Result<SnapshotPlan, ConnectorError> {
    let tables = SnapshotTable::initial(&source.captured, settings);
    let plan = SnapshotPlan::export(tables, Purpose::Initial, settings).await?;
    info!(connector.name = %settings.name, "reads the tables again at {}, after what the slot has up to there", plan.joins_at);
    Ok(plan)
}

/// The Kafka side, ours alone.
struct Fenced {
    client: Client,
    producer: Producer,
    log: CheckpointLog,
    history: History,
}

impl Fenced {
    async fn write_checkpoint(&mut self, position: &Position) -> Result<(), ConnectorError> {
        let mut transaction = Transaction::new(self.producer.settings().batch_bytes_max);
        self.log.append(&mut transaction, position);
        self.producer.commit(transaction).await?;
        Ok(())
    }

    /// The checkpoint of a slot that was just made, together with what the captured tables are at this moment.
    async fn write_first_checkpoint(
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
        let switches = match checkpoint {
            Some(checkpoint) if checkpoint.timeline != identity.timeline => {
                replication.timeline_history(identity.timeline).await?
            }
            _ => Vec::new(),
        };
        let server = Server {
            system_id: identity.system_id,
            timeline: identity.timeline,
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
            slot: settings.slot.name.to_string(),
            instance: instance.to_owned(),
            end_lsn: Lsn::ZERO,
            last_commit_lsn: None,
            half_sent: None,
            snapshot: SnapshotProgress::Pending,
            stream_options: settings.stream_options_fingerprint(),
            requests: Requests::default(),
        }
    }

    /// Step 4: ends a walsender of our own that still holds the slot.
    async fn free(&self, settings: &Settings) -> Result<(), ConnectorError> {
        let Some(slot) = &self.slot else { return Ok(()) };
        let Some(pid) = slot.active_pid else { return Ok(()) };
        let application = settings.source.application_name();
        if slot::end_stale_walsender(&self.control, slot, application).await? {
            info!(connector.name = %settings.name, slot.name = %slot.name, pid, "ended process {pid}, a walsender an earlier run left behind");
        }
        slot::wait_until_inactive(&self.control, &slot.name, WALSENDER_END_MAX).await?;
        Ok(())
    }
}
