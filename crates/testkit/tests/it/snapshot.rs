//! The initial snapshot, and its seam with the stream.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::oracle::{self, Plan};
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Result, event};

/// A row of an inheriting table is also a row of the table it inherits from; the stream has it once, and so a snapshot may.
#[tokio::test]
async fn an_inherited_row_is_read_once_where_that_is_wanted() -> Result<()> {
    for (setting, expected) in [("once", vec![1]), ("repeated", vec![1, 2])] {
        let database = Stack::shared()?.database(&format!("inherited{setting}")).await?;
        database
            .with("create table base (id int primary key); create table heir (primary key (id)) inherits (base);
                   insert into base values (1); insert into heir values (2)")
            .await?;
        let connector = database.connector()?.set("tributary.snapshot.inherited.rows", setting);
        let mut process = connector.start_streaming().await?;
        let ids = |events: &[event::Event]| -> Vec<i64> {
            events.iter().filter_map(|event| event.payload()["after"]["id"].as_i64()).collect()
        };
        assert_eq!(ids(&database.events("public.base").await?), expected, "{setting}");
        assert_eq!(ids(&database.events("public.heir").await?), [2], "{setting}");
        process.terminate().await?;
    }
    Ok(())
}

#[tokio::test]
async fn snapshot_gives_each_row_once_and_then_the_stream_goes_on() -> Result<()> {
    let database = Stack::shared()?.database("snapshot").await?;
    let session = database
        .with("create table item (id int primary key, name text); insert into item select i, 'n' || i from generate_series(1, 5) i")
        .await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session
        .run("insert into item values (6, 'n6'); update item set name = 'x' where id = 1")
        .await?;
    let events = database.events("public.item").await?;
    assert_eq!(event::story(&events), "r(1) r(2) r(3) r(4) r(5) c(6) u(1)");
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn snapshot_marks_the_first_and_the_last_row() -> Result<()> {
    let database = Stack::shared()?.database("markers").await?;
    database
        .with(
            "create table a (id int primary key); create table b (id int primary key);
               insert into a values (1), (2), (3); insert into b values (1), (2), (3)",
        )
        .await?;
    let connector =
        database.connector()?.set("table.include.list", "public.a,public.b,public.zz_marker");
    let mut process = connector.start_streaming().await?;
    let mut markers = BTreeMap::<String, usize>::new();
    database.sync().await?;
    for table in ["public.a", "public.b"] {
        for event in testkit::tail::read_topic(database.bootstrap(), &database.topic(table)).await?
        {
            let marker = event.payload()["source"]["snapshot"].clone();
            *markers.entry(marker.as_str().unwrap_or("?").to_owned()).or_default() += 1;
        }
    }
    process.terminate().await?;
    let expected = [
        ("first", 1),
        ("first_in_data_collection", 1),
        ("last", 1),
        ("last_in_data_collection", 1),
        ("true", 2),
    ];
    let expected = expected.map(|(marker, count)| (marker.to_owned(), count));
    assert_eq!(markers, BTreeMap::from(expected));
    Ok(())
}

#[tokio::test]
async fn tables_are_read_in_the_order_of_their_rows_where_that_is_wanted() -> Result<()> {
    for (order, first) in [("ascending", "public.b"), ("descending", "public.a")] {
        let database = Stack::shared()?.database(&format!("by{order}")).await?;
        database
            .with(
                "create table a (id int primary key); create table b (id int primary key);
                 insert into a select generate_series(1, 50); insert into b values (1), (2); analyze a; analyze b",
            )
            .await?;
        let connector = database
            .connector()?
            .set("table.include.list", "public.a,public.b")
            .set("snapshot.mode", "initial_only")
            .set("snapshot.delay.ms", "10")
            .set("snapshot.tables.order.by.row.count", order);
        let mut process = connector.start()?;
        assert_eq!(process.exit_code(DEADLINE).await?, 0);
        let topic = database.topic(first);
        let events = testkit::tail::read_topic(database.bootstrap(), &topic).await?;
        assert_eq!(events[0].payload()["source"]["snapshot"], "first", "{order}");
    }
    Ok(())
}

/// Method: a transaction writes before the slot is made and commits while PostgreSQL waits for it to make the slot.
#[tokio::test]
async fn a_transaction_open_while_the_slot_is_made_arrives_whole_and_once() -> Result<()> {
    let database = Stack::shared()?.database("open").await?;
    let writer = database.with("create table item (id int primary key)").await?;
    writer.run("begin; insert into item values (1)").await?;
    let connector = database.connector()?;
    let mut process = connector.start()?;
    let observer = database.session().await?;
    let slot =
        format!("select 1 from pg_replication_slots where slot_name = '{}'", connector.slot());
    eventually("the slot is being made", DEADLINE, async || {
        process.expect_running()?;
        let found = observer.text(&slot).await?;
        Ok(Seen::when(found.is_some(), || process.log_end()))
    })
    .await?;
    writer.run("insert into item values (2); commit; insert into item values (3)").await?;
    connector.wait_until_streaming(&mut process).await?;
    let events = database.events("public.item").await?;
    let mut ids: Vec<Value> =
        events.iter().map(|event| event.payload()["after"]["id"].clone()).collect();
    ids.sort_by_key(Value::as_i64);
    assert_eq!(ids, [json!(1), json!(2), json!(3)]);
    process.terminate().await?;
    Ok(())
}

/// Method: the oracle without a kill; four readers, four writers that change the same rows.
#[tokio::test]
async fn parallel_readers_join_the_stream_without_gap_or_duplicate_while_others_write() -> Result<()>
{
    let mut plan = Plan::new(7, 4_000, 0);
    plan.kill_in_snapshot = false;
    // A table that is emptied while it is read is read again, and its rows come twice.
    plan.truncates = false;
    plan.settings = vec![("snapshot.max.threads".to_owned(), "4".to_owned())];
    let report = oracle::run(Stack::shared()?, &plan, &|_| {}).await?;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.verdict.snapshot_repeats, 0, "{report}");
    Ok(())
}

#[tokio::test]
async fn no_data_mode_streams_without_a_snapshot() -> Result<()> {
    let database = Stack::shared()?.database("nodata").await?;
    let session = database
        .with("create table item (id int primary key); insert into item values (1)")
        .await?;
    let connector = database.connector()?.set("snapshot.mode", "no_data");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (2)").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(2)");
    process.terminate().await?;
    Ok(())
}

/// Method: the process ends in order once and by SIGKILL once, and rows change meanwhile.
#[tokio::test]
async fn every_start_reads_the_tables_again_after_what_the_slot_has_where_that_is_wanted()
-> Result<()> {
    let database = Stack::shared()?.database("always").await?;
    let session = database
        .with(
            "create table item (id int primary key, n int); insert into item values (1, 0), (2, 0)",
        )
        .await?;
    let connector = database.connector()?.set("snapshot.mode", "always");
    let mut process = connector.start_streaming().await?;
    session.run("update item set n = 1 where id = 1").await?;
    database.sync().await?;
    assert_eq!(process.terminate().await?, 0);
    session.run("insert into item values (3, 0); delete from item where id = 2").await?;
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    // The stream was cut and taken up again by the same process: that is no start.
    session
        .run(&format!(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{}'",
            connector.slot()
        ))
        .await?;
    process.log_with("takes over again", DEADLINE).await?;
    session.run("update item set n = 2 where id = 3").await?;
    database.sync().await?;
    process.kill().await?;
    let mut process = connector.start_streaming().await?;
    let story = event::story(&database.events("public.item").await?);
    assert_eq!(story, "r(1) r(2) u(1) c(3) d(2) ∅(2) r(1) r(3) u(3) r(1) r(3)");
    process.terminate().await?;
    Ok(())
}

/// Method: the slot is dropped, then moved by somebody else, then dropped again under the default mode.
#[tokio::test]
async fn a_gap_is_closed_by_a_new_snapshot_where_the_settings_say_so() -> Result<()> {
    let database = Stack::shared()?.database("needed").await?;
    let session = database
        .with("create table item (id int primary key); insert into item values (1), (2)")
        .await?;
    let connector = database.connector()?.set("snapshot.mode", "when_needed");
    let slot = connector.slot().to_owned();
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    process.terminate().await?;
    connector.wait_until_slot_free(&session).await?;
    session.run(&format!("select pg_drop_replication_slot('{slot}')")).await?;
    session.run("insert into item values (3), (4); delete from item where id = 2").await?;
    let mut process = connector.start_streaming().await?;
    assert_eq!(
        event::story(&database.events("public.item").await?),
        "r(1) r(2) r(1) r(3) r(4) d(2) ∅(2)"
    );
    assert!(process.log().contains("CO012"), "{}", process.log());

    process.terminate().await?;
    connector.wait_until_slot_free(&session).await?;
    session.run("insert into item values (5)").await?;
    session
        .run(&format!("select pg_replication_slot_advance('{slot}', pg_current_wal_flush_lsn())"))
        .await?;
    let connector =
        connector.set("snapshot.mode", "initial").set("tributary.gap.policy", "resnapshot");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (6)").await?;
    assert_eq!(
        event::story(&database.events("public.item").await?),
        "r(1) r(2) r(1) r(3) r(4) d(2) ∅(2) r(1) r(3) r(4) r(5) c(6)"
    );
    assert!(process.log().contains("CO013"), "{}", process.log());
    process.terminate().await?;

    // Without a gap nothing is read again.
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (7)").await?;
    let events = database.events("public.item").await?;
    assert_eq!(event::story(&events[12..]), "c(7)");
    process.terminate().await?;
    Ok(())
}

/// Method: money moves between the rows of four tables, each read by its own reader, before, while and after they are read.
#[tokio::test]
async fn the_rows_of_a_snapshot_read_by_four_are_of_one_moment() -> Result<()> {
    const TABLES: [&str; 4] = ["a", "b", "c", "d"];
    let database = Stack::shared()?.database("sums").await?;
    let session = database.session().await?;
    for table in TABLES {
        session
            .run(&format!(
                "create table {table} (id int primary key, balance int, filler text);
                 insert into {table} select i, 100, repeat('x', 500) from generate_series(1, 5000) i"
            ))
            .await?;
    }
    let connector = database.connector()?.set("snapshot.max.threads", "4");
    let mut process = connector.start()?;
    let is_read = Cell::new(false);
    let read = async {
        let streams = connector.wait_until_streaming(&mut process).await;
        is_read.set(true);
        streams
    };
    let transfer = async {
        let mut transfers = 0;
        while !is_read.get() {
            let (from, to) = (TABLES[transfers % 4], TABLES[(transfers / 4 + 1) % 4]);
            let (one, other) = (transfers % 5000 + 1, (transfers * 7) % 5000 + 1);
            session
                .run(&format!(
                    "begin; update {from} set balance = balance - 10 where id = {one};
                     update {to} set balance = balance + 10 where id = {other}; commit"
                ))
                .await?;
            transfers += 1;
        }
        Result::Ok(transfers)
    };
    let (read, transfers) = tokio::join!(read, transfer);
    read?;
    let transfers = transfers?;
    assert!(transfers > 20, "{transfers} transfers");
    database.sync().await?;
    let (mut read, mut newest) = (0, BTreeMap::new());
    let mut rows = 0;
    for table in TABLES {
        let topic = database.topic(&format!("public.{table}"));
        for event in testkit::tail::read_topic(database.bootstrap(), &topic).await? {
            let balance = event.payload()["after"]["balance"].as_i64().unwrap_or_default();
            if event.operation() == "r" {
                read += balance;
                rows += 1;
            }
            newest.insert((table, event.key_payload()["id"].as_i64()), balance);
        }
    }
    assert_eq!((rows, read), (20_000, 2_000_000));
    assert_eq!(newest.values().sum::<i64>(), 2_000_000);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn views_are_not_read_and_a_table_without_columns_stops_nothing() -> Result<()> {
    let database = Stack::shared()?.database("views").await?;
    let session = database
        .with(
            "create table item (id int primary key); insert into item values (1);
             create view item_view as select * from item;
             create materialized view item_copy as select * from item;
             create table bare (); insert into bare default values",
        )
        .await?;
    let mut process = database.connector()?.start_streaming().await?;
    session
        .run("insert into bare default values; insert into item values (2); refresh materialized view item_copy")
        .await?;
    assert_eq!(event::story(&database.events("public.item").await?), "r(1) c(2)");
    assert_eq!(event::story(&database.events("public.bare").await?), "c()");
    let topics = testkit::tail::topics_with_prefix(database.bootstrap(), database.name())?;
    assert!(topics.iter().all(|topic| !topic.contains("item_")), "{topics:?}");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_snapshot_of_a_large_table_is_complete() -> Result<()> {
    let database = Stack::shared()?.database("large").await?;
    database
        .with("create table item (id int primary key, filler text);
               insert into item select i, repeat(md5(i::text), 20) from generate_series(1, 60000) i")
        .await?;
    let connector = database.connector()?.set("snapshot.max.threads", "3");
    let mut process = connector.start_streaming().await?;
    database.sync_within(Duration::from_mins(2)).await?;
    let mut seen = vec![0_u32; 60_001];
    let mut tail = database.tail("public.item")?;
    tail.each_to_end(DEADLINE, |event| {
        let id = event.payload()["after"]["id"].as_u64().unwrap_or(0);
        seen[usize::try_from(id).unwrap_or(0)] += 1;
        Ok(())
    })
    .await?;
    assert_eq!(seen[0], 0);
    assert!(seen[1..].iter().all(|count| *count == 1));
    process.terminate().await?;
    Ok(())
}
