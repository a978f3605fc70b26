//! Rows that were deleted in a gap, after the snapshot that closes it.

use std::collections::BTreeMap;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorProcess};
use testkit::event::{self, Event};
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Failure, Result};

use crate::item::{folded, table};

const ITEM: &str = "create table item (id int primary key, n int)";

async fn database(label: &str, sql: &str) -> Result<(Database, Session, Connector)> {
    let database = Stack::shared()?.database(label).await?;
    let session = database.with(sql).await?;
    let connector = database.connector()?.set("snapshot.mode", "when_needed");
    Ok((database, session, connector))
}

/// Ends the connector when it has sent everything, drops its slot, and runs `sql`: what it does is in no slot.
async fn leave_gap(
    database: &Database,
    session: &Session,
    connector: &Connector,
    mut process: ConnectorProcess,
    sql: &str,
) -> Result<()> {
    database.sync().await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    connector.wait_until_slot_free(session).await?;
    session.run(&format!("select pg_drop_replication_slot('{}')", connector.slot())).await?;
    session.run(sql).await
}

/// The deletes among `events`, by `id`, each of which must be there once.
fn deletes(events: &[Event]) -> BTreeMap<i64, &Event> {
    let mut deletes = BTreeMap::new();
    for event in events.iter().filter(|event| event.operation() == "d") {
        let id = event.key_payload()["id"].as_i64().unwrap_or_default();
        assert!(deletes.insert(id, event).is_none(), "{id} was deleted twice");
    }
    deletes
}

fn producer(database: &Database) -> Result<FutureProducer> {
    Ok(ClientConfig::new().set("bootstrap.servers", database.bootstrap()).create()?)
}

/// Puts a record into partition 0 of the topic of `item`.
async fn write(
    database: &Database,
    producer: &FutureProducer,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<()> {
    let topic = database.topic("public.item");
    let mut record = FutureRecord::to(&topic).key(key).partition(0);
    if let Some(value) = value {
        record = record.payload(value);
    }
    let sent = producer.send(record, DEADLINE).await;
    sent.map(drop).map_err(|(error, _)| Failure::from(error))
}

/// Method: rows that come, change, go and come back before the gap, in it and after it, in three partitions.
#[tokio::test]
async fn after_a_gap_the_topic_is_the_table_again() -> Result<()> {
    let sql = format!("{ITEM}; insert into item select i, 0 from generate_series(1, 300) i");
    let (database, session, connector) = database("vanished", &sql).await?;
    let connector = connector
        .set("topic.creation.default.partitions", "3")
        .set("topic.creation.default.replication.factor", "1")
        .set("tributary.event.id.header.enabled", "true");
    let process = connector.start_streaming().await?;
    session
        .run(
            "update item set n = 1 where id % 7 = 0; delete from item where id in (5, 6);
             insert into item values (6, 6); insert into item select i, 0 from generate_series(301, 330) i",
        )
        .await?;
    let in_gap = "delete from item where id % 5 = 0; update item set n = 2 where id % 4 = 0;
                  update item set id = id + 1000 where id in (11, 12); delete from item where id = 13;
                  insert into item values (13, 9), (501, 0), (50, 9)";
    leave_gap(&database, &session, &connector, process, in_gap).await?;
    let before =
        testkit::tail::read_topic(database.bootstrap(), &database.topic("public.item")).await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (10, 7), (15, 7)").await?;
    let events = database.events("public.item").await?;
    assert_eq!(folded(&events), table(&session).await?);

    // The topic has three partitions, each in order.
    let since: Vec<Event> = events
        .iter()
        .filter(|event| {
            !before.iter().any(|old| (old.partition, old.offset) == (event.partition, event.offset))
        })
        .cloned()
        .collect();
    let deletes = deletes(&since);
    let gone =
        (1..=330).filter(|id| (id % 5 == 0 && *id != 5 && *id != 50) || [11, 12].contains(id));
    assert!(deletes.keys().copied().eq(gone), "{:?}", deletes.keys());
    for (id, delete) in deletes {
        let last = before.iter().rfind(|old| old.key == delete.key && old.value.is_some());
        let last = last.ok_or_else(|| Failure::new(format!("no record of {id}")))?;
        let payload = delete.payload();
        assert_eq!(payload["before"], last.payload()["after"]);
        assert_eq!(
            (&payload["after"], payload["source"]["snapshot"].as_str()),
            (&Value::Null, Some("false"))
        );
        assert_eq!(payload["source"]["table"], "item");
        assert_eq!(delete.partition, last.partition);
        let event_id = delete.header("tributary.event.id").unwrap_or_default();
        let place = format!(":{}:{}:{}", delete.topic, last.partition, last.offset);
        assert!(event_id.starts_with("gap:") && event_id.ends_with(&place), "{event_id}");
        let tombstone = since
            .iter()
            .find(|event| (event.partition, event.offset) == (delete.partition, delete.offset + 1));
        let tombstone = tombstone.ok_or_else(|| Failure::new(format!("{id} has no tombstone")))?;
        assert_eq!((&tombstone.key, &tombstone.value), (&delete.key, &None));
        assert_eq!(tombstone.header("tributary.event.id"), Some(format!("{event_id}.1")));
    }

    // It is over: the next start tells nothing again.
    process.terminate().await?;
    let mut process = connector.start_streaming().await?;
    assert_eq!(database.events("public.item").await?.len(), events.len());
    process.terminate().await?;
    Ok(())
}

/// Method: thousands of Kafka transactions of deletes; SIGKILL among them, twice.
#[tokio::test]
async fn a_death_among_the_deletes_repeats_none_and_forgets_none() -> Result<()> {
    let sql = format!("{ITEM}; insert into item select i, 0 from generate_series(1, 30000) i");
    let (database, session, connector) = database("vanishedkill", &sql).await?;
    let process = connector.start_streaming().await?;
    let in_gap = "delete from item where id > 100";
    leave_gap(&database, &session, &connector, process, in_gap).await?;
    let connector = connector.set("tributary.commit.bytes.max", "16384");
    // The snapshot itself takes one or two.
    for failpoint in ["end-txn-answered=kill:5@50", "end-txn-answered=kill@500"] {
        connector.die_at(failpoint).await?;
    }
    let all = database.tail("public.item")?.to_end(DEADLINE).await?;
    let told = deletes(&all).len();
    assert!((1..29_900).contains(&told), "{told} deletes were sent before the last SIGKILL");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (200, 1)").await?;
    let events = database.events("public.item").await?;
    assert_eq!(deletes(&events).len(), 29_900);
    assert_eq!(folded(&events), table(&session).await?);
    process.terminate().await?;
    Ok(())
}

/// A connector that was ended by SIGKILL inside the snapshot that closes a gap, in which every third row was deleted.
async fn killed_in_new_snapshot(label: &str) -> Result<(Database, Session, Connector)> {
    let sql = format!(
        "{ITEM}; alter table item add column filler text;
         insert into item select i, 0, repeat('x', 1000) from generate_series(1, 15000) i"
    );
    let (database, session, connector) = database(label, &sql).await?;
    let process = connector.start_streaming().await?;
    let in_gap = "delete from item where id % 3 = 0";
    leave_gap(&database, &session, &connector, process, in_gap).await?;
    let connector = connector.set("tributary.commit.bytes.max", "16384");
    let mut tail = database.tail("public.item")?;
    tail.to_end(DEADLINE).await?;
    connector.die_at("chunk-committed=kill@2").await?;
    let rest = tail.to_end(DEADLINE).await?;
    assert!(rest.iter().any(|event| event.operation() == "r"), "nothing was read");
    let is_last = |event: &Event| {
        let marker = &event.payload()["source"]["snapshot"];
        marker == "last" || marker == "last_in_data_collection"
    };
    assert!(!rest.iter().any(is_last), "the snapshot was complete before the SIGKILL");
    let connector = connector.set("tributary.commit.bytes.max", "1048576");
    Ok((database, session, connector))
}

/// What vanishes between two starts of one snapshot comes from the slot, and so does what comes back.
#[tokio::test]
async fn a_death_in_the_new_snapshot_keeps_the_place_where_it_began() -> Result<()> {
    let (database, session, connector) = killed_in_new_snapshot("vanishedsnap").await?;
    session
        .run(
            "delete from item where id % 5 = 0;
             insert into item select i, 1 from generate_series(3, 90, 3) i",
        )
        .await?;
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item").await?;
    assert_eq!(folded(&events), table(&session).await?);
    assert!(!deletes(&events).contains_key(&3), "a row that came back was deleted");
    process.terminate().await?;
    Ok(())
}

/// What the first snapshot has read may have vanished in the second gap.
#[tokio::test]
async fn a_gap_in_the_new_snapshot_begins_it_anew() -> Result<()> {
    let (database, session, connector) = killed_in_new_snapshot("vanishedagain").await?;
    connector.wait_until_slot_free(&session).await?;
    session
        .run(&format!(
            "select pg_drop_replication_slot('{}'); delete from item where id % 5 = 0",
            connector.slot()
        ))
        .await?;
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item").await?;
    assert_eq!(folded(&events), table(&session).await?);
    assert_eq!(deletes(&events).len(), 7000);
    process.terminate().await?;
    Ok(())
}

/// Method: another writer uses the topic, with keys of its own and with those of our rows.
#[tokio::test]
async fn records_of_others_in_the_topic_stay_as_they_are() -> Result<()> {
    let sql = format!("{ITEM}; insert into item select i, 0 from generate_series(1, 9) i");
    let (database, session, connector) = database("vanishedshared", &sql).await?;
    let process = connector.start_streaming().await?;
    database.sync().await?;
    let producer = producer(&database)?;
    let event = |name: &str, table: &str| {
        let source =
            json!({"name": name, "db": database.name(), "schema": "public", "table": table});
        json!({"before": null, "after": {"id": 1}, "source": source, "op": "c"}).to_string()
    };
    let (other, other_table) = (event("other", "item"), event(database.name(), "other"));
    // A connector of another name, a table of another name, and no JSON at all.
    for (key, value) in [
        (&br#"{"id":101}"#[..], other.as_bytes()),
        (br#"{"id":102}"#, other_table.as_bytes()),
        (br#"{"id":103}"#, b"\0\0\0\0\x01binary"),
        (br#"{"id":104}"#, b"{\"free\":\"form\"}"),
        // From here on these keys are not ours.
        (br#"{"id":8}"#, other.as_bytes()),
    ] {
        write(&database, &producer, key, Some(value)).await?;
    }
    write(&database, &producer, br#"{"id":9}"#, None).await?;
    leave_gap(&database, &session, &connector, process, "delete from item where id > 6").await?;
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item").await?;
    assert_eq!(deletes(&events).keys().collect::<Vec<_>>(), [&7]);
    let log = process.log();
    assert!(log.contains("NT007") && log.contains("is no JSON event"), "{log}");
    process.terminate().await?;
    Ok(())
}

/// Method: tables that share a topic by a naming strategy; the table of one of them is empty after the gap.
#[tokio::test]
async fn tables_that_share_a_topic_are_kept_apart() -> Result<()> {
    let (database, session, connector) = database(
        "vanishedshards",
        "create table item_s1 (id int primary key); create table item_s2 (id int primary key);
         insert into item_s1 values (1), (2); insert into item_s2 values (1), (2)",
    )
    .await?;
    let connector = connector
        .set("topic.naming.strategy", "io.debezium.schema.SchemaRegexTopicNamingStrategy")
        .set("topic.regex", r"(.*)\.item_s\d+")
        .set("topic.replacement", "$1.item_all")
        .set("topic.key.field.name", "shard")
        .set("topic.key.field.regex", r".*_s(\d+)")
        .set("topic.key.field.replacement", "S$1");
    let process = connector.start_streaming().await?;
    let in_gap = "truncate item_s1; delete from item_s2 where id = 2";
    leave_gap(&database, &session, &connector, process, in_gap).await?;
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item_all").await?;
    assert_eq!(
        event::story(&events),
        "r(1,S1) r(2,S1) r(1,S2) r(2,S2) r(1,S2) d(1,S1) ∅(1,S1) d(2,S1) ∅(2,S1) d(2,S2) ∅(2,S2)"
    );
    process.terminate().await?;
    Ok(())
}

/// Method: records with schemas, of a table that gets another column in the gap. The delete has the schema of its row.
#[tokio::test]
async fn a_delete_has_the_row_and_the_schema_of_the_record_it_answers() -> Result<()> {
    let (database, session, connector) = database(
        "vanishedschema",
        "create table item (id numeric(12, 2) primary key, note text, price numeric, at timestamptz, raw bytea);
         insert into item values
           (1, 'a \"b\" é', 12345678901234567890.0123456789, '2020-01-02 03:04:05.678901+00', '\\x00ff'), (2, null, null, null, null)",
    )
    .await?;
    let connector = connector
        .set("key.converter.schemas.enable", "true")
        .set("value.converter.schemas.enable", "true");
    let process = connector.start_streaming().await?;
    let in_gap = "alter table item add column more int default 5; delete from item where id = 1";
    leave_gap(&database, &session, &connector, process, in_gap).await?;
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item").await?;
    let operations: Vec<String> = events.iter().map(Event::operation).collect();
    assert_eq!(operations, ["r", "r", "r", "d", "∅"]);
    let value = |event: &Event| -> Value {
        serde_json::from_slice(event.value.as_deref().unwrap_or_default()).unwrap_or_default()
    };
    let (last, other, delete) = (value(&events[0]), value(&events[2]), value(&events[3]));
    assert_eq!(delete["schema"], last["schema"]);
    assert_ne!(delete["schema"], other["schema"]);
    assert_eq!(delete["payload"]["before"], last["payload"]["after"]);
    assert_eq!(delete["payload"]["op"], "d");
    let names = |value: &Value| -> Vec<String> {
        value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    };
    assert_eq!(names(&delete["payload"]), names(&last["payload"]));
    assert_eq!(names(&delete["payload"]["source"]), names(&last["payload"]["source"]));
    assert_eq!((&events[3].key, &events[4].key), (&events[0].key, &events[0].key));
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn tombstones_and_deletes_that_are_not_wanted_are_not_written() -> Result<()> {
    for (key, value, expected) in [
        ("tombstones.on.delete", "false", "r(1) r(2) r(1) d(2)"),
        ("skipped.operations", "d", "r(1) r(2) r(1)"),
    ] {
        let sql = format!("{ITEM}; insert into item values (1, 0), (2, 0)");
        let (database, session, connector) = database("vanishedplain", &sql).await?;
        let connector = connector.set(key, value);
        let process = connector.start_streaming().await?;
        leave_gap(&database, &session, &connector, process, "delete from item where id = 2")
            .await?;
        let mut process = connector.start_streaming().await?;
        assert_eq!(event::story(&database.events("public.item").await?), expected);
        process.terminate().await?;
    }
    Ok(())
}

/// Rows of a table without key cannot be told apart, and rows that the snapshot does not read are not known to be gone.
#[tokio::test]
async fn tables_whose_vanished_rows_cannot_be_known_are_named() -> Result<()> {
    let (database, session, connector) = database(
        "vanishedparts",
        "create table keyless (id int); alter table keyless replica identity full; create table chosen (id int primary key);
         create table unread (id int primary key); create table filtered (id int primary key);
         create table whole (id int primary key);
         insert into keyless values (1); insert into chosen values (1); insert into unread values (1);
         insert into filtered values (1); insert into whole values (1)",
    )
    .await?;
    let process = connector.start_streaming().await?;
    let in_gap = "delete from keyless; delete from chosen; delete from unread; delete from filtered; delete from whole;
                  insert into unread values (2)";
    leave_gap(&database, &session, &connector, process, in_gap).await?;
    let connector = connector
        .set("snapshot.include.collection.list", "public[.](keyless|chosen|filtered|whole)")
        .set("snapshot.select.statement.overrides", "public.chosen")
        .set(
            "snapshot.select.statement.overrides.public.chosen",
            "select * from chosen where id > 5",
        )
        .set("tributary.publication.pushdown", "rows")
        .set("tributary.row.filter.public.filtered", "id > 5");
    let mut process = connector.start_streaming().await?;
    let log = process.log();
    for (table, why, expected) in [
        ("keyless", "it has no key", "r()"),
        ("chosen", "snapshot.select.statement.overrides", "r(1)"),
        ("unread", "does not read it", "r(1)"),
        ("filtered", "row filter", "r(1)"),
        ("whole", "", "r(1) d(1) ∅(1)"),
    ] {
        let table = format!("public.{table}");
        assert_eq!(event::story(&database.events(&table).await?), expected, "{table}");
        let told = log
            .lines()
            .any(|line| line.contains("NT007") && line.contains(&table) && line.contains(why));
        assert_eq!(told, !why.is_empty(), "{table}: {log}");
    }
    process.terminate().await?;
    Ok(())
}

/// Keys that look different now may be of rows that are there: nobody's row is deleted by guess.
#[tokio::test]
async fn keys_of_another_form_are_left_and_said() -> Result<()> {
    let sql = format!("{ITEM}; insert into item values (1, 0), (2, 0)");
    let (database, session, connector) = database("vanishedform", &sql).await?;
    let process = connector.start_streaming().await?;
    leave_gap(&database, &session, &connector, process, "delete from item where id = 2").await?;
    let connector = connector.set("key.converter.schemas.enable", "true");
    let mut process = connector.start_streaming().await?;
    assert_eq!(event::story(&database.events("public.item").await?), "r(1) r(2) r(1)");
    let log = process.log();
    assert!(
        log.contains("NT007") && log.contains("2 each of which has a key of another form"),
        "{log}"
    );
    process.terminate().await?;
    Ok(())
}

/// Method: the topic is given more partitions in the gap, so that keys go to others than those their old records are in.
#[tokio::test]
async fn a_row_whose_key_goes_to_another_partition_now_is_not_deleted() -> Result<()> {
    let sql = format!("{ITEM}; insert into item select i, 0 from generate_series(1, 40) i");
    let (database, session, connector) = database("vanishedspread", &sql).await?;
    let process = connector.start_streaming().await?;
    leave_gap(&database, &session, &connector, process, "delete from item where id > 20").await?;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", database.bootstrap()).create()?;
    let topic = database.topic("public.item");
    let wider = NewPartitions::new(&topic, 3);
    let made = admin.create_partitions([&wider], &AdminOptions::new()).await?;
    assert!(made.iter().all(std::result::Result::is_ok), "{made:?}");
    let mut process = connector.start_streaming().await?;
    let events = database.events("public.item").await?;
    let deletes = deletes(&events);
    assert!(!deletes.is_empty() && deletes.keys().all(|id| *id > 20), "{:?}", deletes.keys());
    assert!(deletes.len() < 20, "{:?}", deletes.keys());
    assert!(process.log().contains("is in a partition where"), "{}", process.log());
    process.terminate().await?;
    Ok(())
}

/// Method: a table that is rewritten between the point of the snapshot and its reading looks empty to the snapshot, and is read at
/// another one. The table before it is read by a statement that waits for a lock of ours.
#[tokio::test]
async fn rows_that_the_snapshot_could_not_see_are_not_deleted() -> Result<()> {
    let (database, session, connector) = database(
        "vanishedrewrite",
        &format!(
            "{ITEM}; create table first (id int primary key);
                  insert into item values (1, 0), (2, 0); insert into first values (1)"
        ),
    )
    .await?;
    let process = connector.start_streaming().await?;
    leave_gap(&database, &session, &connector, process, "select pg_advisory_lock(42)").await?;
    let waiting = "select f.id from first f, lateral (select pg_advisory_xact_lock(42)) l";
    let connector = connector
        .set("snapshot.select.statement.overrides", "public.first")
        .set("snapshot.select.statement.overrides.public.first", waiting);
    let mut process = connector.start()?;
    let waits = "select 1 from pg_locks where locktype = 'advisory' and objid = 42 and not granted";
    eventually("the snapshot waits", DEADLINE, async || {
        process.expect_running()?;
        let found = session.text(waits).await?;
        Ok(Seen::when(found.is_some(), || process.log_end()))
    })
    .await?;
    session.run("alter table item alter column n type bigint").await?;
    session.run("select pg_advisory_unlock(42)").await?;
    connector.wait_until_streaming(&mut process).await?;
    let story = event::story(&database.events("public.item").await?);
    assert_eq!(story, "r(1) r(2) r(1) r(2)");
    let log = process.log();
    assert!(log.contains("PG033"), "{log}");
    process.terminate().await?;
    Ok(())
}
