//! TRUNCATE.

use testkit::stack::Stack;
use testkit::wait::DEADLINE;
use testkit::{Result, event};

#[tokio::test]
async fn truncate_is_skipped_unless_asked_for() -> Result<()> {
    let database = Stack::shared()?.database("truncskip").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run("insert into item values (1); truncate item; insert into item values (2)").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(1) c(2)");
    connector.terminate().await?;
    Ok(())
}

/// What is skipped need not even be sent.
#[tokio::test]
async fn operations_that_are_skipped_are_not_published() -> Result<()> {
    let database = Stack::shared()?.database("skippub").await?;
    let session = database
        .with("create table item (id int primary key, v int); insert into item values (1, 1)")
        .await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("skipped.operations", "c")
        .set("table.include.list", "public.item");
    let mut process = connector.start_streaming().await?;
    let publish =
        "select pubinsert, pubupdate, pubdelete, pubtruncate from pg_publication where pubname = ";
    let published = session.rows(&format!("{publish} '{}'", database.name())).await?;
    assert_eq!(published, [["f", "t", "t", "t"]]);
    session
        .run("insert into item values (2, 2); update item set v = 3 where id = 1; truncate item")
        .await?;
    let mut tail = database.tail("public.item")?;
    let events = tail.until(DEADLINE, |event| event.operation() == "t").await?;
    assert_eq!(event::story(&events), "u(1) t()");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn truncate_of_several_tables_is_one_event_per_table_between_its_neighbours() -> Result<()> {
    let database = Stack::shared()?.database("truncate").await?;
    let session = database
        .with("create table a (id int primary key); create table b (id int primary key)")
        .await?;
    let connector = database.connector()?.set("skipped.operations", "none");
    let mut process = connector.start_streaming().await?;
    session.run("insert into a values (1); insert into b values (1)").await?;
    session.run("truncate a, b").await?;
    session.run("insert into a values (2)").await?;
    let (a, b) = (database.events("public.a").await?, database.events("public.b").await?);
    assert_eq!(event::story(&a), "c(1) t() c(2)");
    assert_eq!(event::story(&b), "c(1) t()");
    let (one, other) = (a[1].payload()["source"].clone(), b[1].payload()["source"].clone());
    for member in ["lsn", "txId", "sequence"] {
        assert_eq!(one[member], other[member], "{member}: one statement, one place in the log");
        assert!(!one[member].is_null(), "{member}");
    }
    process.terminate().await?;
    Ok(())
}
