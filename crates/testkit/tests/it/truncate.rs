//! TRUNCATE.

use testkit::stack::Stack;
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
    assert_eq!(event::story(&database.events("public.a").await?), "c(1) t() c(2)");
    assert_eq!(event::story(&database.events("public.b").await?), "c(1) t()");
    process.terminate().await?;
    Ok(())
}
