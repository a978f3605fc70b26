//! `tributary check`: every problem at once, each with what mends it.

use std::time::Duration;

use testkit::connector::{Connector, Finished, tributary};
use testkit::stack::Stack;
use testkit::{Result, event};

const SOON: Duration = Duration::from_mins(1);

async fn check(connector: &Connector) -> Result<Finished> {
    let file = connector.write_file()?;
    let store = format!("kafka://{}", connector.database().bootstrap());
    tributary(&["check", "--config", &file.to_string_lossy(), "--store", &store], SOON).await
}

/// Prints what a role needs.
pub(crate) async fn grants(connector: &Connector, role: &str) -> Result<Finished> {
    let file = connector.write_file()?;
    let store = format!("kafka://{}", connector.database().bootstrap());
    let file = file.to_string_lossy();
    tributary(&["check", "--config", &file, "--store", &store, "--sql", "--role", role], SOON).await
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

/// The printed statements are all that a role without any other power needs, excluded columns and leaves of a partitioned table included.
#[tokio::test]
async fn the_printed_grants_are_enough_and_no_more() -> Result<()> {
    let database = Stack::shared()?.database("leastprivilege").await?;
    let session = database
        .with(
            "create table item (id int primary key, n int, secret text); create schema \"Odd one\";
             create table \"Odd one\".thing (id int primary key); create table other (id int primary key);
             create table parted (id int primary key) partition by range (id);
             create table parted_1 partition of parted for values from (0) to (100);
             revoke all on schema public from public;
             insert into item values (1, 1, 's'); insert into parted values (1); insert into \"Odd one\".thing values (1)",
        )
        .await?;
    session.run(&format!("revoke all on database {} from public", database.name())).await?;
    let role = format!("cdc {}", database.name());
    let connector = database
        .connector()?
        .set("table.include.list", "public.item,public.parted,public.zz_marker,Odd one.thing")
        .set("column.exclude.list", "public.item.secret")
        .set("publish.via.partition.root", "true");
    let printed = grants(&connector, &role).await?;
    assert_eq!(printed.exit_code, 0, "{}", printed.stderr);
    session.run(&printed.stdout).await?;
    let connector = connector.set("database.user", &role);
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (2, 2, 's'); insert into parted values (2)").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "r(1) c(2)");
    assert_eq!(event::story(&database.events("public.parted").await?), "r(1) c(2)");
    assert_eq!(event::story(&database.events("Odd_one.thing").await?), "r(1)");
    let may = "select has_table_privilege($$ROLE$$, 'other', 'select'), has_column_privilege($$ROLE$$, 'item', 'secret', 'select'),
        has_table_privilege($$ROLE$$, 'item', 'insert, update, delete'), rolsuper from pg_roles where rolname = $$ROLE$$"
        .replace("ROLE", &role);
    assert_eq!(session.rows(&may).await?, [["f", "f", "f", "f"]]);
    process.terminate().await?;
    session.run(&format!("drop owned by \"{role}\"; drop role \"{role}\"")).await?;
    Ok(())
}
