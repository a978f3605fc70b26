//! From the start of `tributary create` until a reader has the first event: what somebody with a watch in the hand sees.
//!
//! In: how often, and how many connectors the worker has already. Out: a time for each. Method: each time a new connector by flags, for a table of
//! a few rows, on one worker; first while that has no other connector, then while it has some with nothing to do. The reader reads committed
//! records only, and waits for the topic from before the start.
//! Never: a connector that is left for the next time.

use std::time::{Duration, Instant};

use super::{Options, PATIENCE, create, run_on};
use crate::command::tributary;
use crate::stack::{Database, Stack};
use crate::tail::Tail;
use crate::worker::{Group, Worker};
use crate::{Failure, Result};

const ROWS: u32 = 5;

/// How often, and on what.
#[derive(Clone, Copy, Debug)]
pub struct FirstEventOptions {
    /// Connectors made and measured, one after the other, on the empty worker and again on the other.
    pub rounds: usize,
    /// Connectors with nothing to do that the worker has the second time.
    pub connectors: usize,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct FirstEvents {
    /// On a worker without connectors.
    pub on_empty: Vec<Duration>,
    /// On one that has some.
    pub on_busy: Vec<Duration>,
}

/// Measures it on a stack that must allow enough slots and connections.
pub async fn run(
    stack: &Stack,
    options: FirstEventOptions,
    tell: impl Fn(&str),
) -> Result<FirstEvents> {
    let database = stack.database("first").await?;
    let session = database.session().await?;
    session.run(&format!("create table few (id int primary key, note text); insert into few select n, 'row' from generate_series(1, {ROWS}) n")).await?;
    for table in 0..options.connectors {
        session.run(&format!("create table t{table} (id bigint primary key)")).await?;
    }
    let group = Group::new(database.bootstrap(), database.name())?;
    let mut workers = vec![group.start("worker-0").await?];
    let mut measured = FirstEvents::default();
    for round in 0..options.rounds {
        let name = format!("{}_empty_{round}", database.name());
        measured.on_empty.push(first_event(&workers[0], &database, &name).await?);
        tell(&format!("empty worker, {:.2?}", measured.on_empty[round]));
    }
    create(&workers, &database, options.connectors).await?;
    let all = Options {
        connectors: options.connectors,
        workers: 1,
        round: Duration::ZERO,
        calm: Duration::ZERO,
    };
    run_on(&workers[0], all, &["worker-0"]).await?;
    for round in 0..options.rounds {
        let name = format!("{}_busy_{round}", database.name());
        measured.on_busy.push(first_event(&workers[0], &database, &name).await?);
        let count = options.connectors;
        tell(&format!("worker with {count} connectors, {:.2?}", measured.on_busy[round]));
    }
    workers[0].process.terminate().await?;
    Ok(measured)
}

/// Makes a connector, waits for its first event, and takes it away again.
async fn first_event(worker: &Worker, database: &Database, name: &str) -> Result<Duration> {
    let source = database.url();
    let mut tail = Tail::open(database.bootstrap(), &format!("{name}.public.few"))?;
    let create = ["create", "--url", worker.url(), "--source", &source];
    let create = [&create[..], &["--table", "public.few", "--name", name]].concat();
    let started = Instant::now();
    let (created, event) =
        tokio::join!(tributary(&create, PATIENCE), tail.next(started + PATIENCE));
    let created = created?;
    if created.exit_code != 0 {
        return Err(Failure::new(format!("create: {created:?}")));
    }
    let event = event?.ok_or_else(|| Failure::new(format!("no event of {name} came")))?;
    let destroy = ["destroy", "--url", worker.url(), name, "--confirm", name, "--delete-topics"];
    let destroyed = tributary(&destroy, PATIENCE).await?;
    if destroyed.exit_code != 0 {
        return Err(Failure::new(format!("destroy: {destroyed:?}")));
    }
    Ok(event.read_at - started)
}
