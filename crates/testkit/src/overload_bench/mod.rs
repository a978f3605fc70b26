//! Overload: changes at a rate that a connector need not keep up with, and how long it takes to get even.
//!
//! In: a rate and a time. Out: what PostgreSQL wrote beside the connector, the largest lag of its slot in bytes and seconds, and the time from
//! the end of the writing to the arrival of the row written last at a `read_committed` reader.
//! The work: transactions of ten changes on `orders`, from four sessions; the connector runs from the beginning.
//! Never: a figure of a topic in which something is lost or doubled.

mod report;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::backlog::{ARRIVAL_MAX, arrived, marker_arrived, tally_of, write_marker};
use crate::connector;
use crate::debezium::{self, Worker};
use crate::lag::{Behind, Lag};
use crate::orders::{self, Transactions};
use crate::pace::{self, Pace};
use crate::process_stat::{Usage, usage};
use crate::produce::delete_topic;
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::{Failure, Result};

pub use report::{Contender, Measure, Report};

const WRITERS: u64 = 4;
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is written, and under whom.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Row changes per second.
    pub rate: u64,
    /// Seconds of writing.
    pub seconds: u64,
    /// Measure Debezium too.
    pub debezium: bool,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

/// What was seen of one contender.
struct Observed {
    written: Vec<Transactions>,
    writing: Duration,
    behind: Behind,
    /// From the end of the writing to the last row; `None` if it did not come in time.
    catch_up: Option<Duration>,
    usage: Usage,
}

/// Measures everybody, each on a database of its own.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let mut report = Report::new(plan);
    let tributary = tributary(stack, plan).await;
    let tributary = tributary.map_err(|failure| failure.during("tributary"))?;
    report.add(Contender::Tributary, &tributary, narrate);
    if plan.debezium {
        let debezium = debezium(stack, plan).await.map_err(|failure| failure.during("Debezium"))?;
        report.add(Contender::Debezium, &debezium, narrate);
    }
    Ok(report)
}

async fn tributary(stack: &Stack, plan: &Plan) -> Result<Observed> {
    let database = stack.database("overload").await?;
    let session = database.session().await?;
    orders::create(&session, WRITERS).await?;
    let mut connector = database.connector()?.set("snapshot.mode", "no_data");
    for (key, value) in &plan.settings {
        connector = connector.set(key, value);
    }
    let mut process = connector.start_streaming().await?;
    let id = process.id().ok_or_else(|| Failure::new("the connector has ended"))?;
    let (written, writing, behind) =
        write(plan, &database, &session, async || process.expect_running()).await?;
    let ended = Instant::now();
    let arrived = arrived(&connector, &mut process).await;
    let arrived = arrived.map_err(|failure| failure.during(process.log_end()))?;
    let usage = usage(id)?;
    process.terminate().await?;
    connector.wait_until_slot_free(&session).await?;
    check(&database, &session, &written).await?;
    let catch_up = Some(arrived.saturating_duration_since(ended));
    Ok(Observed { written, writing, behind, catch_up, usage })
}

async fn debezium(stack: &Stack, plan: &Plan) -> Result<Observed> {
    let database = stack.database("overload").await?;
    let session = database.session().await?;
    orders::create(&session, WRITERS).await?;
    let worker = Worker::start(&database).await?;
    let (name, client) = (database.name(), &worker.client);
    let mut more: Value = debezium::tuned();
    more["snapshot.mode"] = json!("no_data");
    let before = worker.usage()?;
    client.create(name, connector::settings(&database, name, more)).await?;
    session.slot_is_read(name).await?;
    let running = async || client.expect_not_failed(name).await;
    let (written, writing, behind) = write(plan, &database, &session, running).await?;
    let ended = Instant::now();
    let arrived = marker_arrived(&database, name, running).await;
    let is_late = ended.elapsed() >= ARRIVAL_MAX;
    let catch_up = match arrived {
        Ok(arrived) => Some(arrived.saturating_duration_since(ended)),
        Err(_) if is_late => None,
        Err(failure) => return Err(failure),
    };
    let usage = worker.usage()?.since(before);
    client.delete(name).await?;
    if catch_up.is_some() {
        check(&database, &session, &written).await?;
    }
    worker.stop().await;
    Ok(Observed { written, writing, behind, catch_up, usage })
}

/// Writes, and looks at the slot meanwhile; then writes the row that says that this is all.
async fn write(
    plan: &Plan,
    database: &Database,
    session: &Session,
    mut running: impl AsyncFnMut() -> Result<()>,
) -> Result<(Vec<Transactions>, Duration, Behind)> {
    let pace = Pace {
        changes_per_second: plan.rate,
        writers: WRITERS,
        time: Duration::from_secs(plan.seconds),
    };
    let mut lag = Lag::of(database.name());
    let mut behind = lag.look(session).await?;
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let began = Instant::now();
    let mut writers = pace.start(database);
    let mut written = Vec::new();
    loop {
        tokio::select! {
            one = writers.next() => match one? {
                Some(one) => written.push(one),
                None => break,
            },
            _ = looks.tick() => {
                running().await?;
                behind = behind.max(lag.look(session).await?);
            }
        }
    }
    let writing = began.elapsed();
    behind = behind.max(lag.look(session).await?);
    write_marker(session).await?;
    Ok((written, writing, behind))
}

/// Counts the topic, and leaves neither it nor the slot.
async fn check(database: &Database, session: &Session, written: &[Transactions]) -> Result<()> {
    let name = database.name();
    session.drop_slot(name).await?;
    tally_of(database, name).await?.expect(pace::sum(written).1)?;
    delete_topic(database.bootstrap(), &format!("{name}.public.orders")).await
}
