//! An interrupted snapshot goes on at the chunk it was in.

use std::collections::HashMap;

use testkit::connector::Connector;
use testkit::event::Event;
use testkit::stack::Database;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Result, session::Session};

/// Rows of the table; a chunk has about 98,000 of them.
const ROWS: u64 = 250_000;
/// A row of the last chunk.
const MOVED: u64 = 249_000;

/// A table of several chunks, of which one row has a value that is stored out of line.
async fn wide(database: &Database) -> Result<Session> {
    database
        .with(&format!(
            "create table wide (id int primary key, n int, pad text, big text) with (autovacuum_enabled = off);
             alter table wide alter big set storage external, alter pad set storage plain;
             insert into wide select i, 0, repeat('x', 120), case when i = {MOVED} then repeat('b', 5000) end
               from generate_series(1, {ROWS}) i"
        ))
        .await
}

/// Rows of the table that scans have returned at the source.
async fn rows_scanned(session: &Session) -> Result<u64> {
    let sql = "select seq_tup_read from pg_stat_user_tables where relname = 'wide'";
    session.text("select pg_stat_force_next_flush()").await?;
    let text = session.text(sql).await?.unwrap_or_default();
    text.parse().map_err(|_| testkit::Failure::new(format!("seq_tup_read is `{text}`")))
}

fn reads_by_id(events: &[Event]) -> HashMap<i64, u32> {
    let mut reads = HashMap::new();
    for event in events.iter().filter(|event| event.operation() == "r") {
        let id = event.payload()["after"]["id"].as_i64().unwrap_or_default();
        *reads.entry(id).or_default() += 1;
    }
    reads
}

/// `n` by `id`, as the topic has them.
fn folded(events: &[Event]) -> HashMap<Option<i64>, Option<i64>> {
    let mut live = HashMap::new();
    for event in events {
        let payload = event.payload();
        match event.operation().as_str() {
            "d" => {
                live.remove(&payload["before"]["id"].as_i64());
            }
            "r" | "c" | "u" => {
                let after = &payload["after"];
                live.insert(after["id"].as_i64(), after["n"].as_i64());
            }
            _ => {}
        }
    }
    live
}

/// Dies in a snapshot when so many Kafka transactions are committed, which grow to their size whatever time that takes. How many rows are in
/// Kafka then.
async fn die_at_commit(connector: &mut Connector, number: u32) -> Result<u64> {
    connector.put("tributary.commit.interval.max.ms", "60000");
    connector.die_at(&format!("chunk-committed=kill@{number}")).await?;
    connector.put("tributary.commit.interval.max.ms", "100");
    let rows = connector.database().tail("public.wide")?.to_end(DEADLINE).await?.len();
    Ok(u64::try_from(rows)?)
}

/// A connector that reads one table, in Kafka transactions of so many bytes.
fn reading_wide(database: &Database, bytes_max: u32) -> Result<Connector> {
    let connector = database
        .connector()?
        .set("table.include.list", "public.wide,public.zz_marker")
        .set("tributary.commit.bytes.max", &bytes_max.to_string());
    Ok(connector)
}

/// Method: killed in the second chunk, when the first is in Kafka. Meanwhile a row moves from the last chunk into the first,
/// by an update that leaves its large value alone; rows of both are deleted, and new ones come.
#[tokio::test]
async fn chunks_that_are_in_kafka_are_not_read_again_and_a_row_that_moved_is_whole() -> Result<()> {
    let database = testkit::stack::Stack::shared()?.database("resume").await?;
    let session = wide(&database).await?;
    let before = rows_scanned(&session).await?;
    let mut connector = reading_wide(&database, 8 * 1024 * 1024)?;
    let rows = die_at_commit(&mut connector, 12).await?;
    assert!((100_000..190_000).contains(&rows), "{rows} are in Kafka");
    session
        .run(&format!(
            "delete from wide where id <= 3000 or id = {ROWS} - 20; insert into wide select i, 1, repeat('n', 120) from generate_series(1000001, 1000030) i"
        ))
        .await?;
    // Whoever still holds an old snapshot, here or in another database, keeps the place from being free.
    let dead = "select n_dead_tup from pg_stat_user_tables where relname = 'wide'";
    eventually("the place of deleted rows is free", DEADLINE, async || {
        session.run("vacuum (index_cleanup on) wide").await?;
        Ok(Seen::when(session.text(dead).await?.as_deref() == Some("0"), String::new))
    })
    .await?;
    // So much room is in the blocks of the first chunk alone.
    let grow = format!("update wide set n = 1, pad = repeat('y', 7000) where id = {MOVED}");
    session.run(&grow).await?;
    let block = format!("select (ctid::text::point)[0]::int from wide where id = {MOVED}");
    let block = session.text(&block).await?.unwrap_or_default();
    assert!(
        block.parse::<u32>().is_ok_and(|block| block < 2048),
        "block {block} is in no done chunk"
    );
    let by_hand = rows_scanned(&session).await?;

    let mut process = connector.start()?;
    connector.wait_until_streaming(&mut process).await?;
    let scanned = rows_scanned(&session).await? - by_hand;
    let events = database.events("public.wide").await?;
    let reads = reads_by_id(&events);
    let (first_chunk, again) = (90_000, reads.values().filter(|count| **count > 1).count());
    assert!((3001..first_chunk).all(|id| reads.get(&id) == Some(&1)), "a done chunk is read again");
    assert!(again < 50_000, "{again} rows are there twice: more than what was on its way");
    assert!(scanned < ROWS - 90_000, "{scanned} rows were read after the restart");
    assert!(before < by_hand);
    let moved =
        |event: &&Event| event.payload()["after"]["id"] == MOVED && event.operation() == "u";
    let moved: Vec<&Event> = events.iter().filter(moved).collect();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].payload()["after"]["big"].as_str().map(str::len), Some(5000));
    let live = folded(&events);
    let table = session.text("select count(*) || ' ' || sum(n) from wide").await?;
    let folded = format!("{} {}", live.len(), live.values().flatten().sum::<i64>());
    assert_eq!(table, Some(folded));
    process.terminate().await?;
    Ok(())
}

/// Method: as before, but the table's rows are written anew while the process is dead: nothing of it is done.
#[tokio::test]
async fn a_table_whose_file_is_another_one_is_read_from_its_beginning() -> Result<()> {
    let database = testkit::stack::Stack::shared()?.database("rewritten").await?;
    let session = wide(&database).await?;
    let mut connector = reading_wide(&database, 8 * 1024 * 1024)?.set("snapshot.max.threads", "2");
    let rows = die_at_commit(&mut connector, 18).await?;
    assert!((200_000..ROWS).contains(&rows), "{rows} are in Kafka");
    session.run("delete from wide where id % 2 = 0; alter table wide alter n type bigint").await?;
    let mut process = connector.start()?;
    connector.wait_until_streaming(&mut process).await?;
    let events = database.events("public.wide").await?;
    let bigints = events.iter().rev().take_while(|event| event.operation() == "r").count();
    assert_eq!(bigints, usize::try_from(ROWS / 2).unwrap_or_default());
    process.terminate().await?;
    Ok(())
}

/// Without transactions what is done is written down after its rows, so a death can only repeat some.
#[tokio::test]
async fn without_transactions_no_row_is_missing_after_a_death() -> Result<()> {
    let database = testkit::stack::Stack::shared()?.database("resumeonce").await?;
    database
        .with("create table wide (id int primary key, n int, pad text); insert into wide select i, 0, repeat('x', 500) from generate_series(1, 30000) i")
        .await?;
    let mut connector =
        reading_wide(&database, 1024 * 1024)?.set("tributary.delivery.guarantee", "at_least_once");
    // A chunk has about 7,500 rows: each run dies in the one after it.
    for _ in 0..2 {
        let rows = die_at_commit(&mut connector, 9).await?;
        assert!((8_000..29_000).contains(&rows), "{rows} are in Kafka");
    }
    let mut process = connector.start_streaming().await?;
    let reads = reads_by_id(&database.events("public.wide").await?);
    assert_eq!(reads.len(), 30_000);
    assert!(process.log().contains("the snapshot goes on"), "{}", process.log());
    process.terminate().await?;
    Ok(())
}
