//! A snapshot goes on where it was interrupted: SIGKILL at random moments of it, until it is complete.
//!
//! In: a seed. Out: whether each topic, folded, is the table in every column; and how many rows were read at the source, which
//! may be more than there are only by what had been read and was not committed yet.
//! The truth about what was read is PostgreSQL's: `pg_stat_user_tables`, `pg_stat_user_indexes`.

mod fold;
mod tables;

use std::fmt;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::load::{Load, Pace};
use super::{ARRIVAL_MAX, finish, notices, remove};
use crate::Result;
use crate::connector::{Connector, ConnectorProcess};
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::tail::Watermark;
use crate::wait::{DEADLINE, Seen, eventually};

use fold::{Findings, Fold};
use tables::{Reads, TABLES};

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of every choice.
    pub seed: u64,
    /// Rows of each table before anything else.
    pub rows: u64,
    /// Sessions that change the tables.
    pub writers: u64,
    /// SIGKILLs, as long as there is a snapshot to kill.
    pub kills: u32,
    /// `snapshot.max.threads`.
    pub threads: u32,
    /// Bytes of a table that a reader reads at a time: it is begun again if its last row was not committed.
    pub chunk_bytes: u64,
    /// Bytes of tables that wait between the readers and the end of the Kafka transaction they will be in.
    pub ahead_bytes: u64,
    /// Connector settings beside those of the proof.
    pub settings: Vec<(String, String)>,
}

/// What one run found.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    /// The most rows of a table that a chunk has.
    chunk_rows: u64,
    /// The most rows that wait between the readers and the end of a Kafka transaction.
    ahead_rows: u64,
    kills: u32,
    transactions: u64,
    taken: Duration,
    topics: Vec<(&'static str, Findings)>,
    reads: Vec<Reads>,
}

impl Report {
    /// The topics are the tables, and no more was read again than may be.
    pub fn is_clean(&self) -> bool {
        self.is_folding() && self.rows_read() <= self.rows_read_max()
    }

    /// The topics are the tables, in every column.
    pub fn is_folding(&self) -> bool {
        self.topics.iter().all(|(_, findings)| findings.is_clean())
    }

    /// Whether it was killed inside its snapshot: else it proves nothing.
    pub fn is_telling(&self) -> bool {
        self.kills > 0
    }

    fn rows_read(&self) -> u64 {
        self.reads.iter().map(Reads::total).sum()
    }

    fn rows_read_max(&self) -> u64 {
        let rows: u64 = self.reads.iter().map(|reads| reads.rows).sum();
        let lost = u64::from(self.plan.threads) * self.chunk_rows + self.ahead_rows;
        rows + u64::from(self.kills) * lost
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "seed {}, {} readers: {} SIGKILLs inside the snapshot, {} transactions of {} writers; complete after {:.1} s",
            self.plan.seed,
            self.plan.threads,
            self.kills,
            self.transactions,
            self.plan.writers,
            self.taken.as_secs_f64()
        )?;
        for (topic, findings) in &self.topics {
            writeln!(formatter, "  {topic}: {findings}")?;
        }
        for reads in &self.reads {
            writeln!(formatter, "  {reads}")?;
        }
        writeln!(
            formatter,
            "  rows read at the source: {}; of {}, with chunks of at most {} rows and {} on their way, {} may be: {}",
            self.rows_read(),
            self.reads.iter().map(|reads| reads.rows).sum::<u64>(),
            self.chunk_rows,
            self.ahead_rows,
            self.rows_read_max(),
            if self.rows_read() <= self.rows_read_max() { "kept" } else { "BROKEN" }
        )
    }
}

/// Runs a plan in a database of its own.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("resume").await?;
    tables::create(&database.session().await?, plan.rows).await?;
    let session = database.session().await?;
    wait_until_alone(&session).await?;
    let reads_before = tables::reads(&session).await?;
    let chunk_rows = tables::rows_in(&session, plan.chunk_bytes).await?;
    let ahead_rows = tables::rows_in(&session, plan.ahead_bytes).await?;
    let rows = plan.rows;
    let pace = Pace { writers: plan.writers, pause: Duration::from_millis(1) };
    let mut inserted = 0;
    let mut load = Load::start(&database, plan.seed, pace, move |random, writer| {
        let mut next = (writer + 1) * 1_000_000_000 + inserted;
        let transaction = tables::transaction(random, rows, &mut next);
        inserted = next - (writer + 1) * 1_000_000_000;
        transaction
    })
    .await?;
    load.until(20).await?;
    let mut connector = notices::sent_by(database.connector()?)
        .set("snapshot.max.threads", &plan.threads.to_string());
    for (key, value) in &plan.settings {
        connector = connector.set(key, value);
    }
    let began = Instant::now();
    let (mut process, kills) = attack(&database, &connector, plan, narrate).await?;
    let taken = began.elapsed();
    narrate("the snapshot is complete");
    let transactions = load.stop().await?;
    finish(&database, &mut process).await?;
    wait_until_alone(&session).await?;
    let mut reads = tables::reads(&session).await?;
    for (reads, before) in reads.iter_mut().zip(&reads_before) {
        reads.begin_after(before, plan.rows);
    }
    let topics = judge(&database, &session).await?;
    drop(session);
    remove(stack, &database, &connector).await?;
    Ok(Report {
        plan: plan.clone(),
        chunk_rows,
        ahead_rows,
        kills,
        transactions,
        taken,
        topics,
        reads,
    })
}

/// Starts the connector and kills it at random moments of its snapshot, until that is complete.
async fn attack(
    database: &Database,
    connector: &Connector,
    plan: &Plan,
    narrate: &dyn Fn(&str),
) -> Result<(ConnectorProcess, u32)> {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let mut topics = Vec::new();
    for leaf in TABLES.iter().flat_map(|table| table.leaves) {
        topics.push(Watermark::open(
            database.bootstrap(),
            &database.topic(&format!("public.{leaf}")),
        )?);
    }
    let completed = notices::completed(database, "Initial Snapshot", ARRIVAL_MAX);
    let mut completed = std::pin::pin!(completed);
    let all = plan.rows * u64::try_from(TABLES.len())?;
    let mut process = connector.start()?;
    for kill in 1..=plan.kills {
        // Late in its part of the snapshot: an early death costs little, whatever is read again.
        let place = f64::from(kill - 1) + random.random_range(0.3..0.95);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a random place in a snapshot"
        )]
        let target = (all as f64 * place / f64::from(plan.kills)) as u64;
        let pause = Duration::from_millis(random.random_range(0..60));
        tokio::select! {
            told = &mut completed => {
                told.map_err(|failure| failure.during(process.log_end()))?;
                return Ok((process, kill - 1));
            }
            reached = until(&topics, target) => {
                reached.map_err(|failure| failure.during(process.log_end()))?;
            }
        }
        tokio::time::sleep(pause).await;
        process.kill().await?;
        tell_of_rest(&process, narrate);
        narrate(&format!("SIGKILL {kill} when {} records could be read", records(&topics)?));
        process = connector.start()?;
    }
    let told = completed.await;
    told.map_err(|failure| failure.during(process.log_end()))?;
    tell_of_rest(&process, narrate);
    Ok((process, plan.kills))
}

/// What a run of the connector said it found done.
fn tell_of_rest(process: &ConnectorProcess, narrate: &dyn Fn(&str)) {
    let log = process.log();
    for line in log.lines().filter(|line| line.contains("the snapshot goes on")) {
        narrate(line);
    }
}

/// Waits until the topics hold so many records.
async fn until(topics: &[Watermark], target: u64) -> Result<()> {
    eventually("the snapshot goes on", DEADLINE, async || {
        let now = records(topics)?;
        Ok(Seen::when(now >= target, || format!("{now} of {target} records")))
    })
    .await
}

/// Records of all topics that can be read, with the marks that end Kafka transactions.
fn records(topics: &[Watermark]) -> Result<u64> {
    let ends = topics.iter().map(Watermark::committed_end);
    ends.map(|end| Ok(u64::try_from(end?)?)).sum()
}

/// A session that has ended has told what it read.
async fn wait_until_alone(session: &Session) -> Result<()> {
    let query = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    eventually("all other sessions have ended", DEADLINE, async || {
        let others = session.text(query).await?.unwrap_or_default();
        Ok(Seen::when(others == "0", || format!("{others} sessions")))
    })
    .await
}

async fn judge(database: &Database, session: &Session) -> Result<Vec<(&'static str, Findings)>> {
    let mut topics = Vec::new();
    for table in TABLES {
        for leaf in table.leaves {
            let mut fold = Fold::new(table);
            let mut tail = database.tail(&format!("public.{leaf}"))?;
            tail.each_to_end(ARRIVAL_MAX, |event| fold.take(&event)).await?;
            let rows = session.rows(&format!("select to_jsonb(t) from {leaf} t")).await?;
            let rows: Vec<String> = rows.into_iter().flatten().collect();
            topics.push((*leaf, fold.compare(&rows)?));
        }
    }
    Ok(topics)
}
