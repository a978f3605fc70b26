//! Writers that change tables while a snapshot is taken.
//!
//! In: a function from chance to SQL. Out: a number of committed transactions that grows until they are told to end.
//! The choices depend on the seed alone, the interleaving does not. What PostgreSQL refuses is rolled back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use crate::session::Session;
use crate::stack::Database;
use crate::wait::{DEADLINE, Seen, eventually};
use crate::{Failure, Result};

/// How many writers there are, and how fast.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) writers: u64,
    /// Between two transactions of a writer.
    pub(super) pause: Duration,
}

/// Running writers. They end with their owner.
pub(super) struct Load {
    writers: JoinSet<Result<()>>,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    over: AtomicBool,
    committed: AtomicU64,
}

impl Load {
    /// Starts the writers. `transaction` makes the statements of one from chance and the number of the writer; several in one
    /// text are one transaction.
    pub(super) async fn start(
        database: &Database,
        seed: u64,
        pace: Pace,
        transaction: impl FnMut(&mut StdRng, u64) -> String + Clone + Send + 'static,
    ) -> Result<Self> {
        let progress = Arc::new(Progress::default());
        let mut writers = JoinSet::new();
        for number in 0..pace.writers {
            // Writers must find rows by an index, so that what is read otherwise was read by the connector.
            let session = database.with("set synchronous_commit = off; set enable_seqscan = off");
            let writer = Writer {
                session: session.await?,
                random: StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number)),
                number,
                pause: pace.pause,
                progress: Arc::clone(&progress),
            };
            writers.spawn(writer.run(transaction.clone()));
        }
        Ok(Self { writers, progress })
    }

    /// Transactions committed so far.
    pub(super) fn committed(&self) -> u64 {
        self.progress.committed.load(Ordering::Relaxed)
    }

    /// Waits until this many transactions are committed.
    pub(super) async fn until(&mut self, committed: u64) -> Result<()> {
        eventually("the writers write", DEADLINE, async || {
            if let Some(ended) = self.writers.try_join_next() {
                ended??;
                return Err(Failure::new("a writer ended"));
            }
            let now = self.committed();
            Ok(Seen::when(now >= committed, || format!("{now} of {committed} transactions")))
        })
        .await
    }

    /// Lets each writer end its transaction; the number of those committed.
    pub(super) async fn stop(mut self) -> Result<u64> {
        self.progress.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.writers.join_next().await {
            ended??;
        }
        Ok(self.committed())
    }
}

struct Writer {
    session: Session,
    random: StdRng,
    number: u64,
    pause: Duration,
    progress: Arc<Progress>,
}

impl Writer {
    async fn run(mut self, mut transaction: impl FnMut(&mut StdRng, u64) -> String) -> Result<()> {
        while !self.progress.over.load(Ordering::Relaxed) {
            let sql = transaction(&mut self.random, self.number);
            match self.session.batch_execute(&sql).await {
                Ok(()) => {
                    self.progress.committed.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if is_passing(&error) => self.session.run("rollback").await?,
                Err(error) => return Err(Failure::from(error).during(sql)),
            }
            if !self.pause.is_zero() {
                tokio::time::sleep(self.pause).await;
            }
        }
        Ok(())
    }
}

/// Deadlocks, keys that are taken, and rows that another moved to the next partition: what writers do to each other.
fn is_passing(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::SqlState;
    let passing = [
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::UNIQUE_VIOLATION,
    ];
    error.code().is_some_and(|code| passing.contains(code))
}
