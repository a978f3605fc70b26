//! How changes are committed to Kafka, and what happens when something fails.

use std::time::Duration;

use super::problem::Problem;
use super::snapshot::{SnapshotMode, SnapshotSettings};
use super::values::{Choice, Values};
use crate::boundary::BoundaryLimits;

/// What a reader of the topics may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryGuarantee {
    /// A `read_committed` reader sees every change once.
    ExactlyOnce,
    /// Every change is there, after a fault some twice.
    AtLeastOnce,
}

/// What happens when the source no longer has what the checkpoint needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapPolicy {
    /// Stop, and say what is missing.
    Fail,
    /// Say what is missing, and read the tables again.
    Resnapshot,
}

/// Limits of one Kafka transaction.
#[derive(Debug, Clone, Copy)]
pub struct CommitLimits {
    /// `tributary.commit.bytes.max`.
    pub bytes_max: usize,
    /// `tributary.commit.interval.max.ms`.
    pub interval_max: Duration,
    /// `tributary.commit.interval.min.ms`.
    pub interval_min: Duration,
    /// `tributary.checkpoint.idle.interval.ms`.
    pub idle_checkpoint_interval: Duration,
}

/// Pauses between take-overs.
#[derive(Debug, Clone, Copy)]
pub struct RetrySettings {
    /// `retriable.restart.connector.wait.ms`: the longest pause.
    pub wait_max: Duration,
    /// `errors.max.retries`: how many in a row; `None` for ever.
    pub attempts_max: Option<u32>,
}

impl CommitLimits {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let bytes_max = values.number("tributary.commit.bytes.max", 1024, 1 << 30);
        Self {
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            interval_max: values.milliseconds("tributary.commit.interval.max.ms", 1, 60_000),
            interval_min: values.milliseconds("tributary.commit.interval.min.ms", 0, 60_000),
            idle_checkpoint_interval: values.milliseconds(
                "tributary.checkpoint.idle.interval.ms",
                100,
                600_000,
            ),
        }
    }

    /// The same limits as the decision about commits takes them. What is sent at least once is in no Kafka transaction, and need not wait for the next.
    pub fn boundary(&self, guarantee: DeliveryGuarantee) -> BoundaryLimits {
        let interval_min = match guarantee {
            DeliveryGuarantee::ExactlyOnce => self.interval_min,
            DeliveryGuarantee::AtLeastOnce => Duration::ZERO,
        };
        BoundaryLimits {
            bytes_max: self.bytes_max,
            interval_max: self.interval_max,
            interval_min,
            idle_checkpoint_interval: self.idle_checkpoint_interval,
        }
    }
}

impl RetrySettings {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        Self {
            wait_max: values.milliseconds("retriable.restart.connector.wait.ms", 100, 3_600_000),
            attempts_max: u32::try_from(values.number("errors.max.retries", -1, 1_000_000)).ok(),
        }
    }
}

impl GapPolicy {
    /// `tributary.gap.policy`, which `snapshot.mode=when_needed` is another word for.
    pub(super) fn read(values: &mut Values<'_>, snapshot: &SnapshotSettings) -> Self {
        const KEY: &str = "tributary.gap.policy";
        let policy = values.choice(
            KEY,
            &[("fail", Choice::Is(Self::Fail)), ("resnapshot", Choice::Is(Self::Resnapshot))],
            Self::Fail,
        );
        let contradiction = match (policy, snapshot.mode) {
            (Self::Resnapshot, SnapshotMode::NoData) => {
                "`snapshot.mode=no_data` reads no tables, so nothing can stand for what is missing"
            }
            (Self::Fail, SnapshotMode::WhenNeeded) if values.given(KEY).is_some() => {
                "`snapshot.mode=when_needed` reads the tables again"
            }
            (Self::Fail, SnapshotMode::WhenNeeded) => return Self::Resnapshot,
            (Self::Fail, _) if snapshot.on_data_error => return Self::Resnapshot,
            _ => return policy,
        };
        values.problems.push(Problem::new("CF006", KEY, contradiction, "change one of the two"));
        policy
    }
}

/// Our key and Connect's, which must not contradict each other.
pub(super) fn guarantee(values: &mut Values<'_>) -> DeliveryGuarantee {
    const KEY: &str = "tributary.delivery.guarantee";
    let delivery = values.choice(
        KEY,
        &[
            ("exactly_once", Choice::Is(DeliveryGuarantee::ExactlyOnce)),
            ("at_least_once", Choice::Is(DeliveryGuarantee::AtLeastOnce)),
        ],
        DeliveryGuarantee::ExactlyOnce,
    );
    let required = values.choice(
        "exactly.once.support",
        &[("requested", Choice::Is(false)), ("required", Choice::Is(true))],
        false,
    );
    if required && delivery == DeliveryGuarantee::AtLeastOnce {
        values.problems.push(Problem::new(
            "CF006",
            KEY,
            "`exactly.once.support=required` asks for more than `at_least_once`",
            "remove one of the two",
        ));
    }
    delivery
}
