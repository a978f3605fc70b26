//! A session that has a transaction open at almost every moment.
//!
//! In: chance. Out: rows of its own that are inserted, updated and deleted, each change adding 1 to `n`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;

use super::Plan;
use super::watcher::Phase;
use crate::Result;
use crate::session::Session;
use crate::stack::Database;

/// The longest a transaction waits for a phase: PostgreSQL makes no slot while those that were open before stay open.
const HOLD_MAX: Duration = Duration::from_millis(600);
/// Rows of the table that one writer changes.
const OWN_ROWS: u64 = 20;

/// What all writers have done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    begun: AtomicU64,
    committed: AtomicU64,
    rolled_back: AtomicU64,
    across: AtomicU64,
}

impl Tally {
    /// Transactions that have written.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    pub(super) fn rolled_back(&self) -> u64 {
        self.rolled_back.load(Ordering::Relaxed)
    }

    /// Committed ones that had written before the slot had its consistent point and ended after it, or while it was being made.
    pub(super) fn across(&self) -> u64 {
        self.across.load(Ordering::Relaxed)
    }
}

/// One session.
pub(super) struct Writer {
    session: Session,
    random: StdRng,
    /// The first id it inserts.
    next_id: u64,
    first_own: u64,
    phase: watch::Receiver<Phase>,
    tally: Arc<Tally>,
}

impl Writer {
    pub(super) async fn open(
        database: &Database,
        plan: &Plan,
        number: u64,
        phase: watch::Receiver<Phase>,
        tally: Arc<Tally>,
    ) -> Result<Self> {
        Ok(Self {
            session: database.with("set synchronous_commit = on").await?,
            random: StdRng::seed_from_u64(plan.seed.wrapping_mul(1_000_003).wrapping_add(number)),
            next_id: 1_000_000 * (number + 1),
            first_own: number * OWN_ROWS + 1,
            phase,
            tally,
        })
    }

    /// One transaction after the other, until one has ended in the stream.
    pub(super) async fn run(mut self) -> Result<()> {
        loop {
            let began_in = *self.phase.borrow();
            let committed = self.transaction().await?;
            let ended_in = *self.phase.borrow();
            let counter = if committed { &self.tally.committed } else { &self.tally.rolled_back };
            counter.fetch_add(1, Ordering::Relaxed);
            if committed && began_in < Phase::SlotMade && ended_in > Phase::Before {
                self.tally.across.fetch_add(1, Ordering::Relaxed);
            }
            if began_in == Phase::Streaming {
                return Ok(());
            }
        }
    }

    /// Whether it committed.
    async fn transaction(&mut self) -> Result<bool> {
        self.session.run("begin").await?;
        let mut done = Ok(());
        for _ in 0..self.random.random_range(1..4) {
            let change = self.change();
            done = self.session.batch_execute(&change).await;
            if done.is_err() {
                break;
            }
        }
        self.tally.begun.fetch_add(1, Ordering::Relaxed);
        if done.is_ok() {
            self.hold().await;
            let end = if self.random.random_bool(0.1) { "rollback" } else { "commit" };
            done = self.session.batch_execute(end).await;
            if done.is_ok() {
                return Ok(end == "commit");
            }
        }
        // Whoever lets a commit go may come too late and hit the next statement.
        match done {
            Err(error) if error.as_db_error().is_none() => Err(error.into()),
            _ => {
                self.session.run("rollback").await?;
                Ok(false)
            }
        }
    }

    fn change(&mut self) -> String {
        let own = self.first_own + self.random.random_range(0..OWN_ROWS);
        match self.random.random_range(0..10) {
            0..6 => {
                self.next_id += 1;
                format!("insert into item values ({}, 0, 'new')", self.next_id)
            }
            6..9 => format!("update item set n = n + 1 where id = {own}"),
            _ => format!("delete from item where id = {own}"),
        }
    }

    /// Keeps the transaction open until a phase is there, and a moment longer, or for a time.
    async fn hold(&mut self) {
        let phase = match self.random.random_range(0..6) {
            0 => Some(Phase::SlotListed),
            1 => Some(Phase::SlotMade),
            2 => Some(Phase::Streaming),
            _ => None,
        };
        if let Some(wanted) = phase {
            let there = self.phase.wait_for(|phase| *phase >= wanted);
            // Too late, or nobody looks any more: it ends now.
            let _ = tokio::time::timeout(HOLD_MAX, there).await;
        }
        let longest = if self.random.random_bool(0.2) { 300 } else { 15 };
        tokio::time::sleep(Duration::from_millis(self.random.random_range(0..longest))).await;
    }
}
