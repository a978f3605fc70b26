//! Transactions of ten changes on `orders` at a steady rate, from several sessions.
//!
//! In: a rate. Out: what was written. A server that cannot do the rate is written to as fast as it goes, and what is late is written without
//! a pause. Never: a burst larger than what one second would have had.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::orders::{CHANGES_PER_TRANSACTION, Tally, Transactions};
use crate::stack::Database;
use crate::{Failure, Result};

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(100);

/// What is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Row changes per second, of all writers together.
    pub(crate) changes_per_second: u64,
    pub(crate) writers: u64,
    pub(crate) time: Duration,
}

/// The writers, at work. They end when this is dropped.
pub(crate) struct Writers(JoinSet<Result<Transactions>>);

impl Pace {
    /// Starts the writers.
    pub(crate) fn start(self, database: &Database) -> Writers {
        let mut writers = JoinSet::new();
        for writer in 0..self.writers {
            let database = database.clone();
            writers.spawn(async move { self.write(&database, writer).await });
        }
        Writers(writers)
    }

    async fn write(self, database: &Database, writer: u64) -> Result<Transactions> {
        let session = database.session().await?;
        session.run("set synchronous_commit = off").await?;
        let per_writer = self.changes_per_second / CHANGES_PER_TRANSACTION / self.writers;
        if per_writer == 0 {
            return Err(Failure::new(
                "the rate is less than a transaction a second of each writer",
            ));
        }
        let mut turns = interval(TICK);
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let began = Instant::now();
        let mut written = 0;
        while began.elapsed() < self.time {
            turns.tick().await;
            let due = u64::try_from(began.elapsed().as_millis())? * per_writer / 1_000;
            let count = (due - written).min(per_writer);
            if count > 0 {
                Transactions { writer, from: written, count }.write(&session).await?;
                written += count;
            }
        }
        Ok(Transactions { writer, from: 0, count: written })
    }
}

impl Writers {
    /// Waits for the end of one more; `None` once all have ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Transactions>> {
        match self.0.join_next().await {
            Some(done) => Ok(Some(done??)),
            None => Ok(None),
        }
    }
}

/// Row changes of what was written, and what a reader must find of it.
pub(crate) fn sum(written: &[Transactions]) -> (u64, Tally) {
    let changes = written.iter().map(|one| one.count * CHANGES_PER_TRANSACTION).sum();
    let tally = written.iter().map(|one| one.expected()).fold(Tally::default(), Tally::and);
    (changes, tally)
}
