//! Slots and streams.

use std::time::Duration;

use pgoutput::Lsn;
use postgres::{
    Class, ConnectionConfig, CreateSlot, Feedback, PostgresError, ReplicationConnection,
    ReplicationStream, SnapshotAction, connect, slot,
};
use tokio::time::timeout;

use crate::support::{
    DEADLINE, PLAIN_SLOT, Seen, config, eventually, options, server, session, slot_and_stream,
    slot_name, start,
};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t";

fn fast() -> Feedback {
    Feedback { status_interval: Duration::from_millis(300), ..Feedback::default() }
}

/// Why a stream ends.
async fn end_of(stream: &mut ReplicationStream) -> PostgresError {
    let read = async {
        loop {
            if let Err(error) = stream.next().await {
                return error;
            }
        }
    };
    timeout(DEADLINE, read).await.expect("the stream did not end in time")
}

#[tokio::test]
async fn changes_arrive_in_order_and_acknowledgements_move_the_slot() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let (mut stream, begin) = slot_and_stream(&config(&server), "s", fast()).await;

    for id in 1..=3 {
        sql.execute("INSERT INTO t VALUES ($1, 'x')", &[&id]).await.unwrap();
    }
    let mut seen = Seen::default();
    seen.until(&mut stream, |seen| seen.commits.len() == 3).await;
    assert_eq!(seen.inserts, ["1", "2", "3"]);

    let before = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
    assert_eq!(before.confirmed_flush_lsn, Some(begin), "nothing moves before it is acknowledged");
    let end = *seen.commits.last().unwrap();
    stream.acknowledge(end);
    eventually("confirmed_flush_lsn", async || {
        let state = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
        (state.confirmed_flush_lsn == Some(end)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_closed_stream_reports_its_last_position_and_frees_the_slot() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let slow = Feedback::default();
    let (mut stream, _) = slot_and_stream(&config(&server), "s", slow).await;
    sql.batch_execute("INSERT INTO t VALUES (1, 'x')").await.unwrap();
    let mut seen = Seen::default();
    seen.until(&mut stream, |seen| seen.commits.len() == 1).await;
    stream.acknowledge(seen.commits[0]);
    stream.close().await;

    let name = slot_name("s");
    let state = slot::wait_until_inactive(&sql, &name, Duration::from_secs(1)).await.unwrap();
    assert_eq!(state.confirmed_flush_lsn, Some(seen.commits[0]));
}

/// A server drops a receiver that is silent for `wal_sender_timeout`; ours is not, though nobody takes what it has read.
#[tokio::test]
async fn the_server_hears_from_us_while_the_consumer_does_not_read() {
    let options = embedded::PostgresOptions::default().set("wal_sender_timeout", "1s");
    let server = start(options).await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let feedback = Feedback { status_interval: Duration::from_mins(1), ..Feedback::default() };
    let (mut stream, _) = slot_and_stream(&config(&server), "s", feedback).await;
    // More than all buffers between the two hold, so that the reader stands still.
    let fill = "INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 50000) i";
    sql.batch_execute(fill).await.unwrap();
    let pid = eventually("the walsender", async || {
        slot::read(&sql, &slot_name("s")).await.unwrap().unwrap().active_pid
    })
    .await;

    let asleep = tokio::time::Instant::now();
    while asleep.elapsed() < Duration::from_secs(4) {
        let state = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
        assert_eq!(state.active_pid, Some(pid), "the server gave up on us");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut seen = Seen::default();
    seen.until(&mut stream, |seen| seen.commits.len() == 1).await;
    assert_eq!(seen.inserts.len(), 50_000);
}

#[tokio::test]
async fn a_cancelled_next_loses_nothing() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let (mut stream, _) = slot_and_stream(&config(&server), "s", fast()).await;
    let fill = "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i";
    sql.batch_execute(fill).await.unwrap();

    let mut seen = Seen::default();
    let read = async {
        while seen.commits.is_empty() {
            // Most of these end before a chunk is there.
            if let Ok(chunk) = timeout(Duration::from_micros(50), stream.next()).await {
                seen.add(&chunk.unwrap());
            }
        }
    };
    timeout(DEADLINE, read).await.unwrap();
    let expected: Vec<String> = (1..=20_000).map(|id: i32| id.to_string()).collect();
    assert_eq!(seen.inserts, expected);
}

/// Work in another database of the cluster moves the log; an idle slot must be able to follow it.
#[tokio::test]
async fn an_idle_stream_hears_where_the_log_is() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    sql.batch_execute("CREATE DATABASE busy").await.unwrap();
    let (mut stream, begin) = slot_and_stream(&config(&server), "s", fast()).await;
    let busy = connect(&config(&server).with_dbname("busy")).await.unwrap();
    busy.batch_execute("CREATE TABLE noise AS SELECT generate_series(1, 1000) i").await.unwrap();
    let row = busy.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap();
    let target: Lsn = row.get::<_, &str>(0).parse().unwrap();
    assert!(target > begin);

    let mut seen = Seen::default();
    seen.until(&mut stream, |seen| seen.keepalives.last() >= Some(&target)).await;
    assert!(seen.inserts.is_empty());
    stream.acknowledge(*seen.keepalives.last().unwrap());
    eventually("the idle slot", async || {
        let state = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
        (state.confirmed_flush_lsn >= Some(target)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_row_larger_than_every_buffer_arrives_whole() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let (mut stream, _) = slot_and_stream(&config(&server), "s", fast()).await;
    sql.batch_execute("INSERT INTO t VALUES (7, repeat('x', 8 * 1024 * 1024))").await.unwrap();
    let mut largest = 0;
    let mut seen = Seen::default();
    let read = async {
        while seen.commits.is_empty() {
            let chunk = stream.next().await.unwrap();
            largest = largest.max(chunk.len_bytes());
            seen.add(&chunk);
        }
    };
    timeout(DEADLINE, read).await.unwrap();
    assert_eq!(seen.inserts, ["7"]);
    assert!(largest > 8 * 1024 * 1024);
}

#[tokio::test]
async fn the_end_of_the_server_is_transient() {
    let mut server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let (mut stream, _) = slot_and_stream(&config(&server), "s", fast()).await;
    // A walsender that is told to end before it streams does not end in good order.
    eventually("the walsender streams", async || {
        let streams = "select 1 from pg_stat_replication where state = 'streaming'";
        let rows = sql.query(streams, &[]).await.unwrap();
        (!rows.is_empty()).then_some(())
    })
    .await;
    server.restart(embedded::StopMode::Fast).await.unwrap();
    let error = end_of(&mut stream).await;
    assert_eq!((error.code(), error.class()), ("PG023", Class::Transient), "{error}");
    let (mut stream, _) = slot_and_stream(&config(&server), "t", fast()).await;
    server.shut_down(embedded::StopMode::Immediate).await;
    let error = end_of(&mut stream).await;
    assert_eq!(error.class(), Class::Transient, "{error}");
    let again = connect(&config(&server)).await.err().unwrap();
    assert_eq!((again.code(), again.class()), ("PG001", Class::Transient));
}

#[tokio::test]
async fn a_walsender_ended_by_hand_is_transient() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let (mut stream, _) = slot_and_stream(&config(&server), "s", fast()).await;
    let state = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
    assert!(slot::end_stale_walsender(&sql, &state, "tributary").await.unwrap());
    let error = end_of(&mut stream).await;
    assert_eq!((error.code(), error.class()), ("PG019", Class::Transient), "{error}");
    slot::wait_until_inactive(&sql, &slot_name("s"), DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_stranger_s_walsender_is_left_alone() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let stranger = config(&server).with_application_name("somebody");
    let (_stream, _) = slot_and_stream(&stranger, "s", fast()).await;
    let state = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
    assert!(state.active_pid.is_some());
    assert!(!slot::end_stale_walsender(&sql, &state, "tributary").await.unwrap());
    let soon = Duration::from_millis(100);
    let error = slot::wait_until_inactive(&sql, &slot_name("s"), soon).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("PG011", Class::Transient));
}

async fn start_error(config: &ConnectionConfig, slot: &str, from: Lsn) -> PostgresError {
    let walsender = ReplicationConnection::connect(config).await.unwrap();
    let stream = walsender.start_replication(&slot_name(slot), from, &options(), fast()).await;
    stream.err().unwrap()
}

#[tokio::test]
async fn every_reason_not_to_start_has_its_own_error() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    let config = config(&server);
    sql.batch_execute(
        "SELECT pg_create_physical_replication_slot('physical');
         SELECT pg_create_logical_replication_slot('ahead', 'pgoutput')",
    )
    .await
    .unwrap();
    assert_eq!(start_error(&config, "none", Lsn::ZERO).await.code(), "PG010");
    assert_eq!(start_error(&config, "physical", Lsn::ZERO).await.code(), "PG026");
    assert_eq!(start_error(&config, "ahead", Lsn::new(1)).await.code(), "PG031");

    sql.batch_execute("CREATE DATABASE other").await.unwrap();
    let elsewhere = config.clone().with_dbname("other");
    let error = start_error(&elsewhere, "ahead", Lsn::ZERO).await;
    assert_eq!(error.code(), "PG026");
    assert!(error.to_string().contains("database `postgres`"), "{error}");

    let (_stream, _) = slot_and_stream(&config, "busy", fast()).await;
    let error = start_error(&config, "busy", Lsn::ZERO).await;
    let PostgresError::SlotActive { pid: Some(pid), .. } = error else { panic!("{error}") };
    let state = slot::read(&sql, &slot_name("busy")).await.unwrap().unwrap();
    assert_eq!(state.active_pid, Some(pid));
}

#[tokio::test]
async fn a_slot_that_lost_its_wal_says_so() {
    let options = embedded::PostgresOptions::default()
        .set("max_slot_wal_keep_size", "1MB")
        .set("min_wal_size", "32MB")
        .set("max_wal_size", "32MB");
    let server = start(options).await;
    let sql = session(&server).await;
    sql.batch_execute(TABLE).await.unwrap();
    sql.batch_execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')").await.unwrap();
    for _ in 0..5 {
        sql.batch_execute("SELECT pg_switch_wal()").await.unwrap();
        sql.batch_execute("CREATE TABLE x (); DROP TABLE x; CHECKPOINT").await.unwrap();
    }
    let state = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
    assert_eq!(state.wal_status, slot::WalStatus::Lost, "{state:?}");
    assert_eq!(state.check_usable("postgres").unwrap_err().code(), "PG012");
    let error = start_error(&config(&server), "s", Lsn::ZERO).await;
    assert_eq!((error.code(), error.class()), ("PG012", Class::Definite), "{error}");
}

#[tokio::test]
async fn a_missing_publication_is_named_at_the_first_change() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let (mut stream, _) = slot_and_stream(&config(&server), "s", fast()).await;
    sql.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    let error = end_of(&mut stream).await;
    assert_eq!((error.code(), error.class()), ("PG014", Class::Definite), "{error}");
}

#[tokio::test]
async fn slots_are_created_once_and_dropped() {
    let server = server().await;
    let sql = session(&server).await;
    let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let name = slot_name("s");
    let export = CreateSlot { snapshot: SnapshotAction::Export, ..PLAIN_SLOT };
    let created = walsender.create_slot(&name, export).await.unwrap();
    assert!(created.snapshot_name.is_some());
    let state = slot::read(&sql, &name).await.unwrap().unwrap();
    assert_eq!(state.confirmed_flush_lsn, Some(created.consistent_point));
    state.check_usable("postgres").unwrap();

    let again = walsender.create_slot(&name, PLAIN_SLOT).await.unwrap_err();
    assert_eq!(again.code(), "PG022");
    walsender.drop_slot(&name, true).await.unwrap();
    assert_eq!(slot::read(&sql, &name).await.unwrap(), None);
    assert_eq!(walsender.drop_slot(&name, false).await.unwrap_err().code(), "PG010");
}

#[tokio::test]
async fn a_full_server_and_a_low_wal_level_are_named() {
    let low = start(embedded::PostgresOptions::default().set("wal_level", "replica")).await;
    let mut walsender = ReplicationConnection::connect(&config(&low)).await.unwrap();
    let error = walsender.create_slot(&slot_name("s"), PLAIN_SLOT).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("PG013", Class::Definite), "{error}");

    let full = start(embedded::PostgresOptions::default().set("max_replication_slots", "1")).await;
    let mut walsender = ReplicationConnection::connect(&config(&full)).await.unwrap();
    walsender.create_slot(&slot_name("a"), PLAIN_SLOT).await.unwrap();
    let error = walsender.create_slot(&slot_name("b"), PLAIN_SLOT).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("PG040", Class::Definite), "{error}");
}

#[tokio::test]
async fn a_server_tells_who_it_is() {
    let server = server().await;
    let sql = session(&server).await;
    let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let identity = walsender.identify_system().await.unwrap();
    let row = sql
        .query_one("SELECT system_identifier::text FROM pg_control_system()", &[])
        .await
        .unwrap();
    assert_eq!(identity.system_id, row.get::<_, String>(0));
    assert_eq!((identity.timeline, identity.database.as_str()), (1, "postgres"));
    assert_eq!(walsender.timeline_history(1).await.unwrap(), []);
    assert_eq!(walsender.server_version_num() / 10_000, u32::from(server.major_version()));
}

/// From PostgreSQL 17 on a slot can follow a failover, and so can whoever asks for it.
#[tokio::test]
async fn a_failover_slot_is_one() {
    let server = start(embedded::PostgresOptions::version(17)).await;
    let sql = session(&server).await;
    let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let failover = CreateSlot { failover: true, snapshot: SnapshotAction::Export, ..PLAIN_SLOT };
    let created = walsender.create_slot(&slot_name("s"), failover).await.unwrap();
    assert!(created.snapshot_name.is_some());
    let state = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
    assert!(state.failover && !state.two_phase && state.invalidation_reason.is_none());
}
