//! Ends and beginnings of the process, and of what it depends on.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use testkit::connector::Connector;
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::DEADLINE;
use testkit::{Result, event};

use crate::item::half_sent;

/// A database with a table `item`, and its connector.
async fn item_table(label: &str) -> Result<(Database, Session, Connector)> {
    let database = Stack::shared()?.database(label).await?;
    let session = database.with("create table item (id int primary key, filler text)").await?;
    let connector = database.connector()?;
    Ok((database, session, connector))
}

/// The ids of all events of `item`, in order.
async fn ids(database: &Database) -> Result<Vec<u64>> {
    let events = database.events("public.item").await?;
    Ok(events.iter().filter_map(|event| event.key_payload()["id"].as_u64()).collect())
}

#[tokio::test]
async fn sigterm_ends_it_with_0_and_what_is_written_meanwhile_arrives_once() -> Result<()> {
    let (database, session, connector) = item_table("sigterm").await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    session.run("insert into item values (2); update item set filler = 'x' where id = 1").await?;
    let mut process = connector.start_streaming().await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(1) c(2) u(1)");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn sigkill_loses_nothing_and_repeats_nothing() -> Result<()> {
    let (database, session, connector) = item_table("sigkill").await?;
    let mut process = connector.start_streaming().await?;
    for round in 0..3 {
        let first = round * 1000 + 1;
        session
            .run(&format!("insert into item select generate_series({first}, {first} + 499)"))
            .await?;
        let mut tail = database.tail("public.item")?;
        tail.until(DEADLINE, |event| event.key_payload()["id"] == first + 499).await?;
        session
            .run(&format!("insert into item select generate_series({first} + 500, {first} + 999)"))
            .await?;
        process.kill().await?;
        process = connector.start()?;
    }
    connector.wait_until_streaming(&mut process).await?;
    let ids = ids(&database).await?;
    assert!(ids.iter().copied().eq(1..=3000), "{} events", ids.len());
    process.terminate().await?;
    Ok(())
}

/// Method: a source transaction that fills hundreds of Kafka transactions, SIGKILL among the first of them, and later.
#[tokio::test]
async fn a_half_sent_transaction_is_continued_exactly_where_it_was_cut() -> Result<()> {
    let (database, session, connector) = item_table("halfsent").await?;
    let connector = connector.set("tributary.commit.bytes.max", "32768");
    let mut process = connector.start_streaming().await?;
    process.kill().await?;
    session
        .run("insert into item select i, repeat('x', 100) from generate_series(1, 40000) i")
        .await?;
    die_among(&database, &connector, 40_000).await?;
    let mut process = connector.start_streaming().await?;
    let ids = ids(&database).await?;
    assert!(ids.iter().copied().eq(1..=40_000), "{} events", ids.len());
    process.terminate().await?;
    Ok(())
}

/// Dies twice while it sends a transaction of so many rows: at what is sent, not at a time that a busy machine lets pass.
async fn die_among(database: &Database, connector: &Connector, rows: u64) -> Result<()> {
    let mut tail = database.tail("public.item")?;
    let mut before = 0;
    for failpoint in ["slice-handed-over=kill:5@10", "slice-handed-over=kill@80"] {
        connector.die_at(failpoint).await?;
        before = half_sent(&mut tail, before, rows).await?;
    }
    Ok(())
}

/// Rows of one COPY lie at few positions of the log, so a position made of LSNs would skip or repeat some of them.
#[tokio::test]
async fn a_copy_cut_by_sigkill_goes_on_with_the_row_after_the_last() -> Result<()> {
    let (database, session, connector) = item_table("copycut").await?;
    let connector = connector.set("tributary.commit.bytes.max", "32768");
    let mut process = connector.start_streaming().await?;
    process.kill().await?;
    let lines: Vec<String> = (1..=20_000).map(|id| format!("{id}\t{}", "x".repeat(100))).collect();
    let sink = session.copy_in("copy item from stdin").await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from(lines.join("\n") + "\n")).await?;
    sink.finish().await?;
    die_among(&database, &connector, 20_000).await?;
    let mut process = connector.start_streaming().await?;
    let ids = ids(&database).await?;
    assert!(ids.iter().copied().eq(1..=20_000), "{} events", ids.len());
    process.terminate().await?;
    Ok(())
}

/// Method: a connector of another name has no checkpoint, and is given the slot of one that has.
#[tokio::test]
async fn a_slot_whose_offsets_are_lost_goes_on_where_it_stands() -> Result<()> {
    let (database, session, connector) = item_table("nooffsets").await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    assert_eq!(process.terminate().await?, 0);
    connector.wait_until_slot_free(&session).await?;
    session.run("insert into item values (2), (3)").await?;
    let forgetful = format!("{}_forgetful", database.name());
    let connector = database.connector()?.named(&forgetful).set("snapshot.mode", "no_data");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (4)").await?;
    // The first was acknowledged when the connector ended, or comes again: nothing says that Kafka has it.
    let ids = ids(&database).await?;
    assert!(ids == [1, 2, 3, 4] || ids == [1, 1, 2, 3, 4], "{ids:?}");
    process.terminate().await?;
    Ok(())
}

/// Changes of a transaction that began before and committed after a restart arrive once.
#[tokio::test]
async fn a_transaction_open_across_a_restart_arrives_whole() -> Result<()> {
    let (database, session, connector) = item_table("across").await?;
    let mut process = connector.start_streaming().await?;
    let open = database.with("begin; insert into item select generate_series(1, 5)").await?;
    session.run("insert into item values (90)").await?;
    database.sync().await?;
    open.run("insert into item select generate_series(6, 10)").await?;
    process.terminate().await?;
    open.run("commit").await?;
    let mut process = connector.start_streaming().await?;
    let ids = ids(&database).await?;
    assert!(ids.iter().copied().eq(std::iter::once(90).chain(1..=10)), "{ids:?}");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_cut_connection_to_postgresql_heals_without_loss_or_duplicate() -> Result<()> {
    let (database, session, connector) = item_table("cut").await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item select generate_series(1, 1000)").await?;
    database.sync().await?;
    let terminate = format!(
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{}'",
        connector.slot()
    );
    session.run(&terminate).await?;
    session.run("insert into item select generate_series(1001, 2000)").await?;
    let ids = ids(&database).await?;
    assert!(ids.iter().copied().eq(1..=2000), "{} events", ids.len());
    process.expect_running()?;
    process.terminate().await?;
    Ok(())
}

/// A slot that somebody moved past the checkpoint has lost changes for ever: to go on would hide it.
#[tokio::test]
async fn a_slot_advanced_behind_our_back_is_a_named_gap() -> Result<()> {
    let (database, session, connector) = item_table("advanced").await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    process.terminate().await?;
    connector.wait_until_slot_free(&session).await?;
    session.run("insert into item values (2)").await?;
    let advance = format!(
        "select pg_replication_slot_advance('{}', pg_current_wal_flush_lsn())",
        connector.slot()
    );
    session.run(&advance).await?;
    let mut process = connector.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(
        log.contains("CO013") && log.contains("gap") && log.contains(connector.slot()),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn a_slot_that_was_dropped_is_a_named_gap() -> Result<()> {
    let (database, session, connector) = item_table("dropped").await?;
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    process.terminate().await?;
    connector.wait_until_slot_free(&session).await?;
    session.run(&format!("select pg_drop_replication_slot('{}')", connector.slot())).await?;
    session.run("insert into item values (1)").await?;
    let mut process = connector.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    assert!(process.log().contains("CO012"), "{}", process.log());
    Ok(())
}

#[tokio::test]
async fn a_slot_that_was_dropped_and_made_again_is_a_named_gap() -> Result<()> {
    let (database, session, connector) = item_table("recreated").await?;
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    process.terminate().await?;
    connector.wait_until_slot_free(&session).await?;
    let slot = connector.slot();
    session.run(&format!("select pg_drop_replication_slot('{slot}')")).await?;
    session.run("insert into item values (1)").await?;
    session
        .run(&format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')"))
        .await?;
    let mut process = connector.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    assert!(process.log().contains("CO013"), "{}", process.log());
    Ok(())
}

#[tokio::test]
async fn a_connector_that_has_nothing_to_do_ends_quickly() -> Result<()> {
    let (database, _session, connector) = item_table("quick").await?;
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    let asked = std::time::Instant::now();
    assert_eq!(process.terminate().await?, 0);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_fault_that_does_not_pass_ends_it_after_as_many_attempts_as_are_allowed() -> Result<()> {
    let (_database, _session, connector) = item_table("retries").await?;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = nobody.local_addr()?.port();
    drop(nobody);
    let connector = connector
        .set("database.port", &port.to_string())
        .set("errors.max.retries", "2")
        .set("retriable.restart.connector.wait.ms", "100");
    let mut process = connector.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    assert_eq!(process.log().matches("takes over again").count(), 2, "{}", process.log());
    Ok(())
}

#[tokio::test]
async fn a_restart_of_postgresql_loses_and_doubles_nothing() -> Result<()> {
    let mut stack = Stack::start(&[]).await?;
    let database = stack.database("pgrestart").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item select generate_series(1, 500)").await?;
    database.sync().await?;
    session.run("insert into item select generate_series(501, 1000)").await?;
    stack.restart_postgres().await?;
    let session = database.with("insert into item select generate_series(1001, 1500)").await?;
    connector.wait_until_streaming(&mut process).await?;
    session.run("insert into item select generate_series(1501, 2000)").await?;
    assert!(ids(&database).await?.iter().copied().eq(1..=2000));
    process.terminate().await?;
    stack.stop().await
}

/// Method: a server that keeps next to nothing for its slots; then the same again with a new snapshot asked for.
#[tokio::test]
async fn a_slot_that_lost_its_wal_is_a_named_gap_at_once() -> Result<()> {
    let limits =
        [("max_slot_wal_keep_size", "1MB"), ("min_wal_size", "32MB"), ("max_wal_size", "32MB")];
    let stack = Stack::start(&limits).await?;
    let database = stack.database("lostwal").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    process.terminate().await?;
    connector.wait_until_slot_free(&session).await?;
    for id in 2..8 {
        session.run(&format!("insert into item values ({id})")).await?;
        session.run("select pg_switch_wal()").await?;
        session.run("checkpoint").await?;
    }
    let status = "select wal_status from pg_replication_slots";
    assert_eq!(session.text(status).await?.as_deref(), Some("lost"));
    let mut process = connector.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    assert!(process.log().contains("CO014"), "{}", process.log());
    assert!(!process.log().contains("takes over again"), "{}", process.log());
    let connector = connector.set("snapshot.mode", "when_needed");
    let mut process = connector.start_streaming().await?;
    let story = event::story(&database.events("public.item").await?);
    assert_eq!(story, "c(1) r(1) r(2) r(3) r(4) r(5) r(6) r(7)");
    process.terminate().await?;
    stack.stop().await
}

#[tokio::test]
async fn a_broker_that_was_away_gets_everything_once_and_in_order() -> Result<()> {
    let mut stack = Stack::start(&[]).await?;
    let database = stack.database("away").await?;
    let session = database.with("create table item (id int primary key)").await?;
    // Its folder holds the log.
    let connector = database.connector()?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item select generate_series(1, 500)").await?;
    database.sync().await?;
    stack.kill_broker().await?;
    session.run("insert into item select generate_series(501, 1000)").await?;
    process.log_with("takes over again", DEADLINE).await?;
    session.run("insert into item select generate_series(1001, 1500)").await?;
    stack.start_broker().await?;
    database.sync_within(DEADLINE * 2).await?;
    assert!(ids(&database).await?.iter().copied().eq(1..=1500));
    process.terminate().await?;
    stack.stop().await
}
