//! How much of the log the slot may keep, and what happens when it is more.

use std::time::Duration;

use super::problem::Problem;
use super::values::{Choice, Values};

const POLICY: &str = "tributary.wal.retention.policy";

/// `tributary.wal.retention.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionPolicy {
    /// It is said, and the slot stays.
    Warn,
    /// The slot is dropped, and the connector stops: the source is worth more.
    DropSlot,
}

/// `tributary.wal.retention.*`.
#[derive(Debug, Clone, Copy)]
pub struct RetentionSettings {
    /// `tributary.wal.retention.max.bytes`.
    pub bytes_max: Option<u64>,
    /// `tributary.wal.retention.policy`.
    pub policy: RetentionPolicy,
    /// `tributary.wal.retention.check.interval.ms`.
    pub interval: Duration,
}

impl RetentionSettings {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let policy = values.choice(
            POLICY,
            &[
                ("warn", Choice::Is(RetentionPolicy::Warn)),
                ("drop.slot", Choice::Is(RetentionPolicy::DropSlot)),
            ],
            RetentionPolicy::Warn,
        );
        let bytes_max = values.number("tributary.wal.retention.max.bytes", 0, 1 << 60);
        let bytes_max = u64::try_from(bytes_max).ok().filter(|bytes| *bytes > 0);
        if policy == RetentionPolicy::DropSlot && bytes_max.is_none() {
            values.problems.push(Problem::new(
                "CF006",
                POLICY,
                "`drop.slot` needs to know how much is too much",
                "set tributary.wal.retention.max.bytes",
            ));
        }
        let interval =
            values.milliseconds("tributary.wal.retention.check.interval.ms", 100, 3_600_000);
        Self { bytes_max, policy, interval }
    }
}
