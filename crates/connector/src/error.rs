//! What can end a connector, and what its end means.

use envelope::EnvelopeError;
use kafka::KafkaError;
use pgoutput::{AssembleError, DecodeError, Lsn, Xid};
use postgres::identity::IdentityChoice;
use postgres::{PostgresError, TableName};

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
        "[CO022] a record of topic `{topic}` at {position} is {record_bytes} bytes, more than the {limit_bytes} bytes a request may have; key: {key}\n  fix: raise producer.override.max.request.size here and max.message.bytes on the topic, or exclude the large column with column.exclude.list"
    )]
    RecordTooLarge {
        /// Its topic.
        topic: String,
        /// Its key, shortened.
        key: String,
        /// The change it was made from.
        position: Lsn,
        /// Its size.
        record_bytes: usize,
        /// The limit it exceeds.
        limit_bytes: usize,
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
    /// A stage of the pipeline is gone without saying why.
    #[error(
        "[CO030] the {stage} stage ended unexpectedly\n  fix: none needed, the connector starts again from its checkpoint; please report it"
    )]
    StageEnded {
        /// Which one.
        stage: &'static str,
    },
}

impl ConnectorError {
    /// What this failure asks for.
    pub fn class(&self) -> Class {
        match self {
            Self::Postgres(error) => match error.class() {
                postgres::Class::Transient => Class::Transient,
                postgres::Class::Definite => Class::Definite,
                postgres::Class::Fenced => Class::Fenced,
            },
            Self::Kafka(error) => match error.class() {
                kafka::Class::Transient => Class::Transient,
                kafka::Class::Definite => Class::Definite,
                kafka::Class::Fenced => Class::Fenced,
            },
            Self::StageEnded { .. } => Class::Transient,
            Self::Superseded { .. } => Class::Fenced,
            Self::Envelope(_)
            | Self::Decode(_)
            | Self::Assemble(_)
            | Self::CheckpointUnreadable { .. }
            | Self::SlotWithoutCheckpoint { .. }
            | Self::SlotMissing { .. }
            | Self::SlotAhead { .. }
            | Self::SlotLost { .. }
            | Self::OtherCluster { .. }
            | Self::TimelineDiverged { .. }
            | Self::OptionsChanged { .. }
            | Self::HalfSentMissing { .. }
            | Self::SlotUnusable { .. }
            | Self::SlotRenamed { .. }
            | Self::RecordTooLarge { .. }
            | Self::IdentityAmbiguous { .. }
            | Self::TooManyTables { .. }
            | Self::RowFilter { .. } => Class::Definite,
        }
    }

    /// Its stable code, as `tributary explain` knows it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Postgres(error) => error.code(),
            Self::Kafka(error) => error.code(),
            Self::Envelope(error) => error.code(),
            Self::Decode(error) => error.code(),
            Self::Assemble(error) => error.code(),
            Self::Superseded { .. } => "CO001",
            Self::CheckpointUnreadable { .. } => "CO010",
            Self::SlotWithoutCheckpoint { .. } => "CO011",
            Self::SlotMissing { .. } => "CO012",
            Self::SlotAhead { .. } => "CO013",
            Self::SlotLost { .. } => "CO014",
            Self::OtherCluster { .. } => "CO015",
            Self::TimelineDiverged { .. } => "CO016",
            Self::OptionsChanged { .. } => "CO017",
            Self::HalfSentMissing { .. } => "CO018",
            Self::SlotUnusable { .. } => "CO020",
            Self::SlotRenamed { .. } => "CO021",
            Self::RecordTooLarge { .. } => "CO022",
            Self::IdentityAmbiguous { .. } => "CO023",
            Self::TooManyTables { .. } => "CO024",
            Self::RowFilter { .. } => "CO041",
            Self::StageEnded { .. } => "CO030",
        }
    }
}
