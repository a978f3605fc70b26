//! Incremental snapshots: tables read while the stream runs, because a signal asks for it.

use std::collections::BTreeMap;

use testkit::connector::Connector;
use testkit::event::Event;
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::tail::Tail;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Result, event};

use crate::item::{folded, table};

const SIGNALS: &str = "create table signals (id varchar(42) primary key, type varchar(32) not null, data varchar(2048))";

/// A database with a signal table, and a connector that streams without an initial snapshot and writes nothing to the source.
async fn database(label: &str, sql: &str) -> Result<(Database, Session, Connector)> {
    let database = Stack::shared()?.database(label).await?;
    let session = database.with(SIGNALS).await?;
    session.run(sql).await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("signal.data.collection", "public.signals")
        .set("read.only", "true");
    Ok((database, session, connector))
}

async fn signal(session: &Session, id: &str, kind: &str, data: &str) -> Result<()> {
    let data = data.replace('\'', "''");
    session.run(&format!("insert into signals values ('{id}', '{kind}', '{data}')")).await
}

async fn execute(session: &Session, id: &str, tables: &str) -> Result<()> {
    signal(session, id, "execute-snapshot", &format!(r#"{{"data-collections": ["{tables}"]}}"#))
        .await
}

/// For each key `n` only grows, whoever brings it: a row of the snapshot never shows what the stream has passed.
fn assert_never_back(events: &[Event]) {
    let mut newest: BTreeMap<i64, i64> = BTreeMap::new();
    for event in events {
        let id = event.key_payload()["id"].as_i64().unwrap_or_default();
        let Some(n) = event.payload()["after"]["n"].as_i64() else { continue };
        let before = newest.insert(id, n).unwrap_or(n);
        assert!(before <= n, "key {id}: {n} after {before} at offset {}", event.offset);
    }
}

/// Method: every row is updated again and again while the table is read in small chunks; SIGKILL twice on the way.
#[tokio::test]
async fn stream_and_chunks_make_the_table_through_sigkills_and_no_row_goes_back_in_time()
-> Result<()> {
    let (database, session, connector) = database(
        "incremental",
        "create table item (id int primary key, n int, filler text);
         insert into item select i, 0, repeat('x', 200) from generate_series(1, 20000) i",
    )
    .await?;
    let notices = format!("{}.notices", database.name());
    let connector = connector
        .set("incremental.snapshot.chunk.size", "500")
        .set("tributary.commit.bytes.max", "65536")
        .set("notification.enabled.channels", "sink")
        .set("notification.sink.topic.name", &notices);
    let mut process = connector.start_streaming().await?;
    execute(&session, "i1", "public.item").await?;
    let writer = database.session().await?;
    let write = async {
        for round in 1..=60 {
            writer
                .run(&format!(
                    "update item set n = n + 1 where id % 60 = {round} - 1 or id % 7 = {round} % 7;
                     delete from item where id % 977 = {round};
                     insert into item values (100000 + {round}, 1, '');
                     update item set id = id + 500000, n = n + 1 where id % 983 = {round} and id < 20000"
                ))
                .await?;
        }
        Result::Ok(())
    };
    let kill = async {
        for count in [1_000, 9_000] {
            let mut tail = database.tail("public.item")?;
            let mut read = 0;
            tail.until(DEADLINE, |event| {
                read += usize::from(event.operation() == "r");
                read >= count
            })
            .await?;
            process.kill().await?;
            process = connector.start()?;
        }
        Result::Ok(())
    };
    let (written, killed) = tokio::join!(write, kill);
    written?;
    killed?;
    connector.wait_until_streaming(&mut process).await?;
    let is_over = |event: &Event| event.payload()["type"] == "COMPLETED";
    Tail::open(database.bootstrap(), &notices)?.until(DEADLINE, is_over).await?;
    let events = database.events("public.item").await?;
    assert_eq!(folded(&events), table(&session).await?);
    assert_never_back(&events);
    let read = events.iter().filter(|event| event.operation() == "r");
    let mut keys: Vec<String> = read.map(Event::brief).collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all, "a chunk that is in Kafka is not sent again");
    let created = events
        .iter()
        .filter(|event| event.operation() == "c" && event.header("__debezium.oldkey").is_none());
    assert_eq!(created.count(), 60, "each insert is one event");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn tables_of_every_kind_of_key_are_read_whole() -> Result<()> {
    let (database, session, connector) = database(
        "incremental",
        r#"create table pair (b text, a int, v text, primary key (a, b));
           insert into pair select 'k''' || i % 3, i / 3, 'v' || i from generate_series(0, 99) i;
           create table plain (v text, n int);
           insert into plain select 'v' || i % 5, i % 5 from generate_series(1, 3000) i;
           create table uniq (id int not null, n int); create unique index on uniq (id);
           insert into uniq select i, i from generate_series(1, 50) i;
           create table empty (id int primary key);
           create table made (id int primary key, twice int generated always as (id * 2) stored);
           insert into made values (1), (2), (3);
           create table nothing (); insert into nothing default values;
           create table "Odd ""Name" ("The Key" text collate "C" primary key, v int);
           insert into "Odd ""Name" values ('', 1), ('a\b', 2), (E'tab\there', 3), ('ä', 4), ('Z', 5);
           create table part (id int primary key, v text) partition by hash (id);
           create table part_0 partition of part for values with (modulus 2, remainder 0);
           create table part_1 partition of part for values with (modulus 2, remainder 1);
           insert into part select i, 'p' from generate_series(1, 30) i"#,
    )
    .await?;
    let connector = connector.set("incremental.snapshot.chunk.size", "7");
    let mut process = connector.start_streaming().await?;
    execute(&session, "i1", "public[.](pair|plain|uniq|empty|made|nothing|odd.*|part.*)").await?;
    for (name, rows) in [
        ("pair", 100),
        ("plain", 3000),
        ("uniq", 50),
        ("empty", 0),
        ("made", 3),
        ("nothing", 0),
        ("Odd \"Name", 5),
        ("part_0", 0),
        ("part_1", 0),
    ] {
        let text = format!("incremental snapshot of `public.{name}`: ");
        let text = if name.starts_with("part") { text } else { format!("{text}{rows} rows") };
        process.log_with(&text, DEADLINE).await?;
    }
    let pairs = database.events("public.pair").await?;
    let keys: Vec<(i64, String)> = pairs
        .iter()
        .map(|event| {
            let key = event.key_payload();
            (key["a"].as_i64().unwrap_or(-1), key["b"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    assert!(keys.is_sorted() && keys.len() == 100, "{keys:?}");
    let source = &pairs[0].payload()["source"];
    assert_eq!(source["snapshot"], "incremental");
    assert!(source["lsn"].is_null() && source["txId"].is_null(), "{source}");
    let plain = database.events("public.plain").await?;
    assert_eq!(plain.len(), 3000);
    assert!(plain.iter().all(|event| event.key.is_none() && event.operation() == "r"));
    let made = database.events("public.made").await?;
    assert_eq!(made[2].payload()["after"]["twice"], 6);
    let odd = database.events("public.Odd__Name").await?;
    assert_eq!(event::story(&odd), "r() r(Z) r(a\\b) r(tab\there) r(ä)");
    let parts = database.events("public.part_0").await?.len()
        + database.events("public.part_1").await?.len();
    assert_eq!(parts, 30);
    process.terminate().await?;
    Ok(())
}

/// Method: the rows have no key that the server knows, but each has its own number, so that the test can tell them apart.
#[tokio::test]
async fn a_row_without_a_key_never_comes_as_it_was_before_the_stream_changed_it() -> Result<()> {
    let (database, session, connector) = database(
        "incremental",
        "create table item (id int, n int, filler text); alter table item replica identity full;
         insert into item select i, 0, repeat('x', 100) from generate_series(1, 20000) i",
    )
    .await?;
    let connector = connector.set("incremental.snapshot.chunk.size", "500");
    let mut process = connector.start_streaming().await?;
    execute(&session, "i1", "public.item").await?;
    for round in 1..=40 {
        session
            .run(&format!(
                "update item set n = n + 1 where id % 40 = {round} - 1 or id % 9 = {round} % 9;
                 delete from item where id % 37 = {round}"
            ))
            .await?;
    }
    process.log_with("incremental snapshot of `public.item`: ", DEADLINE).await?;
    let mut rows: BTreeMap<i64, Option<i64>> = BTreeMap::new();
    for event in database.events("public.item").await? {
        let payload = event.payload();
        let state = |side: &str| (payload[side]["id"].as_i64(), payload[side]["n"].as_i64());
        match (event.operation().as_str(), state("before"), state("after")) {
            ("r", _, (Some(id), Some(n))) => {
                let known = rows.insert(id, Some(n)).unwrap_or(Some(n));
                assert!(known.is_some_and(|known| known <= n), "row {id}: {n} after {known:?}");
            }
            ("u", (Some(id), Some(old)), (_, Some(n))) => {
                let known = rows.insert(id, Some(n)).unwrap_or(Some(old));
                assert_eq!(known, Some(old), "row {id}");
            }
            ("d", (Some(id), _), _) => {
                rows.insert(id, None);
            }
            _ => {}
        }
    }
    rows.retain(|_, n| n.is_some());
    assert_eq!(rows, table(&session).await?);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn conditions_and_a_surrogate_key_choose_rows_and_order() -> Result<()> {
    let (database, session, connector) = database(
        "incremental",
        "create table item (id int primary key, n int not null);
         insert into item select i, i % 3 from generate_series(1, 12) i",
    )
    .await?;
    let connector = connector.set("incremental.snapshot.chunk.size", "2");
    let mut process = connector.start_streaming().await?;
    let data = r#"{"data-collections": ["public.item"], "surrogate-key": "n",
        "additional-conditions": [{"data-collection": "public.item", "filter": "n > 0 or id = 3"}]}"#;
    signal(&session, "i1", "execute-snapshot", data).await?;
    process.log_with("incremental snapshot of `public.item`: 9 rows", DEADLINE).await?;
    let story = event::story(&database.events("public.item").await?);
    assert_eq!(story, "r(3) r(1) r(4) r(7) r(10) r(2) r(5) r(8) r(11)");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn it_rests_while_paused_and_what_is_stopped_is_not_read() -> Result<()> {
    let (database, session, connector) = database(
        "incremental",
        "create table one (id int primary key); insert into one select generate_series(1, 40);
         create table two (id int primary key); insert into two select generate_series(1, 40);
         create table three (id int primary key); insert into three select generate_series(1, 5)",
    )
    .await?;
    let connector = connector
        .set("incremental.snapshot.chunk.size", "10")
        .set("notification.enabled.channels", "sink,log")
        .set("notification.sink.topic.name", &format!("{}.notices", database.name()));
    let mut process = connector.start_streaming().await?;
    // In one transaction, so that nothing is read before the pause.
    session
        .run(
            r#"begin;
               insert into signals values ('i1', 'execute-snapshot', '{"data-collections": ["public.one", "public.two", "public.three"]}');
               insert into signals values ('i2', 'pause-snapshot', ''); commit"#,
        )
        .await?;
    process.log_with("the incremental snapshot is paused", DEADLINE).await?;
    process.kill().await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into one values (1000)").await?;
    assert_eq!(
        event::story(&database.events("public.one").await?),
        "c(1000)",
        "also after a restart"
    );
    signal(&session, "i3", "stop-snapshot", r#"{"data-collections": ["public.two"]}"#).await?;
    signal(&session, "i4", "resume-snapshot", "").await?;
    process.log_with("incremental snapshot of `public.three`: 5 rows", DEADLINE).await?;
    assert_eq!(database.events("public.one").await?.len(), 1 + 41);
    assert_eq!(database.events("public.two").await?.len(), 0);
    signal(&session, "i5", "stop-snapshot", "").await?;
    process.log_with("there is no incremental snapshot", DEADLINE).await?;
    let notices =
        testkit::tail::read_topic(database.bootstrap(), &format!("{}.notices", database.name()))
            .await?;
    let told: Vec<String> = notices
        .iter()
        .map(Event::payload)
        .filter(|notice| notice["aggregate_type"] == "Incremental Snapshot")
        .map(|notice| {
            format!(
                "{} {}",
                notice["id"].as_str().unwrap_or("?"),
                notice["type"].as_str().unwrap_or("?")
            )
        })
        .filter(|told| !told.ends_with("IN_PROGRESS"))
        .collect();
    assert_eq!(
        told,
        [
            "i1 STARTED",
            "i2 PAUSED",
            "i3 ABORTED",
            "i4 RESUMED",
            "i1 TABLE_SCAN_COMPLETED",
            "i1 TABLE_SCAN_COMPLETED",
            "i1 COMPLETED"
        ]
    );
    process.terminate().await?;
    Ok(())
}

/// Method: columns are added, dropped and the key is swapped between two chunks; all rows arrive, in the form of their time.
#[tokio::test]
async fn a_table_that_changes_while_it_is_read_is_read_in_its_new_form() -> Result<()> {
    let (database, session, connector) = database(
        "incremental",
        "create table item (id int primary key, n int, gone text);
         insert into item select i, 0, 'g' from generate_series(1, 20000) i",
    )
    .await?;
    let connector = connector.set("incremental.snapshot.chunk.size", "100");
    let mut process = connector.start_streaming().await?;
    execute(&session, "i1", "public.item").await?;
    let mut tail = database.tail("public.item")?;
    tail.until(DEADLINE, |event| event.operation() == "r").await?;
    session.run("alter table item add column extra int default 7, drop column gone").await?;
    session.run("update item set n = 1 where id % 1000 = 0").await?;
    process.log_with("incremental snapshot of `public.item`: ", DEADLINE).await?;
    let events = database.events("public.item").await?;
    assert_eq!(folded(&events), table(&session).await?);
    assert_never_back(&events);
    let has_extra = |event: &Event| event.payload()["after"].get("extra").is_some();
    let first_new = events.iter().position(has_extra).unwrap_or(events.len());
    assert!(first_new > 0 && first_new < events.len(), "{first_new} of {}", events.len());
    assert!(events[first_new..].iter().all(has_extra), "a row of the old form after the new one");
    let last = events[events.len() - 1].payload();
    assert_eq!(last["after"]["extra"], 7);
    assert!(last["after"].get("gone").is_none());
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn what_the_server_refuses_to_read_is_given_up_and_the_rest_is_read() -> Result<()> {
    let (database, session, connector) = database(
        "incremental",
        "create table item (id int primary key); insert into item values (1);
         create table other (id int primary key); insert into other values (2)",
    )
    .await?;
    let mut process = connector.start_streaming().await?;
    let data = r#"{"data-collections": ["public.item", "public.other"],
        "additional-conditions": [{"data-collection": "public.item", "filter": "nonsense = 1"}]}"#;
    signal(&session, "i1", "execute-snapshot", data).await?;
    process.log_with("the incremental snapshot of `public.item` is given up", DEADLINE).await?;
    process.log_with("incremental snapshot of `public.other`: 1 rows", DEADLINE).await?;
    session.run("insert into item values (3)").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "c(3)");
    process.expect_running()?;
    process.terminate().await?;
    Ok(())
}

/// A role that may read and replicate is enough, and with `read.only=false` a mark that cannot be written is only a warning.
#[tokio::test]
async fn a_role_without_insert_is_enough() -> Result<()> {
    for (read_only, warned) in [("true", false), ("false", true)] {
        let (database, session, connector) = database(
            "incremental",
            "create table item (id int primary key); insert into item values (1), (2)",
        )
        .await?;
        let role = format!("reader_{}", database.name());
        session
            .run(&format!(
                "create role {role} login replication; grant select on item, signals, zz_marker to {role};
                 create publication {} for table item, signals, zz_marker",
                database.name()
            ))
            .await?;
        let connector = connector
            .set("database.user", &role)
            .set("publication.autocreate.mode", "disabled")
            .set("read.only", read_only);
        let mut process = connector.start_streaming().await?;
        execute(&session, "i1", "public.item").await?;
        process.log_with("incremental snapshot of `public.item`: 2 rows", DEADLINE).await?;
        assert_eq!(process.log().contains("cannot be written to"), warned, "{}", process.log());
        assert_eq!(event::story(&database.events("public.item").await?), "r(1) r(2)");
        let signals = session.text("select count(*) from signals").await?;
        assert_eq!(signals.as_deref(), Some("1"));
        process.terminate().await?;
    }
    Ok(())
}

/// Method: a standby that never confirms holds a commit back: it is in the log and in the stream, and no snapshot sees it.
#[tokio::test]
async fn a_commit_that_waits_for_a_standby_is_not_overwritten_by_an_older_row() -> Result<()> {
    let settings = [("synchronous_standby_names", "nobody"), ("synchronous_commit", "local")];
    let stack = Stack::start(&settings).await?;
    let database = stack.database("standby").await?;
    let session = database.with(SIGNALS).await?;
    session
        .run("create table item (id int primary key, n int); insert into item select i, 0 from generate_series(1, 100) i")
        .await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("signal.data.collection", "public.signals")
        .set("read.only", "true");
    let mut process = connector.start_streaming().await?;
    let held = database.session().await?;
    held.run("set synchronous_commit = on").await?;
    let update = held.run("update item set n = 5 where id = 50");
    let rest = async {
        let mut tail = database.tail("public.item")?;
        tail.until(DEADLINE, |event| event.operation() == "u").await?;
        execute(&session, "i1", "public.item").await?;
        // The chunk is thrown away as long as the commit is held back.
        eventually("the chunk was read and thrown away", DEADLINE, async || {
            let lines = process.log();
            Ok(Seen::when(lines.contains("is not seen yet"), || lines))
        })
        .await?;
        session
            .run("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
            .await?;
        process.log_with("incremental snapshot of `public.item`: 100 rows", DEADLINE).await?;
        Result::Ok(())
    };
    let (updated, rest) = tokio::join!(update, rest);
    updated?;
    rest?;
    let events =
        testkit::tail::read_topic(database.bootstrap(), &database.topic("public.item")).await?;
    assert_eq!(folded(&events)[&50], Some(5));
    assert_never_back(&events);
    process.terminate().await?;
    stack.stop().await
}
