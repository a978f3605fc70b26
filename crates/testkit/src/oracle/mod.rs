//! The oracle: random transactions, SIGKILLs at random moments, and a judge that shares no code with the product.
//!
//! In: a [`Plan`]. Out: a [`Report`] with everything duplicated, lost or out of order, and how long the topics were silent
//! after each SIGKILL and restart.
//! Never: a look at the connector's own state. The truth is PostgreSQL's journal, the evidence what a `read_committed`
//! consumer finds.

mod check;
mod schema;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connector::{Connector, ConnectorProcess};
use crate::event::Event;
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::tail::Tail;
use crate::wait::{DEADLINE, Seen as Look, eventually, unix_ms_now};
use crate::{Failure, Result};

pub use check::{Seen, Verdict, check};
pub use schema::{JournalEntry, TABLES};
use writer::{Progress, Writer};

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
            rows: 20_000,
            writers: 4,
            partitions: 3,
            settings: Vec::new(),
        }
    }
}

/// One SIGKILL and what followed.
#[derive(Clone, Debug)]
pub struct Silence {
    /// Row changes committed when it happened.
    pub at_changes: u64,
    /// It was killed a second time while it was taking over.
    pub killed_again: bool,
    /// From the last restart to the next event that a consumer read.
    pub silence: Duration,
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

/// The connector, and what is done to it.
struct Attack<'a> {
    plan: &'a Plan,
    random: StdRng,
    connector: Connector,
    process: ConnectorProcess,
    silences: Vec<Silence>,
    snapshot_was_killed: bool,
    /// The newest event any reader of the topics has read.
    newest: watch::Receiver<Newest>,
    _readers: JoinSet<Result<()>>,
}

/// The newest event a reader has read: when it was read, and when the connector made it.
#[derive(Clone, Copy, Debug)]
struct Newest {
    read_at: Instant,
    made_at_unix_ms: i64,
    is_snapshot: bool,
}

impl<'a> Attack<'a> {
    fn begin(database: &Database, plan: &'a Plan) -> Result<Self> {
        let mut connector = database
            .connector()?
            .set("topic.creation.default.partitions", &plan.partitions.to_string())
            .set("topic.creation.default.replication.factor", "1");
        for (key, value) in &plan.settings {
            connector = connector.set(key, value);
        }
        let (sender, newest) = watch::channel(Newest {
            read_at: Instant::now(),
            made_at_unix_ms: 0,
            is_snapshot: false,
        });
        let mut readers = JoinSet::new();
        for table in &TABLES {
            let tail = database.tail(&format!("public.{}", table.name))?;
            readers.spawn(follow(tail, sender.clone()));
        }
        let process = connector.start()?;
        Ok(Self {
            plan,
            random: StdRng::seed_from_u64(plan.seed),
            connector,
            process,
            silences: Vec::new(),
            snapshot_was_killed: false,
            newest,
            _readers: readers,
        })
    }

    /// Kills it inside its snapshot, if the plan says so, and waits until it streams.
    async fn through_snapshot(&mut self, narrate: &dyn Fn(&str)) -> Result<()> {
        if self.plan.kill_in_snapshot {
            self.wait_for_slot().await?;
            let moment = Duration::from_millis(self.random.random_range(0..400));
            tokio::time::sleep(moment).await;
            let state = self.walsender_state().await?;
            self.snapshot_was_killed = state.is_none();
            self.process.kill().await?;
            narrate(&format!(
                "SIGKILL {moment:?} after the slot was there, {}",
                if self.snapshot_was_killed {
                    "inside the snapshot"
                } else {
                    "the snapshot was over already"
                }
            ));
            self.process = self.connector.start()?;
        }
        self.connector.wait_until_streaming(&mut self.process).await?;
        narrate("the snapshot is over, the stream runs");
        Ok(())
    }

    /// Kills it at random moments until the writers are done.
    async fn through_stream(&mut self, progress: &Progress, narrate: &dyn Fn(&str)) -> Result<()> {
        let wanted = progress.changes_wanted.load(Ordering::Relaxed);
        let first = wanted - self.plan.changes;
        for number in 0..self.plan.kills {
            let place = f64::from(number) + self.random.random_range(0.1..0.9);
            let share = place / f64::from(self.plan.kills) * 0.9;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a random place in a run"
            )]
            let target = first + (self.plan.changes as f64 * share) as u64;
            self.wait_for_changes(progress, target).await?;
            tokio::time::sleep(Duration::from_millis(self.random.random_range(0..100))).await;
            let silence = self.kill_and_restart(progress).await?;
            narrate(&format!("SIGKILL {}: silent for {:?}", number + 1, silence.silence));
            self.silences.push(silence);
        }
        Ok(())
    }

    async fn kill_and_restart(&mut self, progress: &Progress) -> Result<Silence> {
        let killed_again = self.random.random_bool(0.25);
        let until_second_kill = Duration::from_millis(self.random.random_range(0..600));
        self.process.kill().await?;
        let at_changes = progress.changes.load(Ordering::Relaxed);
        let mut restarted_unix_ms = unix_ms_now();
        self.process = self.connector.start()?;
        if killed_again {
            tokio::time::sleep(until_second_kill).await;
            self.process.kill().await?;
            restarted_unix_ms = unix_ms_now();
            self.process = self.connector.start()?;
        }
        let started = self.process.started();
        let mut newest = self.newest.clone();
        let next = newest
            .wait_for(|newest| newest.made_at_unix_ms > restarted_unix_ms && !newest.is_snapshot);
        let Ok(Ok(next)) =
            tokio::time::timeout(DEADLINE, next).await.map(|next| next.map(|next| *next))
        else {
            self.process.expect_running()?;
            return Err(Failure::new(format!(
                "no event within {DEADLINE:?} of the restart:\n{}",
                self.process.log_end()
            )));
        };
        Ok(Silence {
            at_changes,
            killed_again,
            silence: next.read_at.saturating_duration_since(started),
        })
    }

    async fn wait_for_changes(&mut self, progress: &Progress, target: u64) -> Result<()> {
        eventually("the writers write", DEADLINE * 5, async || {
            self.process.expect_running()?;
            let changes = progress.changes.load(Ordering::Relaxed);
            Ok(Look::when(changes >= target, || format!("{changes} of {target} changes")))
        })
        .await
    }

    async fn wait_for_slot(&mut self) -> Result<()> {
        let session = self.connector.database().session().await?;
        let query = format!(
            "select 1 from pg_replication_slots where slot_name = '{}'",
            self.connector.slot()
        );
        let process = &mut self.process;
        eventually("the slot is made", DEADLINE, async || {
            process.expect_running()?;
            let found = session.text(&query).await?;
            Ok(Look::when(found.is_some(), || process.log_end()))
        })
        .await
    }

    /// State of the walsender that streams the slot, if there is one.
    async fn walsender_state(&self) -> Result<Option<String>> {
        let session = self.connector.database().session().await?;
        let query = format!(
            "select state from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where s.slot_name = '{}' and state in ('catchup', 'streaming')",
            self.connector.slot()
        );
        session.text(&query).await
    }
}

/// Reads a topic as it grows and tells of its newest event.
async fn follow(mut tail: Tail, newest: watch::Sender<Newest>) -> Result<()> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        ts_ms: i64,
        op: &'a str,
    }
    loop {
        let Some(event) = tail.next(Instant::now() + DEADLINE).await? else {
            continue;
        };
        let envelope = event
            .value
            .as_deref()
            .and_then(|value| serde_json::from_slice::<Envelope<'_>>(value).ok());
        if let Some(envelope) = envelope {
            let made = Newest {
                read_at: event.read_at,
                made_at_unix_ms: envelope.ts_ms,
                is_snapshot: envelope.op == "r",
            };
            newest.send_replace(made);
        }
    }
}

/// Reads the topics, the journal and the tables, and compares.
async fn judge(database: &Database) -> Result<Verdict> {
    let session = database.session().await?;
    let mut seen = Vec::new();
    let mut unreadable = None;
    for (index, table) in TABLES.iter().enumerate() {
        let mut tail = database.tail(&format!("public.{}", table.name))?;
        tail.each_to_end(DEADLINE * 3, |event| match seen_of(index, &event) {
            Some(found) => seen.push(found),
            None => unreadable = Some(event),
        })
        .await?;
    }
    if let Some(event) = unreadable {
        return Err(Failure::new(format!("an event that is none: {event:?}")));
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
    let Value::Object(key) = event.key_payload() else {
        return None;
    };
    let texts =
        key.values().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let key = texts.collect::<Vec<String>>().join(",");
    let payload = event.payload();
    let operation =
        if event.value.is_none() { '∅' } else { payload["op"].as_str()?.chars().next()? };
    Some(Seen {
        table,
        key,
        operation,
        xid: payload["source"]["txId"].as_u64().unwrap_or_default(),
        version: payload["after"]["version"].as_i64(),
        counter: payload["after"]["counter"].as_i64(),
    })
}
