//! Deaths and failures at named points, under load, and what the oracle says of the whole.
//!
//! In: a [`Lane`]: where one connector dies, one death after the other, while writers write. Out: a [`Report`].
//! Never: a death that is taken for granted. A point that is not passed in time is a failure, and so is another end.

mod mutation;
mod provoke;

use std::fmt;
use std::time::{Duration, Instant};

use failpoint::{FAILPOINT, Point};

use crate::connector::{Connector, ConnectorProcess};
use crate::oracle::{Ground, Load, Manner, Verdict};
use crate::stack::Stack;
use crate::wait::DEADLINE;
use crate::{Failure, Result};

pub use mutation::{Outcome, scenario};
use provoke::provoke;

/// Rows of each table at the start: small, and yet several Kafka transactions.
const ROWS: u64 = 1500;

/// Settings that make every point be passed within a second or so.
const SETTINGS: [(&str, &str); 8] = [
    ("topic.creation.default.partitions", "2"),
    ("topic.creation.default.replication.factor", "1"),
    ("tributary.commit.bytes.max", "32768"),
    ("tributary.checkpoint.idle.interval.ms", "100"),
    ("status.update.interval.ms", "300"),
    ("signal.data.collection", "public.signals"),
    ("read.only", "true"),
    ("incremental.snapshot.chunk.size", "200"),
];

/// One death.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// Where.
    pub point: Point,
    /// At which hit of the process, counted from 1.
    pub hit: u64,
}

impl Death {
    /// At the first hit.
    pub fn at(point: Point) -> Self {
        Self { point, hit: 1 }
    }

    /// At another hit.
    #[must_use]
    pub fn hit(self, hit: u64) -> Self {
        Self { hit, ..self }
    }

    /// As the variable has it. What was sent before is to be on its way where the point is about that.
    fn setting(self) -> String {
        let action = match self.point {
            Point::ProduceSent | Point::EndTxnSent | Point::AfterAcknowledgement => "kill:20",
            _ => "kill",
        };
        format!("{}={action}@{}", self.point.name(), self.hit)
    }
}

/// One connector and its deaths.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Begins the name of its database.
    pub label: &'static str,
    /// Seed of the writers.
    pub seed: u64,
    /// One after the other; each begins with a new process.
    pub deaths: Vec<Death>,
    /// Points that only fail, each at this hit, in a process that lives on.
    pub failures: Vec<Death>,
    /// The connector streams before the first death: its snapshot is spared.
    pub spare_snapshot: bool,
    /// Further connector settings.
    pub settings: Vec<(&'static str, &'static str)>,
}

/// What a lane came to.
#[derive(Debug)]
pub struct Report {
    /// The lane's label.
    pub label: &'static str,
    /// The lane's seed.
    pub seed: u64,
    /// Each death, and how long after its start the process died.
    pub deaths: Vec<(Death, Duration)>,
    /// Points that failed.
    pub failures: usize,
    /// Transactions committed and rolled back.
    pub transactions: (u64, u64),
    /// What is wrong.
    pub verdict: Verdict,
    /// The whole run.
    pub wall: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}, SEED={}: {} deaths, {} failures, {} transactions committed, {} rolled back, {:.1} s",
            self.label,
            self.seed,
            self.deaths.len(),
            self.failures,
            self.transactions.0,
            self.transactions.1,
            self.wall.as_secs_f64()
        )?;
        for (Death { point, hit }, after) in &self.deaths {
            writeln!(formatter, "  {}@{hit}: died after {after:.1?}", point.name())?;
        }
        write!(formatter, "{}", self.verdict)
    }
}

/// Runs a lane in a database of its own.
pub async fn run(stack: &Stack, lane: &Lane) -> Result<Report> {
    let told = |failure: Failure| failure.during(format!("{}, SEED={}", lane.label, lane.seed));
    run_lane(stack, lane).await.map_err(told)
}

async fn run_lane(stack: &Stack, lane: &Lane) -> Result<Report> {
    let began = Instant::now();
    let mut ground = Ground::prepare(stack, lane.label, ROWS).await?;
    let session = ground.database.session().await?;
    session.run(provoke::SIGNALS).await?;
    let connector = connector(&ground, &lane.settings)?;
    let manner =
        Manner { pause: Duration::from_millis(8), outlives_faults: false, truncates: false };
    ground.write(Load { seed: lane.seed, writers: 2, keys: ROWS * 5 / 4, manner }).await?;
    if lane.spare_snapshot {
        connector.start_streaming().await?.kill().await?;
    }
    let mut deaths = Vec::new();
    for death in &lane.deaths {
        let after = die(&ground, &connector, *death).await?;
        deaths.push((*death, after));
    }
    let mut process = fail(&ground, &connector, &lane.failures).await?;
    connector.wait_until_streaming(&mut process).await?;
    let transactions = ground.end().await?;
    finish(&ground, &mut process).await?;
    Ok(Report {
        label: lane.label,
        seed: lane.seed,
        deaths,
        failures: lane.failures.len(),
        transactions,
        verdict: ground.judge().await?,
        wall: began.elapsed(),
    })
}

fn connector(ground: &Ground, settings: &[(&str, &str)]) -> Result<Connector> {
    let mut connector = ground.database.connector()?;
    for (key, value) in SETTINGS.iter().chain(settings) {
        connector = connector.set(key, value);
    }
    Ok(connector)
}

/// Starts a process that dies at a point, and waits until it has. How long it lived.
async fn die(ground: &Ground, connector: &Connector, death: Death) -> Result<Duration> {
    let setting = death.setting();
    let mut process = connector.start_with(&[(FAILPOINT, &setting)])?;
    let died = tokio::select! {
        died = process.killed(DEADLINE) => died,
        never = provoke(ground, death.point) => never.and(Err(Failure::new("it is provoked for ever"))),
    };
    died.map_err(|failure| failure.during(&setting))?;
    if !process.log().contains(&format!("failpoint {}, hit {}", death.point.name(), death.hit)) {
        let log = process.log_end();
        return Err(Failure::new(format!("{setting}: it died somewhere else:\n{log}")));
    }
    Ok(process.started().elapsed())
}

/// Starts a process in which all of these points fail, and waits until each has.
async fn fail(
    ground: &Ground,
    connector: &Connector,
    failures: &[Death],
) -> Result<ConnectorProcess> {
    let settings: Vec<String> =
        failures.iter().map(|at| format!("{}=fail@{}", at.point.name(), at.hit)).collect();
    let mut process = connector.start_with(&[(FAILPOINT, &settings.join(","))])?;
    for Death { point, hit } in failures {
        let line = format!("failpoint {}, hit {hit}: Fail", point.name());
        tokio::select! {
            failed = process.log_with(&line, DEADLINE) => failed?,
            never = provoke(ground, *point) => never?,
        }
    }
    Ok(process)
}

/// Waits until everything has arrived, and ends the process in order.
async fn finish(ground: &Ground, process: &mut ConnectorProcess) -> Result<()> {
    let synced = ground.database.sync_within(DEADLINE * 2).await;
    synced.map_err(|failure| failure.during(process.log_end()))?;
    match process.terminate().await? {
        0 => Ok(()),
        code => Err(Failure::new(format!("SIGTERM ended it with {code}:\n{}", process.log_end()))),
    }
}
