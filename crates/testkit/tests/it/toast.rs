//! Values stored out of line that an update did not touch.

use testkit::Result;
use testkit::stack::Stack;

/// Incompressible text of 9.6 kB, which PostgreSQL stores out of line.
const LONG: &str = "(select string_agg(md5(i::text), '') from generate_series(1, 300) i)";

#[tokio::test]
async fn an_untouched_out_of_line_value_is_the_placeholder_and_never_null() -> Result<()> {
    let database = Stack::shared()?.database("toast").await?;
    let session = database.with("create table doc (id int primary key, n int, body text)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run(&format!("insert into doc values (1, 1, {LONG})")).await?;
    session.run("update doc set n = 2; update doc set body = null; update doc set n = 3").await?;
    let events = database.events("public.doc").await?;
    let bodies: Vec<_> =
        events.iter().map(|event| event.payload()["after"]["body"].clone()).collect();
    assert_eq!(bodies[0].as_str().map(str::len), Some(9600));
    assert_eq!(bodies[1], "__debezium_unavailable_value");
    assert!(bodies[2].is_null() && bodies[3].is_null());
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn full_identity_gives_the_real_value_before_and_after() -> Result<()> {
    let database = Stack::shared()?.database("toastfull").await?;
    let session = database
        .with("create table doc (id int primary key, n int, body text); alter table doc replica identity full")
        .await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run(&format!("insert into doc values (1, 1, {LONG})")).await?;
    session.run("update doc set n = 2").await?;
    let events = database.events("public.doc").await?;
    let update = events[1].payload();
    assert_eq!(update["before"]["body"].as_str().map(str::len), Some(9600));
    assert_eq!(update["after"]["body"], update["before"]["body"]);
    connector.terminate().await?;
    Ok(())
}
