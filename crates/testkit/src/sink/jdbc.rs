//! The Debezium JDBC sink connector copies our topics into a second database; the tables end equal.
//!
//! In: a seed. Out: one [`TableReport`] per table. Never: a row compared by anything but its text.
//! The source's tables keep old rows whole (`REPLICA IDENTITY FULL`): an event that lacks an unchanged value stored out of line
//! has a placeholder in its place, and this sink writes the placeholder.

use std::fmt;
use std::time::Duration;

use embedded::{Connect, ConnectOptions, Plugin, Silent};
use serde_json::{Map, Value, json};

use crate::connect::Client;
use crate::connector::ConnectorProcess;
use crate::differential::{Changes, PLAIN, Script, Step};
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::wait::{Seen, eventually};
use crate::{Failure, Result};

/// How long the sink may take for everything that was written.
const ARRIVAL_MAX: Duration = Duration::from_mins(5);
const SINK: &str = "sink";
const REPLICA: &str = "replica";

/// What became of one table.
#[derive(Debug)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// Its columns at the end.
    pub columns: usize,
    /// Its rows at the end.
    pub rows: usize,
    /// The first rows that are not the same, in the source and in the copy.
    pub differences: Vec<String>,
}

/// What a run found.
#[derive(Debug)]
pub struct JdbcReport {
    /// Seed of the run.
    pub seed: u64,
    /// Transactions of row changes.
    pub transactions: u64,
    /// Columns added between them.
    pub columns_added: u64,
    /// One per table.
    pub tables: Vec<TableReport>,
}

impl JdbcReport {
    /// Whether the copy is the source.
    pub fn is_clean(&self) -> bool {
        self.tables.iter().all(|table| table.differences.is_empty())
    }
}

impl fmt::Display for JdbcReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "JDBC sink, seed {}: {} transactions, {} columns added",
            self.seed, self.transactions, self.columns_added
        )?;
        for table in &self.tables {
            let verdict = if table.differences.is_empty() { "equal" } else { "DIFFERENT" };
            writeln!(
                formatter,
                "{}: {} rows of {} columns, {verdict}",
                table.table, table.rows, table.columns
            )?;
            for difference in &table.differences {
                writeln!(formatter, "{difference}")?;
            }
        }
        Ok(())
    }
}

/// Writes with a snapshot in the middle, lets the sink copy, and compares.
pub async fn run(
    stack: &Stack,
    seed: u64,
    transactions: u64,
    narrate: &dyn Fn(&str),
) -> Result<JdbcReport> {
    let database = stack.database("sink").await?;
    let session = database.with("set synchronous_commit = off").await?;
    session.run(&format!("create database {REPLICA}")).await?;
    let mut script = Script::new(seed, transactions, PLAIN.to_vec(), Changes::NewColumns);
    let tables = script.table_names();
    for sql in script.create_tables() {
        session.run(&sql).await?;
    }
    for table in &tables {
        session.run(&format!("alter table {table} replica identity full")).await?;
    }
    let mut written = Written::default();
    narrate(&format!("seed {seed}: writing what the snapshot will find"));
    written.write(&session, script.by_ref().take(steps_before_snapshot(transactions))).await?;
    let connector = connector(&database)?;
    let mut ours = connector.start_streaming().await?;
    let topics: Vec<String> =
        tables.iter().map(|table| database.topic(&format!("public.{table}"))).collect();
    let options = ConnectOptions::new(database.bootstrap(), &[Plugin::DebeziumJdbcSink]);
    let connect = Connect::start(options, &Silent).await?;
    let client = Client::new(&connect.url());
    database.sync().await?;
    client.create(SINK, sink(&database, &topics)).await?;
    narrate("writing while the sink reads");
    written.write(&session, script).await?;
    database.sync().await?;
    narrate("waiting for the sink");
    let replica = stack.existing_database(REPLICA).session().await?;
    let mut reports = Vec::new();
    for table in tables {
        reports.push(settled(&session, &replica, table, &client, &mut ours).await?);
    }
    client.delete(SINK).await?;
    connect.stop().await;
    ours.terminate().await?;
    Ok(JdbcReport {
        seed,
        transactions: written.transactions,
        columns_added: written.columns_added,
        tables: reports,
    })
}

fn steps_before_snapshot(transactions: u64) -> usize {
    usize::try_from(transactions / 4).unwrap_or(usize::MAX)
}

#[derive(Default)]
struct Written {
    transactions: u64,
    columns_added: u64,
}

impl Written {
    async fn write(&mut self, session: &Session, steps: impl Iterator<Item = Step>) -> Result<()> {
        for step in steps {
            match step {
                Step::Transaction(sql) => {
                    session.run(&sql).await?;
                    self.transactions += 1;
                }
                Step::Ddl(sql) => {
                    session.run(&sql).await?;
                    self.columns_added += 1;
                }
            }
        }
        Ok(())
    }
}

fn connector(database: &Database) -> Result<crate::connector::Connector> {
    Ok(database
        .connector()?
        .set("skipped.operations", "none")
        .set("key.converter.schemas.enable", "true")
        .set("value.converter.schemas.enable", "true"))
}

fn sink(database: &Database, topics: &[String]) -> Map<String, Value> {
    let settings = json!({
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": topics.join(","),
        "connection.url": format!("jdbc:postgresql://127.0.0.1:{}/{REPLICA}", database.port()),
        "connection.username": "postgres",
        "connection.password": "unused",
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "truncate.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "basic",
        "quote.identifiers": "true",
        "collection.name.format": "${source.table}",
        "consumer.override.isolation.level": "read_committed",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "true",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        // The default one makes a map of `__debezium.newkey`; if its values are of several types the map has no schema, and this
        // sink ends. Debezium's own header has the same text.
        "header.converter": "org.apache.kafka.connect.storage.StringConverter",
        // A default in a schema is for consumers; a NULL stays a NULL.
        "value.converter.replace.null.with.default": "false",
    });
    settings.as_object().cloned().unwrap_or_default()
}

/// Waits until the copy of a table is equal, or says how it differs when the time is up.
async fn settled(
    source: &Session,
    replica: &Session,
    table: &str,
    client: &Client,
    ours: &mut ConnectorProcess,
) -> Result<TableReport> {
    let columns = columns(source, table).await?;
    let query = query(table, &columns);
    let wanted = source.rows(&query).await?;
    let mut last: Vec<String> = Vec::new();
    let waited = eventually(&format!("table `{table}` is copied"), ARRIVAL_MAX, async || {
        ours.expect_running()?;
        client.expect_not_failed(SINK).await?;
        // The sink makes the table and its columns when it comes upon them.
        let found = replica.rows(&query).await;
        last = match found {
            Ok(found) => differences(&columns, &wanted, &found),
            Err(failure) => vec![failure.to_string()],
        };
        Ok(Seen::when(last.is_empty(), || last.join("\n")))
    })
    .await;
    match waited {
        Err(failure) if last.is_empty() => return Err(failure),
        Ok(()) | Err(_) => {}
    }
    Ok(TableReport {
        table: table.to_owned(),
        columns: columns.len(),
        rows: wanted.len(),
        differences: last,
    })
}

async fn columns(session: &Session, table: &str) -> Result<Vec<String>> {
    let rows = session
        .rows(&format!(
            "select quote_ident(attname) from pg_attribute
             where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped order by attnum"
        ))
        .await?;
    let names: Vec<String> = rows.into_iter().flatten().collect();
    if names.is_empty() {
        Err(Failure::new(format!("`{table}` has no columns")))
    } else {
        Ok(names)
    }
}

/// All rows as texts in the order of the key; a NULL is told from an empty text.
fn query(table: &str, columns: &[String]) -> String {
    let columns: Vec<String> =
        columns.iter().map(|column| format!("coalesce('=' || {column}::text, 'null')")).collect();
    format!("set timezone = 'UTC'; select {} from {table} order by id", columns.join(", "))
}

/// The first values that differ, in words.
fn differences(columns: &[String], wanted: &[Vec<String>], found: &[Vec<String>]) -> Vec<String> {
    const MOST: usize = 5;
    let mut differences = Vec::new();
    if wanted.len() != found.len() {
        differences.push(format!("  {} rows, the copy has {}", wanted.len(), found.len()));
    }
    for (wanted, found) in wanted.iter().zip(found) {
        let pairs = columns.iter().zip(wanted.iter().zip(found));
        differences.extend(pairs.filter(|(_, (wanted, found))| wanted != found).map(
            |(column, (value, copy))| {
                format!("  id {}, {column}:\n    source {value:?}\n    copy   {copy:?}", wanted[0])
            },
        ));
        if differences.len() > MOST {
            break;
        }
    }
    differences.truncate(MOST);
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_row_and_a_changed_value_are_told_apart_from_equal_tables() {
        let columns = ["id".to_owned(), "t".to_owned()];
        let row = |id: &str, text: &str| vec![id.to_owned(), text.to_owned()];
        let wanted = [row("=1", "=a"), row("=2", "null")];
        assert!(differences(&columns, &wanted, &wanted).is_empty());
        assert_eq!(differences(&columns, &wanted, &wanted[..1]).len(), 1);
        let changed = [row("=1", "=a"), row("=2", "=")];
        let told = differences(&columns, &wanted, &changed);
        assert!(told.len() == 1 && told[0].contains("id =2, t"), "{told:?}");
    }
}
