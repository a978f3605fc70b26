//! `tributary check`: every problem at once, each with what mends it.

use std::time::Duration;

use testkit::Result;
use testkit::connector::{Connector, Finished, tributary};
use testkit::stack::Stack;

const SOON: Duration = Duration::from_mins(1);

async fn check(connector: &Connector) -> Result<Finished> {
    let file = connector.write_file()?;
    let store = format!("kafka://{}", connector.database().bootstrap());
    tributary(&["check", "--config", &file.to_string_lossy(), "--store", &store], SOON).await
}

fn told(finished: &Finished, words: &[&str]) {
    let text = format!("{}{}", finished.stdout, finished.stderr);
    for word in words {
        assert!(text.contains(word), "`{word}` is not told of:\n{text}");
    }
}

#[tokio::test]
async fn a_source_and_a_store_that_are_ready_pass() -> Result<()> {
    let database = Stack::shared()?.database("ready").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let finished = check(&database.connector()?).await?;
    assert_eq!(finished.exit_code, 0, "{}\n{}", finished.stdout, finished.stderr);
    let slots = session
        .text("select count(*) from pg_replication_slots where database = current_database()")
        .await?;
    assert_eq!(slots.as_deref(), Some("0"), "a check makes nothing");
    Ok(())
}

#[tokio::test]
async fn a_table_without_replica_identity_is_named_with_the_statement_that_mends_it() -> Result<()>
{
    let database = Stack::shared()?.database("noidentity").await?;
    database.with("create table nokey (line text)").await?;
    let finished = check(&database.connector()?).await?;
    told(&finished, &["public.nokey", "REPLICA IDENTITY"]);
    Ok(())
}

#[tokio::test]
async fn a_column_that_the_events_will_not_have_is_named() -> Result<()> {
    let database = Stack::shared()?.database("checktype").await?;
    database.with("create type pair as (a int, b int); create table place (id int primary key, spot pair)").await?;
    let finished = check(&database.connector()?).await?;
    assert_eq!(finished.exit_code, 0, "{}\n{}", finished.stdout, finished.stderr);
    told(&finished, &["NT001", "public.place.spot", "tributary.unmapped.types=capture"]);
    Ok(())
}

#[tokio::test]
async fn missing_privileges_are_told_with_the_grants() -> Result<()> {
    let database = Stack::shared()?.database("grants").await?;
    database
        .with("create table item (id int primary key);
               do $$ begin create role checked_reader login; exception when duplicate_object then null; end $$")
        .await?;
    let connector = database.connector()?.set("database.user", "checked_reader");
    let finished = check(&connector).await?;
    assert_eq!(finished.exit_code, 1, "{}\n{}", finished.stdout, finished.stderr);
    told(&finished, &["ALTER ROLE", "REPLICATION", "GRANT SELECT", "public.item"]);
    Ok(())
}

#[tokio::test]
async fn a_table_list_that_matches_nothing_is_told() -> Result<()> {
    let database = Stack::shared()?.database("nomatch").await?;
    let connector = database.connector()?.set("table.include.list", "public.no_such_table");
    let finished = check(&connector).await?;
    assert_eq!(finished.exit_code, 1, "{}\n{}", finished.stdout, finished.stderr);
    told(&finished, &["no_such_table"]);
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_and_the_source_is_checked_all_the_same() -> Result<()> {
    let database = Stack::shared()?.database("nostore").await?;
    database.with("create table nokey (line text)").await?;
    let file = database.connector()?;
    let path = file.write_file()?;
    let arguments =
        ["check", "--config", &path.to_string_lossy(), "--store", "kafka://127.0.0.1:1"];
    let finished = tributary(&arguments, SOON).await?;
    assert_eq!(finished.exit_code, 1, "{}\n{}", finished.stdout, finished.stderr);
    told(&finished, &["127.0.0.1:1", "public.nokey"]);
    Ok(())
}
