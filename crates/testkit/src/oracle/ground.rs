//! The oracle's tables, writers and judge, for runs that do something else to the connector than the oracle does.
//!
//! In: a stack. Out: a database that is written to until [`Ground::end`], and the verdict. Never: a connector.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use super::writer::{Manner, Progress, Writer};
use super::{Verdict, judge, schema};
use crate::Result;
use crate::stack::{Database, Stack};

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) seed: u64,
    pub(crate) writers: u64,
    /// Number of keys that all writers fight for.
    pub(crate) keys: u64,
    pub(crate) manner: Manner,
}

/// A database with the oracle's tables.
pub(crate) struct Ground {
    pub(crate) database: Database,
    progress: Arc<Progress>,
    writers: JoinSet<Result<()>>,
}

impl Ground {
    /// A database of its own, with so many rows in each table.
    pub(crate) async fn prepare(stack: &Stack, label: &str, rows: u64) -> Result<Self> {
        let database = stack.database(label).await?;
        schema::create(&database.session().await?, rows).await?;
        Ok(Self { database, progress: Arc::new(Progress::default()), writers: JoinSet::new() })
    }

    /// Starts writers.
    pub(crate) async fn write(&mut self, load: Load) -> Result<()> {
        for number in 0..load.writers {
            let writer = Writer::open(&self.database, load.seed, number, load.keys).await?;
            let writer = writer.in_manner(load.manner);
            self.writers.spawn(writer.run(Arc::clone(&self.progress)));
        }
        Ok(())
    }

    /// Lets the writers stand still, or go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.progress.paused.store(paused, Ordering::Relaxed);
    }

    /// Row changes of committed transactions so far, as far as the writers know.
    pub(crate) fn changes(&self) -> u64 {
        self.progress.changes.load(Ordering::Relaxed)
    }

    /// Ends the writers; how many transactions they committed and rolled back.
    pub(crate) async fn end(&mut self) -> Result<(u64, u64)> {
        self.pause(false);
        self.progress.changes_wanted.store(0, Ordering::Relaxed);
        while let Some(finished) = self.writers.join_next().await {
            finished??;
        }
        let Progress { committed, rolled_back, .. } = &*self.progress;
        Ok((committed.load(Ordering::Relaxed), rolled_back.load(Ordering::Relaxed)))
    }

    /// Compares the topics with the journal and the tables. Everything has to have arrived.
    pub(crate) async fn judge(&self) -> Result<Verdict> {
        judge(&self.database).await
    }
}
