//! What the slot keeps of the source's log is watched, explained, and ended where that is asked for.

use std::time::Duration;

use testkit::connector::Connector;
use testkit::event::story;
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Failure, Result};

/// What the slots of these tests may keep.
const LIMIT: &str = "16000000";

/// A table that is captured, and one that only makes the log longer.
const TABLES: &str = "create table item (id int primary key); create table ballast (body text);
    alter table ballast alter column body set storage external";

/// Makes the log longer by about so many megabytes, so slowly that a connector keeps up.
async fn write_log(session: &Session, megabytes: u32) -> Result<()> {
    for _ in 0..megabytes {
        session.run("insert into ballast values (repeat('x', 1000000))").await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A connector that looks all the time.
fn connector(database: &Database) -> Result<Connector> {
    Ok(database
        .connector()?
        .set("table.include.list", "public.item,public.zz_marker")
        .set("tributary.wal.retention.max.bytes", LIMIT)
        .set("tributary.wal.retention.check.interval.ms", "100"))
}

/// A session with a transaction that has written and does not end.
async fn forgotten(database: &Database) -> Result<(Session, String)> {
    let session = database.session().await?;
    session.run("set application_name = 'forgotten'; begin; insert into item values (99)").await?;
    let rows = session.rows("select pg_backend_pid()").await?;
    let pid = rows.into_iter().flatten().next();
    let pid = pid.ok_or_else(|| Failure::new("a session has no process"))?;
    // Younger transactions are everyday life, and are not named.
    let age = format!(
        "select clock_timestamp() - xact_start > interval '2.5 s' from pg_stat_activity where pid = {pid}"
    );
    let looks = database.session().await?;
    eventually("the transaction is old", DEADLINE, async || {
        let is_old = looks.text(&age).await?;
        Ok(Seen::when(is_old.as_deref() == Some("t"), || format!("{is_old:?}")))
    })
    .await?;
    Ok((session, pid))
}

#[tokio::test]
async fn a_transaction_that_holds_the_log_back_is_named_and_the_stream_goes_on() -> Result<()> {
    let database = Stack::shared()?.database("pinned").await?;
    let session = database.with(TABLES).await?;
    let connector = connector(&database)?;
    let mut process = connector.start_streaming().await?;
    let (holder, pid) = forgotten(&database).await?;
    write_log(&session, 20).await?;
    process.log_with("NT012", DEADLINE).await?;
    process
        .log_with(&format!("process {pid} (`forgotten`, idle in transaction)"), DEADLINE)
        .await?;
    process.log_with("at 100 %", DEADLINE).await?;
    session.run("insert into item values (1)").await?;
    assert_eq!(story(&database.events("public.item").await?), "c(1)");
    process.expect_running()?;
    holder.run("rollback").await?;
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_slot_that_keeps_too_much_is_dropped_where_that_is_asked_for() -> Result<()> {
    let database = Stack::shared()?.database("dropslot").await?;
    let session = database.with(TABLES).await?;
    let connector = connector(&database)?.set("tributary.wal.retention.policy", "drop.slot");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    assert_eq!(story(&database.events("public.item").await?), "c(1)");
    let (holder, _) = forgotten(&database).await?;
    write_log(&session, 20).await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    assert!(process.log().contains("[CO025] gap: "), "{}", process.log_end());
    let slots = "select count(*) from pg_replication_slots where slot_name = ";
    assert_eq!(session.rows(&format!("{slots} '{}'", connector.slot())).await?, [["0"]]);
    holder.run("rollback").await?;
    session.run("insert into item values (2)").await?;

    let mut process = connector.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1);
    assert!(process.log().contains("CO012"), "what comes after is a gap: {}", process.log_end());

    let connector = connector
        .set("tributary.gap.policy", "resnapshot")
        .set("tributary.wal.retention.policy", "warn");
    let mut process = connector.start_streaming().await?;
    assert_eq!(story(&database.events("public.item").await?), "c(1) r(1) r(2)");
    process.terminate().await?;
    Ok(())
}
