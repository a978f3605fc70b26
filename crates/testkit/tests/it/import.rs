//! A connector of the real Debezium on the real Kafka Connect, gone on with by ours: same slot, same topics, no gap, no event twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use embedded::{Connect, ConnectOptions, Plugin, Silent};
use serde_json::{Value, json};
use testkit::Result;
use testkit::connect::Client;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::{Group, ask};
use tokio::task::JoinSet;

/// Ends of Debezium in the middle of the load; each finds it at another place, in transactions of one row and of many.
const ROUNDS: usize = 3;
/// Rows that each of the two has to send while more are written.
const ROWS: i64 = 200;

/// Method: rows with ids that count up, in transactions of 1 to 40, are written throughout. Debezium reads, is stopped, and its offset, as
/// Connect gives it, is set for ours, which reads on while the load goes on. In the topic each id is there once and in order.
#[tokio::test]
async fn debezium_is_gone_on_with_where_it_was_stopped() -> Result<()> {
    let stack = Stack::shared()?;
    let options = ConnectOptions::new(stack.bootstrap(), &[Plugin::DebeziumPostgres]);
    let connect = Connect::start(options, &Silent).await?;
    for _ in 0..ROUNDS {
        go_on(&stack.database("imported").await?, &connect.url()).await?;
    }
    connect.stop().await;
    Ok(())
}

async fn go_on(database: &Database, connect: &str) -> Result<()> {
    let session = database
        .with("create table item (id int primary key); insert into item values (1)")
        .await?;
    let name = database.name();
    let config = database.connector()?.settings().clone();
    Client::new(connect).create(name, config.clone()).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writer = JoinSet::new();
    writer.spawn(write(database.clone(), Arc::clone(&stop)));
    sent_past(database, ROWS).await?;
    let path = |verb: &str| format!("/connectors/{name}{verb}");
    ask(connect, "PUT", &path("/stop"), None).await?;
    let offsets = eventually("Debezium's offset", DEADLINE, async || {
        let status = ask(connect, "GET", &path("/status"), None).await?.body;
        let stopped = status["connector"]["state"] == "STOPPED" && status["tasks"] == json!([]);
        let offsets = ask(connect, "GET", &path("/offsets"), None).await?.body;
        let found = stopped && offsets["offsets"][0]["offset"].is_object();
        Ok(if found { Seen::Yes(offsets) } else { Seen::NotYet(format!("{status} {offsets}")) })
    })
    .await?;
    let sent = database.tail("public.item")?.to_end(DEADLINE).await?.len();

    let worker = Group::new(database.bootstrap(), name)?.start("one").await?;
    let body = json!({"name": name, "config": config, "initial_state": "STOPPED"});
    worker.expect("POST", "/connectors", Some(body)).await?;
    let refused = worker.ask("PATCH", &path("/offsets"), Some(other_source(&offsets))).await?;
    assert_eq!(refused.status, 400, "{refused:?}");
    eventually("its worker has stopped it", DEADLINE, async || {
        let answer = worker.ask("PATCH", &path("/offsets"), Some(offsets.clone())).await?;
        Ok(Seen::when(answer.status == 200, || format!("{answer:?}")))
    })
    .await?;
    worker.expect("PUT", &path("/resume"), None).await?;
    worker.task_is(name, "RUNNING").await?;
    let goes_on_at = i64::try_from(sent)?;
    sent_past(database, goes_on_at + ROWS).await?;
    stop.store(true, Ordering::Relaxed);
    while let Some(written) = writer.join_next().await {
        written??;
    }
    let rows = session.text("select max(id) from item").await?.unwrap_or_default();
    let events = database.events("public.item").await?;
    let ids: Vec<i64> =
        events.iter().filter_map(|event| event.key_payload()["id"].as_i64()).collect();
    let first_wrong = ids.iter().zip(1..).find(|(id, expected)| *id != expected);
    assert_eq!(first_wrong, None, "Debezium sent {sent}; {offsets}");
    assert_eq!(ids.len().to_string(), rows, "Debezium sent {sent}");
    Ok(())
}

/// Waits until a row with a larger id has come.
async fn sent_past(database: &Database, id: i64) -> Result<()> {
    let mut tail = database.tail("public.item")?;
    tail.until(DEADLINE, |event| event.key_payload()["id"].as_i64() > Some(id)).await.map(drop)
}

async fn write(database: Database, stop: Arc<AtomicBool>) -> Result<()> {
    let session = database.session().await?;
    let (mut next, mut size) = (2, 1);
    while !stop.load(Ordering::Relaxed) {
        let last = next + size - 1;
        session.run(&format!("insert into item select generate_series({next}, {last})")).await?;
        next = last + 1;
        size = size % 40 + 1;
    }
    Ok(())
}

/// The same offset, said to be of another source.
fn other_source(offsets: &Value) -> Value {
    let mut other = offsets.clone();
    other["offsets"][0]["partition"]["server"] = json!("another");
    other
}
