//! The soak: whether anything grows while a connector runs for long.
//!
//! In: a rate and a time. Out: memory, threads, open files, spill folder and lag of the slot, looked at again and again, and the memory of the
//! last third of the time beside that of the first.
//! The work: transactions of ten changes on `orders` at a steady rate, a column that comes and goes, and a connector that is ended by SIGTERM and
//! SIGKILL in turns and started again at once.
//! Never: looks of a life's first seconds among the thirds, since a process that has just started has not yet what it will have; a
//! figure of a topic in which something is lost or doubled.

mod report;
mod sample;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::backlog::{READING_MAX, arrived, write_marker};
use crate::connector::{Connector, ConnectorProcess};
use crate::disk::bytes_below;
use crate::lag::Lag;
use crate::orders::{self, Tally};
use crate::pace::{self, Pace};
use crate::process_stat::{open_files, usage};
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::tail::Tail;
use crate::{Failure, Result};

pub use report::{Life, Report, Thirds};
pub use sample::Sample;

const WRITERS: u64 = 2;
/// How long the reader waits for a record before it looks whether there will be more.
const READ_INTERVAL: Duration = Duration::from_millis(500);

/// What happens, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long it runs.
    pub time: Duration,
    /// Row changes per second.
    pub rate: u64,
    /// Between two looks.
    pub sample_every: Duration,
    /// Between two changes of the table's columns.
    pub ddl_every: Duration,
    /// Between two ends of the process.
    pub restart_every: Duration,
    /// Of each life, what is not compared.
    pub warm_up: Duration,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

struct Soak<'a> {
    plan: &'a Plan,
    session: Session,
    connector: Connector,
    process: ConnectorProcess,
    spill: TempDir,
    lag: Lag,
    began: Instant,
    samples: Vec<Sample>,
    lives: Vec<Life>,
}

/// Runs it on a stack of its own.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("soak").await?;
    let session = database.session().await?;
    orders::create(&session, WRITERS).await?;
    let spill = tempfile::tempdir()?;
    let connector = connector(&database, plan, spill.path())?;
    let process = connector.start_streaming().await?;
    let reading = Reading::start(&database)?;
    let pace = Pace { changes_per_second: plan.rate, writers: WRITERS, time: plan.time };
    let mut writers = pace.start(&database);
    let mut soak = Soak {
        plan,
        session,
        lag: Lag::of(connector.slot()),
        connector,
        process,
        spill,
        began: Instant::now(),
        samples: Vec::new(),
        lives: vec![Life::first()],
    };
    soak.watch(narrate).await?;
    let mut written = Vec::new();
    while let Some(one) = writers.next().await? {
        written.push(one);
    }
    write_marker(&soak.session).await?;
    let arrived = arrived(&soak.connector, &mut soak.process).await;
    arrived.map_err(|failure| failure.during(soak.process.log_end()))?;
    soak.process.terminate().await?;
    let (changes, expected) = pace::sum(&written);
    reading.end().await?.expect(expected)?;
    Ok(Report::new(plan, changes, soak.lives, soak.samples))
}

fn connector(database: &Database, plan: &Plan, spill: &Path) -> Result<Connector> {
    let mut connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("tributary.spill.directory", &spill.to_string_lossy());
    for (key, value) in &plan.settings {
        connector = connector.set(key, value);
    }
    Ok(connector)
}

impl Soak<'_> {
    /// Looks, changes columns and restarts when it is time, until the time is over.
    async fn watch(&mut self, narrate: &dyn Fn(&str)) -> Result<()> {
        let end = self.began + self.plan.time;
        let mut sample_at = self.began + self.plan.sample_every;
        let mut ddl_at = self.began + self.plan.ddl_every;
        let mut restart_at = self.began + self.plan.restart_every;
        let mut has_column = false;
        loop {
            let next = sample_at.min(ddl_at).min(restart_at);
            if next >= end {
                tokio::time::sleep_until(end.into()).await;
                return Ok(());
            }
            tokio::time::sleep_until(next.into()).await;
            if next == sample_at {
                self.look(narrate).await?;
                sample_at += self.plan.sample_every;
            }
            if next == ddl_at {
                self.change_columns(has_column).await?;
                has_column = !has_column;
                ddl_at += self.plan.ddl_every;
            }
            if next == restart_at {
                self.restart(narrate).await?;
                restart_at += self.plan.restart_every;
            }
        }
    }

    async fn look(&mut self, narrate: &dyn Fn(&str)) -> Result<()> {
        self.process.expect_running()?;
        let id = self.process.id().ok_or_else(|| Failure::new("the connector has ended"))?;
        let used = usage(id)?;
        let behind = self.lag.look(&self.session).await?;
        let sample = Sample {
            seconds: self.began.elapsed().as_secs_f64(),
            life: self.lives.len(),
            life_seconds: self.process.started().elapsed().as_secs_f64(),
            rss_bytes: used.rss_bytes,
            threads: used.threads,
            open_files: open_files(id)?,
            spilled_bytes: bytes_below(self.spill.path()),
            lag_bytes: behind.bytes,
        };
        narrate(&sample.to_string());
        self.samples.push(sample);
        Ok(())
    }

    async fn change_columns(&self, has_column: bool) -> Result<()> {
        let change = if has_column { "drop column extra" } else { "add column extra int" };
        self.session.run(&format!("alter table orders {change}")).await
    }

    /// Ends the process, by SIGTERM and SIGKILL in turns, and starts it again at once.
    async fn restart(&mut self, narrate: &dyn Fn(&str)) -> Result<()> {
        self.process.expect_running()?;
        let is_kill = self.lives.len().is_multiple_of(2);
        if is_kill {
            self.process.kill().await?;
        } else {
            let code = self.process.terminate().await?;
            if code != 0 {
                return Err(Failure::new(format!("SIGTERM ended the connector with {code}")));
            }
        }
        let signal = if is_kill { "SIGKILL" } else { "SIGTERM" };
        narrate(&format!("{signal}, and started again"));
        self.process = self.connector.start()?;
        self.lives.push(Life::after(signal));
        Ok(())
    }
}

/// Counts the topic while it is written.
struct Reading {
    reader: JoinSet<Result<Tally>>,
    is_over: Arc<AtomicBool>,
}

impl Reading {
    fn start(database: &Database) -> Result<Self> {
        let tail = database.tail("public.orders")?;
        let is_over = Arc::new(AtomicBool::new(false));
        let mut reader = JoinSet::new();
        reader.spawn(read(tail, Arc::clone(&is_over)));
        Ok(Self { reader, is_over })
    }

    /// Counts what is left, once nobody writes any more.
    async fn end(mut self) -> Result<Tally> {
        self.is_over.store(true, Ordering::Relaxed);
        let read = self.reader.join_next().await;
        read.ok_or_else(|| Failure::new("the reader is gone"))??
    }
}

async fn read(mut tail: Tail, is_over: Arc<AtomicBool>) -> Result<Tally> {
    let mut tally = Tally::default();
    while !is_over.load(Ordering::Relaxed) {
        if let Some(event) = tail.next(Instant::now() + READ_INTERVAL).await? {
            tally.take(&event)?;
        }
    }
    tail.each_to_end(READING_MAX, |event| tally.take(&event)).await?;
    Ok(tally)
}
