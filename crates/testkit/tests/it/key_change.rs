//! A change of the primary key: the old key ends, the new one begins, and both name each other.

use serde_json::json;
use testkit::stack::Stack;
use testkit::{Result, event};

#[tokio::test]
async fn key_change_ends_the_old_key_and_begins_the_new_one() -> Result<()> {
    let database = Stack::shared()?.database("keychange").await?;
    let session = database.with("create table item (id int primary key, name text)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run("insert into item values (1, 'a')").await?;
    session.run("update item set id = 2, name = 'b'").await?;
    let events = database.events("public.item").await?;
    assert_eq!(event::story(&events), "c(1) d(1) ∅(1) c(2)");
    assert_eq!(events[1].header("__debezium.newkey").as_deref(), Some(r#"{"id":2}"#));
    assert_eq!(events[3].header("__debezium.oldkey").as_deref(), Some(r#"{"id":1}"#));
    assert_eq!(events[3].payload()["after"], json!({"id": 2, "name": "b"}));
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn key_change_without_tombstones_is_a_delete_and_a_create() -> Result<()> {
    let database = Stack::shared()?.database("notombstone").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?.set("tombstones.on.delete", "false");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1); update item set id = 2; delete from item").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(1) d(1) c(2) d(2)");
    process.terminate().await?;
    Ok(())
}

/// The key is the table's key at that point of the log, not the one the catalog has when the event is read.
#[tokio::test]
async fn rows_of_a_table_whose_key_changes_while_stopped_keep_the_key_they_had() -> Result<()> {
    let database = Stack::shared()?.database("newkey").await?;
    let session = database.with("create table item (a int primary key, b int not null)").await?;
    let connector = database.connector()?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1, 10)").await?;
    database.sync().await?;
    process.terminate().await?;
    session.run("insert into item values (2, 20)").await?;
    session
        .run("alter table item drop constraint item_pkey; alter table item add primary key (b)")
        .await?;
    session.run("insert into item values (3, 30)").await?;
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item").await?;
    let keys: Vec<String> = events.iter().map(|event| event.key_payload().to_string()).collect();
    assert_eq!(keys, [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"b":30}"#]);
    process.terminate().await?;
    Ok(())
}
