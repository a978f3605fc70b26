//! BEGIN and END of source transactions, and the place of each event in its own.

use serde_json::{Value, json};
use testkit::Result;
use testkit::stack::Stack;
use testkit::tail::read_topic;
use testkit::wait::DEADLINE;

/// Method: a source transaction that fills hundreds of Kafka transactions, SIGKILL when a reader has seen some of it.
#[tokio::test]
async fn orders_go_on_and_no_begin_comes_twice_after_a_restart_inside_a_transaction() -> Result<()>
{
    const ROWS: u64 = 20_000;
    let database = Stack::shared()?.database("txmeta").await?;
    let session = database.with("create table item (id int primary key, filler text)").await?;
    let connector = database
        .connector()?
        .set("provide.transaction.metadata", "true")
        .set("tributary.commit.bytes.max", "32768");
    let mut process = connector.start_streaming().await?;
    session
        .run(&format!(
            "insert into item select i, repeat('x', 100) from generate_series(1, {ROWS}) i"
        ))
        .await?;
    let mut tail = database.tail("public.item")?;
    for seen in [200, 3000] {
        tail.until(DEADLINE, |event| event.key_payload()["id"].as_u64() > Some(seen)).await?;
        process.kill().await?;
        process = connector.start_streaming().await?;
    }
    let events = database.events("public.item").await?;
    let xid = events[0].payload()["source"]["txId"].clone();
    for (number, event) in (1..).zip(&events) {
        let id = format!("{xid}:{}", event.payload()["source"]["lsn"]);
        let expected = json!({"id": id, "total_order": number, "data_collection_order": number});
        assert_eq!(event.payload()["transaction"], expected);
    }
    assert_eq!(events.len() as u64, ROWS);
    let records = read_topic(database.bootstrap(), &database.topic("transaction")).await?;
    let ours: Vec<Value> = records
        .iter()
        .map(testkit::event::Event::payload)
        .filter(|record| record["id"].as_str().is_some_and(|id| id.starts_with(&format!("{xid}:"))))
        .collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert_eq!((&ours[0]["status"], &ours[0]["event_count"]), (&json!("BEGIN"), &Value::Null));
    assert_eq!((&ours[1]["status"], &ours[1]["event_count"]), (&json!("END"), &json!(ROWS)));
    process.terminate().await?;
    Ok(())
}
