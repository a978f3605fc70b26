//! Reading as of an exported snapshot.

use std::collections::BTreeSet;

use postgres::snapshot::{self, CopyQuery, CtidRange, SnapshotReader};
use postgres::{
    Connection, CreateSlot, Feedback, PostgresError, ReplicationConnection, SnapshotAction,
    TableName,
};

use crate::support::{PLAIN_SLOT, Seen, config, options, server, session, slot_name};

const EXPORT: CreateSlot = CreateSlot { snapshot: SnapshotAction::Export, ..PLAIN_SLOT };

fn query(table: &str, columns: &[&str], ctid_range: Option<CtidRange>) -> CopyQuery {
    CopyQuery {
        table: TableName::new("public", table),
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        ctid_range,
        predicate: None,
        select_override: None,
    }
}

/// All lines of one COPY; every chunk must hold whole lines.
async fn lines(
    reader: &mut SnapshotReader,
    query: &CopyQuery,
) -> Result<Vec<String>, PostgresError> {
    let mut stream = reader.copy(query).await?;
    let mut lines = Vec::new();
    while let Some(chunk) = stream.next().await? {
        assert_eq!(chunk.last(), Some(&b'\n'), "a chunk ends in the middle of a line");
        let text = std::str::from_utf8(&chunk).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    Ok(lines)
}

async fn chunks(sql: &Connection, table: &str, bytes: u64) -> Vec<Option<CtidRange>> {
    let row = sql.query_one("SELECT $1::text::regclass::oid", &[&table]).await.unwrap();
    let extent = snapshot::extent(sql, pgoutput::Oid(row.get(0))).await.unwrap().unwrap();
    let step = u32::try_from(bytes / extent.block_bytes).unwrap();
    CtidRange::WHOLE.cut(extent.blocks, step).into_iter().map(Some).collect()
}

/// Rows before the slot are in the snapshot, rows after it in the stream, none in both, none in neither: by two readers
/// that share the ranges, while somebody writes all the time.
#[tokio::test]
async fn two_readers_and_the_stream_have_every_row_once() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t;
         INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 5000) i",
    )
    .await
    .unwrap();
    let writer = session(&server).await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let write = async {
        let mut id = 5000;
        while stopped.try_recv().is_err() {
            id += 1;
            writer.execute("INSERT INTO t VALUES ($1, 'new')", &[&id]).await.unwrap();
        }
        id
    };
    let read = async {
        let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
        let created = walsender.create_slot(&slot_name("s"), EXPORT).await.unwrap();
        let snapshot = created.snapshot_name.unwrap();
        let mut first = SnapshotReader::open(&config(&server), &snapshot).await.unwrap();
        let mut second = SnapshotReader::open(&config(&server), &snapshot).await.unwrap();
        let ranges = chunks(&sql, "t", 100_000).await;
        assert!(ranges.len() > 5, "{ranges:?}");
        let mut rows = Vec::new();
        for pair in ranges.chunks(2) {
            let queries: Vec<CopyQuery> =
                pair.iter().map(|range| query("t", &["id"], *range)).collect();
            rows.extend(lines(&mut first, &queries[0]).await.unwrap());
            if let Some(other) = queries.get(1) {
                rows.extend(lines(&mut second, other).await.unwrap());
            }
        }
        stop.send(()).unwrap();
        (walsender, created.consistent_point, rows)
    };
    let (last, (walsender, start, copied)) = tokio::join!(write, read);

    let slot = slot_name("s");
    let feedback = Feedback::default();
    let mut stream = walsender.start_replication(&slot, start, &options(), feedback).await.unwrap();
    let mut seen = Seen::default();
    let wanted = last.to_string();
    if !copied.contains(&wanted) {
        seen.until(&mut stream, |seen| seen.inserts.last() == Some(&wanted)).await;
    }
    assert!(copied.len() >= 5000);
    let all: Vec<String> = [copied, seen.inserts].concat();
    let distinct: BTreeSet<i32> = all.iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(all.len(), distinct.len(), "a row came twice");
    assert_eq!(distinct, (1..=last).collect());
}

#[tokio::test]
async fn a_query_copies_its_columns_in_its_order_and_only_its_rows() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(
        "CREATE TABLE t (id int PRIMARY KEY, \"V \"\"v\" text, n int); CREATE TABLE child () INHERITS (t);
         INSERT INTO t VALUES (1, E'a\\tb', NULL), (2, 'c', 5); INSERT INTO child VALUES (9, 'no', 0)",
    )
    .await
    .unwrap();
    let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let snapshot =
        walsender.create_slot(&slot_name("s"), EXPORT).await.unwrap().snapshot_name.unwrap();
    let mut reader = SnapshotReader::open(&config(&server), &snapshot).await.unwrap();
    let mut wanted = query("t", &["n", "V \"v", "id"], None);
    assert_eq!(lines(&mut reader, &wanted).await.unwrap(), ["\\N\ta\\tb\t1", "5\tc\t2"]);
    wanted.predicate = Some("id > 1 OR id < 0".to_owned());
    assert_eq!(lines(&mut reader, &wanted).await.unwrap(), ["5\tc\t2"]);
    wanted.predicate = None;
    wanted.select_override = Some("SELECT * FROM t WHERE id = 1".to_owned());
    assert_eq!(lines(&mut reader, &wanted).await.unwrap(), ["\\N\ta\\tb\t1"]);
}

#[tokio::test]
async fn a_copy_that_is_not_read_to_its_end_does_not_spoil_the_next() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(
        "CREATE TABLE t AS SELECT i AS id, repeat('x', 100) AS v FROM generate_series(1, 20000) i",
    )
    .await
    .unwrap();
    let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let snapshot =
        walsender.create_slot(&slot_name("s"), EXPORT).await.unwrap().snapshot_name.unwrap();
    let mut reader = SnapshotReader::open(&config(&server), &snapshot).await.unwrap();
    let all = query("t", &["id", "v"], None);
    let mut stream = reader.copy(&all).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    assert_eq!(lines(&mut reader, &all).await.unwrap().len(), 20_000);
    let mut failing = all.clone();
    failing.predicate = Some("1 / (id - 10) > 0".to_owned());
    let error = lines(&mut reader, &failing).await.unwrap_err();
    assert_eq!(error.code(), "PG021", "{error}");
    assert!(error.to_string().contains("copy public.t"), "{error}");
}

#[tokio::test]
async fn a_snapshot_ends_with_the_session_that_exported_it() {
    let server = server().await;
    let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let snapshot =
        walsender.create_slot(&slot_name("s"), EXPORT).await.unwrap().snapshot_name.unwrap();
    walsender.identify_system().await.unwrap();
    let error = SnapshotReader::open(&config(&server), &snapshot).await.err().unwrap();
    assert_eq!(error.code(), "PG024", "{error}");
}

/// Between two COPYs a table is not locked. What was written anew meanwhile is found out by its file, what was altered by
/// the server.
#[tokio::test]
async fn a_table_that_changes_between_two_copies_is_noticed() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute("CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    let row = sql.query_one("SELECT 't'::regclass::oid", &[]).await.unwrap();
    let oid = pgoutput::Oid(row.get(0));
    let before = snapshot::extent(&sql, oid).await.unwrap().unwrap();
    let mut walsender = ReplicationConnection::connect(&config(&server)).await.unwrap();
    let snapshot =
        walsender.create_slot(&slot_name("s"), EXPORT).await.unwrap().snapshot_name.unwrap();
    let mut reader = SnapshotReader::open(&config(&server), &snapshot).await.unwrap();
    let both = query("t", &["id", "v"], None);
    assert_eq!(lines(&mut reader, &both).await.unwrap(), ["1\ta"]);
    let name = TableName::new("public", "t");
    assert_eq!(reader.filenode(&name).await.unwrap(), before.filenode);
    reader.end().await.unwrap();
    sql.batch_execute("ALTER TABLE t ALTER id TYPE bigint").await.unwrap();
    let mut reader = SnapshotReader::open(&config(&server), &snapshot).await.unwrap();
    assert_eq!(lines(&mut reader, &both).await.unwrap(), Vec::<String>::new(), "it looks empty");
    assert_ne!(reader.filenode(&name).await.unwrap(), before.filenode);
    reader.end().await.unwrap();
    sql.batch_execute("ALTER TABLE t DROP v").await.unwrap();
    let mut reader = SnapshotReader::open(&config(&server), &snapshot).await.unwrap();
    let error = lines(&mut reader, &both).await.unwrap_err();
    assert_eq!(error.code(), "PG033", "{error}");
}

#[tokio::test]
async fn rows_hidden_by_a_policy_are_an_error_not_a_gap() {
    let server = server().await;
    let sql = session(&server).await;
    sql.batch_execute(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
         CREATE ROLE cdc LOGIN REPLICATION; GRANT SELECT ON t TO cdc",
    )
    .await
    .unwrap();
    let config = config(&server).with_user("cdc").with_dbname("postgres");
    let mut walsender = ReplicationConnection::connect(&config).await.unwrap();
    let snapshot =
        walsender.create_slot(&slot_name("s"), EXPORT).await.unwrap().snapshot_name.unwrap();
    let mut reader = SnapshotReader::open(&config, &snapshot).await.unwrap();
    let error = lines(&mut reader, &query("t", &["id"], None)).await.unwrap_err();
    assert_eq!(error.code(), "PG015", "{error}");
}
