//! Changes as they are committed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::Value;
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Result, event};

#[tokio::test]
async fn insert_update_and_delete_arrive_in_order_with_a_tombstone() -> Result<()> {
    let database = Stack::shared()?.database("changes").await?;
    let session = database.with("create table item (id int primary key, name text)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run("insert into item values (1, 'a')").await?;
    session.run("update item set name = 'b'").await?;
    session.run("delete from item").await?;
    let events = database.events("public.item").await?;
    assert_eq!(event::story(&events), "c(1) u(1) d(1) ∅(1)");
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn what_is_rolled_back_never_arrives() -> Result<()> {
    let database = Stack::shared()?.database("rollback").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run("begin; insert into item select generate_series(100, 3000); rollback").await?;
    session
        .run("begin; insert into item values (1); savepoint s; insert into item values (2); rollback to s; insert into item values (3); commit")
        .await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(1) c(3)");
    connector.terminate().await?;
    Ok(())
}

/// What a rollback leaves in the log is kept by a slot that does not move past it.
#[tokio::test]
async fn a_rollback_of_many_rows_gives_nothing_and_the_slot_moves_past_it() -> Result<()> {
    let database = Stack::shared()?.database("bigrollback").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let mut process = connector.start_streaming().await?;
    session.run("begin; insert into item select generate_series(1, 100000); rollback").await?;
    let end = session.text("select pg_current_wal_flush_lsn()").await?.unwrap_or_default();
    let passed = format!(
        "select confirmed_flush_lsn >= '{end}' from pg_replication_slots where slot_name = '{}'",
        connector.slot()
    );
    eventually("the slot is past the rollback", DEADLINE, async || {
        process.expect_running()?;
        let passed = session.text(&passed).await?;
        Ok(Seen::when(passed.as_deref() == Some("t"), || process.log_end()))
    })
    .await?;
    assert_eq!(event::story(&database.events("public.item").await?), "");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn transactions_arrive_in_commit_order() -> Result<()> {
    let database = Stack::shared()?.database("order").await?;
    let first = database.with("create table item (id int primary key)").await?;
    let second = database.session().await?;
    let mut connector = database.connector()?.start_streaming().await?;
    first.run("begin; insert into item values (1)").await?;
    second.run("begin; insert into item values (2); commit").await?;
    first.run("insert into item values (3); commit").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(2) c(1) c(3)");
    connector.terminate().await?;
    Ok(())
}

/// Rows of one COPY share one LSN, so a position made of LSNs would lose some of them.
#[tokio::test]
async fn all_rows_of_one_copy_arrive_once() -> Result<()> {
    let database = Stack::shared()?.database("copy").await?;
    let session = database.with("create table item (id int primary key, name text)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    let sink = session.copy_in("copy item from stdin").await?;
    let mut sink = std::pin::pin!(sink);
    let lines: Vec<String> = (1..=2000).map(|id| format!("{id}\tn{id}")).collect();
    sink.send(Bytes::from(lines.join("\n") + "\n")).await?;
    sink.finish().await?;
    let events = database.events("public.item").await?;
    let ids = events.iter().filter_map(|event| event.payload()["after"]["id"].as_u64());
    assert!(ids.eq(1..=2000));
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_single_change_of_a_quiet_database_arrives_within_a_second() -> Result<()> {
    let database = Stack::shared()?.database("latency").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run("insert into item values (0)").await?;
    let mut tail = database.tail("public.item")?;
    tail.until(Duration::from_secs(30), |event| event.key_payload()["id"] == 0).await?;
    let mut slowest = Duration::ZERO;
    for id in 1..=10 {
        let committed = Instant::now();
        session.run(&format!("insert into item values ({id})")).await?;
        let events =
            tail.until(Duration::from_secs(30), |event| event.key_payload()["id"] == id).await?;
        assert_eq!(events.len(), 1);
        slowest = slowest.max(committed.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "the slowest of ten took {slowest:?}");
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_column_added_while_streaming_is_in_the_next_event() -> Result<()> {
    let database = Stack::shared()?.database("addcolumn").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    session.run("alter table item add column name text default 'd'").await?;
    session.run("insert into item values (2, 'b')").await?;
    let events = database.events("public.item").await?;
    let rows: Vec<String> =
        events.iter().map(|event| event.payload()["after"].to_string()).collect();
    assert_eq!(rows, [r#"{"id":1}"#, r#"{"id":2,"name":"b"}"#]);
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_large_transaction_arrives_whole_and_in_order() -> Result<()> {
    let database = Stack::shared()?.database("bigtx").await?;
    let session = database.with("create table item (id int primary key, filler text)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session
        .run("insert into item select i, repeat('x', 500) from generate_series(1, 60000) i")
        .await?;
    let events = database.events("public.item").await?;
    let ids = events.iter().filter_map(|event| event.key_payload()["id"].as_u64());
    assert!(ids.eq(1..=60_000));
    connector.terminate().await?;
    Ok(())
}

/// The transaction is several times as large as the connector may become.
#[tokio::test]
async fn a_transaction_larger_than_the_memory_arrives_whole_with_one_commit_lsn() -> Result<()> {
    const ROWS: u64 = 250_000;
    const MEMORY_BYTES_MAX: u64 = 150 << 20;
    let database = Stack::shared()?.database("hugetx").await?;
    let session = database.with("create table item (id int primary key, filler text)").await?;
    let mut process = database.connector()?.start_streaming().await?;
    session
        .run(&format!(
            "insert into item select i, repeat('x', 1500) from generate_series(1, {ROWS}) i"
        ))
        .await?;
    database.sync_within(Duration::from_mins(5)).await?;
    let mut expected = 1..=ROWS;
    let (mut places, mut wrong) = (BTreeSet::new(), 0);
    let mut tail = database.tail("public.item")?;
    tail.each_to_end(Duration::from_mins(3), |event| {
        wrong += u64::from(event.key_payload()["id"].as_u64() != expected.next());
        let source = &event.payload()["source"];
        places.insert((source["txId"].as_u64(), commit_lsn(source)));
        Ok(())
    })
    .await?;
    assert_eq!((wrong, expected.next()), (0, None));
    assert_eq!(places.len(), 1, "{places:?}");
    let id = process.id().ok_or_else(|| testkit::Failure::new("it runs"))?;
    let peak_bytes = testkit::process_stat::usage(id)?.peak_rss_bytes;
    assert!(peak_bytes < MEMORY_BYTES_MAX, "{peak_bytes} bytes");
    process.terminate().await?;
    Ok(())
}

/// The first of the two positions in `sequence`: where the commit before ends, the same for all of a transaction.
fn commit_lsn(source: &Value) -> Option<String> {
    let sequence: Vec<String> = serde_json::from_str(source["sequence"].as_str()?).ok()?;
    sequence.into_iter().next()
}

#[tokio::test]
async fn a_table_made_while_streaming_is_captured_from_its_first_change_on() -> Result<()> {
    let database = Stack::shared()?.database("newtable").await?;
    let session = database.session().await?;
    let mut process = database.connector()?.start_streaming().await?;
    session
        .run("create table late (id int primary key, v int); insert into late values (1, 1); update late set v = 2")
        .await?;
    assert_eq!(event::story(&database.events("public.late").await?), "c(1) u(1)");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_table_that_the_lists_do_not_name_is_not_even_published() -> Result<()> {
    let database = Stack::shared()?.database("newtable").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector =
        database.connector()?.set("table.include.list", "public[.]item,public[.]zz_marker.*");
    let mut process = connector.start_streaming().await?;
    // Without a replica identity a published table could not be updated.
    session
        .run("create table other (v int); insert into other values (1); update other set v = 2")
        .await?;
    let published = "select count(*) from pg_publication_tables where tablename = 'other'";
    assert_eq!(session.text(published).await?.as_deref(), Some("0"));
    process.terminate().await?;
    Ok(())
}
