//! The same connector started twice.

use testkit::Result;
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};

/// Method: two processes with one configuration, started together, while rows are written; at the end each row's event is
/// there once, in order, and at least one process works on.
#[tokio::test]
async fn two_copies_started_together_double_nothing() -> Result<()> {
    let database = Stack::shared()?.database("twocopies").await?;
    let session = database
        .with("create table item (id int primary key); insert into item select generate_series(1, 1000)")
        .await?;
    let connector = database.connector()?;
    let mut first = connector.start()?;
    let mut second = connector.start()?;
    for id in 1001..=2000 {
        session.run(&format!("insert into item values ({id})")).await?;
    }
    database.sync().await?;
    let working = [&mut first, &mut second].into_iter().filter_map(|copy| copy.exited().ok());
    assert!(
        working.filter(Option::is_none).count() >= 1,
        "{}\n{}",
        first.log_end(),
        second.log_end()
    );
    let events = database.events("public.item").await?;
    let mut ids: Vec<u64> =
        events.iter().filter_map(|event| event.key_payload()["id"].as_u64()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((count, ids.len()), (2000, 2000));
    Ok(())
}

/// Method: the second copy is started while the first streams; afterwards exactly one streams, and nothing is doubled.
#[tokio::test]
async fn a_second_copy_takes_over_or_waits_and_the_stream_goes_on() -> Result<()> {
    let database = Stack::shared()?.database("second").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let mut first = connector.start_streaming().await?;
    session.run("insert into item select generate_series(1, 500)").await?;
    database.sync().await?;
    let mut second = connector.start()?;
    session.run("insert into item select generate_series(501, 1000)").await?;
    database.sync().await?;
    session.run("insert into item select generate_series(1001, 1500)").await?;
    let events = database.events("public.item").await?;
    let ids = events.iter().filter_map(|event| event.key_payload()["id"].as_u64());
    assert!(ids.eq(1..=1500), "{} events", events.len());
    eventually("one copy runs", DEADLINE, async || {
        let running = first.exited()?.is_none() || second.exited()?.is_none();
        Ok(Seen::when(running, || format!("{}\n{}", first.log_end(), second.log_end())))
    })
    .await
}
