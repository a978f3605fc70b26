//! Tables that join a running connector's lists and leave them; a snapshot that is taken while the stream runs.

use std::collections::BTreeMap;

use testkit::connector::{Connector, ConnectorProcess};
use testkit::event::Event;
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Result, event};

const BOTH: &str = "public.a,public.b,public.zz_marker";
const ONE: &str = "public.a,public.zz_marker";

/// Rows by key, as the topic has them.
fn folded(events: &[Event]) -> BTreeMap<i64, i64> {
    let mut rows = BTreeMap::new();
    for event in events {
        let payload = event.payload();
        let id = |row: &str| payload[row]["id"].as_i64().unwrap_or_default();
        match event.operation().as_str() {
            "d" => drop(rows.remove(&id("before"))),
            "r" | "c" | "u" => {
                let n = payload["after"]["n"].as_i64().unwrap_or_default();
                rows.insert(id("after"), n);
            }
            _ => {}
        }
    }
    rows
}

async fn table(session: &Session, name: &str) -> Result<BTreeMap<i64, i64>> {
    let rows = session.rows(&format!("select id, n from {name}")).await?;
    let number = |text: &String| text.parse().unwrap_or(i64::MIN);
    Ok(rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect())
}

/// Gives the running process another configuration, and waits until it streams with it.
async fn change(
    connector: &Connector,
    process: &mut ConnectorProcess,
    session: &Session,
) -> Result<()> {
    let walsender = format!(
        "select active_pid from pg_replication_slots where slot_name = '{}'",
        connector.slot()
    );
    let before = session.text(&walsender).await?;
    connector.write_file()?;
    process.signal("HUP").await?;
    eventually("it streams again", DEADLINE, async || {
        process.expect_running()?;
        let now = session.text(&walsender).await?;
        Ok(Seen::when(now.is_some() && now != before, || process.log_end()))
    })
    .await
}

async fn start(
    name: &str,
    lists: &str,
) -> Result<(Database, Session, Connector, ConnectorProcess)> {
    let database = Stack::shared()?.database(name).await?;
    let session = database
        .with(
            "create table a (id int primary key, n int); create table b (id int primary key, n int);
             insert into a select i, 0 from generate_series(1, 100) i;
             insert into b select i, 0 from generate_series(1, 3000) i",
        )
        .await?;
    let connector = database
        .connector()?
        .set("table.include.list", lists)
        .set("tributary.event.id.header.enabled", "true");
    let process = connector.start_streaming().await?;
    Ok((database, session, connector, process))
}

/// Method: a transaction has written to the table before it is published and commits afterwards; another one begins before and
/// writes after. Neither is in the stream from that point on by itself.
#[tokio::test]
async fn a_table_joins_and_what_was_under_way_then_is_not_lost() -> Result<()> {
    let (database, session, connector, mut process) = start("joins", ONE).await?;
    let before = database.session().await?;
    before.run("begin; update b set n = 1 where id <= 10; insert into b values (10001, 1)").await?;
    let across = database.session().await?;
    across.run("begin; insert into a values (10002, 1)").await?;
    let connector = connector.set("table.include.list", BOTH);
    change(&connector, &mut process, &session).await?;
    across.run("insert into b values (10002, 1); commit").await?;
    session.run("update b set n = 2 where id = 20; delete from b where id = 30").await?;
    before.run("commit").await?;
    session.run("insert into b values (10003, 2)").await?;
    eventually("the new table is read", DEADLINE, async || {
        process.expect_running()?;
        let events = database.events("public.b").await?;
        let reads = events.iter().filter(|event| event.operation() == "r").count();
        Ok(Seen::when(reads >= 2999, || format!("{reads} rows")))
    })
    .await?;
    for round in 0..5 {
        session.run(&format!("update b set n = 3 where id % 100 = {round}")).await?;
    }
    let events = database.events("public.b").await?;
    assert_eq!(folded(&events), table(&session, "b").await?);
    let ids: Vec<String> =
        events.iter().filter_map(|event| event.header("tributary.event.id")).collect();
    assert!(!ids.is_empty());
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len(), "an event is there twice");
    assert_eq!(folded(&database.events("public.a").await?), table(&session, "a").await?);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_table_that_left_and_comes_back_is_read_again_and_one_that_stays_is_not() -> Result<()> {
    let (database, session, connector, mut process) = start("leaves", BOTH).await?;
    let connector = connector.set("table.include.list", ONE);
    change(&connector, &mut process, &session).await?;
    let published = "select tablename from pg_publication_tables where tablename = 'b'";
    assert_eq!(session.text(published).await?, None, "nobody captures it");
    session.run("update b set n = 5 where id = 7; update a set n = 5 where id = 7").await?;
    assert_eq!(folded(&database.events("public.b").await?)[&7], 0);
    let connector = connector.set("table.include.list", BOTH);
    change(&connector, &mut process, &session).await?;
    eventually("it is read again", DEADLINE, async || {
        process.expect_running()?;
        let events = database.events("public.b").await?;
        Ok(Seen::when(folded(&events)[&7] == 5, || format!("{} events", events.len())))
    })
    .await?;
    let events = database.events("public.a").await?;
    assert_eq!(events.iter().filter(|event| event.operation() == "r").count(), 100);
    // Another start has nothing to read.
    change(&connector.set("tributary.snapshot.added.tables", "true"), &mut process, &session)
        .await?;
    session.run("update b set n = 6 where id = 8").await?;
    let events = database.events("public.b").await?;
    assert_eq!(folded(&events), table(&session, "b").await?);
    assert_eq!(events.iter().filter(|event| event.operation() == "r").count(), 6000);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_new_table_is_not_read_where_that_is_not_wanted() -> Result<()> {
    let (database, session, connector, mut process) = start("unread", ONE).await?;
    let connector =
        connector.set("table.include.list", BOTH).set("tributary.snapshot.added.tables", "false");
    change(&connector, &mut process, &session).await?;
    session.run("insert into b values (5000, 1)").await?;
    assert_eq!(event::story(&database.events("public.b").await?), "c(5000)");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_column_is_left_out_and_comes_back_while_the_process_runs() -> Result<()> {
    let (database, session, connector, mut process) = start("column", BOTH).await?;
    let without = connector.set("column.exclude.list", "public.a.n");
    change(&without, &mut process, &session).await?;
    session.run("update a set n = 1 where id = 1").await?;
    database.sync().await?;
    let connector = without.unset("column.exclude.list");
    change(&connector, &mut process, &session).await?;
    session.run("update a set n = 2 where id = 2").await?;
    let events = database.events("public.a").await?;
    let afters: Vec<_> = events
        .iter()
        .filter(|event| event.operation() == "u")
        .map(|event| event.payload()["after"].clone())
        .collect();
    assert_eq!(afters, [serde_json::json!({"id": 1}), serde_json::json!({"id": 2, "n": 2})]);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_changes_nothing() -> Result<()> {
    let (database, session, connector, mut process) = start("broken", ONE).await?;
    let wrong = connector.set("table.includ.list", "public.b");
    wrong.write_file()?;
    process.signal("HUP").await?;
    process.log_with("goes on with the earlier one", DEADLINE).await?;
    session.run("insert into a values (101, 0)").await?;
    let events = database.events("public.a").await?;
    assert_eq!(folded(&events), table(&session, "a").await?);
    process.terminate().await?;
    Ok(())
}

/// Method: reading is slow, and a change of another table arrives long before its end; SIGKILL in the middle.
#[tokio::test]
async fn a_concurrent_snapshot_lets_the_stream_run_and_survives_death() -> Result<()> {
    let database = Stack::shared()?.database("concurrent").await?;
    let session = database
        .with(
            "create table a (id int primary key, n int); create table b (id int primary key, n int);
             insert into b select i, 0 from generate_series(1, 20000) i",
        )
        .await?;
    let connector = database
        .connector()?
        .set("tributary.snapshot.concurrent", "true")
        .set("tributary.snapshot.max.rows.per.second", "1000");
    let mut process = connector.start_streaming().await?;
    let mut tail = database.tail("public.b")?;
    tail.until(DEADLINE, |event| event.operation() == "r").await?;
    session.run("insert into a values (1, 1); update b set n = 1 where id % 7 = 0").await?;
    let story = event::story(&database.events("public.a").await?);
    assert_eq!(story, "c(1)");
    let read = database.events("public.b").await?.len();
    assert!(read < 20_000, "the stream did not wait, {read} rows are read");
    process.kill().await?;
    let connector = connector.set("tributary.snapshot.max.rows.per.second", "0");
    let mut process = connector.start_streaming().await?;
    process.log_with("incremental snapshot of `public.b`: 20000 rows", DEADLINE).await?;
    session.run("update b set n = 2 where id = 3").await?;
    let events = database.events("public.b").await?;
    assert_eq!(folded(&events), table(&session, "b").await?);
    process.terminate().await?;
    Ok(())
}
