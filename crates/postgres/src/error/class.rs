//! What each error asks for, and its stable code. Neither match has a `_` arm: a new variant is decided upon or does not compile.

use super::PostgresError;
use crate::sqlstate::{STREAMING, class_of};

/// What an error asks of whoever runs the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try again with backoff: it passes by itself.
    Transient,
    /// Stop: somebody has to change something first.
    Definite,
    /// Leave quietly: a newer owner is at work.
    Fenced,
}

impl PostgresError {
    /// Whether to try again, to stop, or to leave.
    pub fn class(&self) -> Class {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::SlotActive { .. }
            | Self::Closed { .. }
            | Self::Shutdown { .. }
            | Self::TooManyConnections { .. }
            | Self::StreamEnded
            | Self::SnapshotGone { .. }
            | Self::Redefined { .. }
            | Self::SessionAttributes { .. }
            | Self::Standby { .. }
            | Self::Scratch(_)
            | Self::Deadline { .. } => Class::Transient,
            Self::Statement { .. } if self.is_decoding_failure() => Class::Transient,
            Self::Statement { source, .. } => class_of(&source.sqlstate),
            Self::TlsRefused { .. }
            | Self::TlsHandshake { .. }
            | Self::TlsMaterial { .. }
            | Self::Authentication { .. }
            | Self::UnsupportedAuthentication { .. }
            | Self::CleartextRefused { .. }
            | Self::Configuration { .. }
            | Self::SlotMissing { .. }
            | Self::SlotLost { .. }
            | Self::WalLevel { .. }
            | Self::PublicationMissing { .. }
            | Self::NoPrivilege { .. }
            | Self::NoReplicaIdentity { .. }
            | Self::Protocol { .. }
            | Self::SlotExists { .. }
            | Self::ServerVersion { .. }
            | Self::SlotForeign { .. }
            | Self::NoFreeSlot { .. }
            | Self::PasswordMissing { .. }
            | Self::ChannelBinding { .. }
            | Self::SlotAhead { .. }
            | Self::Scram { .. } => Class::Definite,
        }
    }

    /// The server failed inside itself while it decoded the log (SQLSTATE class XX). Nobody can mend that from outside, and what it
    /// comes upon in a new session may be different: it is tried again.
    pub fn is_decoding_failure(&self) -> bool {
        matches!(self, Self::Statement { action, source } if action == STREAMING && source.sqlstate.starts_with("XX"))
    }

    /// The stable code, the name of its page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "PG001",
            Self::ConnectTimeout { .. } => "PG002",
            Self::TlsRefused { .. } => "PG003",
            Self::TlsHandshake { .. } => "PG004",
            Self::TlsMaterial { .. } => "PG005",
            Self::Authentication { .. } => "PG006",
            Self::UnsupportedAuthentication { .. } => "PG007",
            Self::CleartextRefused { .. } => "PG008",
            Self::Configuration { .. } => "PG009",
            Self::SlotMissing { .. } => "PG010",
            Self::SlotActive { .. } => "PG011",
            Self::SlotLost { .. } => "PG012",
            Self::WalLevel { .. } => "PG013",
            Self::PublicationMissing { .. } => "PG014",
            Self::NoPrivilege { .. } => "PG015",
            Self::NoReplicaIdentity { .. } => "PG016",
            Self::Protocol { .. } => "PG017",
            Self::Closed { .. } => "PG018",
            Self::Shutdown { .. } => "PG019",
            Self::TooManyConnections { .. } => "PG020",
            Self::Statement { .. } => "PG021",
            Self::SlotExists { .. } => "PG022",
            Self::StreamEnded => "PG023",
            Self::SnapshotGone { .. } => "PG024",
            Self::ServerVersion { .. } => "PG025",
            Self::SlotForeign { .. } => "PG026",
            Self::Deadline { .. } => "PG027",
            Self::PasswordMissing { .. } => "PG028",
            Self::ChannelBinding { .. } => "PG029",
            Self::SessionAttributes { .. } => "PG030",
            Self::SlotAhead { .. } => "PG031",
            Self::Scram { .. } => "PG032",
            Self::Redefined { .. } => "PG033",
            Self::Standby { .. } => "PG034",
            Self::Scratch(_) => "PG035",
            Self::NoFreeSlot { .. } => "PG040",
        }
    }
}
