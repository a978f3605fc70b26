//! What a run of chaos came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::oracle::Verdict;

/// Faults, recoveries, and the verdict.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Silences by kind of fault: from its end to the next event that a consumer read.
    pub silences: BTreeMap<&'static str, Vec<Duration>>,
    /// Row changes of committed transactions, as far as the writers know.
    pub changes: u64,
    /// Transactions committed and rolled back, as far as the writers know.
    pub transactions: (u64, u64),
    /// Processes started after a death.
    pub restarts: u32,
    /// Copies that left because another had taken over.
    pub left: u32,
    /// Failpoints that were not passed.
    pub missed: u32,
    /// What is wrong.
    pub verdict: Verdict,
    /// The whole run.
    pub wall: Duration,
}

impl Report {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            silences: BTreeMap::new(),
            changes: 0,
            transactions: (0, 0),
            restarts: 0,
            left: 0,
            missed: 0,
            verdict: Verdict::default(),
            wall: Duration::ZERO,
        }
    }

    pub(super) fn note(&mut self, kind: &'static str, silence: Duration) {
        self.silences.entry(kind).or_default().push(silence);
    }

    /// The promise was kept.
    pub fn is_clean(&self) -> bool {
        self.verdict.is_clean()
    }

    /// How many faults there were.
    pub fn faults(&self) -> usize {
        self.silences.values().map(Vec::len).sum()
    }

    fn longest(&self) -> Duration {
        self.silences.values().flatten().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "seed {}: {} faults, {} changes in {} transactions, {} rolled back, {:.0} s",
            self.seed,
            self.faults(),
            self.changes,
            self.transactions.0,
            self.transactions.1,
            self.wall.as_secs_f64()
        )?;
        writeln!(
            formatter,
            "  {:28} {:>6} {:>10} {:>10}",
            "fault", "times", "median s", "longest s"
        )?;
        for (kind, silences) in &self.silences {
            let mut sorted = silences.clone();
            sorted.sort_unstable();
            let median = sorted[sorted.len() / 2].as_secs_f64();
            let longest = sorted[sorted.len() - 1].as_secs_f64();
            writeln!(formatter, "  {kind:28} {:>6} {median:>10.2} {longest:>10.2}", sorted.len())?;
        }
        writeln!(
            formatter,
            "{} restarts, {} copies left for another, {} failpoints not passed; longest silence {:.2} s",
            self.restarts,
            self.left,
            self.missed,
            self.longest().as_secs_f64()
        )?;
        write!(formatter, "{}", self.verdict)
    }
}
