//! Rows at a steady rate, from several sessions.
//!
//! In: a rate. Out: which rows were committed when. Never: a pause that a slow server makes shorter: what is late is written at once.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::Result;
use crate::orders::VALUES;
use crate::stack::Database;

/// Sessions that write.
const WRITERS: u32 = 4;
/// Transactions per second at most; above that, each has several rows.
const TRANSACTIONS_PER_SECOND_MAX: u64 = 1_000;

/// What is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Rows per second.
    pub(super) rate: u64,
    pub(super) time: Duration,
    pub(super) first_id: u64,
}

/// Rows of one transaction.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) ids: Range<u64>,
    /// The session had the answer.
    pub(super) committed_at: Instant,
}

impl Load {
    fn rows_per_transaction(&self) -> u64 {
        self.rate.div_ceil(TRANSACTIONS_PER_SECOND_MAX)
    }

    fn transactions(&self) -> u64 {
        self.rate * self.time.as_secs() / self.rows_per_transaction()
    }

    /// Rows that are written.
    pub(super) fn changes(&self) -> u64 {
        self.transactions() * self.rows_per_transaction()
    }

    /// Writes all of them.
    pub(super) async fn write(self, database: &Database) -> Result<Vec<Written>> {
        let mut writers = JoinSet::new();
        for number in 0..u64::from(WRITERS) {
            let database = database.clone();
            writers.spawn(async move { self.write_part(&database, number).await });
        }
        let mut written = Vec::new();
        while let Some(part) = writers.join_next().await {
            written.extend(part??);
        }
        Ok(written)
    }

    /// Every transaction that is this writer's turn.
    async fn write_part(self, database: &Database, number: u64) -> Result<Vec<Written>> {
        let session = database.session().await?;
        let insert = format!(
            "insert into orders select {VALUES} from generate_series($1::bigint, $2::bigint) i"
        );
        let insert = session.prepare(&insert).await?;
        let rows = self.rows_per_transaction();
        let pause =
            Duration::from_secs(1) * WRITERS * u32::try_from(rows)? / u32::try_from(self.rate)?;
        let mut turns = interval(pause);
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut written = Vec::new();
        for transaction in (number..self.transactions()).step_by(WRITERS as usize) {
            turns.tick().await;
            let first = self.first_id + transaction * rows;
            let (from, to) = (first.cast_signed(), (first + rows - 1).cast_signed());
            session.execute(&insert, &[&from, &to]).await?;
            written.push(Written { ids: first..first + rows, committed_at: Instant::now() });
        }
        Ok(written)
    }
}
