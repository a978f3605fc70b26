//! The same connector started twice.

use std::collections::BTreeSet;

use testkit::Result;
use testkit::connector::Connector;
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};

/// Method: two processes with one configuration, started together, while rows are written; at the end each row's event is
/// there once, in order, and at least one process works on.
#[tokio::test]
async fn two_copies_started_together_double_nothing() -> Result<()> {
    let database = Stack::shared()?.database("twocopies").await?;
    let session = database
        .with("create table item (id int primary key); insert into item select generate_series(1, 1000)")
        .await?;
    let connector = database.connector()?;
    let mut first = connector.start()?;
    let mut second = connector.start()?;
    for id in 1001..=2000 {
        session.run(&format!("insert into item values ({id})")).await?;
    }
    database.sync().await?;
    let working = [&mut first, &mut second].into_iter().filter_map(|copy| copy.exited().ok());
    assert!(
        working.filter(Option::is_none).count() >= 1,
        "{}\n{}",
        first.log_end(),
        second.log_end()
    );
    let events = database.events("public.item").await?;
    let mut ids: Vec<u64> =
        events.iter().filter_map(|event| event.key_payload()["id"].as_u64()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((count, ids.len()), (2000, 2000));
    Ok(())
}

/// Method: the second copy is started while the first streams; afterwards exactly one streams, and nothing is doubled.
#[tokio::test]
async fn a_second_copy_takes_over_or_waits_and_the_stream_goes_on() -> Result<()> {
    let database = Stack::shared()?.database("second").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let mut first = connector.start_streaming().await?;
    session.run("insert into item select generate_series(1, 500)").await?;
    database.sync().await?;
    let mut second = connector.start()?;
    session.run("insert into item select generate_series(501, 1000)").await?;
    database.sync().await?;
    session.run("insert into item select generate_series(1001, 1500)").await?;
    let events = database.events("public.item").await?;
    let ids = events.iter().filter_map(|event| event.key_payload()["id"].as_u64());
    assert!(ids.eq(1..=1500), "{} events", events.len());
    eventually("one copy runs", DEADLINE, async || {
        let running = first.exited()?.is_none() || second.exited()?.is_none();
        Ok(Seen::when(running, || format!("{}\n{}", first.log_end(), second.log_end())))
    })
    .await
}

/// A run that sleeps between reading the checkpoint and looking at the slot finds a slot that its successor has moved. That is no gap.
///
/// Method: the first copy is held at that point while a second takes over, streams, and acknowledges.
#[tokio::test]
async fn a_copy_that_was_overtaken_while_it_took_over_leaves_and_sees_no_gap() -> Result<()> {
    let database = Stack::shared()?.database("overtaken").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let mut earlier = connector.start_streaming().await?;
    earlier.terminate().await?;
    let folder = tempfile::tempdir()?;
    let released = folder.path().join("released");
    let hold = format!("after-checkpoint-read=hold:{}", released.display());
    let mut first = connector.start_with(&[(failpoint::FAILPOINT, &hold)])?;
    first.log_with("failpoint after-checkpoint-read", DEADLINE).await?;
    let mut second = connector.start_streaming().await?;
    session.run("insert into item select generate_series(1, 1000)").await?;
    database.sync().await?;
    let before = session.text("select pg_current_wal_lsn()").await?.unwrap_or_default();
    eventually("the slot has moved", DEADLINE, async || {
        let moved = format!(
            "select confirmed_flush_lsn >= '{before}' from pg_replication_slots where slot_name = '{}'",
            connector.slot()
        );
        let moved = session.text(&moved).await?;
        Ok(Seen::when(moved.as_deref() == Some("t"), || second.log_end()))
    })
    .await?;
    std::fs::write(&released, "")?;
    assert_eq!(first.exit_code(DEADLINE).await?, 0, "{}", first.log());
    assert!(!first.log().contains("gap"), "{}", first.log());
    assert!(second.exited()?.is_none(), "{}", second.log_end());
    let events = database.events("public.item").await?;
    let ids = events.iter().filter_map(|event| event.key_payload()["id"].as_i64());
    assert!(ids.eq(1..=1000), "{} events", events.len());
    Ok(())
}

/// A snapshot that goes on reads in a slot of its own, which lives as long as its session: also while the process is stopped.
///
/// Method: the first copy dies inside the initial snapshot; the second goes on with it and is stopped with SIGSTOP inside it; the
/// third must go on as well, and the second must leave when it wakes.
#[tokio::test]
async fn a_copy_that_was_stopped_inside_a_snapshot_is_in_nobodys_way() -> Result<()> {
    let database = Stack::shared()?.database("stoppedcopy").await?;
    let session = database.with("create table item (id int primary key, body text)").await?;
    // More than one Kafka transaction takes.
    session
        .run("insert into item select i, repeat('x', 1000) from generate_series(1, 20000) i")
        .await?;
    let connector = database.connector()?;
    let mut first = connector.start_with(&[(failpoint::FAILPOINT, "chunk-committed=kill@2")])?;
    first.killed(DEADLINE).await?;
    let folder = tempfile::tempdir()?;
    let released = folder.path().join("released");
    let hold = format!("before-completion=hold:{}", released.display());
    let mut second = connector.start_with(&[(failpoint::FAILPOINT, &hold)])?;
    second.log_with("failpoint before-completion", DEADLINE).await?;
    assert!(second.log().contains("the snapshot goes on"), "{}", second.log());
    second.signal("STOP").await?;
    let mut third = connector.start_streaming().await?;
    assert!(third.log().contains("_snapshot"), "whose walsender was ended: {}", third.log());
    std::fs::write(&released, "")?;
    second.signal("CONT").await?;
    second.exit_code(DEADLINE).await?;
    session.run("insert into item values (20001)").await?;
    let events = database.events("public.item").await?;
    // Rows of a chunk that was not done come again.
    let ids: BTreeSet<i64> =
        events.iter().filter_map(|event| event.key_payload()["id"].as_i64()).collect();
    assert!(ids.iter().copied().eq(1..=20001), "{} rows", ids.len());
    third.expect_running()?;
    Ok(())
}

/// Method: one connector dies with a Kafka transaction open, which stays so for longer than anybody here waits; another that keeps its
/// checkpoints in the same partition is killed, and has to go on at once where it stood.
#[tokio::test]
async fn a_connector_that_died_holds_up_no_other() -> Result<()> {
    let stack = Stack::shared()?;
    let shares = |connector: Connector| {
        connector
            .set("tributary.offsets.topic", "shared-by-two")
            .set("tributary.offsets.topic.partitions", "1")
    };
    let table = "create table item (id int primary key)";
    let database = stack.database("dies").await?;
    let session = database.with(table).await?;
    let dying =
        shares(database.connector()?).set("producer.override.transaction.timeout.ms", "600000");
    let other = stack.database("survives").await?;
    let other_session = other.with(table).await?;
    let surviving = shares(other.connector()?);
    let mut process = surviving.start_streaming().await?;
    other_session.run("insert into item values (1)").await?;
    other.sync().await?;

    let variables = [(failpoint::FAILPOINT, "before-end-txn=kill@3")];
    let mut dead = dying.start_with(&variables)?;
    eventually("it dies between its records and their commit", DEADLINE, async || {
        if dead.exited()?.is_none() {
            session.run("insert into item select count(*) from item").await?;
        }
        Ok(Seen::when(dead.exited()?.is_some(), || dead.log_end()))
    })
    .await?;
    other_session.run("insert into item values (2)").await?;
    process.kill().await?;
    let mut process = surviving.start()?;
    surviving.wait_until_streaming(&mut process).await?;
    other_session.run("insert into item values (3)").await?;
    other.sync().await?;
    let events = other.events("public.item").await?;
    let ids: Vec<_> = events.iter().map(|event| event.key_payload()["id"].clone()).collect();
    assert_eq!(ids, [1, 2, 3], "{}", process.log_end());
    Ok(())
}
