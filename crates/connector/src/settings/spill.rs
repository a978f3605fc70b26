//! Where large transactions wait until they commit.

use std::path::PathBuf;

use super::values::{Choice, Values};

/// `tributary.streaming.transactions`, `tributary.spill.*`.
#[derive(Debug, Clone)]
pub struct SpillSettings {
    /// `tributary.streaming.transactions`.
    pub streams_transactions: bool,
    /// `tributary.spill.directory`.
    folder: Option<PathBuf>,
    /// `tributary.spill.max.bytes`.
    pub bytes_max: u64,
}

impl SpillSettings {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let choices = [("on", Choice::Is(true)), ("off", Choice::Is(false))];
        let streams_transactions =
            values.choice("tributary.streaming.transactions", &choices, true);
        let bytes_max = values.number("tributary.spill.max.bytes", 1 << 20, 1 << 50);
        Self {
            streams_transactions,
            folder: values.given("tributary.spill.directory").map(PathBuf::from),
            bytes_max: u64::try_from(bytes_max).unwrap_or(u64::MAX),
        }
    }

    /// Where scratch files are; without the setting in the system's folder for temporary files.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(std::env::temp_dir)
    }
}
