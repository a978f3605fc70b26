//! What an application says of its transaction, as headers of the transaction's events.

use testkit::Result;
use testkit::event::Event;
use testkit::stack::Stack;
use testkit::wait::DEADLINE;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn said(request: u32) -> String {
    format!(
        r#"select pg_logical_emit_message(true, 'tributary.context', '{{"request":"{request}","traceparent":"{TRACE}"}}')"#
    )
}

fn requests(events: &[Event]) -> Vec<Option<String>> {
    events.iter().map(|event| event.header("tributary.context")).collect()
}

#[tokio::test]
async fn every_event_of_a_transaction_carries_what_was_said_before_it_and_no_other_does()
-> Result<()> {
    let database = Stack::shared()?.database("context").await?;
    let session = database.with("create table item (id int primary key, v int)").await?;
    let connector = database.connector()?.set("context.message.prefix", "tributary.context");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1, 1)").await?;
    let context = said(7);
    session
        .run(&format!(
            "begin; insert into item values (2, 1); {context}; insert into item values (3, 1);
             update item set id = 4 where id = 1; delete from item where id = 2;
             select pg_logical_emit_message(true, 'other', 'x'); commit"
        ))
        .await?;
    session.run("insert into item values (5, 1)").await?;
    session
        .run("begin; select pg_logical_emit_message(true, 'tributary.context', 'no object'); insert into item values (6, 1); commit")
        .await?;
    let events = database.events("public.item").await?;
    let said = Some(r#"{"request":"7"}"#.to_owned());
    // c(1) c(2) | c(3), d(1) ∅(1) c(4), d(2) ∅(2) | c(5) c(6)
    let mut expected = vec![None; 2];
    expected.extend(vec![said.clone(); 6]);
    expected.extend([None, None]);
    assert_eq!(requests(&events), expected, "{}", testkit::event::story(&events));
    assert_eq!(events[2].header("traceparent").as_deref(), Some(TRACE));
    assert_eq!(events[8].header("traceparent"), None);
    let messages = database.events("message").await?;
    assert_eq!(requests(&messages), [said], "the context message is no event of its own");
    assert!(process.log().contains("is no JSON object"), "{}", process.log_end());
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn the_context_is_known_after_a_restart_in_the_middle_of_its_transaction() -> Result<()> {
    let database = Stack::shared()?.database("context").await?;
    let session = database.with("create table item (id int primary key, filler text)").await?;
    let connector = database
        .connector()?
        .set("context.message.prefix", "tributary.context")
        .set("tributary.commit.bytes.max", "32768");
    let mut process = connector.start_streaming().await?;
    let context = said(9);
    session
        .run(&format!(
            "begin; {context}; insert into item select i, repeat('x', 100) from generate_series(1, 20000) i; commit"
        ))
        .await?;
    let mut tail = database.tail("public.item")?;
    tail.until(DEADLINE, |event| event.key_payload()["id"].as_u64() > Some(200)).await?;
    process.kill().await?;
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item").await?;
    assert_eq!(events.len(), 20_000);
    assert!(requests(&events).iter().all(Option::is_some));
    process.terminate().await?;
    Ok(())
}
