//! The drain: how fast a waiting slot is read into Kafka, beside `pg_recvlogical` on the same WAL in the same run.
//!
//! In: a number of changes. Out: wall time, processor time and memory of our process, and the ratio to `pg_recvlogical`
//! (pgoutput protocol 1, text, TCP, thrown away). The ratio is the figure that can be compared between machines.
//! The work: transactions of 10 changes (5 inserts, 4 updates, 1 delete) on a table of 9 columns.

use std::fmt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::process::Command;

use crate::connector::{Connector, ConnectorProcess};
use crate::orders::{COLUMNS, VALUES};
use crate::process_stat::{Usage, usage};
use crate::session::Session;
use crate::stack::{Database, MARKER_TABLE, Stack};
use crate::tail::Tail;
use crate::{Failure, Result};

const CHANGES_PER_TRANSACTION: u64 = 10;
const ARRIVAL_MAX: Duration = Duration::from_mins(5);

/// What one run measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Run {
    /// Seconds of `pg_recvlogical`.
    pub pg_recvlogical_seconds: f64,
    /// Seconds from the start of our process to the last record.
    pub seconds: f64,
    /// Row changes per second of that.
    pub changes_per_second: f64,
    /// Our seconds by those of `pg_recvlogical`.
    pub ratio: f64,
    /// Processor seconds of our process.
    pub processor_seconds: f64,
    /// Largest resident set of our process, MB of 1,000,000 bytes.
    pub peak_rss_mb: f64,
    /// Records in the topic.
    pub records: u64,
    /// Tombstones among them.
    pub tombstones: u64,
}

/// What all runs measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Row changes of the work.
    pub changes: u64,
    /// WAL of the work, bytes.
    pub wal_bytes: u64,
    /// One per run.
    pub runs: Vec<Run>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} changes, {} MB of WAL", self.changes, self.wal_bytes / 1_000_000)?;
        writeln!(
            formatter,
            "run  pg_recvlogical     wall  changes/s  ratio    CPU-s  peak RSS    records"
        )?;
        for (index, run) in self.runs.iter().enumerate() {
            writeln!(
                formatter,
                "{:>3}  {:>12.2} s {:>6.2} s  {:>9.0}  {:>5.2}  {:>7.2}  {:>5.0} MB  {:>9}",
                index + 1,
                run.pg_recvlogical_seconds,
                run.seconds,
                run.changes_per_second,
                run.ratio,
                run.processor_seconds,
                run.peak_rss_mb,
                run.records
            )?;
        }
        Ok(())
    }
}

/// What is drained, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Row changes, in transactions of ten.
    pub changes: u64,
    /// Runs over the same WAL.
    pub runs: u32,
    /// Connector settings beside those of the benchmark.
    pub settings: Vec<(String, String)>,
}

/// Runs the drain over the same WAL again and again, each time with a connector and a slot of its own.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let changes = plan.changes;
    let database = stack.database("drain").await?;
    let session = database.session().await?;
    create_table(&session).await?;
    let mut connectors = Vec::new();
    for number in 1..=plan.runs {
        narrate(&format!("making slot {number} by a first run of the connector"));
        let mut connector = connector(&database, number)?;
        for (key, value) in &plan.settings {
            connector = connector.set(key, value);
        }
        let mut process = connector.start_streaming().await?;
        process.terminate().await?;
        connector.wait_until_slot_free(&session).await?;
        connectors.push(connector);
    }
    narrate(&format!("writing {changes} changes"));
    let begin = wal_position(&session).await?;
    write(&session, changes / CHANGES_PER_TRANSACTION).await?;
    let marker = format!("insert into {MARKER_TABLE}(note) values ('end'); checkpoint");
    session.run(&marker).await?;
    let end = wal_position(&session).await?;
    let wal_bytes =
        session.text(&format!("select pg_wal_lsn_diff('{end}', '{begin}')::bigint")).await?;
    let mut report = Report {
        changes,
        wal_bytes: wal_bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or_default(),
        runs: Vec::new(),
    };
    for connector in &connectors {
        let received = pg_recvlogical(&session, connector, &end).await?;
        narrate(&format!("pg_recvlogical: {:.2} s", received.as_secs_f64()));
        let run = measure(connector, changes, received).await?;
        narrate(&format!(
            "tributary: {:.2} s, {:.0} changes/s",
            run.seconds, run.changes_per_second
        ));
        report.runs.push(run);
    }
    Ok(report)
}

fn connector(database: &Database, number: u32) -> Result<Connector> {
    let name = format!("{}_{number}", database.name());
    let connector = database
        .connector()?
        .named(&name)
        .set("snapshot.mode", "no_data")
        .set("slot.name", &name)
        .set("topic.prefix", &name);
    Ok(connector)
}

async fn create_table(session: &Session) -> Result<()> {
    session
        .run(&format!(
            "create table orders ({COLUMNS});
             create procedure write_orders(transactions bigint) language plpgsql as $$
             declare first bigint;
             begin
               for t in 0 .. transactions - 1 loop
                 first := 1000 + t * 5;
                 insert into orders select {VALUES} from generate_series(first, first + 4) i;
                 update orders set status = 'paid', updated_at = updated_at + interval '1 hour' where id in (first, first + 1);
                 update orders set amount = amount + 1 where id in (first - 3, first - 4);
                 delete from orders where id = first - 1000 + 3;
                 commit;
               end loop;
             end $$;
             insert into orders select i, i, 'old', 1.00, 'EUR', md5(i::text), '{{}}', now(), now() from generate_series(1, 999) i;
             checkpoint"
        ))
        .await
}

async fn write(session: &Session, transactions: u64) -> Result<()> {
    session.run("set synchronous_commit = off").await?;
    session.run(&format!("call write_orders({transactions})")).await
}

async fn wal_position(session: &Session) -> Result<String> {
    let position = session.text("select pg_current_wal_flush_lsn()").await?;
    position.ok_or_else(|| Failure::new("no WAL position"))
}

/// Time `pg_recvlogical` needs for the same WAL, on a copy of the connector's slot.
async fn pg_recvlogical(session: &Session, connector: &Connector, end: &str) -> Result<Duration> {
    let database = connector.database();
    let copy = format!("{}_copy", connector.slot());
    session
        .text(&format!("select pg_copy_logical_replication_slot('{}', '{copy}')", connector.slot()))
        .await?;
    let publication = format!("publication_names={}", database.name());
    let port = database.port().to_string();
    let mut command = Command::new(embedded::tools::find("pg_recvlogical")?);
    command
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "-d",
            database.name(),
            "-S",
            &copy,
        ])
        .args(["--start", "--no-loop", "-f", "/dev/null", "-E", end])
        .args(["-o", "proto_version=1", "-o", &publication])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let started = Instant::now();
    let output = command.output().await?;
    let elapsed = started.elapsed();
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr)).during("pg_recvlogical"));
    }
    session.text(&format!("select pg_drop_replication_slot('{copy}')")).await?;
    Ok(elapsed)
}

async fn measure(connector: &Connector, changes: u64, received: Duration) -> Result<Run> {
    let database = connector.database();
    let prefix = connector.name().to_owned();
    let mut marker = Tail::open(database.bootstrap(), &format!("{prefix}.public.{MARKER_TABLE}"))?;
    let mut process = connector.start()?;
    let (elapsed, usage) = until_marker(&mut process, &mut marker).await?;
    process.terminate().await?;
    let (mut records, mut tombstones) = (0, 0);
    let mut orders = Tail::open(database.bootstrap(), &format!("{prefix}.public.orders"))?;
    orders
        .each_to_end(ARRIVAL_MAX, |event| {
            records += 1;
            tombstones += u64::from(event.value.is_none());
            Ok(())
        })
        .await?;
    let expected = changes + changes / CHANGES_PER_TRANSACTION;
    if records != expected {
        return Err(Failure::new(format!(
            "the topic holds {records} records, {tombstones} of them tombstones; {expected} were expected"
        )));
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    Ok(Run {
        pg_recvlogical_seconds: received.as_secs_f64(),
        seconds: elapsed.as_secs_f64(),
        changes_per_second: changes as f64 / elapsed.as_secs_f64(),
        ratio: elapsed.as_secs_f64() / received.as_secs_f64(),
        processor_seconds: usage.processor.as_secs_f64(),
        peak_rss_mb: usage.peak_rss_bytes as f64 / 1e6,
        records,
        tombstones,
    })
}

/// Time from the start of the process to the event of the row written last, and what the process had used by then.
async fn until_marker(
    process: &mut ConnectorProcess,
    marker: &mut Tail,
) -> Result<(Duration, Usage)> {
    let deadline = process.started() + ARRIVAL_MAX;
    loop {
        let slice = Instant::now() + Duration::from_millis(500);
        match marker.next(slice).await? {
            Some(event) if event.payload()["after"]["note"] == "end" => {
                let elapsed = event.read_at.duration_since(process.started());
                let id = process.id().ok_or_else(|| Failure::new("the connector has ended"))?;
                return Ok((elapsed, usage(id)?));
            }
            _ if Instant::now() > deadline => {
                return Err(Failure::new(format!(
                    "not drained within {ARRIVAL_MAX:?}:\n{}",
                    process.log_end()
                )));
            }
            _ => process.expect_running()?,
        }
    }
}
