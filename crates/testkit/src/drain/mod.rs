//! The drain: how fast a waiting slot is read into Kafka, beside what PostgreSQL itself can do with the same WAL.
//!
//! In: a number of changes. Out: for each contender wall time, processor time and memory, the processor time of the servers meanwhile, and
//! medians and ratios over the runs. A ratio is of one run, and can be compared between machines.
//! The work: transactions of 10 changes (5 inserts, 4 updates, 1 delete) on a table of 9 columns. Every slot is made before it is written, and
//! every topic must hold each record of it once.
//! Everybody starts anew: our process, and a worker of Debezium's, whose own start is not counted.
//! Everybody reads the same WAL: nothing but the work is in it, so autovacuum leaves the table alone.
//! Never: a figure of the first runs, which do not count: a broker that has just started compiles its code.

mod debezium;
mod limit;
mod producer;
mod report;

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use crate::backlog::{drain, make_slot, tally_of, write_marker};
use crate::connector::Connector;
use crate::debezium::Worker;
use crate::event::Event;
use crate::orders::{self, CHANGES_PER_TRANSACTION, Transactions};
use crate::process_stat::{Servers, Usage};
use crate::produce::delete_topic;
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::{Failure, Result};

pub use report::{Contender, Figures, Measure, Report};

/// Runs that do not count.
const WARM_UPS: u32 = 5;

/// What is drained, by whom, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Row changes, in transactions of ten.
    pub changes: u64,
    /// Runs over the same WAL that count.
    pub runs: u32,
    /// Measure us with `tributary.read.mode=stream` too.
    pub stream: bool,
    /// Measure Debezium too.
    pub debezium: bool,
    /// Measure Debezium by its defaults too.
    pub debezium_defaults: bool,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

impl Plan {
    /// In the order in which they are measured: whoever reads a copy of our slot comes before us.
    fn contenders(&self) -> Vec<Contender> {
        let mut contenders = vec![
            Contender::PgRecvlogical,
            Contender::SqlRead,
            Contender::Producer,
            Contender::Tributary,
        ];
        let others = [
            (Contender::TributaryStream, self.stream),
            (Contender::Debezium, self.debezium),
            (Contender::DebeziumDefaults, self.debezium_defaults),
        ];
        contenders.extend(others.iter().filter(|(_, wanted)| *wanted).map(|(one, _)| *one));
        contenders
    }

    /// Everything that is done, those that do not count first.
    fn turns(&self) -> Range<u32> {
        0..WARM_UPS + self.runs
    }

    /// Who is measured in a turn; where it does not count, only we are.
    fn contenders_of(&self, turn: u32) -> Vec<Contender> {
        if run_of(turn) == 0 { vec![Contender::Tributary] } else { self.contenders() }
    }
}

/// Which of the runs that count a turn is, from 1; 0 if it does not.
fn run_of(turn: u32) -> u32 {
    (turn + 1).saturating_sub(WARM_UPS)
}

/// What one contender needed once.
struct Spent {
    elapsed: Duration,
    /// Of the process, where it has one that can be looked at.
    usage: Option<Usage>,
    /// Until the process had ended.
    servers: Servers,
}

struct Bench<'a> {
    stack: &'a Stack,
    database: Database,
    session: Session,
    plan: &'a Plan,
    /// Records of the first run, for the producer alone.
    sample: OnceLock<Vec<Event>>,
}

/// Drains the same WAL again and again, everybody in turns, each time from a slot of its own.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("drain").await?;
    let session = database.session().await?;
    orders::create(&session, 1).await?;
    session.run("alter table orders set (autovacuum_enabled = off)").await?;
    let bench = Bench { stack, database, session, plan, sample: OnceLock::new() };
    narrate("making the slots");
    bench.make_slots().await?;
    narrate(&format!("writing {} changes", plan.changes));
    let work = Transactions { writer: 0, from: 0, count: plan.changes / CHANGES_PER_TRANSACTION };
    let (wal_bytes, end) = bench.write(work).await?;
    let mut report = Report::new(plan, wal_bytes);
    for turn in plan.turns() {
        for contender in plan.contenders_of(turn) {
            let spent = bench.measure(contender, turn, work, &end).await;
            let spent = spent.map_err(|failure| failure.during(bench.name(contender, turn)))?;
            report.add(run_of(turn), contender, &spent, narrate);
        }
    }
    Ok(report)
}

impl Bench<'_> {
    /// Of slot, connector and topics.
    fn name(&self, contender: Contender, turn: u32) -> String {
        format!("{}_{}_{turn}", self.database.name(), contender.name())
    }

    /// The first of ours makes the publication, which all share.
    async fn make_slots(&self) -> Result<()> {
        for turn in self.plan.turns() {
            for contender in self.plan.contenders_of(turn) {
                match contender {
                    Contender::Tributary | Contender::TributaryStream => {
                        make_slot(&self.connector(contender, turn)?, &self.session).await?;
                    }
                    Contender::Debezium | Contender::DebeziumDefaults => {
                        debezium::make_slot(&self.session, &self.name(contender, turn)).await?;
                    }
                    // They read copies of ours, or nothing.
                    Contender::PgRecvlogical | Contender::SqlRead | Contender::Producer => {}
                }
            }
        }
        Ok(())
    }

    /// Bytes of WAL, and where it ends.
    async fn write(&self, work: Transactions) -> Result<(u64, String)> {
        let session = &self.session;
        let begin = wal_position(session).await?;
        session.run("set synchronous_commit = off").await?;
        work.write(session).await?;
        write_marker(session).await?;
        session.run("checkpoint").await?;
        let end = wal_position(session).await?;
        let bytes = format!("select pg_wal_lsn_diff('{end}', '{begin}')::bigint");
        let bytes = session.text(&bytes).await?.and_then(|bytes| bytes.parse().ok());
        Ok((bytes.ok_or_else(|| Failure::new("no length of the WAL"))?, end))
    }

    fn connector(&self, contender: Contender, turn: u32) -> Result<Connector> {
        let name = self.name(contender, turn);
        let mut connector = self
            .database
            .connector()?
            .named(&name)
            .set("snapshot.mode", "no_data")
            .set("slot.name", &name)
            .set("topic.prefix", &name);
        for (key, value) in &self.plan.settings {
            connector = connector.set(key, value);
        }
        if contender == Contender::TributaryStream {
            connector = connector.set("tributary.read.mode", "stream");
        }
        Ok(connector)
    }

    /// Measures one contender, and counts what it has brought.
    async fn measure(
        &self,
        contender: Contender,
        turn: u32,
        work: Transactions,
        end: &str,
    ) -> Result<Spent> {
        let before = Servers::read(self.stack)?;
        let (elapsed, usage) = self.read(contender, turn, end).await?;
        let servers = Servers::read(self.stack)?.since(before);
        if contender.brings_changes() {
            let name = self.name(contender, turn);
            let topic = format!("{name}.public.orders");
            self.session.drop_slot(&name).await?;
            tally_of(&self.database, &name).await?.expect(work.expected())?;
            if turn == 0 {
                // Nobody else measures in this turn.
                let _ = self.sample.set(producer::sample(&self.database, &topic).await?);
            }
            // A run leaves some hundred MB.
            delete_topic(self.database.bootstrap(), &topic).await?;
        }
        Ok(Spent { elapsed, usage, servers })
    }

    /// How long it took, and what its process used, where it has one that can be looked at.
    async fn read(
        &self,
        contender: Contender,
        turn: u32,
        end: &str,
    ) -> Result<(Duration, Option<Usage>)> {
        let (database, session) = (&self.database, &self.session);
        let ours = self.name(Contender::Tributary, turn);
        match contender {
            Contender::PgRecvlogical => {
                Ok((limit::pg_recvlogical(database, session, &ours, end).await?, None))
            }
            Contender::SqlRead => Ok((limit::sql_read(database, session, &ours, end).await?, None)),
            Contender::Producer => {
                let sample = self.sample.get().cloned().unwrap_or_default();
                let records = self.plan.changes + self.plan.changes / CHANGES_PER_TRANSACTION;
                Ok((producer::measure(database, sample, records).await?, None))
            }
            Contender::Tributary | Contender::TributaryStream => {
                let drained = drain(&self.connector(contender, turn)?).await?;
                Ok((drained.elapsed, Some(drained.usage)))
            }
            Contender::Debezium | Contender::DebeziumDefaults => {
                let worker = Worker::start(database).await?;
                let name = self.name(contender, turn);
                let tuned = contender == Contender::Debezium;
                let measured = debezium::measure(&worker, database, &name, tuned).await;
                worker.stop().await;
                measured.map(|(elapsed, usage)| (elapsed, Some(usage)))
            }
        }
    }
}

async fn wal_position(session: &Session) -> Result<String> {
    let position = session.text("select pg_current_wal_flush_lsn()").await?;
    position.ok_or_else(|| Failure::new("no WAL position"))
}
