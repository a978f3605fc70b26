//! Debezium and us on the same log: random changes of a table with a column of every type, read by both, compared.
//!
//! In: a seed. Out: the number of records compared, and where they differ. Never: a difference tolerated because it is
//! small: what cannot be the same is named in [`VOLATILE`].
//!
//! Debezium reads keys, defaults and nullability from the catalog as it is when it comes upon a table, not as it was when
//! the row changed. So before each change of a table both readers have read everything: there is no other fair comparison.

mod compare;
mod report;
mod script;
mod side;
mod table;
mod types;
mod values;

use std::time::{Duration, Instant};

use regex::Regex;

use crate::avro::Schemas;
use crate::event::Event;
use crate::session::Session;
use crate::stack::{Database, MARKER_TABLE, Stack};
use crate::tail::Tail;
use crate::{Failure, Result};

use compare::Comparison;
pub use compare::{Finding, VOLATILE};
pub use report::{Report, TableReport};
pub use script::{Changes, Script, Step};
use side::Sides;
pub use types::ColumnType;
pub(crate) use types::PLAIN;
use types::{EXTENSIONS, TYPES, definitions};

/// Prefix of Debezium's topics and name of its slot. As long as ours, so that nothing is cut elsewhere.
const DEBEZIUM: &str = "debezium_";
/// The same for us.
const OURS: &str = "tributary";
const PUBLICATION: &str = "differential";
/// A run of 20,000 transactions takes a few minutes; this one hangs.
const RUN_MAX: Duration = Duration::from_hours(1);
const READ_MAX: Duration = Duration::from_mins(10);
const TELL_EVERY: u64 = 1_000;
/// With this setting the records that begin and end transactions are compared too.
const TRANSACTION_METADATA: &str = "provide.transaction.metadata";

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of every choice.
    pub seed: u64,
    /// Transactions of row changes.
    pub transactions: u64,
    /// Types whose whole name matches get a column.
    pub types: Regex,
    /// But for those whose whole name matches this.
    pub except: Regex,
    /// How the tables change.
    pub changes: Changes,
    /// Connector settings both get.
    pub settings: Vec<(String, String)>,
    /// How both write records.
    pub converter: Converter,
}

/// How the compared records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Converter {
    /// Both with `JsonConverter`, and schemas.
    Json,
    /// Debezium with Apicurio's `AvroConverter` in Confluent's form, we with Confluent's name of it; both with one registry.
    Avro,
}

/// Runs a plan.
pub async fn run(stack: &Stack, plan: &Plan, narrate: &dyn Fn(&str)) -> Result<Report> {
    let database = stack.database("differential").await?;
    let session = database.session().await?;
    let (types, skipped) = available_types(&session, plan).await?;
    narrate(&format!("seed {}: {} types, skipped: {}", plan.seed, types.len(), list(&skipped)));
    let script = Script::new(plan.seed, plan.transactions, types, plan.changes);
    set_up(&session, &script).await?;
    let mut sides = Sides::start(&database, PUBLICATION, plan).await?;
    let schemas = sides.schemas();
    let mut report = Report::new(plan.seed, skipped);
    let tables = script.table_names();
    let outcome = load(&session, &mut sides, script, &mut report, narrate).await;
    let (stopped, registry) = sides.stop().await;
    // What was read before a reader failed is compared all the same: it often tells why.
    report.broken_off = outcome.and(stopped).err().map(|failure| failure.to_string());
    narrate("comparing");
    let mut topics: Vec<String> = tables.iter().map(|table| format!("public.{table}")).collect();
    if plan.settings.iter().any(|(key, value)| key == TRANSACTION_METADATA && value == "true") {
        topics.push("transaction".to_owned());
    }
    for topic in topics {
        let broken_off = report.broken_off.is_some();
        report.tables.push(compare(&database, &topic, schemas.as_ref(), broken_off).await?);
    }
    // The comparison asked it for schemas.
    drop(registry);
    Ok(report)
}

/// Makes two tables with a column of every type that the server has; the row changes of so many transactions of them.
pub async fn every_type(session: &Session, seed: u64, transactions: u64) -> Result<Script> {
    let plan = Plan {
        seed,
        transactions,
        types: Regex::new(".*")?,
        except: Regex::new("^$")?,
        changes: Changes::None,
        settings: Vec::new(),
        converter: Converter::Json,
    };
    let (types, _) = available_types(session, &plan).await?;
    let script = Script::new(seed, transactions, types, plan.changes);
    for sql in definitions().iter().chain(&script.create_tables()) {
        session.run(sql).await?;
    }
    Ok(script)
}

/// The types of the plan that this server has, and the extensions it lacks.
async fn available_types(
    session: &Session,
    plan: &Plan,
) -> Result<(Vec<ColumnType>, Vec<&'static str>)> {
    let mut skipped = Vec::new();
    for extension in EXTENSIONS {
        let available = format!("select 1 from pg_available_extensions where name = '{extension}'");
        if session.text(&available).await?.is_none() {
            skipped.push(extension);
            continue;
        }
        session.run(&format!("create extension {extension} schema public")).await?;
    }
    let there = TYPES.iter().filter(|one| {
        plan.types.is_match(one.sql)
            && !plan.except.is_match(one.sql)
            && one.extension.is_none_or(|extension| !skipped.contains(&extension))
    });
    let types: Vec<ColumnType> = there.map(|one| one.placed_for(&plan.settings)).collect();
    if types.is_empty() {
        return Err(Failure::new(format!("no type matches `{}`", plan.types)));
    }
    Ok((types, skipped))
}

async fn set_up(session: &Session, script: &Script) -> Result<()> {
    for sql in definitions().iter().chain(&script.create_tables()) {
        session.run(sql).await?;
    }
    let tables = script.table_names().join(", ");
    session
        .run(&format!("create publication {PUBLICATION} for table {tables}, {MARKER_TABLE}"))
        .await
}

/// Runs the script; before each change of a table both readers have read everything.
async fn load(
    session: &Session,
    sides: &mut Sides,
    script: Script,
    report: &mut Report,
    narrate: &dyn Fn(&str),
) -> Result<()> {
    session.run("set synchronous_commit = off").await?;
    let started = Instant::now();
    for step in script {
        match step {
            Step::Transaction(sql) => {
                session.run(&sql).await?;
                report.transactions += 1;
                if report.transactions.is_multiple_of(TELL_EVERY) {
                    let seconds = started.elapsed().as_secs();
                    narrate(&format!("{} transactions in {seconds} s", report.transactions));
                }
            }
            Step::Ddl(sql) => {
                sides.catch_up().await?;
                session.run(&sql).await?;
                report.ddl.push(sql);
            }
        }
        if started.elapsed() > RUN_MAX {
            return Err(Failure::new(format!("the run took more than {RUN_MAX:?}")));
        }
    }
    sides.catch_up().await
}

/// Compares two topics that are the same but for their prefixes, from their beginnings to their ends.
async fn compare(
    database: &Database,
    topic: &str,
    schemas: Option<&Schemas>,
    broken_off: bool,
) -> Result<TableReport> {
    let open = |prefix| {
        let tail = Tail::open(database.bootstrap(), &format!("{prefix}.{topic}"))?;
        Ok::<_, Failure>(Reading { tail, schemas: schemas.cloned() })
    };
    let (mut debezium, mut ours) = (open(DEBEZIUM)?, open(OURS)?);
    let deadline = Instant::now() + READ_MAX;
    let table = topic.trim_start_matches("public.");
    let mut comparison = Comparison::new(table);
    loop {
        let pair = (debezium.next_to_end(deadline).await?, ours.next_to_end(deadline).await?);
        match pair {
            (None, None) => break,
            (Some(left), Some(right)) => {
                if comparison.next(&left, &right)? {
                    continue;
                }
                let (mut lefts, mut rights) = (vec![left], vec![right]);
                lefts.extend(debezium.next_to_end(deadline).await?);
                rights.extend(ours.next_to_end(deadline).await?);
                comparison.part(&lefts, &rights);
                break;
            }
            // A reader that was stopped early has not come to the end.
            _ if broken_off => break,
            (left, right) => {
                comparison.part(left.as_slice(), right.as_slice());
                break;
            }
        }
    }
    Ok(TableReport::new(table, comparison))
}

/// Records of a topic, as JSON whatever they are written in.
struct Reading {
    tail: Tail,
    schemas: Option<Schemas>,
}

impl Reading {
    async fn next_to_end(&mut self, deadline: Instant) -> Result<Option<Event>> {
        let event = self.tail.next_to_end(deadline).await?;
        match (event, &self.schemas) {
            (Some(event), Some(schemas)) => schemas.as_json(event).await.map(Some),
            (event, _) => Ok(event),
        }
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
