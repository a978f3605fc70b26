//! `tributary verify` says that topics and tables are equal where they are, and finds each way in which they are not.

use std::time::Duration;

use serde_json::Value;
use testkit::connector::{Connector, ConnectorProcess, Finished, tributary};
use testkit::event::Event;
use testkit::produce::send_record;
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Failure, Result};
use tokio::task::JoinSet;

/// What consumers are advised to do.
#[path = "../../../../examples/dedupe/dedupe.rs"]
#[expect(unreachable_pub, reason = "it is meant to be copied")]
mod dedupe;

const TABLES: &str = "create table item (id int primary key, n int, body text);
    create table noted (v int, note text); alter table noted replica identity full;
    create table parted (id int primary key, v int) partition by range (id);
    create table parted_1 partition of parted for values from (0) to (100);
    create table parted_2 partition of parted for values from (100) to (200);
    insert into item select i, 0, repeat(md5(i::text), 200) from generate_series(1, 300) i;
    insert into noted select i % 5, 'n' from generate_series(1, 50) i;
    insert into parted select i, i from generate_series(1, 199) i";

async fn verify(connector: &Connector, wait_max: &str) -> Result<Finished> {
    let file = connector.write_file()?;
    let store = format!("kafka://{}", connector.database().bootstrap());
    let file = file.to_string_lossy();
    let arguments = [
        "verify",
        "--config",
        &file,
        "--store",
        &store,
        "--wait-max",
        wait_max,
        "--output",
        "json",
    ];
    tributary(&arguments, DEADLINE).await
}

/// What it says of a table; the table of the harness is left aside.
fn table<'a>(report: &'a Value, name: &str) -> Result<&'a Value> {
    let tables = report["tables"].as_array().into_iter().flatten();
    let mut found = tables.filter(|table| table["table"] == name);
    found.next().ok_or_else(|| Failure::new(format!("no report of {name}: {report}")))
}

/// Counts that are not zero.
fn wrong(table: &Value) -> Vec<String> {
    let counts = ["missing", "different", "phantom", "repeated", "out_of_order", "unreadable"];
    let counts = counts.iter().filter(|count| table[**count] != 0);
    counts.map(|count| format!("{} {count}", table[*count])).collect()
}

async fn change(session: &Session, round: u32) -> Result<()> {
    session
        .run(&format!(
            "begin; update item set n = n + 1 where id % 7 = {round} % 7; delete from item where id = {round};
             insert into item values (1000 + {round}, 1, repeat('y', 3000)); update noted set v = v + 1 where v = {round} % 5;
             delete from noted where ctid in (select ctid from noted limit 1); insert into noted values ({round}, null);
             update parted set id = (id + 100) % 200, v = {round} where id = {round} % 90 + 1
                 and not exists (select from parted p where p.id = ({round} % 90 + 101) % 200); commit"
        ))
        .await
}

#[tokio::test]
async fn a_connector_that_delivers_is_equal_while_tables_are_written_to() -> Result<()> {
    let database = Stack::shared()?.database("verify").await?;
    let session = database.with(TABLES).await?;
    let connector = database.connector()?.set("publish.via.partition.root", "true");
    let mut process = connector.start_streaming().await?;
    for round in 1..30 {
        change(&session, round).await?;
    }
    session.run("alter table item add column late int default 7").await?;
    let writer = database.session().await?;
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        let mut round = 30;
        while change(&writer, round).await.is_ok() {
            round += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    eventually("it writes", DEADLINE, async || {
        let newest = session.text("select max(id) from item").await?;
        let number = newest.as_deref().and_then(|id| id.parse::<u32>().ok());
        Ok(Seen::when(number >= Some(1040), || format!("{newest:?}")))
    })
    .await?;
    for _ in 0..3 {
        let finished = verify(&connector, "60s").await?;
        let report: Value = serde_json::from_str(&finished.stdout)?;
        assert_eq!((finished.exit_code, &report["clean"]), (0, &Value::Bool(true)), "{report:#}");
        for name in ["public.item", "public.noted", "public.parted"] {
            assert!(table(&report, name)?["rows"].as_u64() > Some(20), "{report:#}");
            assert_eq!(table(&report, name)?["not_compared"], Value::Null);
        }
        assert!(table(&report, "public.item")?["unknown_values"].as_u64() > Some(0));
        assert_eq!(table(&report, "public.noted")?["unknown_values"], 0);
    }
    assert_eq!(writing.len(), 1, "it has written all the time");
    writing.shutdown().await;
    process.terminate().await?;
    Ok(())
}

/// A topic to which somebody does something, while its connector runs.
struct Damaged {
    database: Database,
    connector: Connector,
    process: ConnectorProcess,
    events: Vec<Event>,
}

/// A topic with or without ids, and right so far.
async fn damaged(label: &str, ids: bool) -> Result<Damaged> {
    let database = Stack::shared()?.database(label).await?;
    let session = database.with("create table item (id int primary key, n int)").await?;
    let connector = database
        .connector()?
        .set("table.include.list", "public.item,public.zz_marker")
        .set("tributary.event.id.header.enabled", &ids.to_string());
    let process = connector.start_streaming().await?;
    for id in 1..=20 {
        session.run(&format!("insert into item values ({id}, 0)")).await?;
    }
    session.run("update item set n = 1 where id <= 10").await?;
    let events = database.events("public.item").await?;
    let finished = verify(&connector, "20s").await?;
    assert_eq!(finished.exit_code, 0, "{} {}", finished.stdout, finished.stderr);
    Ok(Damaged { database, connector, process, events })
}

async fn found(connector: &Connector) -> Result<Vec<String>> {
    let finished = verify(connector, "20s").await?;
    let report: Value = serde_json::from_str(&finished.stdout)?;
    let wrong = wrong(table(&report, "public.item")?);
    assert_eq!(finished.exit_code, i32::from(!wrong.is_empty()), "{report:#}");
    Ok(wrong)
}

#[tokio::test]
async fn each_kind_of_damage_is_found_and_named() -> Result<()> {
    let Damaged { database, connector, mut process, events } =
        damaged("verifydamage", true).await?;
    let (bootstrap, topic) = (database.bootstrap(), database.topic("public.item"));
    let place = (topic.as_str(), 0);
    // The newest event of key 10 once more: the rows are right, and yet it is a duplicate.
    let newest = &events[events.len() - 1];
    let again = |event: &Event| (event.key.clone(), event.value.clone(), event.headers.clone());
    let (key, value, headers) = again(newest);
    send_record(bootstrap, place, key.as_deref(), value.as_deref(), &headers).await?;
    assert_eq!(found(&connector).await?, ["1 repeated"]);
    // The first event of key 1: an old value, too.
    let (key, value, headers) = again(&events[0]);
    send_record(bootstrap, place, key.as_deref(), value.as_deref(), &headers).await?;
    assert_eq!(found(&connector).await?, ["1 different", "2 repeated"]);
    let twice = database.tail("public.item")?.to_end(DEADLINE).await?;
    let mut seen = dedupe::Seen::default();
    let once: Vec<&Event> = twice
        .iter()
        .filter(|event| {
            let id = event.header("tributary.event.id");
            seen.is_new(&event.topic, event.partition, id.as_deref())
        })
        .collect();
    assert_eq!((twice.len(), once.len()), (events.len() + 2, events.len()), "of the example");
    // An event nobody has seen that belongs further to the front, of a row that is not there.
    let value = String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
    let strange = value.replace(r#""id":1,"#, r#""id":77,"#);
    let headers = [("tributary.event.id".to_owned(), Some(b"0/1:0/1:0".to_vec()))];
    send_record(bootstrap, place, Some(br#"{"id":77}"#), Some(strange.as_bytes()), &headers)
        .await?;
    assert_eq!(
        found(&connector).await?,
        ["1 different", "1 phantom", "2 repeated", "1 out_of_order"]
    );
    // A delete that never was, and what is no event.
    let delete = value
        .replace(r#""op":"c""#, r#""op":"d""#)
        .replace(r#""after":{"id":1,"n":0}"#, r#""after":null"#);
    let headers = [("tributary.event.id".to_owned(), Some(b"FF/1:FF/1:0".to_vec()))];
    send_record(bootstrap, place, Some(br#"{"id":5}"#), Some(delete.as_bytes()), &headers).await?;
    send_record(bootstrap, place, None, Some(b"no event"), &[]).await?;
    assert_eq!(
        found(&connector).await?,
        ["1 missing", "1 different", "1 phantom", "2 repeated", "1 out_of_order", "1 unreadable"]
    );
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn without_ids_an_event_that_comes_again_late_is_out_of_order() -> Result<()> {
    let Damaged { database, connector, mut process, events } =
        damaged("verifynoids", false).await?;
    // The very first has no commit before it, and says nothing of its place.
    let (topic, first) = (database.topic("public.item"), &events[1]);
    let (key, value) = (first.key.as_deref(), first.value.as_deref());
    send_record(database.bootstrap(), (&topic, 0), key, value, &first.headers).await?;
    assert_eq!(found(&connector).await?, ["1 different", "1 out_of_order"]);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_connector_that_is_behind_is_no_verdict() -> Result<()> {
    let database = Stack::shared()?.database("verifybehind").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let connector = database.connector()?;
    let finished = verify(&connector, "1s").await?;
    assert!(finished.stderr.contains("CO026"), "{}", finished.stderr);
    assert_eq!(finished.exit_code, 1);
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    process.kill().await?;
    session.run("insert into item values (1)").await?;
    let finished = verify(&connector, "1s").await?;
    assert!(finished.stderr.contains("CO027"), "{}", finished.stderr);
    assert_eq!(finished.exit_code, 3);
    Ok(())
}
