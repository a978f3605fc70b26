//! The slot read in batches when the connector is far behind.

use std::time::Duration;

use serde_json::Value;
use testkit::Result;
use testkit::connector::Connector;
use testkit::event::Event;
use testkit::oracle::{Plan, run};
use testkit::stack::{Database, Stack};
use testkit::tail::read_topic;
use testkit::wait::{DEADLINE, unix_ms_now};

/// Small transactions and a large one, every kind of change, and definitions that change between them.
const WORK: [&str; 9] = [
    "insert into item select i, repeat('x', i % 300), 'calm' from generate_series(1, 12000) i",
    "do $$ begin for i in 1..300 loop update item set note = 'u' || i where id between i and i + 3; commit; end loop; end $$",
    "begin; select pg_logical_emit_message(true, 'inside', 'a'); delete from item where id < 100; savepoint s;
     insert into item values (-5, 'rolled back'); rollback to s; update item set id = -id where id < 120; commit",
    "select pg_logical_emit_message(false, 'outside', 'b')",
    "alter table item add column extra numeric default 1.50",
    "insert into item select i, 'later', 'wild', i / 7.0 from generate_series(20001, 26000) i",
    "alter table item drop constraint item_pkey, add primary key (note, id)",
    "insert into item select i, 'last', 'wild', null from generate_series(30001, 40000) i",
    "truncate child",
];

/// Batches from a megabyte on, where the mode has any.
fn reads(mode: &str) -> [(&str, &str); 3] {
    [
        ("tributary.read.mode", mode),
        ("tributary.read.batch.behind.bytes", "1048576"),
        ("tributary.read.batch.bytes.max", "1048576"),
    ]
}

/// A connector that was stopped before anything was written, with these keys beside those that show every record's place.
pub(crate) async fn stopped(
    database: &Database,
    name: &str,
    more: &[(&str, &str)],
) -> Result<Connector> {
    let name = format!("{}_{name}", database.name());
    let mut connector = database
        .connector()?
        .named(&name)
        .set("snapshot.mode", "no_data")
        .set("slot.name", &name)
        .set("topic.prefix", &name)
        .set("provide.transaction.metadata", "true")
        .set("skipped.operations", "none")
        .set("tributary.event.id.header.enabled", "true");
    for (key, value) in more {
        connector = connector.set(key, value);
    }
    let mut process = connector.start_streaming().await?;
    process.terminate().await?;
    Ok(connector)
}

/// Everything of a record that does not tell who made it when.
pub(crate) fn essence(event: &Event, prefix: &str) -> String {
    let text = |bytes: &Option<Vec<u8>>| {
        let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or(b"none")).into_owned();
        text.replace(prefix, "PREFIX")
    };
    let mut value: Value = serde_json::from_str(&text(&event.value)).unwrap_or_default();
    let is_time = |name: &str| matches!(name, "ts_ms" | "ts_us" | "ts_ns");
    // A message outside transactions has no time of its own.
    let is_outside = value["op"] == "m" && value["source"]["txId"].is_null();
    if let Some(source) = value["source"].as_object_mut().filter(|_| is_outside) {
        source.retain(|name, _| !is_time(name));
    }
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, _| !is_time(name));
    }
    let headers = event.headers.iter().filter(|(name, _)| !name.ends_with(".runId"));
    let headers: Vec<String> =
        headers.map(|(name, value)| format!("{name}={}", text(value))).collect();
    format!("{} {value} {}", text(&event.key), headers.join(" "))
}

/// The essence of every record of some topics, once everything has arrived.
async fn records(database: &Database, connector: &Connector, log: &str) -> Result<Vec<String>> {
    let prefix = connector.name();
    let mut process = connector.start()?;
    let marker = format!("{prefix}.public.{}", testkit::stack::MARKER_TABLE);
    let mut tail = testkit::tail::Tail::open(database.bootstrap(), &marker)?;
    tail.until(DEADLINE * 2, |event| event.payload()["after"]["note"] == "end").await?;
    process.log_with(log, Duration::from_secs(1)).await?;
    process.terminate().await?;
    let mut all = Vec::new();
    for topic in ["public.item", "public.child", "message", "transaction"] {
        let events = read_topic(database.bootstrap(), &format!("{prefix}.{topic}")).await?;
        assert!(!events.is_empty(), "{topic}");
        all.extend(events.iter().map(|event| format!("{topic} {}", essence(event, prefix))));
    }
    Ok(all)
}

/// Positions, event ids, transaction ids and orders, keys of their time, schemas, values: nothing shows the way.
#[tokio::test]
async fn records_are_the_same_whichever_way_the_slot_was_read() -> Result<()> {
    let database = Stack::shared()?.database("bothways").await?;
    let session = database
        .with(
            "create type mood as enum ('calm', 'wild');
             create table item (id bigint primary key, note text, mood mood);
             alter table item replica identity full;
             create table child (id int primary key); insert into child values (1)",
        )
        .await?;
    let streamed = stopped(&database, "s", &reads("stream")).await?;
    let batched = stopped(&database, "b", &reads("auto")).await?;
    session.run("insert into child values (2)").await?;
    for statement in WORK {
        session.run(statement).await?;
    }
    session.run("insert into zz_marker(note) values ('end')").await?;
    let by_stream = records(&database, &streamed, "streams from").await?;
    let by_batches = records(&database, &batched, "reads in batches from").await?;
    for (batch, stream) in by_batches.iter().zip(&by_stream) {
        assert_eq!(batch, stream);
    }
    assert_eq!(by_batches.len(), by_stream.len());
    assert!(by_stream.len() > 28_000, "{}", by_stream.len());
    Ok(())
}

/// Method: the way is changed every 200 ms, under load, and the connector is killed at random moments.
#[tokio::test]
async fn changes_of_the_way_and_sigkills_double_and_lose_nothing() -> Result<()> {
    let mut plan = Plan::new(unix_ms_now().unsigned_abs(), 12_000, 3);
    plan.kill_in_snapshot = false;
    plan.settings.push(("tributary.read.switch.every.ms".to_owned(), "200".to_owned()));
    let report = run(Stack::shared()?, &plan, &|_| {}).await?;
    assert!(report.is_clean(), "{report}");
    Ok(())
}

/// Method: a server with room for the connector's slot alone.
#[tokio::test]
async fn a_connector_without_a_free_slot_catches_up_by_streaming_and_says_so() -> Result<()> {
    let stack = Stack::start(&[("max_replication_slots", "1"), ("fsync", "off")]).await?;
    let database = stack.database("noslot").await?;
    let session = database.with("create table item (id int primary key, note text)").await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("tributary.read.batch.behind.bytes", "1048576");
    let mut process = connector.start_streaming().await?;
    process.terminate().await?;
    let fill = "insert into item select i, repeat('x', 500) from generate_series(1, 5000) i";
    session.run(fill).await?;
    let mut process = connector.start()?;
    database.sync().await?;
    process.log_with("NT006", DEADLINE).await?;
    let log = process.log();
    assert!(log.contains("PG040") && log.contains("streams from"), "{log}");
    assert_eq!(database.events("public.item").await?.len(), 5000);
    process.terminate().await?;
    stack.stop().await
}

/// Method: a connector far behind dies after some commits, long before it moves its slot, and dies again before its next commit. The
/// second start has moved the slot to what the first run brought: a third does not decode that again.
#[tokio::test]
async fn a_start_moves_the_slot_to_what_is_committed() -> Result<()> {
    let database = Stack::shared()?.database("diesagain").await?;
    let session = database.with("create table item (id bigint primary key, note text)").await?;
    let settings = reads("auto").into_iter().chain([("tributary.commit.bytes.max", "131072")]);
    let connector = stopped(&database, "d", &settings.collect::<Vec<_>>()).await?;
    let write = "do $$ begin for i in 1..200 loop insert into item select i * 1000 + j, repeat('x', 200) from generate_series(1, 100) j; commit; end loop; end $$";
    session.run(write).await?;
    let moved = format!(
        "select confirmed_flush_lsn - '0/0' from pg_replication_slots where slot_name = '{}'",
        connector.slot()
    );
    let stands = async || -> Result<u64> {
        connector.wait_until_slot_free(&session).await?;
        Ok(session.text(&moved).await?.unwrap_or_default().parse()?)
    };
    let first = stands().await?;
    connector.die_at("after-acknowledgement=kill@8").await?;
    assert_eq!(stands().await?, first, "it is moved every ten seconds");
    connector.die_at("before-hand-over=kill").await?;
    let second = stands().await?;
    assert!(second > first, "{second}, {first}");

    let mut process = connector.start()?;
    session.run("insert into zz_marker(note) values ('end')").await?;
    let prefix = connector.name();
    let marker = format!("{prefix}.public.{}", testkit::stack::MARKER_TABLE);
    let mut tail = testkit::tail::Tail::open(database.bootstrap(), &marker)?;
    tail.until(DEADLINE, |event| event.payload()["after"]["note"] == "end").await?;
    process.terminate().await?;
    let events = read_topic(database.bootstrap(), &format!("{prefix}.public.item")).await?;
    let mut ids: Vec<_> =
        events.iter().filter_map(|event| event.key_payload()["id"].as_i64()).collect();
    ids.sort_unstable();
    let expected = (1..=200).flat_map(|i| (1..=100).map(move |j| i * 1000 + j));
    assert!(ids.iter().copied().eq(expected), "{} rows", ids.len());
    Ok(())
}
