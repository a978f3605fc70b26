//! Signals through a table of the source.

use testkit::stack::Stack;
use testkit::tail::topics_with_prefix;
use testkit::wait::DEADLINE;
use testkit::{Result, event};

/// A table `app.signals` beside what is captured, and a table `public.item`.
const TABLES: &str = "create schema app;
    create table app.signals (id varchar(42) primary key, type varchar(32) not null, data varchar(2048));
    create table item (id int primary key)";

#[tokio::test]
async fn a_signal_table_the_lists_leave_out_is_heeded_and_gives_no_events() -> Result<()> {
    let database = Stack::shared()?.database("signal").await?;
    let session = database.with(TABLES).await?;
    let connector = database.connector()?.set("signal.data.collection", "app.signals");
    let mut process = connector.start_streaming().await?;
    session
        .run(r#"begin; insert into item values (1);
                insert into app.signals values ('m1', 'log', '{"message": "seen at {}!"}'); commit"#)
        .await?;
    process.log_with("seen at 0/", DEADLINE).await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(1)");
    let topics = topics_with_prefix(database.bootstrap(), database.name())?;
    assert!(topics.iter().all(|topic| !topic.contains("signals")), "{topics:?}");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_captured_signal_table_gives_events_like_any_other() -> Result<()> {
    let database = Stack::shared()?.database("signal").await?;
    let session = database
        .with("create table signals (id varchar(42) primary key, type varchar(32) not null, data varchar(2048))")
        .await?;
    let connector = database.connector()?.set("signal.data.collection", "public.signals");
    let mut process = connector.start_streaming().await?;
    session.run(r#"insert into signals values ('m1', 'log', '{"message": "hello"}')"#).await?;
    process.log_with("hello", DEADLINE).await?;
    let events = database.events("public.signals").await?;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].payload()["after"]["type"], "log");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_warning_and_the_stream_goes_on() -> Result<()> {
    let database = Stack::shared()?.database("signal").await?;
    let session = database.with(TABLES).await?;
    let connector = database
        .connector()?
        .set("signal.data.collection", "app.signals")
        .set("skipped.operations", "c,t");
    let mut process = connector.start_streaming().await?;
    for (id, kind, data) in [
        ("w1", "make-coffee", "{}"),
        ("w2", "execute-snapshot", "{"),
        ("w3", "execute-snapshot", r#"{"type": "blocking", "data-collections": ["no.such"]}"#),
        ("w4", "log", r#"{"message": "done", "colour": "red"}"#),
    ] {
        session
            .run(&format!("insert into app.signals values ('{id}', '{kind}', '{data}')"))
            .await?;
    }
    process.log_with("done", DEADLINE).await?;
    let log = process.log();
    for text in ["make-coffee", "no JSON object", "no captured table", "`colour` means nothing"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    process.expect_running()?;
    process.terminate().await?;
    Ok(())
}
