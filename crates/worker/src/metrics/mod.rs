//! What connectors say of themselves, as numbers for Prometheus.
//!
//! In: the status of each connector of a process, [`Observed`]. Out: the page at `/metrics`, text exposition format 0.0.4.
//! Names: Debezium's as the JMX exporter gives them with the configuration of Debezium's own examples, Kafka Connect's as it gives
//! them with its own example, and ours, which begin with `tributary_`. A number that would have to be invented is left out.
//! Never: a rate, an average, anything kept between two pages; what Prometheus computes from these is its own.
//! Source: `docs/reference/metrics.md`, which is made from the same list; Prometheus documentation, "Exposition formats".

mod board;
mod connect;
mod debezium;
mod exposition;
mod ours;
mod process;
mod reference;
mod serve;

use connector::status::Status;

use crate::told::{self, Phase};
use exposition::{Family, Samples, Source};

pub(crate) use board::{Board, Posted};
pub use reference::page as reference_page;
pub use serve::{CONTENT_TYPE, serve};

/// One connector as it is seen from outside.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Its name.
    pub name: String,
    /// `topic.prefix`: Debezium's name of the server.
    pub topic_prefix: String,
    /// What it is doing.
    pub phase: Phase,
    /// What it says of itself, or said last.
    pub status: Status,
}

/// Everything a process knows of its connectors.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// The connectors it runs, or has by assignment.
    pub connectors: Vec<Observed>,
    /// Its place in a group of workers; `None` of one that has no group.
    pub membership: Option<MembershipObserved>,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

/// A worker's place in its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MembershipObserved {
    /// The group's generation.
    pub generation: i32,
    /// Members of the group.
    pub members: usize,
    /// Partitions of the config topic that are this worker's.
    pub partitions: usize,
    /// Assignments since the process started.
    pub assignments: u64,
    /// How often everything was lost.
    pub losses: u64,
    /// When the newest assignment came; milliseconds since 1970.
    pub assigned_at_ms: Option<i64>,
}

/// All families, in the order of the page.
fn families() -> impl Iterator<Item = &'static Family> {
    let ours = ours::STATE.iter().chain(ours::FLOW).chain(ours::SOURCE).chain(ours::GROUP);
    ours.chain(debezium::FAMILIES).chain(connect::FAMILIES).chain(process::FAMILIES)
}

/// Renders the page.
pub fn render(instance: &Instance) -> String {
    let mut page = String::with_capacity(4096 + 8192 * instance.connectors.len());
    for family in families() {
        let mut samples = Samples::of(family, &mut page);
        match family.source {
            Source::Connector(sample) => {
                for connector in &instance.connectors {
                    sample(connector, instance.now_ms, &mut samples);
                }
            }
            Source::Instance(sample) => sample(instance, &mut samples),
        }
    }
    page
}

impl Observed {
    /// A connector without a group, which does what its status says.
    pub fn alone(name: String, topic_prefix: String, status: Status) -> Self {
        let (phase, _) = told::phase(&status.state);
        Self { name, topic_prefix, phase, status }
    }

    /// As Kafka Connect names the state of a task.
    fn connect_state(&self) -> &'static str {
        match self.phase {
            Phase::Starting | Phase::Snapshotting | Phase::Streaming => "running",
            Phase::Retrying => "restarting",
            Phase::Failed | Phase::Invalid => "failed",
            Phase::Paused => "paused",
            Phase::Stopped | Phase::Destroying => "stopped",
            Phase::Unassigned => "unassigned",
        }
    }
}

/// A count as Prometheus has it: exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "numbers of a page are floating-point ones")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
