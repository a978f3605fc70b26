//! The start: how long after the start of its process a connector has brought its first change.
//!
//! In: how many tables. Out: time from the start of the process to the first streamed event that a `read_committed` reader has, with an existing
//! slot: of a connector that captures many tables, one of which has changed; and of one that captures one table beside very many others.
//! Method: the change is made while the connector is away, and is the only one that waits.
//! Never: a first start, which has slot, publication and topics to make.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::connector::Connector;
use crate::figures::{mb, median};
use crate::payload;
use crate::process_stat::{Usage, usage};
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::tail::Tail;
use crate::wait::DEADLINE;
use crate::{Failure, Result};

const ARRIVAL_MAX: Duration = Duration::from_mins(5);
/// The other tables that are made in one transaction: each of their locks needs room until it is over.
const TABLES_AT_ONCE: u64 = 200;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Tables that are captured in the first case.
    pub tables: u64,
    /// Tables beside the captured one in the second; 0 leaves the case out.
    pub other_tables: u64,
    /// Starts of each.
    pub runs: u32,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

/// The starts of one case.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// In words.
    pub case: String,
    /// Seconds of each start.
    pub seconds: Vec<f64>,
    /// The one in the middle.
    pub median_seconds: f64,
    /// Processor seconds of our process, median.
    pub processor_seconds: f64,
    /// Largest resident set of our process, MB of 1,000,000 bytes, in any of the starts.
    pub peak_rss_mb: f64,
}

/// What all measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
    /// One per case.
    pub measures: Vec<Measure>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<45}  median   CPU-s  peak RSS  each", "start with")?;
        for measure in &self.measures {
            let each: Vec<String> =
                measure.seconds.iter().map(|seconds| format!("{seconds:.2}")).collect();
            writeln!(
                formatter,
                "{:<45}  {:>4.2} s  {:>6.2}  {:>5.0} MB  {}",
                measure.case,
                measure.median_seconds,
                measure.processor_seconds,
                measure.peak_rss_mb,
                each.join(" ")
            )?;
        }
        Ok(())
    }
}

/// Measures both cases.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let mut report = Report { settings: plan.settings.clone(), measures: Vec::new() };
    let database = stack.database("start").await?;
    let session = database.session().await?;
    narrate(&format!("making {} tables", plan.tables));
    payload::create(&session, plan.tables).await?;
    let case = format!("{} captured tables", plan.tables);
    let connector = connector(&database, plan, "public[.]t.*")?;
    let table = format!("t{}", plan.tables / 2);
    let measure = measure(&connector, &session, &table, (case, plan.runs)).await?;
    narrate(&format!("{}: {:?}", measure.case, measure.seconds));
    report.measures.push(measure);
    if plan.other_tables > 0 {
        let database = stack.database("beside").await?;
        let session = database.session().await?;
        payload::create(&session, 1).await?;
        narrate(&format!("making {} tables", plan.other_tables));
        let began = Instant::now();
        create_others(&session, plan.other_tables).await?;
        narrate(&format!("made after {:.0?}", began.elapsed()));
        let case = format!("one captured table beside {} others", plan.other_tables);
        let connector = self::connector(&database, plan, "public[.]t0")?;
        let measure = self::measure(&connector, &session, "t0", (case, plan.runs)).await?;
        narrate(&format!("{}: {:?}", measure.case, measure.seconds));
        report.measures.push(measure);
    }
    Ok(report)
}

fn connector(database: &Database, plan: &Plan, include: &str) -> Result<Connector> {
    let mut connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("publication.autocreate.mode", "filtered")
        .set("table.include.list", include);
    for (key, value) in &plan.settings {
        connector = connector.set(key, value);
    }
    Ok(connector)
}

/// In a schema of their own, each with a primary key.
async fn create_others(session: &Session, count: u64) -> Result<()> {
    session
        .run(&format!(
            "create schema other;
             create procedure create_others(tables bigint) language plpgsql as $$
             begin
               for i in 1 .. tables loop
                 execute format('create table other.o%s (id bigint primary key, note text)', i);
                 if i % {TABLES_AT_ONCE} = 0 then commit; end if;
               end loop;
             end $$"
        ))
        .await?;
    session.run(&format!("call create_others({count})")).await?;
    // What autovacuum would do in the middle of a start.
    session.run("vacuum (analyze) pg_class").await?;
    session.run("vacuum (analyze) pg_attribute").await
}

/// Makes slot, publication and topic by a first run, then starts again and again.
async fn measure(
    connector: &Connector,
    session: &Session,
    table: &str,
    (case, runs): (String, u32),
) -> Result<Measure> {
    let database = connector.database();
    let mut tail = database.tail(&format!("public.{table}"))?;
    let mut process = connector.start_streaming().await?;
    insert(session, table, 0).await?;
    expect(&mut tail, 0, DEADLINE).await?;
    process.terminate().await?;
    let (mut seconds, mut used) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        connector.wait_until_slot_free(session).await?;
        insert(session, table, run).await?;
        let (elapsed, usage) = start(connector, &mut tail, run).await?;
        seconds.push(elapsed.as_secs_f64());
        used.push(usage);
    }
    let processor: Vec<f64> = used.iter().map(|usage| usage.processor.as_secs_f64()).collect();
    let peak_rss_bytes = used.iter().map(|usage| usage.peak_rss_bytes).max().unwrap_or_default();
    Ok(Measure {
        case,
        median_seconds: median(&seconds),
        seconds,
        processor_seconds: median(&processor),
        peak_rss_mb: mb(peak_rss_bytes),
    })
}

/// From the start of the process to the record of row `id`.
async fn start(connector: &Connector, tail: &mut Tail, id: u32) -> Result<(Duration, Usage)> {
    let mut process = connector.start()?;
    let read_at = expect(tail, id, ARRIVAL_MAX).await;
    let read_at = read_at.map_err(|failure| failure.during(process.log_end()))?;
    let id = process.id().ok_or_else(|| Failure::new("the connector has ended"))?;
    let used = usage(id)?;
    let elapsed = read_at.duration_since(process.started());
    process.terminate().await?;
    Ok((elapsed, used))
}

async fn insert(session: &Session, table: &str, id: u32) -> Result<()> {
    session.run(&format!("insert into {table} values ({id}, 'a row')")).await
}

/// When the next record was read. Errors: none comes, or it is of another row.
async fn expect(tail: &mut Tail, id: u32, within: Duration) -> Result<Instant> {
    let event = tail.next(Instant::now() + within).await?;
    let event = event.ok_or_else(|| Failure::new(format!("no record after {within:?}")))?;
    if event.key_payload()["id"] == id {
        return Ok(event.read_at);
    }
    Err(Failure::new(format!("row {id} was awaited, and this came: {event:?}")))
}
