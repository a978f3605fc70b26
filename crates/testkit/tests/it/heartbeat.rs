//! Heartbeats, for consumers that expect them.

use std::time::Duration;

use testkit::Result;
use testkit::stack::Stack;
use testkit::tail::Tail;
use testkit::wait::{DEADLINE, Seen, eventually};

#[tokio::test]
async fn heartbeats_come_while_nothing_happens_and_each_runs_the_action_query() -> Result<()> {
    let database = Stack::shared()?.database("heartbeat").await?;
    let session = database
        .with("create table pulse (id int primary key, n int); insert into pulse values (1, 0)")
        .await?;
    let connector = database
        .connector()?
        .set("heartbeat.interval.ms", "100")
        .set("heartbeat.action.query", "update public.pulse set n = n + 1 where id = 1");
    let mut process = connector.start_streaming().await?;
    let topic = format!("__debezium-heartbeat.{}", database.name());
    let mut tail = Tail::open(database.bootstrap(), &topic)?;
    let mut seen = 0;
    let beats = tail
        .until(DEADLINE, |_| {
            seen += 1;
            seen == 5
        })
        .await?;
    for beat in &beats {
        assert_eq!(beat.key_payload()["serverName"], database.name());
        assert!(beat.payload()["ts_ms"].as_i64() > Some(1_700_000_000_000), "{:?}", beat.payload());
        assert_eq!(beat.partition, beats[0].partition, "one key, one partition");
    }
    eventually("the action query ran with the heartbeats", DEADLINE, async || {
        let count = session.text("select n from pulse").await?.unwrap_or_default();
        Ok(Seen::when(count.parse::<u32>().is_ok_and(|count| count >= 5), || count))
    })
    .await?;
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn an_action_query_that_fails_or_hangs_stops_neither_heartbeats_nor_changes() -> Result<()> {
    let database = Stack::shared()?.database("heartbeat").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database
        .connector()?
        .set("heartbeat.interval.ms", "100")
        .set("heartbeat.action.query", "insert into no_such_table values (1)");
    let mut process = connector.start_streaming().await?;
    process.log_with("heartbeat.action.query failed", DEADLINE).await?;
    session.run("insert into item values (1)").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(1)");
    process.terminate().await?;

    let connector = connector.set("heartbeat.action.query", "select pg_sleep(3600)");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (2)").await?;
    database.sync_within(Duration::from_secs(5)).await?;
    process.terminate().await?;
    Ok(())
}
