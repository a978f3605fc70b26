//! The key of an event is the table's key where the row stands in the log, whatever the catalog says by then.
//!
//! Method: the same statements, with a row before and after each change of the key, while the connector streams, while it
//! stands still, and inside one transaction, under every replica identity.

use testkit::Result;
use testkit::connector::ConnectorProcess;
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::DEADLINE;

const SWAP: &str = "alter table item drop constraint item_pkey, add primary key (b)";

/// Leaves at least one segment of the log behind.
const FAR_BEHIND: [&str; 3] = ["select pg_switch_wal()", "checkpoint", "select pg_switch_wal()"];

/// A replica identity, and what its table has beside `a`, `b` and `c`.
struct Identity {
    name: &'static str,
    alter: &'static str,
    /// Key of the third row when there is no primary key.
    fallback: fn(u32) -> String,
}

fn none(_: u32) -> String {
    "null".to_owned()
}

fn by_index(row: u32) -> String {
    format!(r#"{{"c":{}}}"#, row * 100)
}

const IDENTITIES: [Identity; 4] = [
    Identity { name: "default", alter: "", fallback: none },
    Identity { name: "full", alter: "alter table item replica identity full", fallback: none },
    Identity {
        name: "index",
        alter: "create unique index item_c on item (c); alter table item replica identity using index item_c",
        fallback: by_index,
    },
    Identity {
        name: "nothing",
        alter: "alter table item replica identity nothing",
        fallback: none,
    },
];

/// When the statements are run.
#[derive(Clone, Copy)]
enum While {
    /// The connector streams, and each statement has arrived before the next is run.
    Streaming,
    /// It streams, and the statements follow one another at once.
    StreamingInARow,
    /// It stands still.
    Stopped,
    /// It stands still, and so far behind that it will read in batches.
    StoppedFarBehind,
    /// It stands still, and they are one transaction.
    StoppedInOneTransaction,
    /// It streams, it has seen the table, and they are one transaction.
    StreamingInOneTransaction,
}

fn insert(row: u32) -> String {
    format!("insert into item values ({row}, {}, {})", row * 10, row * 100)
}

/// The keys of the rows after the first, which is there before.
async fn keys(
    identity: &Identity,
    primary_key: &str,
    when: While,
    statements: &[String],
) -> Result<Vec<String>> {
    let database = Stack::shared()?.database(&format!("kt_{}", identity.name)).await?;
    let session = database
        .with(&format!(
            "create table item (a int not null, b int not null, c int not null{primary_key}); {}",
            identity.alter
        ))
        .await?;
    let connector = database
        .connector()?
        .set("snapshot.mode", "no_data")
        .set("tributary.read.batch.behind.bytes", "1048576");
    let mut process = connector.start_streaming().await?;
    match when {
        While::Streaming => {
            for statement in statements {
                session.run(statement).await?;
                database.sync().await?;
            }
        }
        While::StreamingInARow => session_runs(&session, statements).await?,
        While::StreamingInOneTransaction => {
            session.run(&insert(1)).await?;
            database.sync().await?;
            session.run(&in_one_transaction(statements)).await?;
        }
        While::Stopped => {
            process.terminate().await?;
            session_runs(&session, statements).await?;
            process = connector.start_streaming().await?;
        }
        While::StoppedFarBehind => {
            process.terminate().await?;
            for statement in FAR_BEHIND {
                session.run(statement).await?;
            }
            session_runs(&session, statements).await?;
            process = connector.start()?;
            process.log_with("reads in batches", DEADLINE).await?;
        }
        While::StoppedInOneTransaction => {
            process.terminate().await?;
            session.run(&in_one_transaction(statements)).await?;
            process = connector.start_streaming().await?;
        }
    }
    let found = found(&database, process).await?;
    connector.wait_until_slot_free(&session).await?;
    session.run(&format!("select pg_drop_replication_slot('{}')", connector.slot())).await?;
    Ok(found)
}

async fn session_runs(session: &Session, statements: &[String]) -> Result<()> {
    for statement in statements {
        session.run(statement).await?;
    }
    Ok(())
}

fn in_one_transaction(statements: &[String]) -> String {
    format!("begin; {}; commit", statements.join("; "))
}

async fn found(database: &Database, mut process: ConnectorProcess) -> Result<Vec<String>> {
    let events = database.events("public.item").await?;
    process.terminate().await?;
    let keys = events.iter().filter(|event| event.payload()["after"]["b"] != 10);
    Ok(keys.map(|event| event.key_payload().to_string()).collect())
}

/// Runs the statements under every identity and at each of these times.
async fn expect(
    primary_key: &str,
    times: &[(&str, While)],
    statements: &[String],
    expected: impl Fn(&Identity) -> Vec<String>,
) -> Result<()> {
    for identity in &IDENTITIES {
        for (name, when) in times {
            let found = keys(identity, primary_key, *when, statements).await?;
            assert_eq!(found, expected(identity), "identity {}, {name}", identity.name);
        }
    }
    Ok(())
}

const TIMES: [(&str, While); 6] = [
    ("streaming", While::Streaming),
    ("streaming in a row", While::StreamingInARow),
    ("stopped", While::Stopped),
    ("stopped in one transaction", While::StoppedInOneTransaction),
    ("streaming in one transaction", While::StreamingInOneTransaction),
    ("stopped, and read in batches", While::StoppedFarBehind),
];

#[tokio::test]
async fn a_row_keeps_the_key_it_had_when_the_primary_key_is_swapped() -> Result<()> {
    let statements = [insert(2), SWAP.to_owned(), insert(3)];
    expect(", primary key (a)", &TIMES, &statements, |_| {
        vec![r#"{"a":2}"#.to_owned(), r#"{"b":30}"#.to_owned()]
    })
    .await
}

#[tokio::test]
async fn a_row_after_a_swap_has_the_new_key_though_none_came_before_it() -> Result<()> {
    let statements = [SWAP.to_owned(), insert(3)];
    let times = [TIMES[0], TIMES[1], TIMES[2], TIMES[4]];
    expect(", primary key (a)", &times, &statements, |_| vec![r#"{"b":30}"#.to_owned()]).await
}

#[tokio::test]
async fn a_row_after_the_primary_key_was_dropped_has_none() -> Result<()> {
    let drop = "alter table item drop constraint item_pkey".to_owned();
    let statements = [insert(2), drop, insert(3)];
    expect(", primary key (a)", &TIMES, &statements, |identity| {
        vec![r#"{"a":2}"#.to_owned(), (identity.fallback)(3)]
    })
    .await
}

#[tokio::test]
async fn a_row_before_the_primary_key_was_added_has_none() -> Result<()> {
    let add = "alter table item add primary key (b)".to_owned();
    let statements = [insert(2), add, insert(3)];
    expect("", &TIMES, &statements, |identity| {
        vec![(identity.fallback)(2), r#"{"b":30}"#.to_owned()]
    })
    .await
}

#[tokio::test]
async fn a_row_has_the_name_the_key_column_had() -> Result<()> {
    let rename = "alter table item rename a to z".to_owned();
    let statements = [insert(2), rename, insert(3)];
    expect(", primary key (a)", &TIMES, &statements, |_| {
        vec![r#"{"a":2}"#.to_owned(), r#"{"z":3}"#.to_owned()]
    })
    .await
}

#[tokio::test]
async fn a_row_has_the_order_the_key_columns_had() -> Result<()> {
    let turn = "alter table item drop constraint item_pkey, add primary key (b, a)".to_owned();
    let statements = [insert(2), turn, insert(3)];
    expect(", primary key (a, b)", &TIMES, &statements, |_| {
        vec![r#"{"a":2,"b":20}"#.to_owned(), r#"{"b":30,"a":3}"#.to_owned()]
    })
    .await
}

/// Drop, rename, add, and a key of two columns, one after the other.
#[tokio::test]
async fn a_key_may_change_again_and_again() -> Result<()> {
    let statements = [
        insert(2),
        "alter table item drop constraint item_pkey".to_owned(),
        "alter table item rename a to z".to_owned(),
        "alter table item add primary key (z)".to_owned(),
        insert(3),
        "alter table item add column d int not null default 7".to_owned(),
        "alter table item drop constraint item_pkey, add primary key (z, d)".to_owned(),
        insert(4),
    ];
    let expected = [r#"{"a":2}"#, r#"{"z":3}"#, r#"{"z":4,"d":7}"#].map(str::to_owned);
    expect(", primary key (a)", &TIMES[..2], &statements, |_| expected.to_vec()).await
}

/// A row of a table that is gone has the key it had.
#[tokio::test]
async fn a_row_of_a_dropped_table_keeps_its_key() -> Result<()> {
    let statements = [insert(2), "drop table item".to_owned()];
    expect(", primary key (b, a)", &TIMES[2..3], &statements, |_| {
        vec![r#"{"b":20,"a":2}"#.to_owned()]
    })
    .await
}
