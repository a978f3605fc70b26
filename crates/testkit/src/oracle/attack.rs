//! SIGKILLs at random moments, and how long the topics are silent after each.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::newest::Newest;
use super::writer::Progress;
use super::{Plan, TRUNCATES};
use crate::connector::{Connector, ConnectorProcess};
use crate::stack::Database;
use crate::wait::{DEADLINE, Seen, eventually, unix_ms_now};
use crate::{Failure, Result};

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

/// The connector, and what is done to it.
pub(super) struct Attack<'a> {
    plan: &'a Plan,
    random: StdRng,
    connector: Connector,
    pub(super) process: ConnectorProcess,
    pub(super) silences: Vec<Silence>,
    pub(super) snapshot_was_killed: bool,
    /// The newest event any reader of the topics has read.
    newest: watch::Receiver<Newest>,
    _readers: JoinSet<Result<()>>,
}

impl<'a> Attack<'a> {
    pub(super) fn begin(database: &Database, plan: &'a Plan) -> Result<Self> {
        let mut connector = database
            .connector()?
            .set("topic.creation.default.partitions", &plan.partitions.to_string())
            .set("topic.creation.default.replication.factor", "1");
        let truncates = if plan.truncates { &TRUNCATES[..] } else { &[] };
        for (key, value) in truncates {
            connector = connector.set(key, value);
        }
        for (key, value) in &plan.settings {
            connector = connector.set(key, value);
        }
        let (newest, readers) = Newest::watch(database)?;
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
    pub(super) async fn through_snapshot(&mut self, narrate: &dyn Fn(&str)) -> Result<()> {
        if self.plan.kill_in_snapshot {
            self.wait_for_slot().await?;
            let moment = self.snapshot_moment().await?;
            self.snapshot_was_killed = self.walsender_state().await?.is_none();
            self.process.kill().await?;
            let inside = if self.snapshot_was_killed { "inside" } else { "after the end of" };
            narrate(&format!("SIGKILL {inside} the snapshot, {moment}"));
            self.process = self.connector.start()?;
        }
        self.connector.wait_until_streaming(&mut self.process).await?;
        narrate("the snapshot is over, the stream runs");
        Ok(())
    }

    /// Waits for a moment to kill the snapshot: some time after the slot is there, or when a reader has read its first row.
    async fn snapshot_moment(&mut self) -> Result<String> {
        let pause = Duration::from_millis(self.random.random_range(0..400));
        if self.random.random_bool(0.4) {
            tokio::time::sleep(pause).await;
            return Ok(format!("{pause:?} after the slot was there"));
        }
        let first_row = self.newest.wait_for(|newest| newest.made_at_unix_ms > 0);
        if tokio::time::timeout(DEADLINE, first_row).await.is_err() {
            return Err(Failure::new(format!("no snapshot row:\n{}", self.process.log_end())));
        }
        Ok("when its first row was read".to_owned())
    }

    /// Kills it at random moments until the writers are done.
    pub(super) async fn through_stream(
        &mut self,
        progress: &Progress,
        narrate: &dyn Fn(&str),
    ) -> Result<()> {
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
            let Some(silence) = self.kill_and_restart(progress).await? else {
                narrate(&format!("SIGKILL {}: nothing was left to send", number + 1));
                continue;
            };
            narrate(&format!("SIGKILL {}: silent for {:?}", number + 1, silence.silence));
            self.silences.push(silence);
        }
        Ok(())
    }

    /// `None` when the writers were done and everything had arrived before: then there is no silence to measure, and what is
    /// missing at the end is found by the check.
    async fn kill_and_restart(&mut self, progress: &Progress) -> Result<Option<Silence>> {
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
            let wanted = progress.changes_wanted.load(Ordering::Relaxed);
            if progress.changes.load(Ordering::Relaxed) >= wanted {
                return Ok(None);
            }
            return Err(Failure::new(format!(
                "no event within {DEADLINE:?} of the restart:\n{}",
                self.process.log_end()
            )));
        };
        Ok(Some(Silence {
            at_changes,
            killed_again,
            silence: next.read_at.saturating_duration_since(started),
        }))
    }

    async fn wait_for_changes(&mut self, progress: &Progress, target: u64) -> Result<()> {
        eventually("the writers write", DEADLINE * 5, async || {
            self.process.expect_running()?;
            let changes = progress.changes.load(Ordering::Relaxed);
            Ok(Seen::when(changes >= target, || format!("{changes} of {target} changes")))
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
            Ok(Seen::when(found.is_some(), || process.log_end()))
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
