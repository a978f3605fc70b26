//! What is read before streaming.
//!
//! Source: Debezium documentation, `snapshot.mode`.

use super::values::{Choice, Values};

/// `snapshot.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMode {
    /// Copy the tables once, then stream.
    Initial,
    /// Copy the tables once, then end.
    InitialOnly,
    /// Stream only.
    NoData,
}

impl SnapshotMode {
    /// Whether tables are copied when there is no checkpoint yet.
    pub fn reads_tables(self) -> bool {
        match self {
            Self::Initial | Self::InitialOnly => true,
            Self::NoData => false,
        }
    }

    /// Whether it goes on after the copy.
    pub fn streams(self) -> bool {
        match self {
            Self::Initial | Self::NoData => true,
            Self::InitialOnly => false,
        }
    }
}

/// The snapshot.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotSettings {
    /// When tables are copied.
    pub mode: SnapshotMode,
    /// `snapshot.max.threads`: readers at the same time.
    pub max_threads: usize,
}

impl SnapshotSettings {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let mode = values.choice(
            "snapshot.mode",
            &[
                ("initial", Choice::Is(SnapshotMode::Initial)),
                ("initial_only", Choice::Is(SnapshotMode::InitialOnly)),
                ("no_data", Choice::Is(SnapshotMode::NoData)),
                ("never", Choice::Is(SnapshotMode::NoData)),
                ("always", Choice::NotYet),
                ("when_needed", Choice::NotYet),
                ("configuration_based", Choice::NotYet),
                ("custom", Choice::NotYet),
            ],
            SnapshotMode::Initial,
        );
        let threads = values.number("snapshot.max.threads", 1, 64);
        Self { mode, max_threads: usize::try_from(threads).unwrap_or(1) }
    }
}
