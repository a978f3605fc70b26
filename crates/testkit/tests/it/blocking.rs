//! Blocking snapshots: tables read again while streaming stands still, because a signal asks for it.

use testkit::event::Event;
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Result, event};

use crate::item::{folded, table};

/// A database whose connector streams without an initial snapshot, with a signal table.
async fn database(label: &str, sql: &str) -> Result<(Database, Session)> {
    let database = Stack::shared()?.database(label).await?;
    let session = database
        .with("create table signals (id varchar(42) primary key, type varchar(32) not null, data varchar(2048))")
        .await?;
    session.run(sql).await?;
    Ok((database, session))
}

async fn signal(session: &Session, id: &str, data: &str) -> Result<()> {
    let data = data.replace('\'', "''");
    session.run(&format!("insert into signals values ('{id}', 'execute-snapshot', '{data}')")).await
}

/// Method: writers change every row while the snapshot is asked for; SIGKILL when a reader has seen rows of it.
#[tokio::test]
async fn a_blocking_snapshot_that_dies_is_taken_again_and_no_change_is_lost_or_reordered()
-> Result<()> {
    let (database, session) = database(
        "blocking",
        "create table item (id int primary key, n int, filler text);
         insert into item select i, 0, repeat('x', 300) from generate_series(1, 30000) i",
    )
    .await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("signal.data.collection", "public.signals")
        .set("tributary.commit.bytes.max", "65536");
    let mut process = connector.start_streaming().await?;
    signal(&session, "b1", r#"{"type": "blocking", "data-collections": ["public.item"]}"#).await?;
    let writer = database.session().await?;
    let write = async {
        for round in 1..=40 {
            writer
                .run(&format!(
                    "update item set n = n + 1 where id % 40 = {round} - 1;
                     delete from item where id % 977 = {round};
                     insert into item values (100000 + {round}, {round}, '')"
                ))
                .await?;
        }
        Result::Ok(())
    };
    let kill = async {
        let mut tail = database.tail("public.item")?;
        tail.until(DEADLINE, |event| event.operation() == "r").await?;
        process.kill().await?;
        process = connector.start()?;
        Result::Ok(())
    };
    let (written, killed) = tokio::join!(write, kill);
    written?;
    killed?;
    connector.wait_until_streaming(&mut process).await?;
    let position = "select count(*) from pg_replication_slots where slot_name like '%\\_snapshot'";
    let events = eventually("the snapshot is over", DEADLINE, async || {
        process.expect_running()?;
        let done = process.log().contains(" rows from 1 tables");
        let slots = session.text(position).await?;
        Ok(Seen::when(done && slots.as_deref() == Some("0"), || process.log_end()))
    });
    events.await?;
    let events = database.events("public.item").await?;
    assert_eq!(folded(&events), table(&session).await?);
    let created: Vec<&Event> = events.iter().filter(|event| event.operation() == "c").collect();
    assert_eq!(created.len(), 40, "each insert is one event");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn the_filter_of_a_blocking_snapshot_is_the_whole_select() -> Result<()> {
    let (database, session) = database(
        "blocking",
        "create table item (id int primary key, n int); create table other (id int primary key);
         insert into item select i, i from generate_series(1, 6) i; insert into other values (1), (2)",
    )
    .await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("signal.data.collection", "public.signals");
    let mut process = connector.start_streaming().await?;
    let data = r#"{"type": "blocking", "data-collections": ["public[.](item|other)"], "additional-conditions":
        [{"data-collection": "public.item", "filter": "select * from public.item where n % 2 = 0"}]}"#;
    signal(&session, "b1", data).await?;
    process.log_with("snapshot of 5 rows", DEADLINE).await?;
    session.run("insert into item values (7, 7)").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "r(2) r(4) r(6) c(7)");
    assert_eq!(event::story(&database.events("public.other").await?), "r(1) r(2)");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_select_the_server_refuses_ends_its_snapshot_and_not_the_connector() -> Result<()> {
    let (database, session) = database(
        "blocking",
        "create table item (id int primary key, n int); insert into item values (1, 1)",
    )
    .await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("signal.data.collection", "public.signals");
    let mut process = connector.start_streaming().await?;
    let data = r#"{"type": "blocking", "data-collections": ["public.item"], "additional-conditions":
        [{"data-collection": "public.item", "filter": "select nonsense from public.item"}]}"#;
    signal(&session, "b1", data).await?;
    let data = r#"{"type": "blocking", "data-collections": ["public.item"]}"#;
    signal(&session, "b2", data).await?;
    session.run("insert into item values (2, 2)").await?;
    process.log_with("a blocking snapshot is given up", DEADLINE).await?;
    process.log_with(" rows from 1 tables", DEADLINE).await?;
    let story = event::story(&database.events("public.item").await?);
    assert!(["r(1) c(2)", "c(2) r(1) r(2)"].contains(&story.as_str()), "{story}");
    process.terminate().await?;
    Ok(())
}
