//! How far one worker and one database go with several connectors: total rate and memory.
//!
//! In: numbers of connectors. Out: for each, how fast one worker takes a backlog to Kafka that is shared evenly by the tables of its
//! connectors. Method: the connectors are made, each for a table of its own, and the worker is ended; then the rows are written; then the
//! worker starts again, and time runs from there until each connector has brought the row written last.
//! Every slot reads the whole WAL, as PostgreSQL has it. Never: a figure of topics that do not hold every row once.

use std::fmt;
use std::time::Instant;

use futures_util::future::try_join_all;
use serde::Serialize;

use super::{Options, PATIENCE, create_for, run_on};
use crate::backlog::{marker_arrived, write_marker};
use crate::figures::{mb, per_second};
use crate::payload::{self, Rows};
use crate::process_stat::usage;
use crate::produce::delete_topic;
use crate::row_tally::expect_each_row_once;
use crate::session::Session;
use crate::stack::{Database, MARKER_TABLE, Stack};
use crate::wait::{Seen, eventually};
use crate::worker::Group;
use crate::{Failure, Result};

const PAYLOAD_BYTES: u64 = 300;
const PER_TRANSACTION: u64 = 10;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of connectors.
    pub connectors: Vec<usize>,
    /// Row changes of all tables together.
    pub changes: u64,
    /// How often each is measured, in turns.
    pub runs: u32,
}

/// What so many connectors needed once.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measure {
    /// Which run; 0 does not count.
    pub run: u32,
    /// Connectors, each with a table and a slot.
    pub connectors: usize,
    /// Row changes of all tables together.
    pub changes: u64,
    /// Seconds from the start of the worker until the last connector had brought the last row.
    pub seconds: f64,
    /// Row changes per second of that, of all together.
    pub changes_per_second: f64,
    /// Processor seconds of the worker.
    pub processor_seconds: f64,
    /// Largest resident set of the worker, MB of 1,000,000 bytes.
    pub peak_rss_mb: f64,
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>3}  {:>10}  {:>9}  {:>7.2} s  {:>9.0}  {:>6.2}  {:>5.0} MB",
            self.run,
            self.connectors,
            self.changes,
            self.seconds,
            self.changes_per_second,
            self.processor_seconds,
            self.peak_rss_mb
        )
    }
}

/// What all measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In the order they were taken.
    pub measures: Vec<Measure>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "run  connectors    changes       wall  changes/s   CPU-s  peak RSS")?;
        for measure in &self.measures {
            writeln!(formatter, "{measure}")?;
        }
        Ok(())
    }
}

/// Measures each number in turns, as often as the plan says, after one connector that does not count.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let mut report = Report::default();
    let warm_up = measure(stack, plan, 1, 0).await?;
    narrate(&format!("the first, which does not count:\n{warm_up}"));
    for run in 1..=plan.runs {
        for connectors in &plan.connectors {
            let measure = measure(stack, plan, *connectors, run).await?;
            narrate(&measure.to_string());
            report.measures.push(measure);
        }
    }
    Ok(report)
}

async fn measure(stack: &Stack, plan: &Plan, connectors: usize, run: u32) -> Result<Measure> {
    let database = stack.database("scale").await?;
    let session = database.session().await?;
    let tables = u64::try_from(connectors)?;
    payload::create(&session, tables).await?;
    let group = Group::new(database.bootstrap(), database.name())?;
    make_slots(&group, &database, connectors).await?;
    wait_until_slots_free(&session).await?;
    let rows = Rows {
        count: plan.changes,
        payload_bytes: PAYLOAD_BYTES,
        tables,
        per_transaction: PER_TRANSACTION,
    };
    rows.write(&session).await?;
    write_marker(&session).await?;
    session.run("checkpoint").await?;
    let mut worker = group.start("worker-0").await?;
    let prefixes: Vec<String> = (0..connectors).map(|table| prefix(&database, table)).collect();
    let arrivals = prefixes.iter().map(|prefix| marker_arrived(&database, prefix, async || Ok(())));
    let arrived = try_join_all(arrivals).await;
    let arrived = arrived.map_err(|failure| failure.during(worker.process.log_end()))?;
    let last: Option<Instant> = arrived.into_iter().max();
    let last = last.ok_or_else(|| Failure::new("no connector was measured"))?;
    let id = worker.process.id().ok_or_else(|| Failure::new("the worker has ended"))?;
    let used = usage(id)?;
    let elapsed = last.duration_since(worker.process.started());
    worker.process.terminate().await?;
    wait_until_slots_free(&session).await?;
    for prefix in &prefixes {
        session.drop_slot(prefix).await?;
    }
    let topics: Vec<String> = (0_usize..)
        .zip(&prefixes)
        .map(|(table, prefix)| format!("{prefix}.public.t{table}"))
        .collect();
    expect_each_row_once(database.bootstrap(), &topics, plan.changes).await?;
    for topic in &topics {
        delete_topic(database.bootstrap(), topic).await?;
    }
    Ok(Measure {
        run,
        connectors,
        changes: plan.changes,
        seconds: elapsed.as_secs_f64(),
        changes_per_second: per_second(plan.changes, elapsed),
        processor_seconds: used.processor.as_secs_f64(),
        peak_rss_mb: mb(used.peak_rss_bytes),
    })
}

/// Of a connector, its slot and its topics.
fn prefix(database: &Database, table: usize) -> String {
    format!("{}_t{table}", database.name())
}

/// Makes the connectors, and ends the worker once all stream.
async fn make_slots(group: &Group, database: &Database, connectors: usize) -> Result<()> {
    let mut workers = vec![group.start("worker-0").await?];
    let include = |table| format!("public[.](t{table}|{MARKER_TABLE})");
    create_for(&workers, database, connectors, include).await?;
    let all = Options {
        connectors,
        workers: 1,
        round: std::time::Duration::ZERO,
        calm: std::time::Duration::ZERO,
    };
    run_on(&workers[0], all, &["worker-0"]).await?;
    workers[0].process.terminate().await?;
    Ok(())
}

async fn wait_until_slots_free(session: &Session) -> Result<()> {
    let active =
        "select count(*) from pg_replication_slots where active and database = current_database()";
    eventually("the slots are free", PATIENCE, async || {
        let active = session.text(active).await?;
        Ok(Seen::when(active.as_deref() == Some("0"), || format!("{active:?} are read")))
    })
    .await
}
