//! What can end a connector, and what its end means.

mod class;

use std::fmt::Display;
use std::io;

use envelope::EnvelopeError;
use kafka::KafkaError;
use pgoutput::{AssembleError, DecodeError, Lsn, StreamsError, Xid};
use postgres::identity::IdentityChoice;
use postgres::{PostgresError, TableName};
use registry::RegistryError;

/// What a failure asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It may be gone in a moment: take over again from the checkpoint, after a pause that grows.
    Transient,
    /// The same will happen again until somebody changes something: stop and say what.
    Definite,
    /// A newer instance of this connector owns the work: leave.
    Fenced,
}

/// Why a connector ended.
///
/// The variants whose text begins with "gap" mean that changes may be missing between what Kafka holds and what the
/// slot can still give. `START_REPLICATION` itself would go on in silence; a connector never does.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// PostgreSQL failed or refused.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// Kafka failed or refused.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// A schema has no id.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A change could not be encoded.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Bytes of the stream are not what the protocol says.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Messages of the stream came in an order the protocol does not have.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// Another run of this connector has taken over.
    #[error(
        "[CO001] another run of connector `{connector}` has taken over from this one\n  fix: none needed if that was wanted; otherwise make sure that only one process runs the connector"
    )]
    Superseded {
        /// The connector.
        connector: String,
    },
    /// An offset that was given from outside stands for no position.
    #[error("[CO031] the offset cannot be gone on from: {why}\n  fix: {fix}")]
    OffsetUnusable {
        /// What is wrong with it.
        why: String,
        /// What to do.
        fix: &'static str,
    },
    /// The checkpoint record is not one of ours.
    #[error(
        "[CO010] the checkpoint of this connector cannot be read: {reason}\n  fix: run the version of tributary that wrote it, or give the connector another name to start afresh"
    )]
    CheckpointUnreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// A slot of our name exists, but nothing says what was already sent from it.
    #[error(
        "[CO011] replication slot `{slot}` exists, but connector `{connector}` has no checkpoint: a snapshot taken now would not join its stream exactly\n  fix: `SELECT pg_drop_replication_slot('{slot}')` to start afresh, or set slot.name to another name, or snapshot.mode=no_data to stream from the slot's position without a snapshot"
    )]
    SlotWithoutCheckpoint {
        /// Its name.
        slot: String,
        /// The connector that has no checkpoint.
        connector: String,
    },
    /// The checkpoint needs a slot that is gone.
    #[error(
        "[CO012] gap: replication slot `{slot}` does not exist any more; changes after {checkpoint} may be lost\n  fix: give the connector another name and slot.name to start afresh with a snapshot"
    )]
    SlotMissing {
        /// Its name.
        slot: String,
        /// Where the connector would have to go on.
        checkpoint: Lsn,
    },
    /// The slot was moved or recreated behind our back.
    #[error(
        "[CO013] gap: replication slot `{slot}` is at {confirmed_flush}, past the checkpoint {checkpoint}: it was advanced or recreated by somebody else, the changes between are not in Kafka\n  fix: give the connector another name and slot.name to start afresh with a snapshot"
    )]
    SlotAhead {
        /// Its name.
        slot: String,
        /// `confirmed_flush_lsn` of the slot.
        confirmed_flush: Lsn,
        /// Where the connector would have to go on.
        checkpoint: Lsn,
    },
    /// The server removed WAL the slot still needed.
    #[error(
        "[CO014] gap: replication slot `{slot}` lost WAL it still needed (wal_status=lost); changes after {checkpoint} are gone\n  fix: drop the slot, raise max_slot_wal_keep_size, and give the connector another name to start afresh with a snapshot"
    )]
    SlotLost {
        /// Its name.
        slot: String,
        /// Where the connector would have to go on.
        checkpoint: Lsn,
    },
    /// The checkpoint was written for another PostgreSQL cluster.
    #[error(
        "[CO015] gap: the checkpoint belongs to PostgreSQL cluster {checkpoint}, this server is {server}: their log positions have nothing in common\n  fix: connect to the cluster the connector was made for, or give the connector another name to start afresh"
    )]
    OtherCluster {
        /// System identifier in the checkpoint.
        checkpoint: String,
        /// System identifier of the server.
        server: String,
    },
    /// A standby was promoted at a position before our checkpoint.
    #[error(
        "[CO016] gap: this server left timeline {timeline} at {switch}, before the checkpoint {checkpoint}: changes already in Kafka do not exist on it, and it reuses their positions\n  fix: compare the tables with their topics, then give the connector another name to start afresh with a snapshot"
    )]
    TimelineDiverged {
        /// Timeline of the checkpoint.
        timeline: u32,
        /// Where the server left it.
        switch: Lsn,
        /// Where the connector would have to go on.
        checkpoint: Lsn,
    },
    /// The server has not the log that was sent.
    #[error(
        "[CO029] gap: this server's log is on timeline {server_timeline} and ends at {flushed}; the checkpoint is {checkpoint} on timeline {timeline}, which is not in it: the server is an old primary that came back, or was restored from a copy, and it gives positions that were used before to other changes\n  fix: connect to the server the connector was on, or to one that comes from it; or compare the tables with their topics, then set snapshot.mode=when_needed or tributary.gap.policy=resnapshot"
    )]
    OtherLog {
        /// Timeline of the server.
        server_timeline: u32,
        /// Where its log ends, as text.
        flushed: String,
        /// Timeline of the checkpoint.
        timeline: u32,
        /// Where the connector would have to go on.
        checkpoint: Lsn,
    },
    /// The options of the stream changed while a transaction was half sent.
    #[error(
        "[CO017] transaction {xid} (commit {commit_lsn}) is half in Kafka, counted under other stream options (publication.name, slot.stream.params): under these the count would point elsewhere\n  fix: start once with the earlier options until the transaction is complete, then change them"
    )]
    OptionsChanged {
        /// Its transaction id.
        xid: Xid,
        /// Where it committed.
        commit_lsn: Lsn,
    },
    /// The stream does not continue with the transaction that was half sent.
    #[error(
        "[CO018] gap: transaction {xid} (commit {commit_lsn}) is half in Kafka, but the slot continues with the one that committed at {found}\n  fix: give the connector another name and slot.name to start afresh with a snapshot"
    )]
    HalfSentMissing {
        /// Its transaction id.
        xid: Xid,
        /// Where it committed.
        commit_lsn: Lsn,
        /// Commit position of the transaction that came instead.
        found: Lsn,
    },
    /// Captured tables were taken out of the publication while nobody looked.
    #[error(
        "[CO019] gap: publication `{publication}` does not hold {tables} any more, which this connector captured before: PostgreSQL leaves their changes out meanwhile, and those after {checkpoint} may be missing\n  fix: find out who changed the publication; then set snapshot.mode=when_needed or tributary.gap.policy=resnapshot, and the next start reads the tables again; or, if no row of them changed meanwhile, run {statement} and start again"
    )]
    Unpublished {
        /// The publication.
        publication: String,
        /// The tables it lacks, as text.
        tables: String,
        /// The statement that puts them back.
        statement: String,
        /// Where the connector would have to go on.
        checkpoint: Lsn,
    },
    /// The slot cannot give what we read.
    #[error(
        "[CO020] replication slot `{slot}` is of no use here: {reason}\n  fix: set slot.name to another name, or drop the slot"
    )]
    SlotUnusable {
        /// Its name.
        slot: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint names another slot than the settings.
    #[error(
        "[CO021] the checkpoint of this connector belongs to slot `{checkpoint}`, the settings say `{settings}`: the new slot does not have the changes since\n  fix: set slot.name back to `{checkpoint}`, or give the connector another name to start afresh"
    )]
    SlotRenamed {
        /// Slot in the checkpoint.
        checkpoint: String,
        /// Slot in the settings.
        settings: String,
    },
    /// One record is larger than Kafka takes.
    #[error(
        "[CO022] a record of topic `{topic}` at {position} is {record_bytes} bytes, more than the {limit_bytes} bytes that are taken; key: {key}\n  fix: raise producer.override.max.request.size here and max.message.bytes on the topic, or set tributary.oversized.policy to dead.letter, truncate or claim.check, or exclude the large column with column.exclude.list"
    )]
    RecordTooLarge {
        /// Its topic.
        topic: String,
        /// Its key, shortened.
        key: String,
        /// The change it was made from, or that it is of a snapshot.
        position: String,
        /// Its size.
        record_bytes: usize,
        /// The limit it exceeds.
        limit_bytes: usize,
    },
    /// A row of which no record can be made.
    #[error("{error}\n  where: a row of {table}, from {position}, key {key}")]
    Unencodable {
        /// `schema.table`.
        table: String,
        /// Its position in the log, or that it is of a snapshot.
        position: String,
        /// Names and values of its key columns.
        key: String,
        /// Why.
        error: Box<EnvelopeError>,
    },
    /// Two entries of one setting contradict each other.
    #[error(
        "[CO023] replica.identity.autoset.values gives table {table} two replica identities, {first} and {second}\n  fix: make the expressions so narrow that one of them fits"
    )]
    IdentityAmbiguous {
        /// The table.
        table: TableName,
        /// What one entry says.
        first: IdentityChoice,
        /// What another says.
        second: IdentityChoice,
    },
    /// The slot kept more of the log than the settings allow, and was dropped.
    #[error(
        "[CO025] gap: slot `{slot}` was dropped, because it kept more of the log than tributary.wal.retention.max.bytes={limit_bytes} and tributary.wal.retention.policy=drop.slot: it {status}\n  fix: mend what held it up; then start the connector with tributary.gap.policy=resnapshot, which reads the tables again, or give it another name"
    )]
    SlotKeepsTooMuch {
        /// Its name.
        slot: String,
        /// The limit.
        limit_bytes: u64,
        /// How much it kept, and why.
        status: String,
    },
    /// A connector that has not run cannot be verified.
    #[error(
        "[CO026] connector `{connector}` has no checkpoint in this Kafka: it has not run, or under another name or group\n  fix: give the configuration it runs with, tributary.group and tributary.offsets.topic included"
    )]
    NothingToVerify {
        /// Its name.
        connector: String,
    },
    /// The connector is behind what it is compared with.
    #[error(
        "[CO027] the connector is at {at} and does not come to {lsn}, where the tables are compared, or reads tables still\n  fix: see that it runs and keeps up; then wait longer with --wait-max"
    )]
    NotCaughtUp {
        /// Its position.
        at: Lsn,
        /// Where the tables are.
        lsn: Lsn,
    },
    /// More tables fit than the guardrail allows.
    #[error(
        "[CO024] {found} tables match the include and exclude lists, guardrail.collections.max allows {tables_max}\n  fix: narrow the lists, or raise guardrail.collections.max, or set guardrail.collections.limit.action=warn; `tributary check` lists the tables"
    )]
    TooManyTables {
        /// How many fit.
        found: usize,
        /// How many may.
        tables_max: usize,
    },
    /// A row filter cannot be what it should.
    #[error("[CO041] tributary.row.filter.{table} cannot be used: {why}\n  fix: {fix}")]
    RowFilter {
        /// The table, as the key names it.
        table: String,
        /// Why not.
        why: String,
        /// What to do.
        fix: &'static str,
    },
    /// Transactions that have not committed take more room than they may.
    #[error(
        "[CO050] large transactions that have not committed need more than the {bytes_max} bytes that tributary.spill.max.bytes allows\n  fix: raise it, or make the transactions smaller; or set tributary.streaming.transactions=off, and they wait on the disk of the database"
    )]
    SpillFull {
        /// The limit.
        bytes_max: u64,
    },
    /// The place where transactions wait is of no use.
    #[error(
        "[CO051] cannot {action} {path}, where a large transaction waits until it commits\n  fix: set tributary.spill.directory to a folder on a disk that works, and start the connector again; or set tributary.streaming.transactions=off, and it waits on the disk of the database"
    )]
    SpillFailed {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The disk on which transactions wait is full.
    #[error(
        "[CO052] no room in {folder}, where large transactions wait until they commit: {kept_bytes} bytes of them were there, compressed, and the next did not fit\n  fix: make room there for more than that, the connector tries again and again; or set tributary.spill.directory to a folder that has room; or set tributary.streaming.transactions=off, and they wait on the disk of the database"
    )]
    SpillNoRoom {
        /// That of the connector.
        folder: String,
        /// What was there.
        kept_bytes: u64,
        /// What the system says.
        source: io::Error,
    },
    /// A stage of the pipeline is gone without saying why.
    #[error(
        "[CO030] the {stage} stage ended unexpectedly\n  fix: none needed, the connector starts again from its checkpoint; please report it"
    )]
    StageEnded {
        /// Which one.
        stage: &'static str,
    },
}

/// A failure that a test makes: the same as a stage that is gone.
impl From<failpoint::Injected> for ConnectorError {
    fn from(injected: failpoint::Injected) -> Self {
        Self::StageEnded { stage: injected.point().name() }
    }
}

impl From<StreamsError> for ConnectorError {
    fn from(error: StreamsError) -> Self {
        match error {
            StreamsError::Decode(error) => error.into(),
            StreamsError::Assemble(error) => error.into(),
        }
    }
}

impl ConnectorError {
    /// A record of ours in the offsets topic is not understood.
    pub(crate) fn unreadable(reason: &dyn Display) -> Self {
        Self::CheckpointUnreadable { reason: reason.to_string() }
    }

    /// Refuses a record of a layout that is newer than those this program knows. `what` ends before the number.
    pub(crate) fn refuse_newer(what: &str, found: u32, known: u32) -> Result<(), Self> {
        if found <= known {
            return Ok(());
        }
        Err(Self::unreadable(&format_args!("{what} {found}, this program knows up to {known}")))
    }
}
