//! A database where nothing happens, beside one that is busy.

use std::time::Duration;

use testkit::Result;
use testkit::session::Session;
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};

/// Rows inserted, updated and deleted in a database, its catalogs included.
const WRITTEN: &str = "select tup_inserted + tup_updated + tup_deleted from pg_stat_database where datname = current_database()";

/// The WAL of a busy neighbour is kept for as long as an idle slot does not move, until the disk is full.
#[tokio::test]
async fn an_idle_slot_follows_a_busy_neighbour_and_nothing_is_written_to_the_source() -> Result<()>
{
    let stack = Stack::shared()?;
    let idle = stack.database("idle").await?;
    let busy = stack.database("busy").await?;
    drop(idle.with("create table item (id int primary key); insert into item values (1)").await?);
    let busy_session = busy.with("create table load (id int primary key, filler text)").await?;
    let connector = idle.connector()?;
    let mut process = connector.start_streaming().await?;
    idle.sync().await?;
    process.terminate().await?;
    let session = idle.session().await?;
    wait_until_alone(&session).await?;
    let written_before = session.text(WRITTEN).await?;

    let mut process = connector.start_streaming().await?;
    busy_session
        .run("insert into load select i, repeat(md5(i::text), 20) from generate_series(1, 30000) i")
        .await?;
    let target = busy_session.text("select pg_current_wal_lsn()").await?.unwrap_or_default();
    let query = format!(
        "select confirmed_flush_lsn >= '{target}'::pg_lsn, confirmed_flush_lsn from pg_replication_slots where slot_name = '{}'",
        connector.slot()
    );
    eventually("confirmed_flush_lsn follows", Duration::from_secs(30), async || {
        process.expect_running()?;
        let row = session.rows(&query).await?.into_iter().next().unwrap_or_default();
        let follows = row.first().is_some_and(|follows| follows == "t");
        Ok(Seen::when(follows, || format!("{row:?}, wanted {target}")))
    })
    .await?;
    process.terminate().await?;
    wait_until_alone(&session).await?;
    assert_eq!(session.text(WRITTEN).await?, written_before);
    Ok(())
}

/// As above, but the busy tables are in the connector's own database, and none that it captures: 100 MB of log.
#[tokio::test]
async fn a_slot_follows_writes_to_tables_that_are_not_captured() -> Result<()> {
    const LAG_BYTES_MAX: u64 = 64 << 20;
    let database = Stack::shared()?.database("uncaptured").await?;
    let session = database
        .with("create table item (id int primary key); create table load (id int, filler text)")
        .await?;
    let connector = database.connector()?.set("table.include.list", "public.item,public.zz_marker");
    let mut process = connector.start_streaming().await?;
    let before = session.text("select pg_current_wal_lsn()").await?.unwrap_or_default();
    for _ in 0..5 {
        session
            .run("insert into load select i, repeat(md5(i::text), 32) from generate_series(1, 20000) i")
            .await?;
    }
    let target = session.text("select pg_current_wal_lsn()").await?.unwrap_or_default();
    let written = format!("select pg_wal_lsn_diff('{target}', '{before}') > 100 * 1024 * 1024");
    assert_eq!(session.text(&written).await?.as_deref(), Some("t"));
    let query = format!(
        "select confirmed_flush_lsn >= '{target}'::pg_lsn and pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) < {LAG_BYTES_MAX},
                confirmed_flush_lsn, restart_lsn from pg_replication_slots where slot_name = '{}'",
        connector.slot()
    );
    eventually("the slot follows", DEADLINE, async || {
        process.expect_running()?;
        let row = session.rows(&query).await?.into_iter().next().unwrap_or_default();
        let follows = row.first().is_some_and(|follows| follows == "t");
        Ok(Seen::when(follows, || format!("{row:?}, wanted {target}")))
    })
    .await?;
    let topics = testkit::tail::topics_with_prefix(database.bootstrap(), database.name())?;
    assert!(topics.iter().all(|topic| !topic.contains("public.load")), "{topics:?}");
    process.terminate().await?;
    Ok(())
}

/// Waits until no other session is in the database: a session has told what it wrote when it is gone.
async fn wait_until_alone(session: &Session) -> Result<()> {
    let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    eventually("no other session", DEADLINE, async || {
        let count = session.text(others).await?.unwrap_or_default();
        Ok(Seen::when(count == "0", || format!("{count} sessions")))
    })
    .await
}
