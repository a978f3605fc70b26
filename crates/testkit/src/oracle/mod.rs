//! The oracle: random transactions, SIGKILLs at random moments, and a judge that shares no code with the product.
//!
//! In: a [`Plan`]. Out: a [`Report`] with everything duplicated, lost or out of order, and how long the topics were silent
//! after each SIGKILL and restart.
//! Never: a look at the connector's own state. The truth is PostgreSQL's journal, the evidence what a `read_committed`
//! consumer finds.

mod attack;
mod check;
mod ground;
mod newest;
mod schema;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::event::Event;
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::wait::DEADLINE;
use crate::{Failure, Result};

use attack::Attack;
pub use attack::Silence;
pub use check::{Seen, Verdict, check};
pub(crate) use ground::{Ground, Load};
pub(crate) use newest::Newest;
pub use schema::{JournalEntry, TABLES};
pub(crate) use writer::Manner;
use writer::{Progress, Writer};

/// What a connector needs whose tables are emptied: truncate events, and for that table a topic in which their place among the
/// others is known.
pub(crate) const TRUNCATES: [(&str, &str); 5] = [
    ("skipped.operations", "none"),
    ("topic.creation.groups", "single"),
    ("topic.creation.single.include", ".*[.]public[.]scratch"),
    ("topic.creation.single.partitions", "1"),
    ("topic.creation.single.replication.factor", "1"),
];

/// What one run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of every choice.
    pub seed: u64,
    /// Row changes to commit while the connector streams.
    pub changes: u64,
    /// SIGKILLs while it streams.
    pub kills: u32,
    /// Whether it is also killed inside its snapshot.
    pub kill_in_snapshot: bool,
    /// Rows of each table before anything else.
    pub rows: u64,
    /// Concurrent writers.
    pub writers: u64,
    /// Partitions of each topic.
    pub partitions: u32,
    /// Whether the writers empty a table now and then, and the connector tells of it.
    pub truncates: bool,
    /// Further connector settings.
    pub settings: Vec<(String, String)>,
}

impl Plan {
    /// The plan of a seed: `changes` changes and `kills` SIGKILLs after one inside the snapshot.
    pub fn new(seed: u64, changes: u64, kills: u32) -> Self {
        Self {
            seed,
            changes,
            kills,
            kill_in_snapshot: true,
            rows: 40_000,
            writers: 4,
            partitions: 3,
            truncates: true,
            settings: Vec::new(),
        }
    }
}

/// What one run found.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What is wrong.
    pub verdict: Verdict,
    /// One per SIGKILL while streaming.
    pub silences: Vec<Silence>,
    /// The snapshot was still going on when it was killed.
    pub snapshot_was_killed: bool,
    /// Transactions committed and rolled back.
    pub transactions: (u64, u64),
    /// The whole run.
    pub wall: Duration,
}

impl Report {
    /// The promise was kept.
    pub fn is_clean(&self) -> bool {
        self.verdict.is_clean()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "seed {}: {} transactions committed, {} rolled back, {:.1} s",
            self.seed,
            self.transactions.0,
            self.transactions.1,
            self.wall.as_secs_f64()
        )?;
        write!(formatter, "{}", self.verdict)?;
        if self.snapshot_was_killed {
            writeln!(
                formatter,
                "killed inside the snapshot: repeated snapshot rows are not counted as duplicates"
            )?;
        }
        for silence in &self.silences {
            let again = if silence.killed_again { ", killed again while taking over" } else { "" };
            writeln!(
                formatter,
                "SIGKILL at {} changes{again}: silent for {:.2} s after the restart",
                silence.at_changes,
                silence.silence.as_secs_f64()
            )?;
        }
        Ok(())
    }
}

/// Runs a plan. `narrate` is told what happens, for people who watch.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let began = Instant::now();
    let database = stack.database("oracle").await?;
    let session = database.session().await?;
    schema::create(&session, plan.rows).await?;
    narrate(&format!("seed {}: {} rows in each of {} tables", plan.seed, plan.rows, TABLES.len()));
    let progress = Arc::new(Progress::default());
    let mut writers = start_writers(&database, plan, &progress).await?;
    let mut attack = Attack::begin(&database, plan)?;
    attack.through_snapshot(narrate).await?;
    progress.end_after(plan.changes);
    attack.through_stream(&progress, narrate).await?;
    while let Some(finished) = writers.join_next().await {
        finished??;
    }
    narrate("writers are done; waiting for the last event");
    let synced = database.sync_within(DEADLINE * 3).await;
    synced.map_err(|failure| failure.during(attack.process.log_end()))?;
    let exit_code = attack.process.terminate().await?;
    if exit_code != 0 {
        return Err(Failure::new(format!(
            "SIGTERM ended the connector with {exit_code}:\n{}",
            attack.process.log_end()
        )));
    }
    narrate("reading everything back");
    let verdict = judge(&database).await?;
    Ok(Report {
        seed: plan.seed,
        verdict,
        silences: attack.silences,
        snapshot_was_killed: attack.snapshot_was_killed,
        transactions: (
            progress.committed.load(Ordering::Relaxed),
            progress.rolled_back.load(Ordering::Relaxed),
        ),
        wall: began.elapsed(),
    })
}

/// The judge judged: runs the writers without a connector and gives it the events a perfect connector would make.
pub async fn rehearse(stack: &Stack, plan: &Plan) -> Result<Verdict> {
    let database = stack.database("rehearsal").await?;
    let session = database.session().await?;
    schema::create(&session, plan.rows).await?;
    let progress = Arc::new(Progress::default());
    progress.end_after(plan.changes);
    let mut writers = start_writers(&database, plan, &progress).await?;
    while let Some(finished) = writers.join_next().await {
        finished??;
    }
    let journal = schema::journal(&session).await?;
    let ideal: Vec<Seen> = journal.iter().flat_map(check::ideal_events).collect();
    Ok(check(&journal, &ideal, &contents(&session).await?))
}

async fn start_writers(
    database: &Database,
    plan: &Plan,
    progress: &Arc<Progress>,
) -> Result<JoinSet<Result<()>>> {
    let mut writers = JoinSet::new();
    for number in 0..plan.writers {
        let writer = Writer::open(database, plan.seed, number, plan.rows * 5 / 4).await?;
        let writer = writer.in_manner(Manner { truncates: plan.truncates, ..Manner::default() });
        writers.spawn(writer.run(Arc::clone(progress)));
    }
    Ok(writers)
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            changes: AtomicU64::new(0),
            changes_wanted: AtomicU64::new(u64::MAX),
            rolled_back: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            paused: AtomicBool::new(false),
        }
    }
}

impl Progress {
    /// From now on, this many changes more.
    fn end_after(&self, changes: u64) {
        let wanted = self.changes.load(Ordering::Relaxed) + changes;
        self.changes_wanted.store(wanted, Ordering::Relaxed);
    }
}

/// Reads the topics, the journal and the tables, and compares.
async fn judge(database: &Database) -> Result<Verdict> {
    let session = database.session().await?;
    let mut seen = Vec::new();
    for (index, table) in TABLES.iter().enumerate() {
        let mut tail = database.tail(&format!("public.{}", table.name))?;
        tail.each_to_end(DEADLINE * 3, |event| {
            let found = seen_of(index, &event);
            seen.push(
                found.ok_or_else(|| Failure::new(format!("an event that is none: {event:?}")))?,
            );
            Ok(())
        })
        .await?;
    }
    let journal = schema::journal(&session).await?;
    Ok(check(&journal, &seen, &contents(&session).await?))
}

/// Key, version and counter of every row of every table.
async fn contents(session: &Session) -> Result<Vec<BTreeMap<String, (i64, i64)>>> {
    let mut contents = Vec::new();
    for table in &TABLES {
        let rows = session.query(table.content().as_str(), &[]).await?;
        let rows = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2))));
        contents.push(rows.collect());
    }
    Ok(contents)
}

fn seen_of(table: usize, event: &Event) -> Option<Seen> {
    let payload = event.payload();
    let operation =
        if event.value.is_none() { '∅' } else { payload["op"].as_str()?.chars().next()? };
    let key = match event.key_payload() {
        Value::Object(key) => {
            let text =
                |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            key.values().map(text).collect::<Vec<String>>().join(",")
        }
        // It is about all keys.
        Value::Null if operation == 't' => String::new(),
        _ => return None,
    };
    Some(Seen {
        table,
        key,
        operation,
        xid: payload["source"]["txId"].as_u64().unwrap_or_default(),
        version: payload["after"]["version"].as_i64(),
        counter: payload["after"]["counter"].as_i64(),
    })
}
