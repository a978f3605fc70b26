//! Apache Flink's `debezium-json` format reads our topic; what it makes of it folds to the table.
//!
//! In: nothing. Out: a [`FlinkReport`] for each way to write JSON. Never: a Flink cluster; the format is called as Flink's Kafka source calls
//! it, by `Fold.java`, with records from Kafka's own consumer.
//! Source: Flink manual, "Debezium Format". It wants the old row of an update whole, hence `REPLICA IDENTITY FULL`; numbers and
//! times are read as the settings here say.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use embedded::{FlinkJson, Silent};

use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::{Failure, Result};

const PROGRAM: &str = "src/sink/Fold.java";

/// What a run found.
#[derive(Debug)]
pub struct FlinkReport {
    /// `debezium-json.schema-include`.
    pub schema_include: bool,
    /// Rows of the changelog Flink made.
    pub changes: usize,
    /// Rows of the table.
    pub rows: usize,
    /// The first rows that are not the same.
    pub differences: Vec<String>,
}

impl fmt::Display for FlinkReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.differences.is_empty() { "equal" } else { "DIFFERENT" };
        writeln!(
            formatter,
            "Flink debezium-json, schema-include={}: {} rows of changelog fold to {} rows, {verdict}",
            self.schema_include, self.changes, self.rows
        )?;
        for difference in &self.differences {
            writeln!(formatter, "{difference}")?;
        }
        Ok(())
    }
}

/// Writes a table, with and without schemas in the messages, and compares what Flink folds to.
pub async fn run(stack: &Stack, narrate: &dyn Fn(&str)) -> Result<Vec<FlinkReport>> {
    narrate("providing Flink's JSON formats");
    let flink = FlinkJson::provide(&Silent).await?;
    let mut reports = Vec::new();
    for schema_include in [false, true] {
        let database = stack.database("flink").await?;
        narrate(&format!("schema-include={schema_include}"));
        reports.push(run_once(&database, &flink, schema_include).await?);
    }
    Ok(reports)
}

async fn run_once(
    database: &Database,
    flink: &FlinkJson,
    schema_include: bool,
) -> Result<FlinkReport> {
    let session = database
        .with(
            "create table orders (id bigint primary key, name text, amount numeric(12,2), ratio double precision,
                 paid boolean, placed_at timestamp, day date);
             alter table orders replica identity full;
             insert into orders select i, 'before ' || i, i / 4.0, i / 8.0, i % 2 = 0, '2026-01-01'::timestamp + i * interval '1 ms', '2026-01-01'::date + i
                 from generate_series(1, 50) i",
        )
        .await?;
    let connector = database
        .connector()?
        .set("decimal.handling.mode", "string")
        .set("value.converter.schemas.enable", if schema_include { "true" } else { "false" });
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    write(&session).await?;
    database.sync().await?;
    process.terminate().await?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROGRAM);
    let mut command = flink.command(&program);
    command.args([
        database.bootstrap(),
        &database.topic("public.orders"),
        if schema_include { "true" } else { "false" },
    ]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::new(said).during("Flink's format refuses the topic"));
    }
    let changelog = String::from_utf8(output.stdout)?;
    let (folded, mut differences) = fold(&changelog);
    let table = rows(&session).await?;
    differences.extend(compare(&table, &folded));
    Ok(FlinkReport {
        schema_include,
        changes: changelog.lines().count(),
        rows: table.len(),
        differences,
    })
}

/// Inserts, updates, deletes, a key change, and a column Flink has not been told of.
async fn write(session: &Session) -> Result<()> {
    session
        .run(
            "insert into orders select i, case when i % 5 = 0 then null else 'ünï \"' || i end, i * 1.25, null, null, '1969-12-31 23:59:59.5', '1969-12-31'
                 from generate_series(51, 400) i;
             update orders set name = 'changed', amount = -amount, ratio = null where id % 3 = 0;
             update orders set paid = not paid, placed_at = placed_at + interval '1 microsecond' where id < 40;
             delete from orders where id % 7 = 0;
             update orders set id = id + 1000 where id % 50 = 1;
             alter table orders add column added text;
             insert into orders values (2000, 'last', 99999999.99, 1e-300, true, 'epoch', 'epoch', 'not known to Flink');
             update orders set added = 'x' where id < 10",
        )
        .await
}

/// The table as the program writes it, by id.
async fn rows(session: &Session) -> Result<BTreeMap<String, String>> {
    let rows = session
        .rows(
            "select id, concat_ws(E'\\t', coalesce(name, 'null'), coalesce(amount::text, 'null'), coalesce(ratio::text, 'null'),
                 coalesce(paid::text, 'null'), coalesce((extract(epoch from placed_at) * 1000000)::bigint::text, 'null'),
                 coalesce((day - '1970-01-01'::date)::text, 'null')) from orders",
        )
        .await?;
    let rows = rows.into_iter().filter_map(|row| {
        let mut fields = row.into_iter();
        Some((fields.next()?, fields.next()?))
    });
    Ok(rows.collect())
}

/// Applies a changelog; what does not fit the rows so far is a difference.
fn fold(changelog: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let mut rows = BTreeMap::new();
    let mut differences = Vec::new();
    for line in changelog.lines() {
        let mut fields = line.splitn(3, '\t');
        let (Some(kind), Some(id), Some(rest)) = (fields.next(), fields.next(), fields.next())
        else {
            differences.push(format!("  not a row: {line}"));
            continue;
        };
        let fits = match kind {
            "+I" | "+U" => rows.insert(id.to_owned(), rest.to_owned()).is_none(),
            _ => rows.remove(id).is_some_and(|row| row == rest),
        };
        if !fits {
            differences.push(format!("  does not fit the rows before it: {line}"));
        }
    }
    (rows, differences)
}

fn compare(table: &BTreeMap<String, String>, folded: &BTreeMap<String, String>) -> Vec<String> {
    const MOST: usize = 5;
    let mut ids: Vec<&String> = table.keys().chain(folded.keys()).collect();
    ids.sort();
    ids.dedup();
    let differing = ids.into_iter().filter(|id| {
        let (wanted, found) = (table.get(*id), folded.get(*id));
        match (wanted, found) {
            (Some(wanted), Some(found)) => !same(wanted, found),
            _ => true,
        }
    });
    differing
        .take(MOST)
        .map(|id| {
            format!("  id {id}:\n    table {:?}\n    Flink {:?}", table.get(id), folded.get(id))
        })
        .collect()
}

/// Field by field; two numbers in other digits are the same.
fn same(wanted: &str, found: &str) -> bool {
    let (wanted, found) = (wanted.split('\t'), found.split('\t'));
    wanted.clone().count() == found.clone().count()
        && wanted.zip(found).all(|(wanted, found)| {
            let number = |text: &str| text.parse::<f64>().ok().map(f64::to_bits);
            wanted == found || (number(wanted).is_some() && number(wanted) == number(found))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_folds_to_its_last_rows_and_a_row_that_does_not_fit_is_told() {
        let (rows, differences) = fold("+I\t1\ta\n-U\t1\ta\n+U\t1\tb\n+I\t2\tc\n-D\t2\tc\n");
        assert!(differences.is_empty(), "{differences:?}");
        assert_eq!(rows, BTreeMap::from([("1".to_owned(), "b".to_owned())]));
        assert_eq!(fold("+I\t1\ta\n-D\t1\tb\n").1.len(), 1);
        assert_eq!(fold("+I\t1\ta\n+I\t1\ta\n").1.len(), 1);
    }

    #[test]
    fn numbers_in_other_digits_are_the_same_row() {
        assert!(same("x\t0.125", "x\t1.25E-1"));
        assert!(!same("x\t0.125", "x\t0.25"));
        assert!(!same("1\tx", "1\ty"));
    }
}
