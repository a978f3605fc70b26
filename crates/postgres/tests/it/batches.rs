//! The slot read in batches.

use std::time::Duration;

use pgoutput::Lsn;
use pgoutput::replication::ReplicationMessage;
use postgres::{
    BatchItem, BatchLimits, BatchRequest, BatchStream, Batches, BatchesEnd, Connection,
    ConnectionConfig, Feedback, PgoutputOptions, PostgresError, ReplicationConnection, slot,
};
use tokio::time::timeout;

use crate::support::{
    DEADLINE, PLAIN_SLOT, config, eventually, options, server, session, slot_and_stream, slot_name,
    start,
};

const TABLES: &str = "CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE t (id int PRIMARY KEY, v text, m mood);
    CREATE TABLE u (id int PRIMARY KEY);
    CREATE PUBLICATION p FOR TABLE t, u";

/// Several batches of all kinds of messages, some transactions from elsewhere.
const WORK: &str = "INSERT INTO t SELECT i, repeat('x', i % 200), 'good' FROM generate_series(1, 3000) i;
    SELECT pg_replication_origin_create('elsewhere');
    SELECT pg_replication_origin_session_setup('elsewhere');
    BEGIN; SELECT pg_replication_origin_xact_setup('0/AB', now()); INSERT INTO t VALUES (-1, 'o', 'bad'); COMMIT;
    SELECT pg_replication_origin_session_reset();
    SELECT pg_logical_emit_message(false, 'outside', 'a');
    BEGIN; SELECT pg_logical_emit_message(true, 'inside', 'b'); UPDATE t SET v = 'y' WHERE id < 2000; COMMIT;
    ALTER TABLE t ADD COLUMN w int;
    DO $$ BEGIN FOR i IN 1..500 LOOP INSERT INTO u VALUES (i); DELETE FROM t WHERE id = i; COMMIT; END LOOP; END $$;
    TRUNCATE u;
    INSERT INTO t VALUES (-9, 'last', 'good', 1)";

fn with_messages(sql: &Connection) -> PgoutputOptions {
    PgoutputOptions { messages: sql.server_version_num() >= 140_000, ..options() }
}

async fn request(sql: &Connection, slot: &str, start: Lsn) -> BatchRequest {
    let row = sql.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    BatchRequest {
        slot: slot_name(slot),
        start,
        options: with_messages(sql),
        beside_pid: row.get(0),
        limits: BatchLimits {
            bytes_max: 1 << 20,
            behind_bytes_min: 1,
            ends_unless_it_pays: false,
            move_interval: Duration::ZERO,
        },
        directory: Some(std::env::temp_dir()),
    }
}

async fn open(config: &ConnectionConfig, request: BatchRequest) -> BatchStream {
    match BatchStream::open(config, request).await.unwrap() {
        Batches::Stream(stream) => stream,
        Batches::None(end) => panic!("no batches: {end:?}"),
    }
}

async fn refusal(config: &ConnectionConfig, request: BatchRequest) -> PostgresError {
    BatchStream::open(config, request).await.err().unwrap()
}

/// A message as it came, by either way.
#[derive(Debug, PartialEq, Eq)]
struct Raw {
    wal_start: Lsn,
    payload: Vec<u8>,
}

impl Raw {
    fn of(message: ReplicationMessage<'_>) -> Option<Self> {
        match message {
            ReplicationMessage::XLogData(data) => {
                Some(Self { wal_start: data.wal_start, payload: data.payload.to_vec() })
            }
            ReplicationMessage::PrimaryKeepalive(_) => None,
        }
    }

    /// Each batch describes relations and types anew; how often is no matter.
    fn describes(&self) -> bool {
        matches!(self.payload.first(), Some(b'R' | b'Y'))
    }

    fn is_last(&self) -> bool {
        self.payload.windows(4).any(|bytes| bytes == b"last")
    }
}

/// Everything batches bring until they end.
async fn all(stream: &mut BatchStream) -> (Vec<Raw>, usize, BatchesEnd) {
    let (mut messages, mut batches) = (Vec::new(), 0);
    let read = async {
        loop {
            match stream.next().await.unwrap() {
                BatchItem::Chunk(chunk) => {
                    batches += usize::from(chunk.ends_batch());
                    messages.extend(chunk.messages().filter_map(Raw::of));
                }
                BatchItem::End(end) => return end,
            }
        }
    };
    let end = timeout(DEADLINE, read).await.expect("batches did not end in time");
    (messages, batches, end)
}

async fn until_last(stream: &mut postgres::ReplicationStream) -> Vec<Raw> {
    let mut messages = Vec::new();
    let read = async {
        let ends = |raw: &Raw| raw.payload.first() == Some(&b'C');
        while !(messages.iter().any(Raw::is_last) && messages.last().is_some_and(ends)) {
            let chunk = stream.next().await.unwrap();
            messages.extend(chunk.messages().filter_map(|message| Raw::of(message.unwrap())));
        }
    };
    timeout(DEADLINE, read).await.expect("the stream did not bring it in time");
    messages
}

#[tokio::test]
async fn batches_bring_the_stream_byte_for_byte_with_its_positions() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLES).await.unwrap();
    let config = config(&server);
    let mut walsender = ReplicationConnection::connect(&config).await.unwrap();
    let name = slot_name("s");
    let begin = walsender.create_slot(&name, PLAIN_SLOT).await.unwrap().consistent_point;
    for statement in WORK.split(";\n") {
        sql.batch_execute(statement).await.unwrap();
    }
    let mut batches = open(&config, request(&sql, "s", begin).await).await;
    let (by_batches, count, end) = all(&mut batches).await;
    assert_eq!(end, BatchesEnd::CaughtUp);
    assert!(count > 1, "{count} batches");
    drop(batches);

    let options = with_messages(&sql);
    let feedback = Feedback::default();
    let mut stream = walsender.start_replication(&name, begin, &options, feedback).await.unwrap();
    let by_stream = until_last(&mut stream).await;
    let described = by_stream.iter().filter(|raw| raw.describes());
    assert!(described.clone().count() > 3);
    for raw in described {
        assert!(by_batches.contains(raw), "{raw:?}");
    }
    let rest = |all: Vec<Raw>| all.into_iter().filter(|raw| !raw.describes()).collect::<Vec<_>>();
    let (by_batches, by_stream) = (rest(by_batches), rest(by_stream));
    let begin_elsewhere = by_stream.iter().filter(|raw| raw.wal_start == Lsn::ZERO).count();
    assert_eq!(begin_elsewhere, 1, "a Begin that an Origin follows has no position");
    for (batch, stream) in by_batches.iter().zip(&by_stream) {
        assert_eq!(batch, stream);
    }
    assert_eq!(by_batches.len(), by_stream.len());
}

#[tokio::test]
async fn the_slot_moves_to_what_was_acknowledged_and_no_further() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLES).await.unwrap();
    let config = config(&server);
    let (stream, begin) = slot_and_stream(&config, "s", Feedback::default()).await;
    let fill = "INSERT INTO t SELECT i, repeat('x', 500), 'bad' FROM generate_series(1, 1000) i; DELETE FROM t";
    for _ in 0..20 {
        sql.batch_execute(fill).await.unwrap();
    }
    // A slot that is being streamed can be copied, so nothing is lost if that is refused.
    let mut batches = open(&config, request(&sql, "s", begin).await).await;
    stream.close().await;

    let confirmed = async || {
        let state = slot::read(&sql, &slot_name("s")).await.unwrap().unwrap();
        state.confirmed_flush_lsn.unwrap()
    };
    let mut last = Lsn::ZERO;
    let mut acknowledged = Lsn::ZERO;
    while let BatchItem::Chunk(chunk) = batches.next().await.unwrap() {
        assert!(confirmed().await <= acknowledged.max(begin));
        for message in chunk.messages() {
            if let ReplicationMessage::PrimaryKeepalive(keepalive) = message {
                last = keepalive.wal_end;
            }
        }
        if chunk.ends_batch() && acknowledged == Lsn::ZERO {
            acknowledged = last;
            batches.acknowledge(last);
        }
    }
    assert!(last > acknowledged && acknowledged > begin);
    let moved = eventually("the slot", async || {
        let now = confirmed().await;
        (now > begin).then_some(now)
    })
    .await;
    assert_eq!(moved, acknowledged);
}

/// A batch ends where everything before was read, though nothing of it was for us.
#[tokio::test]
async fn log_of_others_moves_the_position() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLES).await.unwrap();
    let config = config(&server);
    let mut walsender = ReplicationConnection::connect(&config).await.unwrap();
    let created = walsender.create_slot(&slot_name("s"), PLAIN_SLOT).await.unwrap();
    sql.batch_execute("CREATE TABLE noise AS SELECT generate_series(1, 20000) i").await.unwrap();
    let row = sql.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).await.unwrap();
    let target: Lsn = row.get::<_, &str>(0).parse().unwrap();
    let mut batches = open(&config, request(&sql, "s", created.consistent_point).await).await;
    loop {
        let BatchItem::Chunk(chunk) = batches.next().await.unwrap() else { panic!("no batch") };
        // Servers before 15 send transactions that are empty for us.
        match chunk.messages().last() {
            Some(ReplicationMessage::PrimaryKeepalive(keepalive)) if chunk.ends_batch() => {
                assert!(keepalive.wal_end >= target, "{} < {target}", keepalive.wal_end);
                return;
            }
            _ => assert!(!chunk.ends_batch()),
        }
    }
}

/// By itself the server does it every 15 s, and each batch would decode all log since then again.
#[tokio::test]
async fn a_log_that_grows_meanwhile_gets_points_to_restart_from() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLES).await.unwrap();
    let config = config(&server);
    let (stream, begin) = slot_and_stream(&config, "s", Feedback::default()).await;
    let write = async |transactions: u32| {
        let rows = "INSERT INTO t SELECT i, repeat('x', 1900), 'bad' FROM generate_series(1, 500) i; DELETE FROM t";
        for _ in 0..transactions {
            sql.batch_execute(rows).await.unwrap();
        }
    };
    write(5).await;
    let mut batches = open(&config, request(&sql, "s", begin).await).await;
    stream.close().await;
    // Nobody takes what the first batches brought, so the log grows by more than 32 MB before the next.
    write(40).await;
    let logged = async || {
        let who = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%tributary_running_%' AND pid <> pg_backend_pid()";
        sql.query_one(who, &[]).await.unwrap().get::<_, i64>(0) > 0
    };
    while !logged().await {
        let item = timeout(DEADLINE, batches.next()).await.unwrap().unwrap();
        assert!(matches!(item, BatchItem::Chunk(_)), "{item:?} before it was asked for");
    }
    let left =
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'tributary_running_%'";
    eventually("the slot that was made for it to be gone", async || {
        (sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    drop(batches);
}

#[tokio::test]
async fn a_row_larger_than_all_the_memory_for_batches_arrives_whole() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLES).await.unwrap();
    let config = config(&server);
    let mut walsender = ReplicationConnection::connect(&config).await.unwrap();
    let created = walsender.create_slot(&slot_name("s"), PLAIN_SLOT).await.unwrap();
    let large = "INSERT INTO t VALUES (7, repeat('x', 8 * 1024 * 1024), 'good')";
    sql.batch_execute(large).await.unwrap();
    let mut batches = open(&config, request(&sql, "s", created.consistent_point).await).await;
    let (messages, _, _) = all(&mut batches).await;
    let largest = messages.iter().map(|raw| raw.payload.len()).max();
    assert!(largest > Some(8 * 1024 * 1024), "{largest:?}");
}

#[tokio::test]
async fn what_a_server_refuses_is_named() {
    let full = start(embedded::PostgresOptions::default().set("max_replication_slots", "1")).await;
    let sql = session(&full).await;
    sql.batch_execute(TABLES).await.unwrap();
    let config = config(&full);
    let mut walsender = ReplicationConnection::connect(&config).await.unwrap();
    let begin = walsender.create_slot(&slot_name("s"), PLAIN_SLOT).await.unwrap().consistent_point;
    let wanted = request(&sql, "s", begin).await;
    assert_eq!(refusal(&config, wanted.clone()).await.code(), "PG040");
    let early = BatchRequest { start: Lsn::new(1), ..wanted.clone() };
    assert_eq!(refusal(&config, early).await.code(), "PG031");
    let none = BatchRequest { slot: slot_name("none"), ..wanted.clone() };
    assert_eq!(refusal(&config, none).await.code(), "PG010");
    let elsewhere = BatchRequest { beside_pid: -1, ..wanted };
    assert_eq!(refusal(&config, elsewhere).await.code(), "PG017");
}

#[tokio::test]
async fn a_role_that_may_only_replicate_reads_in_batches() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(TABLES).await.unwrap();
    sql.batch_execute("CREATE ROLE reader LOGIN REPLICATION").await.unwrap();
    let reader = config(&server).with_user("reader").with_dbname("postgres");
    let mut walsender = ReplicationConnection::connect(&reader).await.unwrap();
    let begin = walsender.create_slot(&slot_name("s"), PLAIN_SLOT).await.unwrap().consistent_point;
    sql.batch_execute("INSERT INTO u VALUES (1)").await.unwrap();
    let mut batches = open(&reader, request(&sql, "s", begin).await).await;
    let (messages, _, _) = all(&mut batches).await;
    assert!(messages.iter().any(|raw| raw.payload.first() == Some(&b'I')));
}
