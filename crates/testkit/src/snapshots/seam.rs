//! Snapshot and stream meet without gap and overlap: each row is in one of them, whenever its transaction began and ended.
//!
//! In: a seed. Out: rows that are in both, rows that are in none. Writers keep transactions open across everything a start does:
//! until the slot is listed, until it is made, until rows are read, until the stream runs, or for a time.
//! With a standby that never confirms, a commit is in the log long before anybody sees it; it is let go after a random time.
//! Source: PostgreSQL manual, `synchronous_standby_names`, `synchronous_commit`.

mod watcher;
mod writer;

use std::fmt;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Begin, Counted, finish, remove};
use crate::Result;
use crate::stack::Stack;
use crate::wait::{DEADLINE, Seen, eventually};

use watcher::Phase;
use writer::{Tally, Writer};

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of every choice.
    pub seed: u64,
    /// Sessions with a transaction open at almost every moment.
    pub writers: u64,
    /// Rows before anything else: reading them takes a while.
    pub rows: u64,
    /// Commits are held back: the stack must have been started with [`STANDBY`].
    pub standby: bool,
}

/// Settings of a PostgreSQL that waits for a standby which is not there, where a session asks for it.
pub const STANDBY: [(&str, &str); 2] =
    [("synchronous_standby_names", "nobody"), ("synchronous_commit", "local")];

/// What one run found.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    committed: u64,
    rolled_back: u64,
    across: u64,
    counted: Counted,
}

impl Report {
    /// Each row and each change once.
    pub fn is_clean(&self) -> bool {
        self.counted.is_clean()
    }

    /// Whether transactions were open while the slot was made: else it proves nothing.
    pub fn is_telling(&self) -> bool {
        self.across > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "seed {}: {} transactions committed, {} rolled back, {} open across the making of the slot",
            self.seed, self.committed, self.rolled_back, self.across
        )?;
        writeln!(formatter, "  {}", self.counted)
    }
}

/// Runs a plan in a database of its own.
pub async fn run(stack: &Stack, plan: &Plan) -> Result<Report> {
    let database = stack.database("seam").await?;
    let session = database.session().await?;
    session
        .run(&format!(
            "create table item (id bigint primary key, n bigint not null, filler text not null);
             insert into item select i, 0, repeat('x', 200) from generate_series(1, {}) i",
            plan.rows
        ))
        .await?;
    let threads = 1 + plan.seed % 2;
    let connector = database.connector()?.set("snapshot.max.threads", &threads.to_string());
    let (phase_sender, phase) = watch::channel(Phase::Before);
    let tally = Arc::new(Tally::default());
    let mut writers = JoinSet::new();
    for number in 0..plan.writers {
        let writer = Writer::open(&database, plan, number, phase.clone(), Arc::clone(&tally));
        writers.spawn(writer.await?.run());
    }
    eventually("each writer has a transaction open", DEADLINE, async || {
        let begun = tally.begun();
        Ok(Seen::when(begun >= plan.writers, || format!("{begun} of {}", plan.writers)))
    })
    .await?;
    let mut others = JoinSet::new();
    others.spawn(watcher::watch(
        database.session().await?,
        connector.slot().to_owned(),
        phase_sender,
    ));
    if plan.standby {
        let random = StdRng::seed_from_u64(plan.seed);
        others.spawn(watcher::let_commits_go(database.session().await?, random));
    }
    let mut process = connector.start()?;
    connector.wait_until_streaming(&mut process).await?;
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    others.shutdown().await;
    finish(&database, &mut process).await?;
    let counted = Counted::of_table(&database, &session, "item", Begin::Snapshot).await?;
    drop(session);
    remove(stack, &database, &connector).await?;
    Ok(Report {
        seed: plan.seed,
        committed: tally.committed(),
        rolled_back: tally.rolled_back(),
        across: tally.across(),
        counted,
    })
}
