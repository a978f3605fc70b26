//! Where a row comes from. In: positions of the stream or of a snapshot, and clock values as numbers. Out: the `source`
//! block and the times of a record. Never: reads a clock.

use pgoutput::{EventId, Lsn};

/// Where and when one change happened.
#[derive(Clone, Copy, Debug)]
pub struct SourcePosition<'a> {
    /// Names the change; only for the id header.
    pub event_id: Option<EventId>,
    /// `source.snapshot`.
    pub snapshot: SnapshotMarker,
    /// `source.ts_*`: commit time, or the time a snapshot read the row; microseconds since 1970-01-01 UTC.
    pub committed_at_unix_us: i64,
    /// `ts_*`: when we handled it; nanoseconds since 1970-01-01 UTC.
    pub processed_at_unix_ns: i64,
    /// `source.txId`.
    pub xid: Option<u64>,
    /// `source.lsn`, and the second part of `source.sequence`.
    pub lsn: Option<Lsn>,
    /// First part of `source.sequence`: where the commit before this transaction ends.
    pub last_commit_lsn: Option<Lsn>,
    /// `source.origin`: name of the replication origin.
    pub origin: Option<&'a str>,
    /// `source.origin_lsn`: position at the origin.
    pub origin_lsn: Option<Lsn>,
}

/// `source.snapshot`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotMarker {
    /// From the stream.
    #[default]
    False,
    /// First row of the snapshot.
    First,
    /// First row of its table.
    FirstInDataCollection,
    /// A row of a snapshot.
    True,
    /// Last row of its table.
    LastInDataCollection,
    /// Last row of the snapshot.
    Last,
    /// A row of an incremental snapshot.
    Incremental,
}

impl SnapshotMarker {
    /// As it stands in `source.snapshot`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::False => "false",
            Self::First => "first",
            Self::FirstInDataCollection => "first_in_data_collection",
            Self::True => "true",
            Self::LastInDataCollection => "last_in_data_collection",
            Self::Last => "last",
            Self::Incremental => "incremental",
        }
    }
}
