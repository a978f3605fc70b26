//! Columns of types that Debezium has no form for, on real servers.

use serde_json::{Value, json};
use testkit::Result;
use testkit::connector::{ConnectorProcess, binary};
use testkit::stack::Stack;
use testkit::wait::DEADLINE;

const TABLE: &str = "
    create type part as (id int, days date[]);
    create type whole as (name text, part part);
    create domain code as varchar(8);
    create domain codes as code[];
    create table odd (id int primary key, w whole, ws whole[], m int4multirange, amounts money[], cs code[], d codes,
                      b box[], q tsquery, grid int[][], note text);
    alter table odd replica identity full";

const ROW: &str = "(
    row('a \"b\"', row(1, '{2016-11-04,NULL}'))::whole,
    array[row('x', NULL)::whole, NULL],
    '{[1,3),[5,8)}', '{\"$1,234.50\"}', '{\"a,b\"}', '{c}', '{(1,1),(0,0);(3,3),(2,2)}', 'fat <-> cat', '{{1,2},{3,4}}', 'n')";

fn insert(id: u32) -> String {
    let values = ROW.trim_start_matches('(');
    format!("insert into odd values ({id}, {values}")
}

/// Whatever a connector made of flags captures can be read back from its events, and a snapshot gives what the stream gives.
#[tokio::test]
async fn captured_values_of_every_type_are_whole_in_snapshot_and_stream_alike() -> Result<()> {
    let database = Stack::shared()?.database("captured").await?;
    let session = database.with(TABLE).await?;
    session.run(&insert(1)).await?;
    let connector = database.connector()?.set("tributary.unmapped.types", "capture");
    let mut process = connector.start_streaming().await?;
    session.run(&insert(2)).await?;
    let events = database.events("public.odd").await?;
    let values: Vec<Value> = events.iter().map(|event| event.payload()["after"].clone()).collect();
    for (id, value) in [1, 2].into_iter().zip(&values) {
        assert_eq!(
            *value,
            json!({
                "id": id,
                "w": {"name": "a \"b\"", "part": {"id": 1, "days": [17109, null]}},
                "ws": [{"name": "x", "part": null}, null],
                "m": "{[1,3),[5,8)}",
                "amounts": ["AeI6"],
                "cs": ["a,b"],
                "d": ["c"],
                "b": ["(1,1),(0,0)", "(3,3),(2,2)"],
                "q": "'fat' <-> 'cat'",
                "grid": [1, 2, 3, 4],
                "note": "n",
            })
        );
    }
    assert_eq!(values.len(), 2);
    process.terminate().await?;
    Ok(())
}

/// A Debezium configuration gets Debezium's events, and its user learns what is not in them.
#[tokio::test]
async fn columns_that_debezium_leaves_out_are_told_once_in_log_and_status() -> Result<()> {
    let database = Stack::shared()?.database("omitted").await?;
    let session = database.with(TABLE).await?;
    session.run(&insert(1)).await?;
    let file = database.connector()?;
    let folder = tempfile::tempdir()?;
    let config = file.write_file()?;
    let store = format!("kafka://{}", database.bootstrap());
    let arguments =
        ["run", "--config", &config.to_string_lossy(), "--store", &store, "--output", "json"];
    let mut process = ConnectorProcess::start(&binary()?, &arguments, folder.path())?;
    file.wait_until_streaming(&mut process).await?;
    session.run(&insert(2)).await?;
    session.run("alter table odd drop column note").await?;
    session.run("update odd set d = '{e}' where id = 2").await?;
    let events = database.events("public.odd").await?;
    assert_eq!(events[0].payload()["after"], json!({"id": 1, "grid": [1, 2, 3, 4], "note": "n"}));
    assert_eq!(events[2].payload()["after"], json!({"id": 2, "grid": [1, 2, 3, 4]}));
    process.log_with("public.odd.q", DEADLINE).await?;
    assert_eq!(process.terminate().await?, 0);
    let (log, output) = (process.log(), process.output());
    for column in ["w", "ws", "m", "amounts", "cs", "d", "b", "q"] {
        let told = format!("[NT001] column public.odd.{column} of type");
        assert_eq!(log.matches(&told).count(), 1, "{column}: {log}");
    }
    assert_eq!(log.matches("[NT002] a value of column public.odd.grid").count(), 1, "{log}");
    let status: Value = serde_json::from_str(output.lines().last().unwrap_or_default())?;
    let notices = status["notices"].as_array().map_or(0, Vec::len);
    assert_eq!(notices, 9, "{output}");
    Ok(())
}

/// Debezium stops at such a table.
#[tokio::test]
async fn columns_that_differ_only_by_case_are_two_columns() -> Result<()> {
    let database = Stack::shared()?.database("letters").await?;
    let session = database
        .with(r#"create table item (id int primary key, duration int, "Duration" text); insert into item values (1, 2, 'three')"#)
        .await?;
    let mut process = database.connector()?.start_streaming().await?;
    session.run("insert into item values (4, 5, 'six')").await?;
    let events = database.events("public.item").await?;
    let rows: Vec<Value> = events.iter().map(|event| event.payload()["after"].clone()).collect();
    assert_eq!(
        rows,
        [
            json!({"id": 1, "duration": 2, "Duration": "three"}),
            json!({"id": 4, "duration": 5, "Duration": "six"}),
        ]
    );
    process.terminate().await?;
    Ok(())
}

/// The labels in the schema of each event of column `mood`.
fn allowed(events: &[testkit::event::Event]) -> Vec<String> {
    let labels = events.iter().map(|event| {
        let value: Value = serde_json::from_slice(event.value.as_deref()?).ok()?;
        let after = value["schema"]["fields"].as_array()?.iter().find(|f| f["field"] == "after")?;
        let mood = after["fields"].as_array()?.iter().find(|field| field["field"] == "mood")?;
        Some(mood["parameters"]["allowed"].as_str()?.to_owned())
    });
    labels.map(Option::unwrap_or_default).collect()
}

/// The stream describes a table when the table changes, not when one of its types does: a label that comes is in the schema from
/// the next description on.
#[tokio::test]
async fn an_enum_has_the_labels_it_had_where_the_stream_described_its_table() -> Result<()> {
    let database = Stack::shared()?.database("moods").await?;
    let session = database
        .with("create type mood as enum ('V1'); create table item (id int primary key, mood mood)")
        .await?;
    let connector = database
        .connector()?
        .set("value.converter.schemas.enable", "true")
        .set("tributary.enum.labels", "current");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1, 'V1')").await?;
    database.sync().await?;
    session.run("alter type mood add value 'V2'").await?;
    session.run("insert into item values (2, 'V2')").await?;
    database.sync().await?;
    process.terminate().await?;
    session.run("insert into item values (3, 'V1')").await?;
    session.run("alter type mood add value 'V0' before 'V1'").await?;
    session.run("insert into item values (4, 'V0')").await?;
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    session.run("alter table item add column note text").await?;
    session.run("insert into item values (5, 'V0')").await?;
    let events = database.events("public.item").await?;
    assert_eq!(allowed(&events), ["V1", "V1", "V1,V2", "V1,V2", "V0,V1,V2"]);
    let moods: Vec<Value> =
        events.iter().map(|event| event.payload()["after"]["mood"].clone()).collect();
    assert_eq!(moods, ["V1", "V2", "V1", "V0", "V0"]);
    process.terminate().await?;
    Ok(())
}
