//! `tributary run`: what users give it, and what it says when that is wrong.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Result;
use testkit::connector::{ConnectorProcess, binary, tributary};
use testkit::stack::Stack;
use testkit::wait::DEADLINE;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_connector_made_of_flags_captures_its_tables_without_the_excluded_column() -> Result<()> {
    let database = Stack::shared()?.database("flags").await?;
    database
        .with("create table orders (id int primary key, secret text, note text); insert into orders values (1, 's', 'n');
               create table other (id int primary key); insert into other values (1)")
        .await?;
    let folder = tempfile::tempdir()?;
    let store = format!("kafka://{}", database.bootstrap());
    let prefix = format!("topic.prefix={}", database.name());
    let slot = format!("slot.name={}", database.name());
    let url = database.url();
    let arguments = [
        "run",
        "--source",
        &url,
        "--store",
        &store,
        "--table",
        "public.orders",
        "--name",
        database.name(),
        "--exclude-column",
        "public.orders.secret",
        "--set",
        &prefix,
        "--set",
        &slot,
    ];
    let mut process = ConnectorProcess::start(&binary()?, &arguments, folder.path())?;
    let mut tail = database.tail("public.orders")?;
    let events = tail.until(DEADLINE, |_| true).await;
    let events = events.map_err(|failure| failure.during(process.log_end()))?;
    assert_eq!(events[0].payload()["after"], json!({"id": 1, "note": "n"}));
    database.with("insert into orders values (2, 's', 'm')").await?;
    let events = tail.until(DEADLINE, |_| true).await?;
    assert_eq!(events[0].payload()["after"], json!({"id": 2, "note": "m"}));
    assert!(events[0].header("tributary.event.id").is_some());
    assert_eq!(process.terminate().await?, 0);
    let other =
        testkit::tail::topics_with_prefix(database.bootstrap(), &database.topic("public.other"))?;
    assert!(other.is_empty(), "{other:?}");
    Ok(())
}

/// Writes a configuration file and runs `tributary run --config` with it to its end.
async fn run_with(body: &Value, store: &str) -> Result<testkit::connector::Finished> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("connector.json");
    std::fs::write(&file, body.to_string())?;
    tributary(&["run", "--config", &file.to_string_lossy(), "--store", store], SOON).await
}

#[tokio::test]
async fn all_problems_of_a_configuration_are_told_at_once() -> Result<()> {
    let config = json!({"name": "bad", "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": "many",
        "snapshot.mode": "sometimes",
        "topic.prefixx": "p",
        "tombstones.on.delete": "perhaps",
    }});
    let finished = run_with(&config, "kafka://127.0.0.1:1").await?;
    assert_eq!(finished.exit_code, 2, "{}", finished.stderr);
    for told in
        ["database.port", "snapshot.mode", "topic.prefixx", "topic.prefix", "tombstones.on.delete"]
    {
        assert!(finished.stderr.contains(told), "`{told}` is not told of:\n{}", finished.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_the_nearest_known_one() -> Result<()> {
    let config = json!({"name": "bad", "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1", "database.user": "u", "database.dbname": "d", "topic.prefix": "p", "plugin.name": "pgoutput",
        "tombstones.on.deletes": "true",
    }});
    let finished = run_with(&config, "kafka://127.0.0.1:1").await?;
    assert_eq!(finished.exit_code, 2, "{}", finished.stderr);
    assert!(finished.stderr.contains("tombstones.on.deletes"), "{}", finished.stderr);
    assert!(finished.stderr.contains("`tombstones.on.delete`"), "{}", finished.stderr);
    Ok(())
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_is_misuse() -> Result<()> {
    let finished = tributary(&["run", "--no-such-flag"], SOON).await?;
    assert_eq!(finished.exit_code, 2, "{}", finished.stderr);
    let finished = tributary(&["run", "--config", "/nowhere/connector.json"], SOON).await?;
    assert_eq!(finished.exit_code, 2, "{}", finished.stderr);
    assert!(finished.stderr.contains("/nowhere/connector.json"), "{}", finished.stderr);
    Ok(())
}

#[tokio::test]
async fn a_bare_map_of_keys_is_a_configuration_too() -> Result<()> {
    let database = Stack::shared()?.database("bare").await?;
    database.with("create table item (id int primary key); insert into item values (1)").await?;
    let connector = database.connector()?;
    let body: Value = serde_json::from_slice(&std::fs::read(connector.write_file()?)?)?;
    let mut config = body["config"].clone();
    config["name"] = json!(database.name());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bare.json");
    std::fs::write(&file, config.to_string())?;
    let store = format!("kafka://{}", database.bootstrap());
    let arguments = ["run", "--config", &file.to_string_lossy(), "--store", &store];
    let mut process = ConnectorProcess::start(&binary()?, &arguments, folder.path())?;
    let events = database.tail("public.item")?.until(DEADLINE, |_| true).await;
    events.map_err(|failure| failure.during(process.log_end()))?;
    assert_eq!(process.terminate().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_password_is_never_printed() -> Result<()> {
    let database = Stack::shared()?.database("password").await?;
    database.with("create role pw_user login password 'pw-secret-1'").await?;
    let connector = database
        .connector()?
        .set("database.user", "no_such_role")
        .set("database.password", "hunter2-secret");
    let mut process = connector.start()?;
    let code = process.exit_code(SOON).await?;
    assert_eq!(code, 1, "{}", process.log_end());
    let log = process.log();
    assert!(log.contains("no_such_role") && !log.contains("hunter2-secret"), "{log}");
    Ok(())
}

#[tokio::test]
async fn topics_are_made_with_the_partitions_and_settings_asked_for() -> Result<()> {
    let database = Stack::shared()?.database("topics").await?;
    database
        .with("create table item (id int primary key); insert into item select generate_series(1, 60)")
        .await?;
    let connector = database
        .connector()?
        .set("topic.creation.default.partitions", "3")
        .set("topic.creation.default.replication.factor", "1");
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item").await?;
    let mut partitions: Vec<i32> = events.iter().map(|event| event.partition).collect();
    partitions.sort_unstable();
    partitions.dedup();
    assert_eq!((events.len(), partitions), (60, vec![0, 1, 2]));
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn source_and_store_may_come_from_the_environment() -> Result<()> {
    let database = Stack::shared()?.database("environment").await?;
    database.with("create table item (id int primary key); insert into item values (1)").await?;
    let folder = tempfile::tempdir()?;
    let prefix = format!("topic.prefix={}", database.name());
    let slot = format!("slot.name={}", database.name());
    let arguments = [
        "run",
        "--table",
        "public.item",
        "--name",
        database.name(),
        "--set",
        &prefix,
        "--set",
        &slot,
    ];
    let store = format!("kafka://{}", database.bootstrap());
    let url = database.url();
    let environment = [("DATABASE_URL", url.as_str()), ("KAFKA_URL", store.as_str())];
    let mut process =
        ConnectorProcess::start_with(&binary()?, &arguments, folder.path(), &environment)?;
    let events = database.tail("public.item")?.until(DEADLINE, |_| true).await;
    events.map_err(|failure| failure.during(process.log_end()))?;
    assert_eq!(process.terminate().await?, 0);
    Ok(())
}
