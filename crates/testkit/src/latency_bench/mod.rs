//! The latency: how long after its commit a change can be read, at a steady rate of changes.
//!
//! In: rates. Out: for each reader the distribution of the time from the moment an application knows that its transaction is committed to
//! the moment a `read_committed` consumer has the record; processor time and memory of the connector.
//! Our connector exactly once and at least once; on demand the real Debezium, by its defaults and with `poll.interval.ms=1`, at least once.
//! The work: rows of `orders` (nine columns), inserted one by one, or above a thousand a second several in a transaction.
//! Before anything counts, changes are brought for a while: a broker that has just started compiles its code.
//! Never: a change left out, neither one that was late nor one that did not come: that is a failure.

mod load;
mod report;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::connector;
use crate::debezium::Worker;
use crate::orders::COLUMNS;
use crate::process_stat::{Usage, usage};
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::tail::Tail;
use crate::{Failure, Result};

use load::{Load, Written};
pub use report::{Measure, Reader, Report};

/// Changes of the beginning that are made and not measured: topics are made, caches filled.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long each of our ways brings changes before anything counts, and how many a second: it takes a broker about a minute to have compiled
/// its code at this rate.
const BROKER_WARM_UP: Duration = Duration::from_secs(45);
const BROKER_WARM_UP_RATE: u64 = 1_000;
/// How long after the last change all have to be there.
const ARRIVAL_MAX: Duration = Duration::from_mins(2);

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Changes per second.
    pub rates: Vec<u64>,
    /// Seconds of each measurement, without those that do not count.
    pub seconds: u64,
    /// How often everything is measured, in turns.
    pub runs: u32,
    /// Measure Debezium too.
    pub debezium: bool,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

/// Measures everybody in turns, as often as the plan says.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("latency").await?;
    let session = database.with(&format!("create table orders ({COLUMNS})")).await?;
    let worker = if plan.debezium { Some(Worker::start(&database).await?) } else { None };
    let readers = match worker {
        Some(_) => &Reader::ALL[..],
        None => &Reader::OURS[..],
    };
    let mut bench = Bench { database, session, worker, plan, next_id: 1 };
    narrate("warming the broker up");
    for reader in Reader::OURS {
        bench.measure(reader, BROKER_WARM_UP_RATE, BROKER_WARM_UP, 0).await?;
    }
    let time = Duration::from_secs(plan.seconds);
    let mut report = Report { settings: plan.settings.clone(), measures: Vec::new() };
    for run in 1..=plan.runs {
        for rate in &plan.rates {
            for reader in readers {
                let measure = bench.measure(*reader, *rate, time, run).await?;
                narrate(&measure.to_string());
                report.measures.push(measure);
            }
        }
    }
    if let Some(worker) = bench.worker {
        worker.stop().await;
    }
    Ok(report)
}

struct Bench<'a> {
    database: Database,
    session: Session,
    worker: Option<Worker>,
    plan: &'a Plan,
    /// No id comes twice.
    next_id: u64,
}

impl Bench<'_> {
    async fn measure(
        &mut self,
        reader: Reader,
        rate: u64,
        time: Duration,
        run: u32,
    ) -> Result<Measure> {
        let load = self.load(rate, time);
        let name = format!("{}_{rate}_{run}", reader.name());
        let measured = match reader {
            Reader::DebeziumDefault | Reader::DebeziumPolling => {
                self.debezium(reader, load, &name).await
            }
            Reader::ExactlyOnce | Reader::AtLeastOnce => self.tributary(reader, load, &name).await,
        };
        let (latencies, usage) = measured.map_err(|failure| failure.during(&name))?;
        self.session.drop_slot(&name).await?;
        Measure::of(run, reader, rate, &latencies, usage)
    }

    async fn tributary(
        &mut self,
        reader: Reader,
        load: Load,
        name: &str,
    ) -> Result<(Vec<Duration>, Usage)> {
        let mut connector = self
            .database
            .connector()?
            .named(name)
            .set("slot.name", name)
            .set("publication.name", name)
            .set("topic.prefix", name)
            .set("table.include.list", "public[.]orders")
            .set("snapshot.mode", "no_data")
            .set("tributary.delivery.guarantee", reader.guarantee());
        for (key, value) in &self.plan.settings {
            connector = connector.set(key, value);
        }
        let mut process = connector.start_streaming().await?;
        let id = process.id().ok_or_else(|| Failure::new("the connector has ended"))?;
        let latencies = self.latencies(load, name).await;
        let latencies = latencies.map_err(|failure| failure.during(process.log_end()))?;
        let usage = usage(id)?;
        process.terminate().await?;
        Ok((latencies, usage))
    }

    async fn debezium(
        &mut self,
        reader: Reader,
        load: Load,
        name: &str,
    ) -> Result<(Vec<Duration>, Usage)> {
        let mut more = json!({
            "publication.autocreate.mode": "filtered",
            "table.include.list": "public[.]orders",
            "snapshot.mode": "no_data",
        });
        if reader == Reader::DebeziumPolling {
            more["poll.interval.ms"] = json!("1");
        }
        let settings = connector::settings(&self.database, name, more);
        let worker = || self.worker.as_ref().ok_or_else(|| Failure::new("there is no worker"));
        let before = worker()?.usage()?;
        worker()?.client.create(name, settings).await?;
        self.session.slot_is_read(name).await?;
        let latencies = self.latencies(load, name).await?;
        let worker = self.worker.as_ref().ok_or_else(|| Failure::new("there is no worker"))?;
        let used = worker.usage()?.since(before);
        worker.client.delete(name).await?;
        Ok((latencies, used))
    }

    /// Rows at this rate, for so long and for what does not count before.
    fn load(&mut self, rate: u64, time: Duration) -> Load {
        let load = Load { rate, time: WARM_UP + time, first_id: self.next_id };
        self.next_id += load.changes();
        load
    }

    /// Writes at a rate, and reads until everything is there.
    async fn latencies(&self, load: Load, prefix: &str) -> Result<Vec<Duration>> {
        let tail = Tail::open(self.database.bootstrap(), &format!("{prefix}.public.orders"))?;
        let mut reader = JoinSet::new();
        reader.spawn(read(tail, load.changes(), load.time + ARRIVAL_MAX));
        let written = load.write(&self.database).await?;
        let read = match reader.join_next().await {
            Some(read) => read??,
            None => return Err(Failure::new("the reader is gone")),
        };
        let counts = load.first_id + load.rate * WARM_UP.as_secs();
        latencies(&written, &read, counts)
    }
}

/// When each of so many rows was read.
async fn read(mut tail: Tail, rows: u64, within: Duration) -> Result<HashMap<u64, Instant>> {
    let deadline = Instant::now() + within;
    let mut read = HashMap::new();
    while (read.len() as u64) < rows {
        let Some(event) = tail.next(deadline).await? else {
            return Err(Failure::new(format!("{} of {rows} rows arrived", read.len())));
        };
        let id = event.key_payload()["id"].as_u64();
        let id = id.ok_or_else(|| Failure::new(format!("a key without an id: {event:?}")))?;
        read.entry(id).or_insert(event.read_at);
    }
    Ok(read)
}

/// From the commit of each row to its record, without those before `counts`.
fn latencies(
    written: &[Written],
    read: &HashMap<u64, Instant>,
    counts: u64,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(read.len());
    for Written { ids, committed_at } in written {
        for id in ids.clone().filter(|id| *id >= counts) {
            let read_at = read.get(&id).ok_or_else(|| Failure::new(format!("no row {id}")))?;
            // The answer to a commit may be on its way while the record arrives.
            latencies.push(read_at.saturating_duration_since(*committed_at));
        }
    }
    latencies.sort_unstable();
    Ok(latencies)
}
