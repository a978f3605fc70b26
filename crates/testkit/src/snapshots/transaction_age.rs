//! How long a snapshot that is taken while streaming keeps transactions open on the source: each one holds back `VACUUM`.
//!
//! In: numbers. Out: the longest transaction of the connector's sessions that was seen, looked for every 20 ms, while a table is
//! read and written to.
//! Source: PostgreSQL manual, `pg_stat_activity`, "Routine Vacuuming".

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::task::JoinSet;

use super::load::{Load, Pace};
use super::{ARRIVAL_MAX, finish, notices, remove};
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::{Failure, Result, orders};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// No transaction of a snapshot may be older.
const AGE_MAX_SECONDS: f64 = 1.0;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rows of the table.
    pub rows: u64,
    /// Sessions that update it.
    pub writers: u64,
    /// Connector settings beside those of the proof.
    pub settings: Vec<(String, String)>,
}

/// What one run found.
#[derive(Debug)]
pub struct Report {
    rows: u64,
    read: u64,
    taken: Duration,
    updates: u64,
    looks: u64,
    /// By the kind of backend: seconds, and the statement it was at.
    oldest: BTreeMap<String, (f64, String)>,
}

impl Report {
    /// The longest transaction of a session that reads, in seconds.
    pub fn oldest_seconds(&self) -> f64 {
        self.oldest.get("client backend").map_or(0.0, |(seconds, _)| *seconds)
    }

    /// No transaction was too old, and transactions were seen at all.
    pub fn is_clean(&self) -> bool {
        (0.0..AGE_MAX_SECONDS).contains(&self.oldest_seconds())
            && self.oldest.contains_key("client backend")
            && self.read > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} of {} rows read in {:.1} s while {} updates were committed; looked {} times",
            self.read,
            self.rows,
            self.taken.as_secs_f64(),
            self.updates,
            self.looks
        )?;
        for (kind, (seconds, statement)) in &self.oldest {
            writeln!(formatter, "  {kind}: longest transaction {seconds:.3} s, at `{statement}`")?;
        }
        Ok(())
    }
}

/// Runs a plan in a database of its own.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("age").await?;
    let session = database
        .with("create table signals (id varchar(42) primary key, type varchar(32) not null, data varchar(2048))")
        .await?;
    narrate(&format!("writing {} rows", plan.rows));
    session.run(&orders::table_of(plan.rows)).await?;
    session.run("vacuum (analyze) orders").await?;
    let mut connector = notices::sent_by(database.connector()?)
        .set("snapshot.mode", "no_data")
        .set("signal.data.collection", "public.signals");
    for (key, value) in &plan.settings {
        connector = connector.set(key, value);
    }
    let mut process = connector.start_streaming().await?;
    let rows = plan.rows;
    let pace = Pace { writers: plan.writers, pause: Duration::from_millis(1) };
    let load = Load::start(&database, 1, pace, move |random, _| {
        let id = random.random_range(1..=rows);
        format!("update orders set amount = amount + 1, status = 'paid' where id = {id}")
    })
    .await?;
    let mut sampler = JoinSet::new();
    let application = format!("tributary:{}", connector.name());
    let looker = database.session().await?;
    let (over, is_over) = tokio::sync::watch::channel(false);
    sampler.spawn(look(looker, application, is_over));
    let began = Instant::now();
    let updates_before = load.committed();
    session
        .run(r#"insert into signals values ('age', 'execute-snapshot', '{"data-collections": ["public.orders"]}')"#)
        .await?;
    let completed = notices::completed(&database, "Incremental Snapshot", ARRIVAL_MAX).await;
    completed.map_err(|failure| failure.during(process.log_end()))?;
    let taken = began.elapsed();
    over.send_replace(true);
    let found = sampler.join_next().await.ok_or_else(|| Failure::new("nobody looked"))?;
    let (looks, oldest) = found??;
    let updates = load.committed() - updates_before;
    load.stop().await?;
    finish(&database, &mut process).await?;
    let read = rows_read(&database).await?;
    drop(session);
    remove(stack, &database, &connector).await?;
    Ok(Report { rows: plan.rows, read, taken, updates, looks, oldest })
}

type Oldest = BTreeMap<String, (f64, String)>;

async fn look(
    session: Session,
    application: String,
    is_over: tokio::sync::watch::Receiver<bool>,
) -> Result<(u64, Oldest)> {
    let query = format!(
        "select backend_type, extract(epoch from clock_timestamp() - xact_start), left(regexp_replace(query, '\\s+', ' ', 'g'), 100)
         from pg_stat_activity where application_name = '{application}' and xact_start is not null"
    );
    let mut oldest = Oldest::new();
    let mut looks = 0;
    let mut due = tokio::time::interval(LOOK_EVERY);
    while !*is_over.borrow() {
        due.tick().await;
        looks += 1;
        for row in session.rows(&query).await? {
            let [kind, age, statement] = row.as_slice() else {
                return Err(Failure::new(format!("{row:?}")));
            };
            let age: f64 = age.parse()?;
            let known = oldest.entry(kind.clone()).or_insert((age, statement.clone()));
            if age > known.0 {
                *known = (age, statement.clone());
            }
        }
    }
    Ok((looks, oldest))
}

async fn rows_read(database: &Database) -> Result<u64> {
    let mut read = 0;
    let mut tail = database.tail("public.orders")?;
    tail.each_to_end(ARRIVAL_MAX, |event| {
        read += u64::from(event.operation() == "r");
        Ok(())
    })
    .await?;
    Ok(read)
}
