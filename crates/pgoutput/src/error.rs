//! Everything that can be wrong with a stream, with a stable code each (`docs/errors/WA*.md`).
//!
//! In: what was found, where. Out: text that says it, and a [`Class`]. Never: row values, they may be secret.

use crate::{Lsn, Oid};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// May pass by itself: retry with backoff.
    Transient,
    /// Comes back with every retry: stop the connector and tell the operator.
    Definite,
    /// Another instance owns the connector: leave quietly.
    Fenced,
}

/// Bytes that are not a message of the replication protocol. Offsets count from the message's tag byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends inside a field.
    #[error(
        "[WA001] {message} ends inside `{field}`: {needed} bytes needed at byte {offset}, {available} left\n  \
         fix: connect to PostgreSQL directly, without a proxy that rewrites replication traffic"
    )]
    Truncated {
        /// Message being read.
        message: &'static str,
        /// Field being read.
        field: &'static str,
        /// Where the field begins.
        offset: usize,
        /// Bytes the field takes.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The first byte names no message we know.
    #[error(
        "[WA002] unknown {protocol} message, tag 0x{tag:02X}\n  \
         fix: check that the slot's plugin is pgoutput and that this release supports the server's version"
    )]
    UnknownMessage {
        /// Which of the two nested protocols.
        protocol: &'static str,
        /// The byte found.
        tag: u8,
    },
    /// A byte that chooses between shapes has none of the expected values.
    #[error(
        "[WA003] {message}: `{field}` at byte {offset} is 0x{found:02X}, expected {expected}\n  \
         fix: check that this release supports the server's version, and report it with the version"
    )]
    UnexpectedTag {
        /// Message being read.
        message: &'static str,
        /// Field being read.
        field: &'static str,
        /// Where the byte is.
        offset: usize,
        /// The byte found.
        found: u8,
        /// The values the protocol has.
        expected: &'static str,
    },
    /// A flag is set that the protocol versions we know do not have.
    #[error(
        "[WA004] {message}: `{field}` at byte {offset} has unknown flags, 0x{found:02X}\n  \
         fix: check that this release supports the server's version, and report it with the version"
    )]
    UnknownFlags {
        /// Message being read.
        message: &'static str,
        /// Field being read.
        field: &'static str,
        /// Where the byte is.
        offset: usize,
        /// The byte found.
        found: u8,
    },
    /// A length is below zero.
    #[error(
        "[WA005] {message}: `{field}` at byte {offset} is {length}, below zero\n  \
         fix: connect to PostgreSQL directly, without a proxy that rewrites replication traffic"
    )]
    NegativeLength {
        /// Message being read.
        message: &'static str,
        /// Field being read.
        field: &'static str,
        /// Where the length is.
        offset: usize,
        /// The length found.
        length: i32,
    },
    /// A string has no terminating zero byte.
    #[error(
        "[WA006] {message}: string `{field}` at byte {offset} has no end\n  \
         fix: connect to PostgreSQL directly, without a proxy that rewrites replication traffic"
    )]
    UnterminatedString {
        /// Message being read.
        message: &'static str,
        /// Field being read.
        field: &'static str,
        /// Where the string begins.
        offset: usize,
    },
    /// A name is not UTF-8.
    #[error(
        "[WA007] {message}: string `{field}` at byte {offset} is not UTF-8\n  \
         fix: use a database with encoding UTF8, and connect with client_encoding=UTF8"
    )]
    InvalidUtf8 {
        /// Message being read.
        message: &'static str,
        /// Field being read.
        field: &'static str,
        /// Where the string begins.
        offset: usize,
        /// Which byte of the string is wrong.
        #[source]
        cause: std::str::Utf8Error,
    },
    /// The message goes on after its last field.
    #[error(
        "[WA008] {message} has {count} bytes after its end at byte {offset}\n  \
         fix: check that this release supports the server's version, and report it with the version"
    )]
    TrailingBytes {
        /// Message being read.
        message: &'static str,
        /// Where the message should end.
        offset: usize,
        /// Bytes left over.
        count: usize,
    },
}

impl DecodeError {
    /// What to do about it. The server would send the same bytes again, so all are [`Class::Definite`].
    pub fn class(&self) -> Class {
        match self {
            Self::Truncated { .. }
            | Self::UnknownMessage { .. }
            | Self::UnexpectedTag { .. }
            | Self::UnknownFlags { .. }
            | Self::NegativeLength { .. }
            | Self::UnterminatedString { .. }
            | Self::InvalidUtf8 { .. }
            | Self::TrailingBytes { .. } => Class::Definite,
        }
    }

    /// Its stable code, a page of `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "WA001",
            Self::UnknownMessage { .. } => "WA002",
            Self::UnexpectedTag { .. } => "WA003",
            Self::UnknownFlags { .. } => "WA004",
            Self::NegativeLength { .. } => "WA005",
            Self::UnterminatedString { .. } => "WA006",
            Self::InvalidUtf8 { .. } => "WA007",
            Self::TrailingBytes { .. } => "WA008",
        }
    }
}

/// A message that cannot stand where it stands in its stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// A message of a transaction outside one, or one that begins or ends a transaction at the wrong place.
    #[error(
        "[WA020] {message} at {lsn} came {place}\n  \
         fix: restart the connector, it goes on at its checkpoint; if this comes back, report it with the server's version"
    )]
    OutOfOrder {
        /// Name of the message.
        message: &'static str,
        /// Its position.
        lsn: Lsn,
        /// Where it stood: `outside a transaction` or `inside a transaction`.
        place: &'static str,
    },
    /// A change of a table whose Relation message never came.
    #[error(
        "[WA021] {message} at {lsn} is about table oid {oid}, which the stream has not described\n  \
         fix: restart the connector, it goes on at its checkpoint; if this comes back, report it with the server's version"
    )]
    UnknownRelation {
        /// Name of the message.
        message: &'static str,
        /// Its position.
        lsn: Lsn,
        /// Table meant.
        oid: Oid,
    },
    /// A row with more or fewer values than its table has columns.
    #[error(
        "[WA022] {message} at {lsn}: row of `{relation}` has {found} values, the table {expected} columns\n  \
         fix: restart the connector, it goes on at its checkpoint; if this comes back, report it with the server's version"
    )]
    ColumnCount {
        /// Name of the message.
        message: &'static str,
        /// Its position.
        lsn: Lsn,
        /// Table as `schema.table`.
        relation: String,
        /// Values in the row.
        found: usize,
        /// Columns the stream has described.
        expected: usize,
    },
    /// A transaction ends at another position than its beginning said.
    #[error(
        "[WA023] Commit names {found}, its Begin {expected}\n  \
         fix: restart the connector, it goes on at its checkpoint; if this comes back, report it with the server's version"
    )]
    CommitMismatch {
        /// `commit_lsn` of the Commit.
        found: Lsn,
        /// `final_lsn` of the Begin.
        expected: Lsn,
    },
    /// Part of a transaction in progress, though the option `streaming` was not set.
    #[error(
        "[WA024] {message} at {lsn} belongs to a transaction in progress: streaming was not asked for\n  \
         fix: remove `streaming` from the slot's stream parameters"
    )]
    StreamingNotRequested {
        /// Name of the message.
        message: &'static str,
        /// Its position.
        lsn: Lsn,
    },
    /// Part of a prepared transaction, though the option `two_phase` was not set.
    #[error(
        "[WA025] {message} at {lsn} belongs to a prepared transaction: two-phase commit was not asked for\n  \
         fix: drop the slot and let it be created again without `two_phase`"
    )]
    TwoPhaseNotRequested {
        /// Name of the message.
        message: &'static str,
        /// Its position.
        lsn: Lsn,
    },
}

impl AssembleError {
    /// What to do about it. The server would send the same order again, so all are [`Class::Definite`].
    pub fn class(&self) -> Class {
        match self {
            Self::OutOfOrder { .. }
            | Self::UnknownRelation { .. }
            | Self::ColumnCount { .. }
            | Self::CommitMismatch { .. }
            | Self::StreamingNotRequested { .. }
            | Self::TwoPhaseNotRequested { .. } => Class::Definite,
        }
    }

    /// Its stable code, a page of `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "WA020",
            Self::UnknownRelation { .. } => "WA021",
            Self::ColumnCount { .. } => "WA022",
            Self::CommitMismatch { .. } => "WA023",
            Self::StreamingNotRequested { .. } => "WA024",
            Self::TwoPhaseNotRequested { .. } => "WA025",
        }
    }
}

/// Text that is not a log position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "[WA010] `{text}` is not a log position\n  \
     fix: write it as PostgreSQL shows it, two hexadecimal numbers joined by a slash: 16/B374D848"
)]
pub struct LsnParseError {
    text: String,
}

impl LsnParseError {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// What to do about it: always [`Class::Definite`].
    pub fn class(&self) -> Class {
        Class::Definite
    }

    /// Its stable code, a page of `docs/errors`.
    pub fn code(&self) -> &'static str {
        "WA010"
    }
}
