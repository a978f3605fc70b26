//! How the log is read.

use std::time::Duration;

use super::values::{Choice, Values};

/// `tributary.read.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    /// Streamed near the end of the log, in batches when far behind it.
    Auto,
    /// Streamed always.
    Stream,
}

/// `tributary.read.*`.
#[derive(Debug, Clone, Copy)]
pub struct ReadSettings {
    /// `tributary.read.mode`.
    pub mode: ReadMode,
    /// `tributary.read.batch.behind.bytes`.
    pub behind_bytes: u64,
    /// `tributary.read.batch.bytes.max`.
    pub batch_bytes_max: usize,
    /// `tributary.read.switch.every.ms`; `None` looks how far behind the connector is.
    pub switch_every: Option<Duration>,
}

impl ReadSettings {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let modes =
            [("auto", Choice::Is(ReadMode::Auto)), ("stream", Choice::Is(ReadMode::Stream))];
        let mode = values.choice("tributary.read.mode", &modes, ReadMode::Auto);
        let behind_bytes = values.number("tributary.read.batch.behind.bytes", 1 << 20, 1 << 50);
        let bytes_max = values.number("tributary.read.batch.bytes.max", 1 << 20, 1 << 30);
        let every = values.milliseconds("tributary.read.switch.every.ms", 0, 3_600_000);
        Self {
            mode,
            behind_bytes: u64::try_from(behind_bytes).unwrap_or(u64::MAX),
            batch_bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            switch_every: (!every.is_zero()).then_some(every),
        }
    }

    /// Whether a connector may read in batches at all.
    pub fn has_batches(&self) -> bool {
        self.mode == ReadMode::Auto
    }
}
