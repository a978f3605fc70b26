//! `topic.naming.strategy`, from the table to the topic.

use serde_json::json;
use testkit::connector::tributary;
use testkit::stack::Stack;
use testkit::tail::Tail;
use testkit::wait::DEADLINE;
use testkit::{Result, event};

const REGEX: &str = "io.debezium.schema.SchemaRegexTopicNamingStrategy";

/// Method: two shards hold the same keys before the snapshot and in the stream; a table without a key is among them.
#[tokio::test]
async fn shards_share_a_topic_and_their_rows_stay_apart() -> Result<()> {
    let database = Stack::shared()?.database("shards").await?;
    let session = database
        .with(
            "create table item_s1 (id int primary key, v text); create table item_s2 (id int primary key, v text);
             create table log_s1 (line text); alter table log_s1 replica identity full;
             insert into item_s1 values (1, 'a'); insert into item_s2 values (1, 'b')",
        )
        .await?;
    let connector = database
        .connector()?
        .set("topic.naming.strategy", REGEX)
        .set("topic.regex", r"(.*)\.(item|log)_s\d+")
        .set("topic.replacement", "$1.$2_all")
        .set("topic.key.field.name", "shard")
        .set("topic.key.field.regex", r".*_s(\d+)")
        .set("topic.key.field.replacement", "S$1");
    let mut process = connector.start_streaming().await?;
    session
        .run(
            "insert into log_s1 values ('x'); update item_s1 set v = 'c'; update item_s1 set id = 2; delete from item_s2",
        )
        .await?;
    let mut tail = database.tail("public.item_all")?;
    let gone = |event: &event::Event| event.operation() == "∅" && event.brief() == "∅(1,S2)";
    let events = tail.until(DEADLINE, gone).await;
    let events = events.map_err(|failure| failure.during(process.log_end()))?;
    let story = event::story(&events);
    assert_eq!(story, "r(1,S1) r(1,S2) u(1,S1) d(1,S1) ∅(1,S1) c(2,S1) d(1,S2) ∅(1,S2)");
    let lines = database.tail("public.log_all")?.until(DEADLINE, |_| true).await?;
    assert_eq!(lines[0].key_payload(), json!({"shard": "S1"}));
    assert_eq!(process.terminate().await?, 0);
    Ok(())
}

/// Heartbeats, transactions and messages are named alike under every strategy.
#[tokio::test]
async fn unicode_names_of_tables_and_nothing_else() -> Result<()> {
    let database = Stack::shared()?.database("unicode").await?;
    let session = database.with("create table \"a b_c\" (id int primary key)").await?;
    let connector = database
        .connector()?
        .set("topic.naming.strategy", "io.debezium.schema.DefaultUnicodeTopicNamingStrategy")
        .set("topic.delimiter", "-")
        .set("provide.transaction.metadata", "true");
    let mut process = connector.start_streaming().await?;
    session
        .run("insert into \"a b_c\" values (1); select pg_logical_emit_message(true, 'p', 'x')")
        .await?;
    let name = database.name();
    let table = format!("{}-a_u0020b_u005fc", name.replace('_', "_u005f"));
    for topic in [table, format!("{name}-transaction"), format!("{name}.message")] {
        let mut tail = Tail::open(database.bootstrap(), &topic)?;
        let events = tail.until(DEADLINE, |_| true).await;
        events.map_err(|failure| failure.during(format!("{topic}\n{}", process.log_end())))?;
    }
    assert_eq!(process.terminate().await?, 0);
    Ok(())
}

/// Without the schema two tables have one topic, and nothing in a key tells them apart: a check says so.
#[tokio::test]
async fn tables_that_share_a_topic_by_accident_are_named() -> Result<()> {
    let database = Stack::shared()?.database("sharing").await?;
    database
        .with("create schema other; create table item (id int primary key); create table other.item (id int primary key)")
        .await?;
    let connector = database
        .connector()?
        .set("table.include.list", "(public|other)[.]item")
        .set("topic.naming.strategy", "io.debezium.schema.DefaultTopicNamingStrategy");
    let file = connector.write_file()?;
    let store = format!("kafka://{}", database.bootstrap());
    let arguments = ["check", "--config", &file.to_string_lossy(), "--store", &store];
    let finished = tributary(&arguments, DEADLINE).await?;
    assert_eq!(finished.exit_code, 0, "{}\n{}", finished.stdout, finished.stderr);
    assert!(
        finished.stdout.contains("CO040") && finished.stdout.contains("other.item, public.item"),
        "{}",
        finished.stdout
    );
    Ok(())
}
