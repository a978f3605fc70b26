//! Many connectors on a few workers, one of which is killed and one stopped, while all tables are written to.
//!
//! In: how many of each. Out: how long events stayed away, and what an independent reader of every topic counts: doubled, lost, out of order.
//! Method: each connector has one table, into which one row a round is inserted, with ids that count up; so a topic has each id once and
//! in order, or something went wrong. The longest time between two records of a topic is how long its connector was away.
//! Never: a worker of another group, a process left behind.

pub mod first_event;
pub mod scale;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::connector::settings;
use crate::stack::{Database, Stack};
use crate::tail::read_topic;
use crate::wait::{Seen, eventually};
use crate::worker::{Group, Worker};
use crate::{Failure, Result};

const PATIENCE: Duration = Duration::from_mins(2);

/// How many, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connectors, each with a table, a slot and a publication of its own.
    pub connectors: usize,
    /// Workers; at least 3: one is killed, one stopped.
    pub workers: usize,
    /// Between two rows of a table.
    pub round: Duration,
    /// Load before, between and after the faults.
    pub calm: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Rows inserted into each table.
    pub rounds: u64,
    /// From SIGKILL until every connector was said to run on one that lives.
    pub killed_healed: Duration,
    /// From SIGSTOP until every connector was said to run on another.
    pub stopped_healed: Duration,
    /// Longest time without a record in any topic, from the first fault on.
    pub silence: Duration,
    /// The same in the calm before.
    pub silence_before: Duration,
    /// Records whose id had come before.
    pub doubled: u64,
    /// Ids that did not come.
    pub lost: u64,
    /// Records whose id was not the next.
    pub out_of_order: u64,
    /// Peak resident memory of a worker that had to run everything, bytes.
    pub peak_rss_bytes: u64,
}

impl Outcome {
    /// Each row once, in order.
    pub fn is_clean(&self) -> bool {
        (self.doubled, self.lost, self.out_of_order) == (0, 0, 0)
    }
}

/// Runs it on a stack of its own, which must allow enough slots and connections.
pub async fn run(stack: &Stack, options: Options, tell: impl Fn(&str)) -> Result<Outcome> {
    if options.workers < 3 {
        return Err(Failure::new("a fleet needs at least 3 workers: one is killed, one stopped"));
    }
    let database = stack.database("fleet").await?;
    let session = database.session().await?;
    for table in 0..options.connectors {
        session.run(&format!("create table t{table} (id bigint primary key)")).await?;
    }
    let group = Group::new(database.bootstrap(), database.name())?;
    let mut workers = Vec::new();
    for number in 0..options.workers {
        workers.push(group.start(&format!("worker-{number}")).await?);
    }
    create(&workers, &database, options.connectors).await?;
    run_on(&workers[0], options, &["worker-"]).await?;
    tell("all connectors run");
    let stop = Arc::new(AtomicBool::new(false));
    let mut writer = JoinSet::new();
    writer.spawn(write(database.clone(), options, Arc::clone(&stop)));
    tokio::time::sleep(options.calm).await;
    let faults_from_ms = crate::wait::unix_ms_now();
    let mut outcome = Outcome::default();
    let (last, killed) = (options.workers - 1, options.workers - 2);
    let at = Instant::now();
    workers[killed].process.kill().await?;
    let living: Vec<String> =
        (0..options.workers).filter(|number| *number != killed).map(id).collect();
    run_on(&workers[0], options, &living).await?;
    outcome.killed_healed = at.elapsed();
    tell(&format!("killed a worker: all run again after {:.1?}", outcome.killed_healed));
    tokio::time::sleep(options.calm).await;
    let at = Instant::now();
    workers[last].process.signal("STOP").await?;
    let living: Vec<String> =
        (0..options.workers).filter(|number| ![killed, last].contains(number)).map(id).collect();
    run_on(&workers[0], options, &living).await?;
    outcome.stopped_healed = at.elapsed();
    tell(&format!("stopped a worker: all run again after {:.1?}", outcome.stopped_healed));
    tokio::time::sleep(options.calm).await;
    workers[last].process.signal("CONT").await?;
    tell("it wakes");
    tokio::time::sleep(options.calm).await;
    stop.store(true, Ordering::Relaxed);
    let written = writer.join_next().await;
    outcome.rounds =
        written.ok_or_else(|| Failure::new("the writer is gone"))?.map_err(Failure::from)??;
    if let Some(id) = workers[0].process.id() {
        outcome.peak_rss_bytes = crate::process_stat::usage(id)?.peak_rss_bytes;
    }
    count(&database, options, faults_from_ms, &mut outcome).await?;
    for worker in &mut workers {
        if worker.process.exited()?.is_none() {
            worker.process.terminate().await?;
        }
    }
    Ok(outcome)
}

/// How many idle connectors, and how long they are looked at.
#[derive(Clone, Copy, Debug)]
pub struct IdleOptions {
    /// Connectors, each with a table, a slot and a publication of its own.
    pub connectors: usize,
    /// How long processor time is counted.
    pub measured: Duration,
}

/// What idle connectors cost.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// How many.
    pub connectors: usize,
    /// Resident memory of the worker before it had any, bytes.
    pub rss_before_bytes: u64,
    /// With them, bytes.
    pub rss_bytes: u64,
    /// Of one core.
    pub processor_percent: f64,
}

impl Idle {
    /// Resident memory of one, bytes.
    pub fn bytes_each(&self) -> f64 {
        // Exact below 2^52 bytes.
        #[expect(clippy::cast_precision_loss)]
        let (more, count) =
            (self.rss_bytes.saturating_sub(self.rss_before_bytes) as f64, self.connectors as f64);
        more / count
    }
}

/// Makes connectors on one worker that have nothing to do, and looks what that costs.
pub async fn idle(stack: &Stack, options: IdleOptions, tell: impl Fn(&str)) -> Result<Idle> {
    let database = stack.database("idle").await?;
    let session = database.session().await?;
    for table in 0..options.connectors {
        session.run(&format!("create table t{table} (id bigint primary key)")).await?;
    }
    let group = Group::new(database.bootstrap(), database.name())?;
    let mut workers = vec![group.start("worker-0").await?];
    let process = workers[0].process.id().ok_or_else(|| Failure::new("the worker is gone"))?;
    let before = crate::process_stat::usage(process)?;
    create(&workers, &database, options.connectors).await?;
    let all = Options {
        connectors: options.connectors,
        workers: 1,
        round: Duration::ZERO,
        calm: Duration::ZERO,
    };
    run_on(&workers[0], all, &["worker-0"]).await?;
    tell("all connectors run");
    // What their start took is given back.
    tokio::time::sleep(options.measured).await;
    let settled = crate::process_stat::usage(process)?;
    tokio::time::sleep(options.measured).await;
    let after = crate::process_stat::usage(process)?;
    workers[0].process.terminate().await?;
    let busy = after.processor.saturating_sub(settled.processor);
    Ok(Idle {
        connectors: options.connectors,
        rss_before_bytes: before.rss_bytes,
        rss_bytes: after.rss_bytes,
        processor_percent: 100.0 * busy.as_secs_f64() / options.measured.as_secs_f64(),
    })
}

fn id(number: usize) -> String {
    format!("worker-{number}")
}

/// Asks each worker in turn for a connector of one table.
async fn create(workers: &[Worker], database: &Database, connectors: usize) -> Result<()> {
    create_for(workers, database, connectors, |table| format!("public[.]t{table}")).await
}

/// The same, each for what `include` says of its number.
async fn create_for(
    workers: &[Worker],
    database: &Database,
    connectors: usize,
    include: impl Fn(usize) -> String,
) -> Result<()> {
    for table in 0..connectors {
        let name = format!("{}_t{table}", database.name());
        let more = json!({"table.include.list": include(table), "snapshot.mode": "no_data"});
        let config = settings(database, &name, more);
        let body = json!({"name": name, "config": config});
        workers[table % workers.len()].expect("POST", "/connectors", Some(body)).await?;
    }
    Ok(())
}

/// Waits until every connector streams on one of the workers whose ids begin like this.
async fn run_on<S: AsRef<str>>(asked: &Worker, options: Options, ids: &[S]) -> Result<()> {
    eventually("every connector runs", PATIENCE, async || {
        let body = asked.expect("GET", "/v1/connectors", None).await?;
        let connectors = body["connectors"].as_array().cloned().unwrap_or_default();
        let runs = |connector: &&Value| {
            let worker = connector["worker"].as_str().unwrap_or_default();
            connector["state"]["phase"] == "streaming"
                && ids.iter().any(|id| worker.starts_with(id.as_ref()))
        };
        let running = connectors.iter().filter(runs).count();
        Ok(Seen::when(running == options.connectors, || {
            let away = connectors.iter().find(|connector| !runs(connector));
            format!("{running} of {} run; {away:?}", options.connectors)
        }))
    })
    .await
}

/// One row into each table, round for round; how many.
async fn write(database: Database, options: Options, stop: Arc<AtomicBool>) -> Result<u64> {
    let session = database.session().await?;
    let mut round: u64 = 0;
    let mut ticks = tokio::time::interval(options.round);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        round += 1;
        let inserts: Vec<String> = (0..options.connectors)
            .map(|table| format!("insert into t{table} values ({round})"))
            .collect();
        session.run(&inserts.join(";")).await?;
    }
    Ok(round)
}

async fn count(
    database: &Database,
    options: Options,
    faults_from_ms: i64,
    outcome: &mut Outcome,
) -> Result<()> {
    for table in 0..options.connectors {
        let topic = format!("{}_t{table}.public.t{table}", database.name());
        let rounds = outcome.rounds;
        let events = eventually("the last row has arrived", PATIENCE, async || {
            let events = read_topic(database.bootstrap(), &topic).await?;
            let last = events.last().and_then(|event| event.key_payload()["id"].as_u64());
            let count = events.len();
            Ok(if last == Some(rounds) {
                Seen::Yes(events)
            } else {
                Seen::NotYet(format!(
                    "{topic}: {count} events, the last of row {last:?} of {rounds}"
                ))
            })
        })
        .await?;
        let mut seen = vec![false; usize::try_from(rounds).unwrap_or_default() + 1];
        let (mut expected, mut before_ms) = (1, None);
        for event in &events {
            let id = event.key_payload()["id"].as_u64().unwrap_or_default();
            let known = usize::try_from(id).ok().and_then(|id| seen.get_mut(id));
            match known {
                Some(seen) if *seen => outcome.doubled += 1,
                Some(seen) => *seen = true,
                None => outcome.out_of_order += 1,
            }
            outcome.out_of_order += u64::from(id != expected);
            expected = id + 1;
            let at_ms = event.timestamp_ms.unwrap_or_default();
            if let Some(before_ms) = before_ms.replace(at_ms) {
                let gap_ms = u64::try_from(at_ms - before_ms).unwrap_or_default();
                let gap = Duration::from_millis(gap_ms);
                let longest = if at_ms < faults_from_ms {
                    &mut outcome.silence_before
                } else {
                    &mut outcome.silence
                };
                *longest = gap.max(*longest);
            }
        }
        outcome.lost += seen.iter().skip(1).filter(|seen| !**seen).count() as u64;
    }
    Ok(())
}
