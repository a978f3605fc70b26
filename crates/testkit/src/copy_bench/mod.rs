//! The snapshot: how fast a table is read into Kafka, beside `COPY` of the same table in the same run.
//!
//! In: numbers of rows. Out: wall time, processor time and memory of our process, and the ratio to `COPY … TO STDOUT` of one
//! `psql` whose output is thrown away; on demand, the same of the real Debezium on Kafka Connect.
//! Two tables: `orders` has nine columns, `narrow` two. Whoever is measured, its topic must hold each row once.
//! Never: times of two runs compared; what is compared was measured in turns.

mod arrival;
mod debezium;
mod report;

use std::time::Duration;

use crate::connector::Connector;
use crate::debezium::Worker;
use crate::process_stat::{Usage, usage};
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::{Failure, Result, orders, psql};

use arrival::{Arrival, End};
pub use report::{Measure, Reader, Report};

const ORDERS: &str = "orders";

/// What is read, and by whom.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rows of `orders`.
    pub rows: u64,
    /// Rows of `narrow`; 0 leaves it out.
    pub narrow_rows: u64,
    /// `snapshot.max.threads`, of both connectors.
    pub threads: u32,
    /// How often each is measured.
    pub runs: u32,
    /// Measure Debezium too, with `orders`.
    pub debezium: bool,
    /// Settings of our connector beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

/// One of the two tables.
#[derive(Clone, Copy, Debug)]
struct Table {
    name: &'static str,
    rows: u64,
}

/// Measures everybody in turns, as often as the plan says.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("copybench").await?;
    let session = database.session().await?;
    let tables = create_tables(&session, plan, narrate).await?;
    let worker = if plan.debezium { Some(Worker::start(&database).await?) } else { None };
    let mut report = Report::new(plan.threads, &plan.settings);
    // A broker that has just started compiles its code while the first load comes, on the same cores: whoever is first pays for all.
    let (elapsed, _) = tributary(&database, &session, tables[0], 0, plan).await?;
    narrate(&format!("the first reading, which does not count: {:.2} s", elapsed.as_secs_f64()));
    for run in 1..=plan.runs {
        for table in &tables {
            let copied = copy(&database, *table).await?;
            report.add(run, (Reader::Copy, *table), copied, None, narrate);
            let (elapsed, usage) = tributary(&database, &session, *table, run, plan).await?;
            report.add(run, (Reader::Tributary, *table), elapsed, Some(usage), narrate);
            // Ten million rows take Debezium many minutes, and say nothing that the other table does not.
            if let Some(worker) = worker.as_ref().filter(|_| table.name == ORDERS) {
                let measured = debezium::measure(worker, &database, *table, run, plan.threads);
                let (elapsed, usage) = measured.await?;
                report.add(run, (Reader::Debezium, *table), elapsed, Some(usage), narrate);
            }
        }
    }
    if let Some(worker) = worker {
        worker.stop().await;
    }
    Ok(report)
}

async fn create_tables(
    session: &Session,
    plan: &Plan,
    narrate: &dyn Fn(&str),
) -> Result<Vec<Table>> {
    let mut tables = vec![Table { name: ORDERS, rows: plan.rows }];
    narrate(&format!("writing {} rows of `orders`", plan.rows));
    session.run("set synchronous_commit = off").await?;
    session.run(&orders::table_of(plan.rows)).await?;
    if plan.narrow_rows > 0 {
        tables.push(Table { name: "narrow", rows: plan.narrow_rows });
        narrate(&format!("writing {} rows of `narrow`", plan.narrow_rows));
        session
            .run(&format!(
                "create table narrow (id bigint primary key, v int);
                 insert into narrow select i, i % 1000 from generate_series(1, {}) i",
                plan.narrow_rows
            ))
            .await?;
    }
    // The first reader would mark the rows as committed for all that follow.
    for table in &tables {
        session.run(&format!("vacuum (analyze) {}", table.name)).await?;
    }
    session.run("checkpoint").await?;
    Ok(tables)
}

/// Time one `psql` needs for a COPY of the table.
async fn copy(database: &Database, table: Table) -> Result<Duration> {
    let copy = format!("copy public.{} to stdout", table.name);
    psql::discard(database, &copy).await
}

/// Time from the start of our process to the last row, and what it had used by then.
async fn tributary(
    database: &Database,
    session: &Session,
    table: Table,
    run: u32,
    plan: &Plan,
) -> Result<(Duration, Usage)> {
    let name = format!("tributary_{}_{run}", table.name);
    let connector = connector(database, &name, table, plan)?;
    let arrival = Arrival::open(database, &name, table)?;
    let mut process = connector.start()?;
    let arrived = arrival.wait(End::Marked, async || process.expect_running()).await;
    let arrived = arrived.map_err(|failure| failure.during(process.log_end()))?;
    let id = process.id().ok_or_else(|| Failure::new("the connector has ended"))?;
    let usage = usage(id)?;
    let elapsed = arrived.duration_since(process.started());
    process.terminate().await?;
    connector.wait_until_slot_free(session).await?;
    session.drop_slot(&name).await?;
    arrival.expect_each_row_once().await?;
    Ok((elapsed, usage))
}

fn connector(database: &Database, name: &str, table: Table, plan: &Plan) -> Result<Connector> {
    let mut connector = database
        .connector()?
        .named(name)
        .set("slot.name", name)
        .set("publication.name", name)
        .set("topic.prefix", name)
        .set("table.include.list", &format!("public[.]{}", table.name))
        .set("snapshot.max.threads", &plan.threads.to_string());
    for (key, value) in &plan.settings {
        connector = connector.set(key, value);
    }
    Ok(connector)
}
