//! Records that Kafka does not take, and rows that cannot be encoded: nothing of them vanishes.

use serde_json::{Value, json};
use testkit::connector::Connector;
use testkit::event::{Event, story};
use testkit::stack::{Database, Stack};
use testkit::wait::DEADLINE;
use testkit::{Failure, Result};

/// 320,000 hexadecimal digits, which do not compress to what the topics of these tests take.
const LARGE: &str = "(select string_agg(md5(i::text), '') from generate_series(1, 10000) i)";
const LARGE_BYTES: usize = 320_000;
/// What the topics take.
const LIMIT: &str = "100000";

fn connector(database: &Database, policy: &str) -> Result<Connector> {
    Ok(database
        .connector()?
        .set("tributary.oversized.policy", policy)
        .set("topic.creation.default.replication.factor", "1")
        .set("topic.creation.default.partitions", "1")
        .set("topic.creation.default.max.message.bytes", LIMIT))
}

/// The parts of whole records, put together: the headers of the first part of each, and the value.
fn whole(parts: &[Event]) -> Result<Vec<(Event, Vec<u8>)>> {
    let mut records: Vec<(Event, Vec<u8>)> = Vec::new();
    let mut rest = parts.iter();
    while let Some(first) = rest.next() {
        let count: usize = first.header("tributary.parts").unwrap_or_default().parse()?;
        let mut value = first.value.clone().unwrap_or_default();
        for number in 2..=count {
            let part = rest.next().ok_or_else(|| Failure::new("a part is missing"))?;
            assert_eq!(part.header("tributary.part"), Some(number.to_string()));
            assert_eq!(part.header("tributary.id"), first.header("tributary.id"));
            assert_eq!((part.partition, &part.key), (first.partition, &first.key));
            value.extend(part.value.as_deref().unwrap_or_default());
        }
        assert_eq!(first.header("tributary.part").as_deref(), Some("1"));
        records.push((first.clone(), value));
    }
    Ok(records)
}

/// Everything in a topic of whole records. What was committed before is there.
async fn letters(database: &Database, topic: &str) -> Result<Vec<(Event, Vec<u8>)>> {
    let mut parts = database.tail(topic)?.to_end(DEADLINE).await?;
    parts.sort_by_key(|event| (event.partition, event.offset));
    whole(&parts)
}

#[tokio::test]
async fn a_record_that_is_too_large_goes_whole_into_the_dead_letter_topic_once() -> Result<()> {
    let database = Stack::shared()?.database("deadletter").await?;
    let session = database.with("create table doc (id int primary key, n int, body text)").await?;
    session.run(&format!("insert into doc values (1, 0, {LARGE}), (2, 0, 'small')")).await?;
    let connector = connector(&database, "dead.letter")?;
    let mut process = connector.start_streaming().await?;
    session
        .run(&format!(
            "begin; insert into doc values (3, 0, 'small'), (4, 0, {LARGE}), (5, 0, repeat('x', 1000000));
             insert into doc values (6, 0, 'small'); commit"
        ))
        .await?;
    let events = database.events("public.doc").await?;
    assert_eq!(
        story(&events),
        "r(2) c(3) c(5) c(6)",
        "what compresses to what the topic takes is there"
    );
    assert!(process.log().contains("NT010"), "{}", process.log_end());
    process.kill().await?;
    let mut process = connector.start_streaming().await?;
    session.run("update doc set id = 7 where id = 4").await?;
    let events = database.events("public.doc").await?;
    assert_eq!(story(&events), "r(2) c(3) c(5) c(6) d(4) ∅(4) c(7)");
    let letters = letters(&database, "dead-letter").await?;
    let mut seen = Vec::new();
    for (first, value) in &letters {
        let event: Value = serde_json::from_slice(value)?;
        assert_eq!(event["after"]["body"].as_str().map(str::len), Some(LARGE_BYTES));
        assert_eq!(first.key_payload()["id"], event["after"]["id"]);
        assert_eq!(first.header("tributary.topic"), Some(database.topic("public.doc")));
        assert_eq!(first.header("tributary.code").as_deref(), Some("CO022"));
        assert!(first.header("tributary.cause").is_some_and(|cause| cause.contains(LIMIT)));
        seen.push(format!("{} {}", event["op"], event["after"]["id"]));
        let lsn = event["source"]["lsn"].as_u64().unwrap_or_default();
        let position = format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF);
        assert_eq!(first.header("tributary.position"), Some(position));
    }
    seen.sort();
    assert_eq!(seen, [r#""c" 4"#, r#""r" 1"#], "the server does not send the long value of row 7");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_record_that_is_too_large_stops_a_connector_that_was_told_nothing_else() -> Result<()> {
    let database = Stack::shared()?.database("toolarge").await?;
    let session = database.with("create table doc (id int primary key, body text)").await?;
    let connector = connector(&database, "fail")?;
    let mut process = connector.start_streaming().await?;
    session.run(&format!("insert into doc values (17, {LARGE})")).await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1);
    let log = process.log();
    for said in ["CO022", &database.topic("public.doc"), r#"{"id":17}"#, LIMIT, "fix: "] {
        assert!(log.contains(said), "{said}: {}", process.log_end());
    }
    Ok(())
}

/// NaN of a NOT NULL column has no form where numbers are bytes.
#[tokio::test]
async fn a_row_that_cannot_be_encoded_is_a_dead_letter_without_what_is_hidden() -> Result<()> {
    let database = Stack::shared()?.database("poison").await?;
    let session = database
        .with(
            "create table item (id int primary key, n numeric not null, secret text, masked text, note text);
             insert into item values (1, 'NaN', 's', 'm', 'of the snapshot')",
        )
        .await?;
    let connector = connector(&database, "dead.letter")?
        .set("column.exclude.list", "public.item.secret")
        .set("column.mask.with.4.chars", "public.item.masked")
        .set("provide.transaction.metadata", "true");
    let mut process = connector.start_streaming().await?;
    session
        .run(
            "begin; insert into item values (2, 2, 's', 'm', null), (3, 'NaN', 's', 'm', 'of the stream');
             update item set n = 'NaN' where id = 2; delete from item where id = 3; commit",
        )
        .await?;
    let events = database.events("public.item").await?;
    assert_eq!(story(&events), "c(2) d(3) ∅(3)");
    let letters = letters(&database, "dead-letter").await?;
    let mut rows = Vec::new();
    for (first, value) in &letters {
        assert_eq!(first.header("tributary.content").as_deref(), Some("row"));
        assert_eq!(first.header("tributary.code").as_deref(), Some("EN008"));
        rows.push(serde_json::from_slice::<Value>(value)?);
    }
    rows.sort_by_key(|row| row["after"]["id"].to_string());
    let row = |op: &str, after: Value| json!({"schema": "public", "table": "item", "op": op, "before": null, "after": after});
    let expected = [
        row("r", json!({"id": "1", "n": "NaN", "note": "of the snapshot"})),
        row("u", json!({"id": "2", "n": "NaN", "note": null})),
        row("c", json!({"id": "3", "n": "NaN", "note": "of the stream"})),
    ];
    assert_eq!(rows, expected);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_row_that_cannot_be_encoded_is_named_by_the_error() -> Result<()> {
    let database = Stack::shared()?.database("poisonfail").await?;
    let session =
        database.with("create table item (id int primary key, n numeric not null)").await?;
    let connector = connector(&database, "fail")?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (41, 'NaN')").await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1);
    let log = process.log();
    for said in ["EN008", "a row of public.item, from ", r#"key {"id":"41"}"#] {
        assert!(log.contains(said), "{said}: {}", process.log_end());
    }
    Ok(())
}

/// One large row in a snapshot, one that is inserted, one whose old value is large.
async fn large_rows(policy: &str, label: &str) -> Result<(Database, Vec<Event>)> {
    let database = Stack::shared()?.database(label).await?;
    let session = database
        .with("create table doc (id int primary key, body text, raw bytea, small text); alter table doc replica identity full")
        .await?;
    session.run(&format!("insert into doc values (1, {LARGE}, null, 'a')")).await?;
    let connector = connector(&database, policy)?
        .set("tributary.oversized.keep.bytes", "100")
        .set("tributary.event.id.header.enabled", "true")
        .set("provide.transaction.metadata", "true");
    let mut process = connector.start_streaming().await?;
    session
        .run(&format!(
            "begin; insert into doc values (2, 'ä' || {LARGE}, decode({LARGE}, 'hex'), 'b'), (3, repeat('y', 200), null, 'c');
             update doc set body = 'short' where id = 1; commit"
        ))
        .await?;
    let events = database.events("public.doc").await?;
    process.terminate().await?;
    assert_eq!(story(&events), "r(1) c(2) c(3) u(1)");
    for (order, event) in (1..).zip(&events[1..]) {
        assert_eq!(event.payload()["transaction"]["total_order"], order);
    }
    assert_eq!(events[2].payload()["after"]["body"], "y".repeat(200), "it fits, so it is whole");
    assert_eq!(events[2].header("tributary.shortened"), None);
    Ok((database, events))
}

#[tokio::test]
async fn long_values_are_cut_where_the_record_is_too_large() -> Result<()> {
    let (_database, events) = large_rows("truncate", "truncated").await?;
    let (read, inserted, updated) = (&events[0], events[1].payload(), events[3].payload());
    assert_eq!(read.payload()["after"]["body"].as_str().map(str::len), Some(100));
    let header = |event: &Event| event.header("tributary.shortened");
    assert_eq!(header(read), Some(json!({"body": LARGE_BYTES}).to_string()));
    let after = &inserted["after"];
    assert_eq!(after["body"].as_str().map(str::len), Some(100));
    assert!(after["body"].as_str().is_some_and(|body| body.starts_with('ä')));
    assert_eq!(after["raw"].as_str().map(str::len), Some(68), "50 bytes in Base64");
    assert_eq!((&after["small"], &after["id"]), (&json!("b"), &json!(2)));
    let sizes = json!({"body": LARGE_BYTES + 2, "raw": LARGE_BYTES + 2});
    assert_eq!(header(&events[1]), Some(sizes.to_string()));
    assert_eq!(updated["before"]["body"].as_str().map(str::len), Some(100));
    assert_eq!(updated["after"]["body"], "short");
    Ok(())
}

/// What is longer than any request is never built whole. Small parts of a transaction that is sent while it runs come around it.
#[tokio::test]
async fn a_row_that_is_longer_than_a_request_is_cut_or_named() -> Result<()> {
    const LONG: &str = r"repeat(E'\\ of twelve bytes', 800000)";
    let database = Stack::shared()?.database("longrow").await?;
    let session = database.with("create table doc (id int primary key, body text)").await?;
    session.run(&format!("insert into doc values (1, {LONG}), (2, 'small')")).await?;
    let cutting = connector(&database, "truncate")?
        .set("tributary.streaming.transactions", "on")
        .set("tributary.event.id.header.enabled", "true");
    let mut process = cutting.start_streaming().await?;
    session
        .run(&format!(
            "begin; insert into doc values (3, 'small'), (4, {LONG}), (5, 'small'); update doc set body = {LONG} || 'x' where id = 1;
             insert into doc select i, 'many' from generate_series(6, 9) i; commit"
        ))
        .await?;
    let events = database.events("public.doc").await?;
    assert_eq!(story(&events), "r(1) r(2) c(3) c(4) c(5) u(1) c(6) c(7) c(8) c(9)");
    let long = 800_000 * r"\ of twelve bytes".len();
    for (event, bytes) in [(&events[0], long), (&events[3], long), (&events[5], long + 1)] {
        assert_eq!(event.payload()["after"]["body"].as_str().map(str::len), Some(1024));
        let shortened = json!({"body": bytes}).to_string();
        assert_eq!(event.header("tributary.shortened"), Some(shortened));
    }
    process.terminate().await?;

    let failing = connector(&database, "fail")?;
    let mut process = failing.start_streaming().await?;
    session.run(&format!("insert into doc values (17, {LONG})")).await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1);
    let log = process.log();
    for said in ["CO022", &database.topic("public.doc"), r#"{"id":"17"}"#, "8388608", "fix: "] {
        assert!(log.contains(said), "{said}: {}", process.log_end());
    }
    Ok(())
}

#[tokio::test]
async fn a_claim_leads_to_the_whole_record() -> Result<()> {
    let (database, events) = large_rows("claim.check", "claims").await?;
    let letters = letters(&database, "claim-check").await?;
    assert_eq!(letters.len(), 3);
    for (event, column) in [(&events[0], "after"), (&events[1], "after"), (&events[3], "before")] {
        assert_eq!(event.payload()[column]["body"], "__debezium_unavailable_value");
        assert_eq!(event.header("tributary.claim.topic"), Some(database.topic("claim-check")));
        let id = event.header("tributary.claim.id");
        let claimed = letters.iter().find(|(first, _)| first.header("tributary.id") == id);
        let Some((first, value)) = claimed else {
            return Err(Failure::new(format!("nothing is there for claim {id:?}")));
        };
        assert_eq!(first.key, event.key);
        let mut whole: Value = serde_json::from_slice(value)?;
        let body = whole[column]["body"].as_str().unwrap_or_default();
        assert!(body.trim_start_matches('ä').len() == LARGE_BYTES);
        // Everything else is as in the event.
        for field in ["body", "raw"] {
            whole[column][field] = event.payload()[column][field].clone();
        }
        for time in ["ts_ms", "ts_us", "ts_ns"] {
            whole[time] = event.payload()[time].clone();
        }
        assert_eq!(whole, event.payload());
    }
    Ok(())
}

#[tokio::test]
async fn only_named_columns_are_made_shorter() -> Result<()> {
    let database = Stack::shared()?.database("shortcolumns").await?;
    let session =
        database.with("create table doc (id int primary key, body text, other text)").await?;
    let connector = connector(&database, "truncate")?
        .set("tributary.oversized.columns", "public[.]doc[.]other");
    let mut process = connector.start_streaming().await?;
    session.run(&format!("insert into doc values (1, repeat('b', 2000), {LARGE})")).await?;
    let events = database.events("public.doc").await?;
    assert_eq!(events[0].payload()["after"]["body"], "b".repeat(2000));
    assert_eq!(events[0].payload()["after"]["other"].as_str().map(str::len), Some(1024));
    session.run(&format!("insert into doc values (2, {LARGE}, 'c')")).await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1);
    assert!(process.log().contains("CO022"), "{}", process.log_end());
    Ok(())
}
