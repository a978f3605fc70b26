//! What each replica identity lets an event say about the old row.

use serde_json::{Value, json};
use testkit::Result;
use testkit::stack::Stack;
use testkit::wait::DEADLINE;

/// `before` of the update and of the delete of one row under a replica identity.
async fn befores(label: &str, identity: &str) -> Result<(Value, Value)> {
    let database = Stack::shared()?.database(label).await?;
    let session = database
        .with("create table item (id int primary key, code text not null unique, name text); insert into item values (1, 'c', 'n')")
        .await?;
    session.run(&format!("alter table item replica identity {identity}")).await?;
    let connector = database.connector()?.set("snapshot.mode", "no_data");
    let mut process = connector.start_streaming().await?;
    session.run("update item set name = 'm'; delete from item").await?;
    let events = database.events("public.item").await?;
    process.terminate().await?;
    let before = |operation: &str| {
        let event = events.iter().find(|event| event.operation() == operation);
        event.map_or(Value::Null, |event| event.payload()["before"].clone())
    };
    Ok((before("u"), before("d")))
}

#[tokio::test]
async fn default_identity_gives_the_key_of_a_deleted_row_and_nothing_of_an_updated_one()
-> Result<()> {
    let (update, delete) = befores("ri_default", "default").await?;
    assert_eq!(update, Value::Null);
    assert_eq!(delete, json!({"id": 1, "code": "", "name": null}));
    Ok(())
}

#[tokio::test]
async fn full_identity_gives_the_whole_old_row() -> Result<()> {
    let (update, delete) = befores("ri_full", "full").await?;
    assert_eq!(update, json!({"id": 1, "code": "c", "name": "n"}));
    assert_eq!(delete, json!({"id": 1, "code": "c", "name": "m"}));
    Ok(())
}

#[tokio::test]
async fn index_identity_gives_the_columns_of_the_index() -> Result<()> {
    let (update, delete) = befores("ri_index", "using index item_code_key").await?;
    assert_eq!(update, Value::Null);
    assert_eq!(delete["code"], "c");
    assert_eq!(delete["name"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn identities_are_set_as_the_settings_say() -> Result<()> {
    let database = Stack::shared()?.database("ri_set").await?;
    let session = database
        .with("create table a (id int primary key); create table b (id int primary key); create table c (id int primary key)")
        .await?;
    let connector = database
        .connector()?
        .set("replica.identity.autoset.values", "public.a:FULL,public.b:NOTHING");
    let mut process = connector.start_streaming().await?;
    let identities = session
        .rows("select relname, relreplident from pg_class where relname in ('a', 'b', 'c') order by 1")
        .await?;
    assert_eq!(identities, [["a", "f"], ["b", "n"], ["c", "d"]]);
    process.terminate().await?;
    Ok(())
}

/// Their inserts are captured; that their updates are refused is PostgreSQL's rule, and is said before anybody runs into it.
#[tokio::test]
async fn a_start_names_the_tables_whose_updates_will_be_refused() -> Result<()> {
    let database = Stack::shared()?.database("ri_refused").await?;
    let session = database
        .with("create table nokey (v int); create table nothing (id int primary key); alter table nothing replica identity nothing;
               create table full_row (v int); alter table full_row replica identity full")
        .await?;
    // Its folder holds the log.
    let connector = database.connector()?;
    let mut process = connector.start_streaming().await?;
    for name in ["nokey", "nothing"] {
        process
            .log_with(&format!("table public.{name} has no usable replica identity"), DEADLINE)
            .await?;
    }
    assert_eq!(process.log().matches("no usable replica identity").count(), 2, "{}", process.log());
    session.run("insert into nokey values (1)").await?;
    assert_eq!(database.events("public.nokey").await?.len(), 1);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn inserts_of_a_table_without_key_or_identity_arrive_without_a_key() -> Result<()> {
    let database = Stack::shared()?.database("ri_nothing").await?;
    let session = database
        .with("create table log (line text); alter table log replica identity nothing")
        .await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run("insert into log values ('a'), ('a')").await?;
    let events = database.events("public.log").await?;
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.key.is_none()));
    connector.terminate().await?;
    Ok(())
}
