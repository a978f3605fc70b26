//! Writers: sessions that change the oracle's tables at random, all the same rows at the same time.
//!
//! In: a seed. Out: transactions with savepoints and rollbacks, single and multi-row statements, COPY, key changes, TRUNCATE, a few
//! big transactions, deadlocks and unique violations as they come. What PostgreSQL refuses is rolled back; the journal
//! tells what was committed. The choices depend on the seed alone, the interleaving does not.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::schema::{SCRATCH, TABLES, Table};
use crate::Result;
use crate::session::Session;
use crate::stack::Database;
use crate::wait::{DEADLINE, LOOK_AGAIN_AFTER};

/// What all writers share.
#[derive(Debug)]
pub(super) struct Progress {
    /// Row changes of committed transactions so far.
    pub(super) changes: AtomicU64,
    /// Row changes after which the writers stop.
    pub(super) changes_wanted: AtomicU64,
    /// Transactions that were rolled back, by choice or by a deadlock.
    pub(super) rolled_back: AtomicU64,
    /// Transactions that were committed.
    pub(super) committed: AtomicU64,
    /// Nobody writes for now.
    pub(super) paused: AtomicBool,
}

impl Progress {
    fn goes_on(&self) -> bool {
        self.changes.load(Ordering::Relaxed) < self.changes_wanted.load(Ordering::Relaxed)
    }
}

/// How a writer goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Between two transactions.
    pub(crate) pause: Duration,
    /// A session that ended is opened again, and what was open in it is forgotten.
    pub(crate) outlives_faults: bool,
    /// It empties a table now and then. The connector then needs the settings of [`TRUNCATES`](super::TRUNCATES).
    pub(crate) truncates: bool,
}

/// One writing session.
pub(super) struct Writer {
    database: Database,
    manner: Manner,
    session: Session,
    random: StdRng,
    keys: u64,
    number: u64,
    copied: u64,
}

/// Chance of a transaction to be big, and its size.
const BIG_CHANCE: f64 = 0.001;
const BIG_ROWS: std::ops::Range<u64> = 500..3000;
const ROLLBACK_CHANCE: f64 = 0.06;
const SAVEPOINT_CHANCE: f64 = 0.25;
const TRUNCATE_CHANCE: f64 = 0.01;

const PREPARATION: &str = "set deadlock_timeout = '10ms'; set synchronous_commit = off";

/// A server that is away comes back within this time.
const AWAY_MAX: Duration = DEADLINE.saturating_mul(3);

impl Writer {
    /// Writer `number` of a run; `keys` is the number of keys all writers fight for.
    pub(super) async fn open(
        database: &Database,
        seed: u64,
        number: u64,
        keys: u64,
    ) -> Result<Self> {
        let session = database.with(PREPARATION).await?;
        Ok(Self {
            database: database.clone(),
            manner: Manner::default(),
            session,
            random: StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number)),
            keys,
            number,
            copied: 0,
        })
    }

    /// The same writer in another manner.
    pub(super) fn in_manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// Writes until all writers together have made enough changes.
    pub(super) async fn run(mut self, progress: Arc<Progress>) -> Result<()> {
        while progress.goes_on() {
            if progress.paused.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            match self.transaction().await {
                Ok(Some(changes)) => {
                    progress.changes.fetch_add(changes, Ordering::Relaxed);
                    progress.committed.fetch_add(1, Ordering::Relaxed);
                }
                Ok(None) => {
                    progress.rolled_back.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) if self.manner.outlives_faults => self.reconnect().await?,
                Err(failure) => return Err(failure),
            }
            if !self.manner.pause.is_zero() {
                tokio::time::sleep(self.manner.pause).await;
            }
        }
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.database.with(PREPARATION).await {
                Ok(session) => {
                    self.session = session;
                    return Ok(());
                }
                Err(failure) if began.elapsed() > AWAY_MAX => {
                    return Err(failure.during("a writer"));
                }
                Err(_) => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
            }
        }
    }

    /// One transaction; the number of row changes it committed, or `None` if it was rolled back.
    async fn transaction(&mut self) -> Result<Option<u64>> {
        if self.random.random_bool(BIG_CHANCE) {
            return self.big_transaction().await;
        }
        self.session.run("begin").await?;
        let mut changes = 0;
        for number in 0..self.random.random_range(1..8) {
            let savepoint = self.random.random_bool(SAVEPOINT_CHANCE);
            if savepoint {
                self.session.run(&format!("savepoint s{number}")).await?;
            }
            let Some(done) = self.statement().await? else {
                if !savepoint {
                    self.session.run("rollback").await?;
                    return Ok(None);
                }
                self.session.run(&format!("rollback to s{number}")).await?;
                continue;
            };
            if savepoint && self.random.random_bool(0.4) {
                self.session.run(&format!("rollback to s{number}")).await?;
            } else if savepoint && self.random.random_bool(0.5) {
                self.session.run(&format!("release s{number}")).await?;
                changes += done;
            } else {
                changes += done;
            }
        }
        if self.random.random_bool(ROLLBACK_CHANCE) {
            self.session.run("rollback").await?;
            return Ok(None);
        }
        self.session.run("commit").await?;
        Ok(Some(changes))
    }

    /// Many rows in one transaction: half of them in one statement, and a part rolled back to a savepoint.
    async fn big_transaction(&mut self) -> Result<Option<u64>> {
        let table = self.table();
        let rows = self.random.random_range(BIG_ROWS);
        let first = self.random.random_range(1..=self.keys);
        let numbers = format!("select * from generate_series({first}, {})", first + rows);
        let name = table.name;
        let steps = [
            "begin".to_owned(),
            table.insert(&numbers),
            format!(
                "update public.{name} set {}, version = nextval('oracle.version'), counter = counter + 1 where version % 7 = {}",
                table.update,
                first % 7
            ),
            "savepoint big".to_owned(),
            format!("delete from public.{name} where version % 11 = {}", first % 11),
            "rollback to big".to_owned(),
            format!("delete from public.{name} where version % 13 = {}", first % 13),
        ];
        let mut changes = 0;
        for step in &steps {
            match self.session.execute(step.as_str(), &[]).await {
                Ok(done) if !step.contains("% 11") => changes += done,
                Ok(_) => {}
                Err(error) if error.as_db_error().is_some() => {
                    self.session.run("rollback").await?;
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.session.run("commit").await?;
        Ok(Some(changes))
    }

    /// One statement; how many rows it changed, or `None` if PostgreSQL refused it.
    async fn statement(&mut self) -> Result<Option<u64>> {
        if self.manner.truncates && self.random.random_bool(TRUNCATE_CHANCE) {
            return self.truncate().await;
        }
        let table = self.table();
        let name = table.name;
        let number = self.random.random_range(1..=self.keys);
        let version = "version = nextval('oracle.version'), counter = counter + 1";
        let update = table.update;
        let find = table.key_is(number);
        let sql = match self.random.random_range(0..100) {
            0..25 => table.insert(&format!("select {number}::bigint")),
            25..35 => {
                let count = self.random.random_range(2..20);
                table.insert(&format!(
                    "select {number}::bigint + i * 31 from generate_series(1, {count}) i"
                ))
            }
            35..65 => format!("update public.{name} set {update}, {version} where {find}"),
            65..72 => {
                let low = self.random.random_range(0..2000);
                format!(
                    "update public.{name} set {update}, {version} where version % 2000 = {low} and counter < 50"
                )
            }
            72..84 => {
                let other = self.random.random_range(1..=self.keys * 2);
                format!(
                    "update public.{name} set {}, {version} where {find}",
                    table.key_becomes(other)
                )
            }
            84..96 => format!("delete from public.{name} where {find}"),
            _ => return self.copy().await.map(Some),
        };
        match self.session.execute(sql.as_str(), &[]).await {
            Ok(rows) => Ok(Some(rows)),
            Err(error) if error.as_db_error().is_some() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Empties a table. Whoever has changed it keeps it locked until the end of the transaction: deadlocks are usual.
    async fn truncate(&mut self) -> Result<Option<u64>> {
        let sql = format!("truncate public.{}", TABLES[SCRATCH].name);
        match self.session.execute(sql.as_str(), &[]).await {
            Ok(_) => Ok(Some(1)),
            Err(error) if error.as_db_error().is_some() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// COPY of a few rows with keys of this writer alone. All rows of one COPY may share one LSN.
    async fn copy(&mut self) -> Result<u64> {
        let count = self.random.random_range(2..40);
        let versions = format!("select nextval('oracle.version') from generate_series(1, {count})");
        let versions = self.session.rows(&versions).await?;
        let mut text = String::new();
        for row in &versions {
            self.copied += 1;
            let id = 1_000_000_000 * (self.number + 1) + self.copied;
            let _ = writeln!(text, "{id}\t{}.50\tcopied\t{}\t1", id % 1000, row[0]);
        }
        let sink = self
            .session
            .copy_in("copy public.account(id, balance, note, version, counter) from stdin")
            .await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from(text)).await?;
        Ok(sink.finish().await?)
    }

    fn table(&mut self) -> &'static Table {
        TABLES.choose(&mut self.random).unwrap_or(&TABLES[0])
    }
}
