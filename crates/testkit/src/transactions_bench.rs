//! Large transactions: how fast one reaches Kafka after its commit, and what many that are open at once take.
//!
//! In: numbers. Out: time from the last commit to the last record that a `read_committed` reader sees, processor time and memory of
//! the connector, and the most that its spill folder held; each with and without streaming before the commit.
//! Never: a figure of a run whose topic does not hold every row once.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::connector::{Connector, ConnectorProcess};
use crate::disk::bytes_below;
use crate::orders::{COLUMNS, VALUES};
use crate::process_stat::{Usage, usage};
use crate::session::Session;
use crate::stack::{Database, MARKER_TABLE, Stack};
use crate::tail::Tail;
use crate::{Failure, Result};

const ARRIVAL_MAX: Duration = Duration::from_mins(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rows of the one transaction; 0 leaves it out.
    pub rows: u64,
    /// Transactions that are open at once; 0 leaves them out.
    pub open: u64,
    /// Rows of each.
    pub open_rows: u64,
    /// Bytes of the value of a single row; 0 leaves it out.
    pub wide_bytes: u64,
    /// How often each is measured.
    pub runs: u32,
    /// Connector settings beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

/// What one run measured.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// What was committed.
    pub work: String,
    /// `tributary.streaming.transactions`.
    pub streaming: &'static str,
    /// Seconds from the beginning of the first transaction to the commit of the last.
    pub writing_seconds: f64,
    /// Seconds from that commit to the last record.
    pub seconds: f64,
    /// Rows per second of that.
    pub rows_per_second: f64,
    /// Processor seconds of our process.
    pub processor_seconds: f64,
    /// Largest resident set of our process, MB of 1,000,000 bytes.
    pub peak_rss_mb: f64,
    /// Most that its spill folder held, MB of 1,000,000 bytes.
    pub spilled_mb: f64,
    /// How it came out.
    pub outcome: String,
}

/// What all runs measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One per run.
    pub runs: Vec<Run>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<34} streaming  writing  after commit    rows/s   CPU-s  peak RSS   spilled  outcome",
            "work"
        )?;
        for run in &self.runs {
            writeln!(
                formatter,
                "{:<34} {:>9} {:>6.1} s {:>11.2} s {:>9.0} {:>7.1} {:>6.0} MB {:>6.0} MB  {}",
                run.work,
                run.streaming,
                run.writing_seconds,
                run.seconds,
                run.rows_per_second,
                run.processor_seconds,
                run.peak_rss_mb,
                run.spilled_mb,
                run.outcome
            )?;
        }
        Ok(())
    }
}

/// Runs the plan.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let mut report = Report { runs: Vec::new() };
    for _ in 0..plan.runs {
        for streaming in ["on", "off"] {
            for (open, rows) in [(1, plan.rows), (plan.open, plan.open_rows)] {
                if open > 0 && rows > 0 {
                    report.runs.push(measure(stack, plan, streaming, (open, rows)).await?);
                }
            }
            if plan.wide_bytes > 0 {
                report.runs.push(wide(stack, plan, streaming).await?);
            }
            narrate(&report.to_string());
        }
    }
    Ok(report)
}

/// A connector under test, with a database and a spill folder of its own.
struct Bench {
    database: Database,
    session: Session,
    connector: Connector,
    folder: TempDir,
}

impl Bench {
    async fn new(stack: &Stack, plan: &Plan, streaming: &str, table: &str) -> Result<Self> {
        let database = stack.database("large").await?;
        let session = database.with(table).await?;
        let folder = tempfile::tempdir()?;
        let mut connector = database
            .connector()?
            .set("snapshot.mode", "no_data")
            .set("tributary.streaming.transactions", streaming)
            .set("tributary.spill.directory", &folder.path().to_string_lossy());
        for (key, value) in &plan.settings {
            connector = connector.set(key, value);
        }
        Ok(Self { database, session, connector, folder })
    }
}

/// `open` transactions of `rows` rows each, all open before the first commits.
async fn measure(
    stack: &Stack,
    plan: &Plan,
    streaming: &'static str,
    (open, rows): (u64, u64),
) -> Result<Run> {
    let table = format!("create table orders ({COLUMNS}); checkpoint");
    let bench = Bench::new(stack, plan, streaming, &table).await?;
    let mut process = bench.connector.start_streaming().await?;
    let mut watch = Watch::default();
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for number in 0..open {
        let writer = bench.database.session().await?;
        let (first, last) = (1 + number * rows, (number + 1) * rows);
        writers.spawn(async move {
            let insert = format!("begin; set local synchronous_commit = off; insert into orders select {VALUES} from generate_series({first}, {last}) i");
            writer.run(&insert).await.map(|()| writer)
        });
    }
    let mut written = Vec::new();
    while written.len() < usize::try_from(open).unwrap_or(usize::MAX) {
        tokio::select! {
            Some(done) = writers.join_next() => {
                written.push(done.map_err(|failure| Failure::new(failure.to_string()))??);
            }
            () = tokio::time::sleep(LOOK_INTERVAL) => watch.look(&mut process, bench.folder.path())?,
        }
    }
    for writer in &written {
        writer.run("commit").await?;
    }
    let committed = Instant::now();
    bench.session.run(&format!("insert into {MARKER_TABLE}(note) values ('end')")).await?;
    let mut marker = Tail::open(
        bench.database.bootstrap(),
        &bench.database.topic(&format!("public.{MARKER_TABLE}")),
    )?;
    let arrived = loop {
        if let Some(event) = marker.next(Instant::now() + LOOK_INTERVAL).await? {
            break event.read_at;
        }
        watch.look(&mut process, bench.folder.path())?;
        if committed.elapsed() > ARRIVAL_MAX {
            return Err(Failure::new(format!(
                "not there after {ARRIVAL_MAX:?}:\n{}",
                process.log_end()
            )));
        }
    };
    watch.look(&mut process, bench.folder.path())?;
    process.terminate().await?;
    let mut records = 0;
    let mut orders =
        Tail::open(bench.database.bootstrap(), &bench.database.topic("public.orders"))?;
    orders
        .each_to_end(ARRIVAL_MAX, |_| {
            records += 1;
            Ok(())
        })
        .await?;
    if records != open * rows {
        return Err(Failure::new(format!("the topic holds {records} records of {}", open * rows)));
    }
    let work = format!("{open} x {rows} rows");
    let spent = (committed - began, arrived.saturating_duration_since(committed));
    Ok(watch.run(work, streaming, spent, open * rows, "all rows, each once"))
}

/// One row with one large value. Kafka takes no record of that size: what is measured is how the connector says so.
async fn wide(stack: &Stack, plan: &Plan, streaming: &'static str) -> Result<Run> {
    let table = "create table wide (id int primary key, big text); alter table wide alter big set storage external";
    let bench = Bench::new(stack, plan, streaming, table).await?;
    let mut process = bench.connector.start_streaming().await?;
    let mut watch = Watch::default();
    let began = Instant::now();
    let insert = format!("insert into wide values (1, repeat('x', {}))", plan.wide_bytes);
    bench.session.run(&insert).await?;
    let committed = Instant::now();
    let status = loop {
        if let Some(status) = process.exited()? {
            break status;
        }
        watch.look_at(&process, bench.folder.path());
        if committed.elapsed() > ARRIVAL_MAX {
            return Err(Failure::new(format!(
                "still there after {ARRIVAL_MAX:?}:\n{}",
                process.log_end()
            )));
        }
        tokio::time::sleep(LOOK_INTERVAL / 10).await;
    };
    let log = process.log();
    let code = log.rsplit_once("[CO").and_then(|(_, rest)| rest.get(..3)).unwrap_or("none");
    let outcome = format!("{status}, CO{code}");
    let work = format!("one value of {} bytes", plan.wide_bytes);
    Ok(watch.run(work, streaming, (committed - began, committed.elapsed()), 1, &outcome))
}

/// The most that was seen of a process and its folder.
#[derive(Default)]
struct Watch {
    usage: Option<Usage>,
    spilled_bytes: u64,
}

impl Watch {
    fn look(&mut self, process: &mut ConnectorProcess, folder: &Path) -> Result<()> {
        process.expect_running()?;
        self.look_at(process, folder);
        Ok(())
    }

    fn look_at(&mut self, process: &ConnectorProcess, folder: &Path) {
        // A process that is just ending has no figures any more.
        if let Some(Ok(usage)) = process.id().map(usage) {
            self.usage = Some(usage);
        }
        self.spilled_bytes = self.spilled_bytes.max(bytes_below(folder));
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn run(
        &self,
        work: String,
        streaming: &'static str,
        (writing, after): (Duration, Duration),
        rows: u64,
        outcome: &str,
    ) -> Run {
        let usage = self.usage;
        Run {
            work,
            streaming,
            writing_seconds: writing.as_secs_f64(),
            seconds: after.as_secs_f64(),
            rows_per_second: rows as f64 / after.as_secs_f64(),
            processor_seconds: usage.map_or(0.0, |usage| usage.processor.as_secs_f64()),
            peak_rss_mb: usage.map_or(0.0, |usage| usage.peak_rss_bytes as f64 / 1e6),
            spilled_mb: self.spilled_bytes as f64 / 1e6,
            outcome: outcome.to_owned(),
        }
    }
}
