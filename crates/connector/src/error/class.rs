//! What each failure asks for, and the code it is known by: one table each.

use kafka::KafkaError;
use postgres::PostgresError;
use registry::RegistryError;

use super::{Class, ConnectorError};

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
            Self::Registry(error) => match error.class() {
                registry::Class::Transient => Class::Transient,
                registry::Class::Definite => Class::Definite,
            },
            // Room can be made without a restart, and nothing is lost until then.
            Self::StageEnded { .. } | Self::SpillNoRoom { .. } => Class::Transient,
            Self::Superseded { .. } => Class::Fenced,
            Self::Envelope(_)
            | Self::Unencodable { .. }
            | Self::Decode(_)
            | Self::Assemble(_)
            | Self::CheckpointUnreadable { .. }
            | Self::SlotWithoutCheckpoint { .. }
            | Self::SlotMissing { .. }
            | Self::SlotAhead { .. }
            | Self::SlotLost { .. }
            | Self::OtherCluster { .. }
            | Self::TimelineDiverged { .. }
            | Self::OtherLog { .. }
            | Self::OffsetUnusable { .. }
            | Self::OptionsChanged { .. }
            | Self::HalfSentMissing { .. }
            | Self::Unpublished { .. }
            | Self::SlotUnusable { .. }
            | Self::SlotRenamed { .. }
            | Self::RecordTooLarge { .. }
            | Self::IdentityAmbiguous { .. }
            | Self::TooManyTables { .. }
            | Self::NothingToVerify { .. }
            | Self::NotCaughtUp { .. }
            | Self::SlotKeepsTooMuch { .. }
            | Self::RowFilter { .. }
            | Self::SpillFull { .. }
            | Self::SpillFailed { .. } => Class::Definite,
        }
    }

    /// Whether PostgreSQL, Kafka or the schema registry is not there at all: it does not run, or only starts.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::Postgres(error) => matches!(
                error,
                PostgresError::Connect { .. }
                    | PostgresError::ConnectTimeout { .. }
                    | PostgresError::Shutdown { .. }
            ),
            Self::Kafka(error) => matches!(
                error,
                KafkaError::Connect { .. }
                    | KafkaError::NoBroker { .. }
                    | KafkaError::NoLeader { .. }
            ),
            Self::Registry(error) => matches!(error, RegistryError::Away { .. }),
            _ => false,
        }
    }

    /// Its stable code, as `tributary explain` knows it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Postgres(error) => error.code(),
            Self::Kafka(error) => error.code(),
            Self::Registry(error) => error.code(),
            Self::Envelope(error) => error.code(),
            Self::Unencodable { error, .. } => error.code(),
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
            Self::OtherLog { .. } => "CO029",
            Self::OffsetUnusable { .. } => "CO031",
            Self::OptionsChanged { .. } => "CO017",
            Self::HalfSentMissing { .. } => "CO018",
            Self::Unpublished { .. } => "CO019",
            Self::SlotUnusable { .. } => "CO020",
            Self::SlotRenamed { .. } => "CO021",
            Self::RecordTooLarge { .. } => "CO022",
            Self::IdentityAmbiguous { .. } => "CO023",
            Self::TooManyTables { .. } => "CO024",
            Self::NothingToVerify { .. } => "CO026",
            Self::NotCaughtUp { .. } => "CO027",
            Self::SlotKeepsTooMuch { .. } => "CO025",
            Self::RowFilter { .. } => "CO041",
            Self::SpillFull { .. } => "CO050",
            Self::SpillFailed { .. } => "CO051",
            Self::SpillNoRoom { .. } => "CO052",
            Self::StageEnded { .. } => "CO030",
        }
    }
}
