//! Large transactions, which come before they commit and wait on the connector's own disk.

use std::path::Path;

use crate::batches;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::Result;
use testkit::connector::Connector;
use testkit::oracle::{Plan, run};
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::tail::{Tail, read_topic};
use testkit::wait::{DEADLINE, Seen, eventually, unix_ms_now};

use crate::batches::essence;
use crate::item::half_sent;

/// A database in which every transaction above 64 kB is large.
async fn database(label: &str) -> Result<Database> {
    let database = Stack::shared()?.database(label).await?;
    let name = database.name();
    let setting = format!("alter database \"{name}\" set logical_decoding_work_mem = '64kB'");
    database.session().await?.run(&setting).await?;
    Ok(database)
}

/// A connector that was stopped before anything was written.
async fn stopped(database: &Database, streaming: &str) -> Result<Connector> {
    let more = [
        ("context.message.prefix", "context"),
        ("tributary.read.mode", "stream"),
        ("tributary.streaming.transactions", streaming),
    ];
    batches::stopped(database, streaming, &more).await
}

/// What a connector made of it.
struct Read {
    /// The essence of every record, topic by topic in their order.
    records: Vec<String>,
    log: String,
}

/// Runs the connector until everything has arrived.
async fn read(database: &Database, connector: &Connector) -> Result<Read> {
    let prefix = connector.name();
    let mut process = connector.start()?;
    let marker = format!("{prefix}.public.{}", testkit::stack::MARKER_TABLE);
    let mut tail = Tail::open(database.bootstrap(), &marker)?;
    let arrived = tail.until(DEADLINE * 2, |event| event.payload()["after"]["note"] == "end").await;
    arrived.map_err(|failure| failure.during(process.log_end()))?;
    process.terminate().await?;
    let mut topics =
        testkit::tail::topics_with_prefix(database.bootstrap(), &format!("{prefix}."))?;
    topics.sort();
    let mut all = Vec::new();
    for topic in topics {
        let events = read_topic(database.bootstrap(), &topic).await?;
        let short = topic.replace(prefix, "");
        all.extend(events.iter().map(|event| format!("{short} {}", essence(event, prefix))));
    }
    Ok(Read { records: all, log: process.log() })
}

/// Transactions that the server has sent to a slot before they ended.
async fn streamed(session: &Session, slot: &str) -> Result<u64> {
    let sql =
        format!("select stream_txns from pg_stat_replication_slots where slot_name = '{slot}'");
    Ok(session.text(&sql).await?.and_then(|count| count.parse().ok()).unwrap_or_default())
}

/// Does `work` once and reads it in both ways. Returns what came of it with streaming; the records are the same without.
async fn both_ways(
    database: &Database,
    work: impl AsyncFnOnce(&Session) -> Result<()>,
) -> Result<Read> {
    let on = stopped(database, "on").await?;
    let off = stopped(database, "off").await?;
    let session = database.session().await?;
    work(&session).await?;
    session.run("insert into zz_marker(note) values ('end')").await?;
    let with = read(database, &on).await?;
    let without = read(database, &off).await?;
    for (one, other) in with.records.iter().zip(&without.records) {
        assert_eq!(one, other);
    }
    assert_eq!(with.records.len(), without.records.len());
    assert_eq!(streamed(&session, off.slot()).await?, 0);
    assert!(streamed(&session, on.slot()).await? > 0, "nothing was large");
    Ok(with)
}

/// Rows of about a kilobyte.
fn rows(from: u32, to: u32, note: &str) -> String {
    format!(
        "insert into item select i, '{note}' || repeat('x', 900) from generate_series({from}, {to}) i;"
    )
}

/// What one transaction can have in it, each in the middle of more rows than the server keeps in memory.
fn everything() -> Vec<String> {
    let (many, more) = (rows(1, 400, "a"), rows(1001, 1400, "b"));
    vec![
        // Nested savepoints, rolled back at every depth, before the first row that stays and behind the last.
        format!(
            "begin; savepoint a; {} rollback to a; {many} savepoint b; update item set note = 'undone' || id; savepoint c; {more} release c; rollback to b;
             savepoint d; delete from item where id % 3 = 0; savepoint e; {} rollback to e; {more} release d; savepoint f; update item set note = 'z' || note; rollback to f; commit",
            rows(1, 400, "undone"),
            rows(2001, 2400, "undone")
        ),
        // Whole transactions that roll back, and one of which only that is left.
        format!("begin; {} rollback", rows(3001, 3400, "undone")),
        format!("begin; savepoint a; {} rollback to a; commit", rows(3001, 3400, "undone")),
        // Messages and contexts on both sides of parts.
        format!(
            "begin; select pg_logical_emit_message(true, 'context', '{{\"user\": \"u1\"}}'); {}
             select pg_logical_emit_message(true, 'inside', repeat('m', 300)); select pg_logical_emit_message(false, 'outside', 'o');
             savepoint a; select pg_logical_emit_message(true, 'context', '{{\"user\": \"undone\"}}'); rollback to a; {} commit",
            rows(4001, 4300, "c"),
            rows(4301, 4600, "c")
        ),
        // Keys change, and values that are stored out of line do not.
        format!(
            "begin; {} update item set id = -id where id between 4001 and 4400; update item set id = 20000 + id, note = 'k' where id < 0; commit",
            rows(5001, 5300, "k")
        ),
        "insert into wide select i, 0, string_agg(md5(i || '-' || j), '') from generate_series(1, 60) i, generate_series(1, 400) j group by i".to_owned(),
        "begin; update wide set n = n + 1; savepoint a; update wide set big = big || 'undone'; rollback to a; update wide set n = n + 1, big = big || 'more' where id % 2 = 0; delete from wide where id > 50; commit".to_owned(),
        // The definition changes between rows; new tables; the same undone.
        format!(
            "begin; {} alter table item add column extra int default 5; {} update item set extra = id where id > 5600; savepoint a;
             alter table item add column undone text default 'u'; update item set undone = 'v' where id > 5500; rollback to a; update item set extra = 7 where id > 5500;
             create table made (id int primary key, note text); insert into made select i, repeat('m', 500) from generate_series(1, 300) i; commit",
            rows(5301, 5600, "d"),
            "insert into item select i, repeat('e', 900), i from generate_series(5601, 5900) i;"
        ),
        format!(
            "begin; {} alter table item drop constraint item_pkey; {} commit",
            rows(6001, 6200, "f"),
            rows(6201, 6400, "f")
        ),
        format!("begin; alter table item add primary key (id); {} commit", rows(6401, 6600, "g")),
        format!("begin; {} truncate child, made; insert into child values (7); {} commit", rows(6601, 6800, "h"), rows(6801, 6900, "h")),
        // A large transaction describes a table again, which says nothing: its key went only later.
        "insert into gone values (0, 'known')".to_owned(),
        "insert into gone select i, repeat('g', 900) from generate_series(1, 400) i".to_owned(),
        "alter table gone drop constraint gone_pkey".to_owned(),
        "insert into gone values (-1, 'no key')".to_owned(),
        "begin; insert into child select generate_series(100, 3000); savepoint a; truncate child; rollback to a; insert into child select generate_series(3001, 6000); commit".to_owned(),
    ]
}

/// Positions, event ids, orders in transactions, contexts, keys of their time, schemas: nothing shows when rows came.
#[tokio::test]
async fn records_are_the_same_whether_rows_come_before_their_commit_or_after() -> Result<()> {
    let database = database("largeall").await?;
    database
        .with(
            "create table item (id int primary key, note text); alter table item replica identity full;
             create table wide (id int primary key, n int, big text); alter table wide alter big set storage external;
             create table child (id int primary key);
             create table gone (id int primary key, note text); alter table gone replica identity full",
        )
        .await?;
    let Read { records, log } = both_ways(&database, async |session| {
        for statement in everything() {
            let done = session.run(&statement).await;
            done.map_err(|failure| failure.during(&statement))?;
        }
        Ok(())
    })
    .await?;
    assert!(records.len() > 10_000, "{}", records.len());
    assert!(!records.iter().any(|record| record.contains("undone")));
    assert!(records.iter().any(|record| record.contains("u1")));
    assert!(!log.contains("come after"), "transactions were streamed whole:\n{log}");
    Ok(())
}

/// Method: ten connections write in turns; every third rolls back, the others commit in another order than they began in. Small
/// transactions commit between.
#[tokio::test]
async fn transactions_that_are_open_together_come_whole_and_in_the_order_of_their_commits()
-> Result<()> {
    let database = database("largemany").await?;
    database.with("create table item (id int primary key, note text)").await?;
    let Read { records, .. } = both_ways(&database, async |session| {
        let mut writers = Vec::new();
        for _ in 0..10 {
            let writer = database.session().await?;
            writer.run("begin").await?;
            writers.push(writer);
        }
        for round in 0..6 {
            for (number, writer) in (0..).zip(&writers) {
                let first = number * 10_000 + round * 100;
                let savepoint = rows(first + 50, first + 99, "undone");
                let statements = format!(
                    "{} savepoint s; {savepoint} rollback to s",
                    rows(first, first + 49, "x")
                );
                writer.run(&statements).await?;
            }
            session.run(&format!("insert into item values (-1 - {round}, 'small')")).await?;
        }
        for (number, writer) in writers.iter().enumerate().rev() {
            writer.run(if number % 3 == 0 { "rollback" } else { "commit" }).await?;
        }
        Ok(())
    })
    .await?;
    let items = records.iter().filter(|record| record.starts_with(".public.item ")).count();
    assert_eq!(items, 6 + 6 * 6 * 50);
    Ok(())
}

/// Of every choice. The same each time, so that a red run says something about a change; `SEED` sets another.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or(1)
}

/// One of the statements of a random transaction. Wild ones have what may send the server back to whole transactions.
fn statement(random: &mut StdRng, table: &str, wild: bool) -> String {
    let first = random.random_range(0..2000);
    let last = first + random.random_range(0..150);
    let length = random.random_range(1..900);
    match random.random_range(0..if wild { 12 } else { 10 }) {
        0..=3 => format!(
            "insert into {table} select i, repeat('{first}', {length} / 5 + 1) from generate_series({first}, {last}) i on conflict do nothing"
        ),
        4 | 5 => format!(
            "update {table} set note = note || '{first}' where id between {first} and {last}"
        ),
        6 => format!("delete from {table} where id between {first} and {last}"),
        7 => {
            let far = random.random_range(10_000..2_000_000_000);
            format!("update {table} set id = {far} where id = {first}")
        }
        8 => format!("update {table} set note = upper(note) where id % 7 = {}", first % 7),
        9 => format!(
            "alter table {table} add column if not exists c{} int default {first}",
            random.random_range(0..4)
        ),
        10 => format!("select pg_logical_emit_message(true, 'random', repeat('m', {length}))"),
        _ => format!("truncate {table}"),
    }
}

/// Four connections, each with a table of its own, run random transactions in random turns, with savepoints that are released or
/// rolled back at random. Returns the log of the connector that streams them.
async fn random(label: &str, wild: bool) -> Result<String> {
    let seed = seed();
    let database = database(label).await?;
    let session = database.session().await?;
    let mut writers = Vec::new();
    for number in 0..4 {
        session.run(&format!("create table t{number} (id int primary key, note text)")).await?;
        writers.push((database.session().await?, false, 0_u32));
    }
    let compared = both_ways(&database, async |_| {
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..500 {
            let number = random.random_range(0..writers.len());
            let (writer, is_open, savepoints) = &mut writers[number];
            let sql = match random.random_range(0..20) {
                _ if !*is_open => {
                    (*is_open, *savepoints) = (true, 0);
                    "begin".to_owned()
                }
                0 => {
                    *is_open = false;
                    (if random.random_bool(0.3) { "rollback" } else { "commit" }).to_owned()
                }
                1..=4 => {
                    *savepoints += 1;
                    format!("savepoint s{savepoints}")
                }
                5..=7 if *savepoints > 0 => {
                    *savepoints = random.random_range(1..=*savepoints);
                    format!("rollback to s{savepoints}")
                }
                8 if *savepoints > 0 => {
                    let to = random.random_range(1..=*savepoints);
                    *savepoints = to - 1;
                    format!("release s{to}")
                }
                _ => statement(&mut random, &format!("t{number}"), wild),
            };
            writer.run(&sql).await?;
        }
        for (writer, ..) in &writers {
            writer.run("commit").await?;
        }
        Ok(())
    });
    let compared = compared.await.map_err(|failure| failure.during(format!("seed {seed}")))?;
    Ok(compared.log)
}

#[tokio::test]
async fn random_transactions_give_the_same_records_both_ways() -> Result<()> {
    let log = random("largecalm", false).await?;
    assert!(!log.contains("come after"), "transactions were streamed whole:\n{log}");
    Ok(())
}

/// With logical messages, and with tables that are emptied where it is undone: the server tells too little of the one, and fails
/// over the other.
#[tokio::test]
async fn wild_transactions_give_the_same_records_both_ways() -> Result<()> {
    random("largewild", true).await.map(drop)
}

/// The server gives a logical message of a subtransaction the id of the transaction, so that nothing tells whether it counts.
#[tokio::test]
async fn a_message_in_what_rolled_back_does_not_count() -> Result<()> {
    let database = database("largemessage").await?;
    database.with("create table item (id int primary key, note text)").await?;
    let compared = both_ways(&database, async |session| {
        session
            .run(&format!(
                "begin; select pg_logical_emit_message(true, 'm', 'counts'); {} savepoint a; select pg_logical_emit_message(true, 'm', 'undone'); {} rollback to a; {} commit",
                rows(1, 300, "a"),
                rows(301, 600, "undone"),
                rows(601, 900, "c")
            ))
            .await
    })
    .await?;
    assert!(compared.log.contains("is read again"), "{}", compared.log);
    let messages = compared.records.iter().filter(|record| record.starts_with(".message "));
    assert_eq!(messages.count(), 1);
    Ok(())
}

/// Bytes of the files below a folder, and how many there are.
fn files(folder: &Path) -> (u64, usize) {
    let Ok(entries) = std::fs::read_dir(folder) else { return (0, 0) };
    entries.flatten().fold((0, 0), |(bytes, count), entry| {
        let path = entry.path();
        if path.is_dir() {
            let inside = files(&path);
            return (bytes + inside.0, count + inside.1);
        }
        (bytes + entry.metadata().map_or(0, |data| data.len()), count + 1)
    })
}

async fn spilled(folder: &Path, what: &str, fits: impl Fn(u64, usize) -> bool) -> Result<()> {
    eventually(what, DEADLINE, async || {
        let (bytes, count) = files(folder);
        Ok(Seen::when(fits(bytes, count), || format!("{bytes} bytes in {count} files")))
    })
    .await
}

/// Method: a large transaction stays open while small ones commit; the process is killed, and finds its own left-overs; then the
/// transaction rolls back.
#[tokio::test]
async fn an_open_transaction_is_kept_here_holds_nobody_up_and_leaves_nothing() -> Result<()> {
    let database = database("largeopen").await?;
    let session = database.with("create table item (id int primary key, note text)").await?;
    let folder = tempfile::tempdir()?;
    let connector =
        database.connector()?.set("tributary.spill.directory", &folder.path().to_string_lossy());
    let mut process = connector.start_streaming().await?;
    let writer = database.session().await?;
    writer.run(&format!("begin; {}", rows(1, 3000, "open"))).await?;
    spilled(folder.path(), "the transaction is on disk", |bytes, _| bytes > 10_000).await?;
    session.run("insert into item values (-1, 'small')").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(-1)");
    process.kill().await?;
    let (_, left) = files(folder.path());
    assert!(left >= 2, "a lock and a file");
    let mut process = connector.start_streaming().await?;
    writer.run(&format!("{} savepoint a", rows(3001, 3300, "open"))).await?;
    session.run("insert into item values (-2, 'small')").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(-1) c(-2)");
    writer.run("rollback").await?;
    database.sync().await?;
    spilled(folder.path(), "only the lock is there", |bytes, count| (bytes, count) == (0, 1))
        .await?;
    process.terminate().await?;
    assert_eq!(files(folder.path()), (0, 0));
    assert_eq!(
        testkit::event::story(
            &read_topic(database.bootstrap(), &database.topic("public.item")).await?
        ),
        "c(-1) c(-2)"
    );
    Ok(())
}

/// Method: a transaction that fills hundreds of Kafka transactions is killed in the middle, again and again, with and without
/// streaming: the count of what was sent means the same.
#[tokio::test]
async fn a_half_sent_transaction_goes_on_at_its_row_whichever_way_it_comes() -> Result<()> {
    let database = database("largehalf").await?;
    let session = database.with("create table item (id int primary key, note text)").await?;
    let mut connector = database.connector()?.set("tributary.commit.bytes.max", "32768");
    let first = [(failpoint::FAILPOINT, "slice-handed-over=kill:5@10")];
    let mut process = connector.start_with(&first)?;
    connector.wait_until_streaming(&mut process).await?;
    session
        .run(
            "begin; savepoint a; insert into item select i, repeat('u', 100) from generate_series(1, 3000) i; rollback to a;
             insert into item select i, repeat('x', 100) from generate_series(1, 20000) i;
             savepoint b; insert into item select i, repeat('u', 100) from generate_series(50001, 53000) i; rollback to b;
             insert into item select i, repeat('x', 100) from generate_series(20001, 40000) i; commit",
        )
        .await?;
    process.killed(DEADLINE).await?;
    let mut tail = database.tail("public.item")?;
    let mut before = 0;
    for streaming in ["off", "on", "on", "off"] {
        before = half_sent(&mut tail, before, 40_000).await?;
        connector = connector.set("tributary.streaming.transactions", streaming);
        connector.die_at("slice-handed-over=kill:5@100").await?;
    }
    let mut process = connector.start()?;
    let events = database.events("public.item").await?;
    let ids: Vec<_> =
        events.iter().filter_map(|event| event.key_payload()["id"].as_u64()).collect();
    assert!(ids.iter().copied().eq(1..=40_000), "{} events", ids.len());
    assert!(streamed(&session, connector.slot()).await? > 0, "nothing was large");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn more_than_may_be_kept_stops_the_connector_and_the_other_way_goes_on() -> Result<()> {
    let database = database("largefull").await?;
    let session = database.with("create table item (id int primary key, note text)").await?;
    let connector = database.connector()?.set("tributary.spill.max.bytes", "1048576");
    let mut process = connector.start_streaming().await?;
    session
        .run("insert into item select i, (select string_agg(md5(i || '-' || j), '') from generate_series(1, 30) j) from generate_series(1, 5000) i")
        .await?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1);
    let log = process.log();
    assert!(
        log.contains("[CO050]") && log.contains("tributary.streaming.transactions=off"),
        "{log}"
    );
    let connector = connector.set("tributary.streaming.transactions", "off");
    let mut process = connector.start()?;
    assert_eq!(database.events("public.item").await?.len(), 5000);
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_said_and_done_without() -> Result<()> {
    let database = database("largenowhere").await?;
    let session = database.with("create table item (id int primary key, note text)").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    std::fs::write(&file, "")?;
    let connector = database.connector()?.set("tributary.spill.directory", &file.to_string_lossy());
    let mut process = connector.start_streaming().await?;
    session.run(&rows(1, 1000, "a")).await?;
    assert_eq!(database.events("public.item").await?.len(), 1000);
    assert!(process.log().contains("[NT020]"), "{}", process.log_end());
    assert_eq!(streamed(&session, connector.slot()).await?, 0);
    process.terminate().await?;
    Ok(())
}

/// The server says where a transaction had committed on the server it came from only after its commit.
#[tokio::test]
async fn transactions_from_another_server_have_their_position_there() -> Result<()> {
    let database = database("largeorigin").await?;
    let session = database.with("create table item (id int primary key, note text)").await?;
    let origin = database.name().to_owned();
    session.run(&format!("select pg_replication_origin_create('{origin}')")).await?;
    let read = both_ways(&database, async |session| {
        session.run(&format!("select pg_replication_origin_session_setup('{origin}')")).await?;
        session
            .run(&format!(
                "begin; {} select pg_replication_origin_xact_setup('0/ABC', now()); commit",
                rows(1, 500, "a")
            ))
            .await?;
        session.run("select pg_replication_origin_session_reset()").await?;
        session.run(&rows(1001, 1500, "b")).await
    })
    .await?;
    let told = format!("\"origin\":\"{origin}\",\"origin_lsn\":2748");
    assert!(read.log.contains("came to the source by replication"), "{}", read.log);
    assert_eq!(read.records.iter().filter(|record| record.contains(&told)).count(), 500);
    Ok(())
}

/// Method: the oracle, on servers where a few rows are a large transaction; the connector is killed, and goes to batches and back.
#[tokio::test]
async fn sigkills_and_changes_of_the_way_double_and_lose_nothing() -> Result<()> {
    let settings =
        [("logical_decoding_work_mem", "64kB"), ("fsync", "off"), ("deadlock_timeout", "50ms")];
    let stack = Stack::start(&settings).await?;
    let mut plan = Plan::new(unix_ms_now().unsigned_abs(), 12_000, 3);
    plan.kill_in_snapshot = false;
    plan.settings.push(("tributary.read.switch.every.ms".to_owned(), "300".to_owned()));
    let report = run(&stack, &plan, &|_| {}).await?;
    assert!(report.is_clean(), "{report}");
    stack.stop().await
}
