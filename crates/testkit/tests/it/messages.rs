//! Logical decoding messages.

use testkit::Result;
use testkit::event::Event;
use testkit::stack::{Database, Stack};

async fn prefixes(database: &Database) -> Result<Vec<String>> {
    let events: Vec<Event> = database.events("message").await?;
    let prefix =
        |event: &Event| event.payload()["message"]["prefix"].as_str().unwrap_or("?").to_owned();
    Ok(events.iter().map(prefix).collect())
}

#[tokio::test]
async fn messages_arrive_in_commit_order_and_rolled_back_ones_never() -> Result<()> {
    let database = Stack::shared()?.database("messages").await?;
    let session = database.session().await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run("begin; select pg_logical_emit_message(true, 'committed', 'a'); commit").await?;
    session
        .run("begin; select pg_logical_emit_message(true, 'rolled back', 'b'); rollback")
        .await?;
    session.run("begin; select pg_logical_emit_message(false, 'at once', 'c'); rollback").await?;
    assert_eq!(prefixes(&database).await?, ["committed", "at once"]);
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_message_is_not_repeated_by_a_restart() -> Result<()> {
    let database = Stack::shared()?.database("messages").await?;
    let session = database.session().await?;
    let connector = database.connector()?;
    let mut process = connector.start_streaming().await?;
    session.run("select pg_logical_emit_message(false, 'one', 'a')").await?;
    session.run("select pg_logical_emit_message(true, 'two', 'b')").await?;
    database.sync().await?;
    process.kill().await?;
    session.run("select pg_logical_emit_message(false, 'three', 'c')").await?;
    let mut process = connector.start_streaming().await?;
    assert_eq!(prefixes(&database).await?, ["one", "two", "three"]);
    process.terminate().await?;
    Ok(())
}
