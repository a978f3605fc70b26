//! The faults there are, and the order in which a seed deals them. Pure.
//!
//! In: a seed. Out: faults, each with everything that is random about it, so that the same seed gives the same again.
//! Never: a choice while the run goes on.

use std::fmt;
use std::time::Duration;

use failpoint::Point;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::network::Network;
use crate::oracle::TABLES;

/// One fault, and when.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// After the fault before is over.
    pub(super) pause: Duration,
    pub(super) fault: Fault,
}

/// What is done to the connector or to what it depends on.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Something happens at a point.
    Failpoint { point: Point, hit: u64, act: Act },
    /// SIGKILL, whatever it is doing.
    Kill,
    /// SIGSTOP for longer than a Kafka transaction may be open; meanwhile another copy may have taken over.
    Freeze { time: Duration, with_successor: bool },
    /// A second copy is started.
    SecondCopy,
    /// It changes between stream and batches all the time, and takes over from itself before and after.
    SwitchWays { every: Duration, time: Duration },
    /// `pg_terminate_backend` of the walsender.
    EndWalsender,
    /// PostgreSQL stops as if it had crashed, and starts again.
    CrashPostgres { away: Duration },
    /// The broker gets SIGKILL, and starts again.
    KillBroker { away: Duration },
    /// The way to PostgreSQL or to Kafka is not what it was.
    Network(Network),
    /// A column is added to a table.
    AddColumn { table: usize },
    /// A table is read while the stream runs.
    ReadTable { table: usize },
}

/// What happens at a point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// SIGKILL, a moment later.
    Dies,
    /// A failure that may pass.
    Fails,
    /// Whoever passes stands still, the rest of the process does not: for longer than a Kafka transaction may be open.
    Stalls(Duration),
}

impl Act {
    /// As the variable has it.
    pub(super) fn setting(self) -> String {
        match self {
            Self::Dies => "kill:3".to_owned(),
            Self::Fails => "fail".to_owned(),
            Self::Stalls(time) => format!("stall:{}", time.as_millis()),
        }
    }
}

/// Points that a stream under load passes again and again.
const UNDER_LOAD: [Point; 14] = [
    Point::BeforeFencing,
    Point::AfterFencing,
    Point::AfterCheckpointRead,
    Point::AfterClaim,
    Point::BeforeStreaming,
    Point::BeforeBegin,
    Point::AfterBegin,
    Point::ProduceSent,
    Point::ProduceAnswered,
    Point::BeforeEndTxn,
    Point::EndTxnSent,
    Point::EndTxnAnswered,
    Point::BeforeAcknowledgement,
    Point::AfterAcknowledgement,
];

/// Points that only a take-over passes: once a process.
const IN_TAKE_OVER: usize = 5;

/// Longer than the Kafka transactions of these runs may be open.
const FROZEN_MS: std::ops::Range<u64> = 3_500..6_000;

impl Fault {
    /// Its kind, for the table.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Failpoint { act: Act::Dies, .. } => "death at a failpoint",
            Self::Failpoint { act: Act::Fails, .. } => "failure at a failpoint",
            Self::Failpoint { act: Act::Stalls(_), .. } => "stall at a failpoint",
            Self::Kill => "SIGKILL",
            Self::Freeze { with_successor: false, .. } => "SIGSTOP, SIGCONT",
            Self::Freeze { with_successor: true, .. } => "SIGSTOP, successor, SIGCONT",
            Self::SecondCopy => "second copy",
            Self::SwitchWays { .. } => "changes of the way",
            Self::EndWalsender => "walsender ended",
            Self::CrashPostgres { .. } => "PostgreSQL crashed",
            Self::KillBroker { .. } => "broker killed",
            Self::Network(network) => network.kind(),
            Self::AddColumn { .. } => "column added",
            Self::ReadTable { .. } => "table read meanwhile",
        }
    }

    fn failpoint(random: &mut StdRng, act: Act) -> Self {
        let index = random.random_range(0..UNDER_LOAD.len());
        let hit = if index < IN_TAKE_OVER { 1 } else { random.random_range(1..40) };
        Self::Failpoint { point: UNDER_LOAD[index], hit, act }
    }

    fn freeze(random: &mut StdRng, with_successor: bool) -> Self {
        Self::Freeze { time: milliseconds(random, FROZEN_MS), with_successor }
    }

    fn away(random: &mut StdRng) -> Duration {
        let ranges = [0..100, 100..2_000, 2_000..5_000];
        let range = ranges.choose(random).cloned().unwrap_or(0..100);
        milliseconds(random, range)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Failpoint { point, hit, act } => {
                write!(formatter, "{kind}: {}={}@{hit}", point.name(), act.setting())
            }
            Self::Freeze { time, .. } => write!(formatter, "{kind}: {time:?}"),
            Self::SwitchWays { every, time } => {
                write!(formatter, "{kind}: every {every:?} for {time:?}")
            }
            Self::CrashPostgres { away } | Self::KillBroker { away } => {
                write!(formatter, "{kind}: away for {away:?}")
            }
            Self::Network(Network { side, order, time }) => {
                write!(formatter, "{kind}: {side:?}, {order:?} for {time:?}")
            }
            Self::AddColumn { table } | Self::ReadTable { table } => {
                write!(formatter, "{kind}: {}", TABLES[*table].name)
            }
            Self::Kill | Self::SecondCopy | Self::EndWalsender => write!(formatter, "{kind}"),
        }
    }
}

/// The faults of a seed, in order: rounds in which each kind comes at least once.
pub(super) fn deal(seed: u64, rounds: u64) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut planned = Vec::new();
    for _ in 0..rounds {
        let mut round = round(&mut random);
        round.extend(Network::round(&mut random));
        round.shuffle(&mut random);
        planned.extend(
            round
                .into_iter()
                .map(|fault| Planned { pause: milliseconds(&mut random, 100..2_000), fault }),
        );
    }
    planned
}

fn round(random: &mut StdRng) -> Vec<Fault> {
    let mut table = || random.random_range(0..TABLES.len());
    let (changed, read) = (table(), table());
    let stall = Act::Stalls(milliseconds(random, FROZEN_MS));
    vec![
        Fault::failpoint(random, Act::Dies),
        Fault::failpoint(random, Act::Dies),
        Fault::failpoint(random, Act::Dies),
        Fault::failpoint(random, Act::Fails),
        Fault::failpoint(random, stall),
        Fault::Kill,
        Fault::Kill,
        Fault::freeze(random, false),
        Fault::freeze(random, true),
        Fault::SecondCopy,
        Fault::SwitchWays {
            every: milliseconds(random, 100..600),
            time: milliseconds(random, 1_500..4_000),
        },
        Fault::EndWalsender,
        Fault::CrashPostgres { away: Fault::away(random) },
        Fault::KillBroker { away: Fault::away(random) },
        Fault::AddColumn { table: changed },
        Fault::ReadTable { table: read },
    ]
}

pub(super) fn milliseconds(random: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn story(seed: u64, rounds: u64) -> Vec<String> {
        let planned = deal(seed, rounds);
        planned.iter().map(|planned| format!("{:?} {}", planned.pause, planned.fault)).collect()
    }

    #[test]
    fn a_seed_deals_the_same_faults_again_and_another_seed_others() {
        assert_eq!(story(7, 3), story(7, 3));
        assert_eq!(story(7, 3)[..23], story(7, 1));
        assert_ne!(story(7, 1), story(8, 1));
    }

    #[test]
    fn a_round_has_every_kind() {
        let kinds: BTreeSet<&str> = deal(1, 1).iter().map(|planned| planned.fault.kind()).collect();
        assert_eq!(kinds.len(), 18, "{kinds:?}");
    }
}
