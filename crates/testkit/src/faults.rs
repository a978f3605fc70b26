//! What tests of faults need: rows that keep coming whatever happens, and a look at what arrived.
//!
//! In: a database with the table [`ITEM`]. Out: one committed row after the other, numbered without a hole; how long the topics were
//! silent after a fault; whether each row arrived once, in the order of the commits.
//! Never: an assertion about time. Times are printed, for `docs/reference/faults.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::session::Session;
use crate::stack::Database;
use crate::wait::{DEADLINE, Seen, eventually};
use crate::{Failure, Result};

/// The table whose rows are numbered.
pub const ITEM: &str = "create table item (id int primary key, filler text)";

/// Between two rows.
const PAUSE: Duration = Duration::from_millis(2);
/// Before a session that ended is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(50);

/// One writer of `item`: a row, a transaction. It ends with its owner.
pub struct Trickle {
    writer: JoinSet<Result<()>>,
    over: Arc<AtomicBool>,
    /// Rows known to be committed: all up to this number.
    last: Arc<AtomicI64>,
}

impl Trickle {
    /// Starts with row 1, or behind those that are there.
    pub fn start(database: &Database) -> Self {
        let (over, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let mut writer = JoinSet::new();
        writer.spawn(write(database.clone(), Arc::clone(&over), Arc::clone(&last)));
        Self { writer, over, last }
    }

    /// Waits until so many rows more are committed.
    pub async fn more(&self, rows: i64) -> Result<()> {
        let wanted = self.last.load(Ordering::Relaxed) + rows;
        eventually("rows are written", DEADLINE, async || {
            let last = self.last.load(Ordering::Relaxed);
            Ok(Seen::when(last >= wanted, || format!("{last} of {wanted}")))
        })
        .await
    }

    /// Ends writing; the number of the last row that is committed, and so how many there are.
    pub async fn stop(mut self) -> Result<i64> {
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.writer.join_next().await {
            ended??;
        }
        Ok(self.last.load(Ordering::Relaxed))
    }
}

/// A commit whose answer got lost may have taken place: each session begins with a look at what is there.
async fn write(database: Database, over: Arc<AtomicBool>, last: Arc<AtomicI64>) -> Result<()> {
    loop {
        if let Ok(session) = database.session().await {
            let written = write_in(&session, &over, &last).await;
            if over.load(Ordering::Relaxed) {
                return written;
            }
        } else if over.load(Ordering::Relaxed) {
            return Err(Failure::new("the writer could not look at its last row"));
        }
        tokio::time::sleep(REOPEN_PAUSE).await;
    }
}

async fn write_in(session: &Session, over: &AtomicBool, last: &AtomicI64) -> Result<()> {
    let there = session.text("select coalesce(max(id), 0) from item").await?;
    let mut number: i64 = there.unwrap_or_default().parse()?;
    last.store(number, Ordering::Relaxed);
    while !over.load(Ordering::Relaxed) {
        let next = number + 1;
        session.run(&format!("insert into item values ({next}, repeat('x', 200))")).await?;
        number = next;
        last.store(number, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Waits until a row that is committed now has arrived, and prints how long that took: the silence after a fault.
#[expect(clippy::print_stderr, reason = "a measure; the test harness shows it with --nocapture")]
pub async fn silence(database: &Database, fault: &str) -> Result<Duration> {
    let began = Instant::now();
    database.sync_within(DEADLINE * 2).await.map_err(|failure| failure.during(fault))?;
    let silence = began.elapsed();
    eprintln!("measured | {fault} | {:.1} s", silence.as_secs_f64());
    Ok(silence)
}

/// Fails unless the topic of `item` holds rows 1 to `last`, each once, in order.
pub async fn expect_each_once(database: &Database, last: i64) -> Result<()> {
    let events = database.events("public.item").await?;
    let ids: Vec<i64> =
        events.iter().filter_map(|event| event.key_payload()["id"].as_i64()).collect();
    let wrong = ids.iter().zip(1..).position(|(found, wanted)| *found != wanted);
    if wrong.is_none() && i64::try_from(ids.len()) == Ok(last) {
        return Ok(());
    }
    let at = wrong.unwrap_or(ids.len());
    let around = &ids[at.saturating_sub(3)..ids.len().min(at + 3)];
    Err(Failure::new(format!(
        "{} events for {last} rows; wrong from event {} on: … {around:?} …",
        ids.len(),
        at + 1
    )))
}
