//! A table is added to a running connector: the other tables' events never wait for it, and none of its own is lost or doubled.
//!
//! In: numbers. Out: the longest time without an event of the other tables and the longest way of one of their events, before and
//! while the new table is read; whether each table's topic is the table.
//! The connector is told by its configuration file and SIGHUP.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::load::{Load, Pace};
use super::{ARRIVAL_MAX, Begin, Counted, finish, notices, remove};
use crate::Result;
use crate::connector::ConnectorProcess;
use crate::event::Event;
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::tail::Tail;
use crate::wait::unix_ms_now;

/// Tables that are captured from the beginning.
const OTHERS: [&str; 2] = ["first", "second"];
const ADDED: &str = "added";
/// How long the others are watched before the table is added, to know how they are without it.
const BEFORE: Duration = Duration::from_secs(3);
const GAP_MAX: Duration = Duration::from_secs(1);
/// Rows of each of the other tables.
const OTHER_ROWS: u64 = 1_000;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of every choice.
    pub seed: u64,
    /// Rows of the table that is added.
    pub rows: u64,
    /// Sessions that write to each of the three tables.
    pub writers: u64,
    /// Connector settings beside those of the proof.
    pub settings: Vec<(String, String)>,
}

/// What the readers of the other tables saw in a part of the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spacing {
    /// Events.
    pub events: u64,
    /// The longest time between two events of one table.
    pub gap: Duration,
    /// When that time was over, from the beginning of the part.
    pub gap_over_after: Duration,
    /// The longest time from the moment a row was written to its event.
    pub way: Duration,
}

/// What one run found.
#[derive(Debug)]
pub struct Report {
    rows: u64,
    before: Spacing,
    meanwhile: Spacing,
    taken: Duration,
    tables: Vec<(&'static str, Counted)>,
}

impl Report {
    /// No event was lost or doubled, and the other tables' events never waited.
    pub fn is_clean(&self) -> bool {
        self.meanwhile.events > 0
            && self.meanwhile.gap < GAP_MAX
            && self.tables.iter().all(|(_, counted)| counted.is_clean())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.taken.as_secs_f64();
        writeln!(formatter, "{} rows were there {seconds:.1} s after the signal", self.rows)?;
        for (when, spacing) in [("before", self.before), ("meanwhile", self.meanwhile)] {
            writeln!(
                formatter,
                "  other tables {when}: {} events, longest time without one {:.0} ms (until {:.1} s), longest way of one {:.0} ms",
                spacing.events,
                spacing.gap.as_secs_f64() * 1e3,
                spacing.gap_over_after.as_secs_f64(),
                spacing.way.as_secs_f64() * 1e3
            )?;
        }
        for (table, counted) in &self.tables {
            writeln!(formatter, "  {table}: {counted}")?;
        }
        Ok(())
    }
}

/// Runs a plan in a database of its own.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("addtable").await?;
    let session = database.session().await?;
    narrate(&format!("writing {} rows", plan.rows));
    create(&session, plan.rows).await?;
    let list = |tables: &[&str]| format!("public[.]({}|zz_marker)", tables.join("|"));
    let mut connector =
        notices::sent_by(database.connector()?).set("table.include.list", &list(&OTHERS));
    for (key, value) in &plan.settings {
        connector = connector.set(key, value);
    }
    let mut process = connector.start_streaming().await?;
    let (part_sender, part) = watch::channel(Part::Before);
    let mut readers = JoinSet::new();
    for table in OTHERS {
        readers.spawn(follow(database.tail(&format!("public.{table}"))?, part.clone()));
    }
    let loads = start_loads(&database, plan).await?;
    narrate(&format!("watching the other tables for {BEFORE:?}"));
    tokio::time::sleep(BEFORE).await;
    narrate("adding the table");
    let connector = connector.set("table.include.list", &list(&[OTHERS[0], OTHERS[1], ADDED]));
    connector.write_file()?;
    part_sender.send_replace(Part::Meanwhile);
    let began = Instant::now();
    process.signal("HUP").await?;
    until_read(&database, &mut process).await?;
    let taken = began.elapsed();
    part_sender.send_replace(Part::Over);
    let [mut before, mut meanwhile] = [Spacing::default(); 2];
    while let Some(ended) = readers.join_next().await {
        let (of_before, of_meanwhile) = ended??;
        before.add(of_before);
        meanwhile.add(of_meanwhile);
    }
    for load in loads {
        load.stop().await?;
    }
    finish(&database, &mut process).await?;
    narrate("reading everything back");
    let mut tables = Vec::new();
    for table in [OTHERS[0], OTHERS[1], ADDED] {
        let begin = if table == ADDED { Begin::Stream } else { Begin::Snapshot };
        tables.push((table, Counted::of_table(&database, &session, table, begin).await?));
    }
    drop(session);
    remove(stack, &database, &connector).await?;
    Ok(Report { rows: plan.rows, before, meanwhile, taken, tables })
}

async fn create(session: &Session, rows: u64) -> Result<()> {
    for (table, rows) in [(OTHERS[0], 0), (OTHERS[1], 0), (ADDED, rows)] {
        session
            .run(&format!(
                "create table {table} (id bigint primary key, n bigint not null, written_at_ms bigint, note text);
                 insert into {table} select i, 0, 0, md5(i::text) || md5((i + 1)::text) from generate_series(1, {rows}) i;
                 analyze {table}"
            ))
            .await
            .map_err(|failure| failure.during(table))?;
    }
    Ok(())
}

async fn start_loads(database: &Database, plan: &Plan) -> Result<Vec<Load>> {
    let pace = Pace { writers: plan.writers, pause: Duration::from_millis(5) };
    let mut loads = Vec::new();
    for (number, (table, rows)) in
        (0..).zip([(OTHERS[0], OTHER_ROWS), (OTHERS[1], OTHER_ROWS), (ADDED, plan.rows)])
    {
        let transaction = move |random: &mut StdRng, _| change(random, table, rows);
        loads.push(Load::start(database, plan.seed * 10 + number, pace, transaction).await?);
    }
    Ok(loads)
}

/// A row is written or changed, now and then deleted.
fn change(random: &mut StdRng, table: &str, rows: u64) -> String {
    let id = random.random_range(1..=rows);
    let now = "(extract(epoch from clock_timestamp()) * 1000)::bigint";
    match random.random_range(0..20) {
        0 => format!("delete from {table} where id = {id}"),
        1 | 2 => format!(
            "insert into {table} values ({}, 0, {now}, 'new') on conflict do nothing",
            id + rows / 2
        ),
        _ => format!(
            "insert into {table} values ({id}, 0, {now}, 'new')
             on conflict (id) do update set n = {table}.n + 1, written_at_ms = {now}"
        ),
    }
}

/// Waits until the connector says that the new table is read.
async fn until_read(database: &Database, process: &mut ConnectorProcess) -> Result<()> {
    let read = notices::completed(database, "Incremental Snapshot", ARRIVAL_MAX);
    let mut read = std::pin::pin!(read);
    loop {
        tokio::select! {
            notice = &mut read => {
                return notice.map(drop).map_err(|failure| failure.during(process.log_end()));
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => process.expect_running()?,
        }
    }
}

/// Part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Before,
    Meanwhile,
    Over,
}

/// Reads a topic as it grows, and tells how its events came in the first two parts of the run.
async fn follow(mut tail: Tail, mut part: watch::Receiver<Part>) -> Result<(Spacing, Spacing)> {
    const LOOK: Duration = Duration::from_millis(50);
    let (mut before, mut meanwhile) = (Spacing::default(), Spacing::default());
    let mut last = None;
    let mut began = Instant::now();
    loop {
        let event = tail.next(Instant::now() + LOOK).await?;
        if part.has_changed()? {
            began = Instant::now();
        }
        let spacing = match *part.borrow_and_update() {
            Part::Before => &mut before,
            Part::Meanwhile => &mut meanwhile,
            Part::Over => return Ok((before, meanwhile)),
        };
        // A time without an event counts also if it has not ended yet.
        let now = event.as_ref().map_or_else(Instant::now, |event| event.read_at);
        let gap = now.duration_since(last.unwrap_or(now));
        if gap > spacing.gap {
            (spacing.gap, spacing.gap_over_after) = (gap, now.saturating_duration_since(began));
        }
        if let Some(event) = event {
            spacing.events += 1;
            spacing.way = spacing.way.max(way(&event));
            last = Some(event.read_at);
        }
    }
}

/// From the moment the row was written to now, by one clock.
fn way(event: &Event) -> Duration {
    #[derive(Deserialize)]
    struct Envelope {
        after: Option<BTreeMap<String, serde_json::Value>>,
    }
    let value = event.value.as_deref().unwrap_or_default();
    let after = serde_json::from_slice::<Envelope>(value).ok().and_then(|envelope| envelope.after);
    let written_at_ms = after.and_then(|after| after.get("written_at_ms")?.as_i64());
    let milliseconds = written_at_ms.map_or(0, |written| unix_ms_now() - written);
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

impl Spacing {
    fn add(&mut self, other: Self) {
        self.events += other.events;
        if other.gap > self.gap {
            (self.gap, self.gap_over_after) = (other.gap, other.gap_over_after);
        }
        self.way = self.way.max(other.way);
    }
}
