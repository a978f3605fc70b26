//! The class and the stable code of every error.
//!
//! In: an error. Out: its [`Class`], its code. Never here: a default; a new variant must be placed.

use super::KafkaError;
use crate::codes::Class;

impl KafkaError {
    /// What this failure asks of the connector.
    pub fn class(&self) -> Class {
        match self {
            Self::UnknownProperty { .. }
            | Self::InvalidProperty { .. }
            | Self::RefusedProperty { .. }
            | Self::InvalidUrl { .. }
            | Self::Certificate { .. }
            | Self::Tls { .. }
            | Self::Authentication { .. }
            | Self::UnsupportedApi { .. }
            | Self::Protocol { .. }
            | Self::RecordTooLarge { .. }
            | Self::NotAuthorized { .. }
            | Self::CorruptBatch { .. }
            | Self::OffsetOutOfRange { .. } => Class::Definite,
            Self::Connect { .. }
            | Self::ConnectionLost { .. }
            | Self::RequestTimedOut { .. }
            | Self::TransactionExpired { .. }
            | Self::InitTimedOut { .. }
            | Self::PreviousTransactionPending { .. }
            | Self::NoLeader { .. }
            | Self::Interrupted
            | Self::TopicMissing { .. }
            | Self::SessionOver { .. }
            | Self::OpenTransaction { .. } => Class::Transient,
            Self::Fenced { .. } | Self::InstanceFenced { .. } => Class::Fenced,
            Self::NoBroker { source, .. } => source.class(),
            Self::Broker { code, .. } | Self::TopicNotCreated { code, .. } => code.class(),
        }
    }

    /// The stable code: `KA021`. Its page is `docs/errors/KA021.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownProperty { .. } => "KA001",
            Self::InvalidProperty { .. } => "KA002",
            Self::RefusedProperty { .. } => "KA003",
            Self::InvalidUrl { .. } => "KA004",
            Self::Certificate { .. } => "KA005",
            Self::Connect { .. } => "KA010",
            Self::Tls { .. } => "KA011",
            Self::Authentication { .. } => "KA012",
            Self::ConnectionLost { .. } => "KA013",
            Self::RequestTimedOut { .. } => "KA014",
            Self::UnsupportedApi { .. } => "KA015",
            Self::Protocol { .. } => "KA016",
            Self::NoBroker { .. } => "KA017",
            Self::Broker { .. } => "KA020",
            Self::Fenced { .. } => "KA021",
            Self::TransactionExpired { .. } => "KA022",
            Self::RecordTooLarge { .. } => "KA023",
            Self::NotAuthorized { .. } => "KA024",
            Self::InitTimedOut { .. } => "KA025",
            Self::PreviousTransactionPending { .. } => "KA026",
            Self::NoLeader { .. } => "KA027",
            Self::Interrupted => "KA028",
            Self::TopicMissing { .. } => "KA030",
            Self::TopicNotCreated { .. } => "KA031",
            Self::CorruptBatch { .. } => "KA032",
            Self::OpenTransaction { .. } => "KA033",
            Self::OffsetOutOfRange { .. } => "KA034",
            Self::InstanceFenced { .. } => "KA035",
            Self::SessionOver { .. } => "KA036",
        }
    }

    /// True if asking the metadata again may lead to the right broker.
    pub(crate) fn is_stale_metadata(&self) -> bool {
        match self {
            Self::Broker { code, .. } => code.is_stale_metadata(),
            Self::Connect { .. }
            | Self::ConnectionLost { .. }
            | Self::RequestTimedOut { .. }
            | Self::NoLeader { .. } => true,
            _ => false,
        }
    }
}
