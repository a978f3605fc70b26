//! A workload nobody here wrote: pgbench on all four of its tables, snapshot taken while it runs.
//!
//! In: scale, seconds, partitions. Out: how far the topics are from the tables.

use std::collections::HashMap;
use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::tail::{Tail, topics_with_prefix};
use crate::wait::{DEADLINE, Seen, eventually};
use crate::{Failure, Result};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// `pgbench -s`.
    pub scale: u32,
    /// `pgbench -T`.
    pub seconds: u32,
    /// `pgbench --partitions`; 0 for none.
    pub partitions: u32,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Rows of each table at the end, and keys whose folded event differs from the row.
    pub tables: Vec<(String, usize, usize)>,
    /// Rows of `pgbench_history`.
    pub history_rows: usize,
    /// Its `r` and `c` events.
    pub history_events: usize,
    /// Rows without an event, and events without a row or beyond the first of a row.
    pub history_missing: usize,
    /// See [`Report::history_missing`].
    pub history_surplus: usize,
    /// Sums of balances by the topics: accounts, tellers, branches, history.
    pub sums: [i64; 4],
}

impl Report {
    /// The topics are the tables, and balances add up.
    pub fn is_clean(&self) -> bool {
        self.tables.iter().all(|(_, rows, wrong)| *rows > 0 && *wrong == 0)
            && self.history_rows == self.history_events
            && self.history_missing + self.history_surplus == 0
            && self.sums.iter().all(|sum| *sum == self.sums[0])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, rows, wrong) in &self.tables {
            writeln!(formatter, "{name}: {rows} rows, {wrong} keys not folding")?;
        }
        writeln!(
            formatter,
            "pgbench_history: {} rows, {} events, {} missing, {} surplus",
            self.history_rows, self.history_events, self.history_missing, self.history_surplus
        )?;
        let [accounts, tellers, branches, history] = self.sums;
        writeln!(
            formatter,
            "sums by the topics: accounts {accounts} tellers {tellers} branches {branches} history {history}"
        )
    }
}

/// Runs pgbench and a connector beside it, and compares.
pub async fn run(stack: &Stack, plan: Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("pgbench").await?;
    let scale = plan.scale.to_string();
    let partitions = format!("--partitions={}", plan.partitions);
    let mut prepare = vec!["-i", "-q", "-s", &scale];
    if plan.partitions > 0 {
        prepare.push(&partitions);
    }
    narrate(&format!("pgbench {}", prepare.join(" ")));
    finish(pgbench(&database, &prepare)?).await?;
    let seconds = plan.seconds.to_string();
    let running = pgbench(&database, &["-c", "8", "-j", "2", "-T", &seconds])?.spawn()?;
    let session = database.session().await?;
    eventually("pgbench writes", DEADLINE, async || {
        let rows = session.text("select 1 from pgbench_history limit 1").await?;
        Ok(Seen::when(rows.is_some(), || "no history yet".to_owned()))
    })
    .await?;
    narrate(&format!(
        "pgbench -c 8 -j 2 -T {seconds} runs; the connector starts, with an empty topic"
    ));
    let mut process = database.connector()?.start_streaming().await?;
    narrate("the snapshot is over, the stream runs");
    let output = running.wait_with_output().await?;
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr)));
    }
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains("tps"))
    {
        narrate(line);
    }
    database.sync_within(DEADLINE * 5).await?;
    process.expect_running()?;
    narrate("reading everything back");
    let report = compare(&database, &session).await;
    process.terminate().await?;
    report
}

fn pgbench(database: &Database, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(embedded::tools::find("pgbench")?);
    command
        .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &database.port().to_string()])
        .args(arguments)
        .arg(database.name())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

async fn finish(mut command: Command) -> Result<()> {
    let output = command.output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(String::from_utf8_lossy(&output.stderr)))
}

/// A keyed table: its key column and its balance column.
const KEYED: [(&str, &str, &str); 3] = [
    ("pgbench_accounts", "aid", "abalance"),
    ("pgbench_tellers", "tid", "tbalance"),
    ("pgbench_branches", "bid", "bbalance"),
];

async fn compare(database: &Database, session: &Session) -> Result<Report> {
    let mut report = Report::default();
    for (index, (table, key, balance)) in KEYED.into_iter().enumerate() {
        let folded = fold(database, table, key, balance).await?;
        let rows = session
            .query(&format!("select {key}::bigint, {balance}::bigint from {table}"), &[])
            .await?;
        let rows: HashMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let differing =
            rows.iter().filter(|(key, balance)| folded.get(key) != Some(balance)).count();
        let surplus = folded.keys().filter(|key| !rows.contains_key(key)).count();
        report.sums[index] = folded.values().sum();
        report.tables.push((table.to_owned(), rows.len(), differing + surplus));
    }
    let mut rest: HashMap<HistoryRow, i64> = HashMap::new();
    each_event(database, "pgbench_history", |after: Option<HistoryRow>| {
        if let Some(row) = after {
            report.history_events += 1;
            report.sums[3] += row.delta;
            *rest.entry(row).or_default() -= 1;
        }
    })
    .await?;
    let query = "select tid::bigint, bid::bigint, aid::bigint, delta::bigint, (extract(epoch from mtime) * 1000000)::bigint from pgbench_history";
    for row in session.query(query, &[]).await? {
        report.history_rows += 1;
        let row = HistoryRow {
            tid: row.get(0),
            bid: row.get(1),
            aid: row.get(2),
            delta: row.get(3),
            mtime: row.get(4),
        };
        *rest.entry(row).or_default() += 1;
    }
    for count in rest.values() {
        let count_absolute = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if *count > 0 {
            report.history_missing += count_absolute;
        } else {
            report.history_surplus += count_absolute;
        }
    }
    Ok(report)
}

/// One row of `pgbench_history`, as table and topic both have it.
#[derive(Debug, Deserialize, PartialEq, Eq, Hash)]
struct HistoryRow {
    tid: i64,
    bid: i64,
    aid: i64,
    delta: i64,
    /// Microseconds since 1970.
    mtime: i64,
}

/// The last balance of each key by the table's topic, or by the topics of its partitions.
async fn fold(
    database: &Database,
    table: &str,
    key: &str,
    balance: &str,
) -> Result<HashMap<i64, i64>> {
    let mut folded = HashMap::new();
    each_event(database, table, |after: Option<HashMap<String, serde_json::Value>>| {
        // pgbench deletes no row of these tables, so an event without a row would be an invention: it counts as key -1.
        let number = |name: &str| after.as_ref().and_then(|row| row.get(name)?.as_i64());
        folded.insert(number(key).unwrap_or(-1), number(balance).unwrap_or_default());
    })
    .await?;
    Ok(folded)
}

/// Hands the `after` of each event of a table to `take`, in order per partition.
async fn each_event<T: for<'de> Deserialize<'de>>(
    database: &Database,
    table: &str,
    mut take: impl FnMut(Option<T>),
) -> Result<()> {
    #[derive(Deserialize)]
    struct Envelope<T> {
        after: Option<T>,
    }
    let base = database.topic(&format!("public.{table}"));
    let topics = topics_with_prefix(database.bootstrap(), &base)?;
    for topic in &topics {
        let mut tail = Tail::open(database.bootstrap(), topic)?;
        tail.each_to_end(Duration::from_mins(5), |event| {
            let value = event.value.as_deref().unwrap_or(b"null");
            let envelope = serde_json::from_slice::<Option<Envelope<T>>>(value)?;
            take(envelope.and_then(|envelope| envelope.after));
            Ok(())
        })
        .await?;
    }
    Ok(())
}
