//! Everything at once: writers write for minutes while faults come from a seed, one after the other, and the oracle compares the whole.
//!
//! In: a [`Plan`]. Out: a [`Report`]: faults by kind, how long the topics were silent after each, and the verdict.
//! The faults and their order depend on the seed alone, the interleaving does not.
//! Never: a server that is not the run's own.

mod crew;
mod fault;
mod inflict;
mod network;
mod report;
mod site;

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::oracle::{Ground, Load, Manner, Newest, TRUNCATES};
use crate::wait::{DEADLINE, LOOK_AGAIN_AFTER, unix_ms_now};
use crate::{Failure, Result};

use crew::Crew;
use fault::{Planned, deal};
use network::Side;
pub use report::Report;
pub use site::Site;

/// Rows of each table at the start.
const ROWS: u64 = 5_000;

/// A connector that has been given everything back recovers within this time, on a machine that is busy with other things.
const RECOVERS_WITHIN: Duration = Duration::from_mins(2);

/// Writers stand still while events that arrive are later than this: a connector that falls behind for good does nothing but catch up.
const LAG_MAX: Duration = Duration::from_secs(30);

/// Nothing that arrives for so long says that nothing is left to catch up with, or that it cannot.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(2);

/// Settings that make faults meet open Kafka transactions: small ones, which may not be open for long.
const SETTINGS: [(&str, &str); 7] = [
    ("topic.creation.default.partitions", "3"),
    ("topic.creation.default.replication.factor", "1"),
    ("tributary.commit.bytes.max", "131072"),
    ("producer.override.transaction.timeout.ms", "3000"),
    ("signal.data.collection", "public.signals"),
    ("read.only", "true"),
    ("incremental.snapshot.chunk.size", "500"),
];

/// What one run does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Seed of the faults, and of the writers' choices.
    pub seed: u64,
    /// Rounds in which each kind of fault comes at least once.
    pub rounds: u64,
    /// No fault begins after this time.
    pub time: Duration,
    /// Concurrent writers.
    pub writers: u64,
    /// Between two transactions of a writer.
    pub pause: Duration,
}

impl Plan {
    /// As many rounds as fit into so many minutes.
    pub fn minutes(seed: u64, minutes: u64) -> Self {
        let time = Duration::from_secs(minutes * 60);
        Self { seed, rounds: minutes + 1, time, writers: 4, pause: Duration::from_millis(4) }
    }

    /// One round, however long it takes.
    pub fn short(seed: u64) -> Self {
        let pause = Duration::from_millis(8);
        Self { seed, rounds: 1, time: Duration::MAX, writers: 3, pause }
    }

    /// The faults in their order, as text.
    pub fn faults(&self) -> Vec<String> {
        let planned = deal(self.seed, self.rounds);
        planned.iter().map(|planned| planned.fault.to_string()).collect()
    }
}

/// A run that goes on.
struct Chaos<'a> {
    site: &'a mut Site,
    ground: Ground,
    crew: Crew,
    newest: watch::Receiver<Newest>,
    _readers: JoinSet<Result<()>>,
    /// Columns that were added.
    columns: u32,
    /// Failpoints that were not passed.
    missed: u32,
}

/// Runs a plan in a database of its own. The site is the run's own too: its servers are killed. `narrate` is told what happens.
pub async fn run(site: &mut Site, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let began = Instant::now();
    let seed = plan.seed;
    let mut chaos = Chaos::begin(site, plan).await?;
    narrate(&format!("seed {seed}: the stream runs"));
    let mut report = Report::new(seed);
    for (number, Planned { pause, fault }) in (1..).zip(&deal(seed, plan.rounds)) {
        if began.elapsed() >= plan.time {
            break;
        }
        tokio::time::sleep(*pause).await;
        let silence = chaos.suffer(fault).await;
        let silence = silence.map_err(|failure| {
            let logs = chaos.crew.logs();
            failure.during(format!("seed {seed}, fault {number}, {fault}\n{logs}\n"))
        })?;
        narrate(&format!("{number:4}  {fault}: silent for {:.2} s", silence.as_secs_f64()));
        report.note(fault.kind(), silence);
    }
    narrate("no more faults; waiting for the last event");
    let ended = chaos.end(&mut report).await;
    ended.map_err(|failure| {
        failure.during(format!("seed {seed}, after the last fault\n{}\n", chaos.crew.logs()))
    })?;
    narrate("reading everything back");
    report.verdict = chaos.ground.judge().await?;
    report.wall = began.elapsed();
    Ok(report)
}

impl<'a> Chaos<'a> {
    /// The snapshot is taken, the stream runs, the writers write.
    async fn begin(site: &'a mut Site, plan: &Plan) -> Result<Self> {
        let mut ground = Ground::prepare(&site.stack, "chaos", ROWS).await?;
        let signals = "create table public.signals (id varchar(42) primary key, type varchar(32) not null, data varchar(2048))";
        ground.database.with(signals).await?;
        let (newest, readers) = Newest::watch(&ground.database)?;
        let [postgres, kafka] = [Side::Postgres, Side::Kafka].map(|side| site.path(side).address());
        let mut connector = ground
            .database
            .connector()?
            .set("database.port", &postgres.port().to_string())
            .at_store(&kafka.to_string());
        for (key, value) in SETTINGS.into_iter().chain(TRUNCATES) {
            connector = connector.set(key, value);
        }
        let manner = Manner { pause: plan.pause, outlives_faults: true, truncates: true };
        let (seed, writers) = (plan.seed, plan.writers);
        ground.write(Load { seed, writers, keys: ROWS * 5 / 4, manner }).await?;
        let mut crew = Crew::start(connector)?;
        crew.streams().await?;
        Ok(Self { site, ground, crew, newest, _readers: readers, columns: 0, missed: 0 })
    }

    /// A fault, and the recovery from it: from the moment it is over to the next event that was made after it.
    async fn suffer(&mut self, fault: &fault::Fault) -> Result<Duration> {
        self.inflict(fault).await?;
        let over = Instant::now();
        let over_unix_ms = unix_ms_now();
        loop {
            self.crew.look_after()?;
            let newest = *self.newest.borrow_and_update();
            self.ground.pause(newest.lag > LAG_MAX && newest.read_at.elapsed() < CATCHES_UP_WITHIN);
            if newest.made_at_unix_ms > over_unix_ms && !newest.is_snapshot {
                return Ok(newest.read_at.saturating_duration_since(over));
            }
            if over.elapsed() > RECOVERS_WITHIN {
                return Err(Failure::new(format!("no event within {RECOVERS_WITHIN:?}")));
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    /// The writers end, everything arrives, the connector is stopped.
    async fn end(&mut self, report: &mut Report) -> Result<()> {
        report.changes = self.ground.changes();
        report.transactions = self.ground.end().await?;
        self.crew.look_after()?;
        self.ground.database.sync_within(DEADLINE * 3).await?;
        self.crew.end().await?;
        report.restarts = self.crew.restarts;
        report.left = self.crew.left;
        report.missed = self.missed;
        Ok(())
    }
}
