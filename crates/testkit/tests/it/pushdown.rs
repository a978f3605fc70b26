//! What the publication leaves out: columns and rows that never leave the database.

use serde_json::json;
use testkit::connector::{Connector, Finished, tributary};
use testkit::session::Session;
use testkit::stack::Stack;
use testkit::wait::DEADLINE;
use testkit::{Result, event};

const PUSHDOWN: &str = "tributary.publication.pushdown";

async fn listed(session: &Session, publication: &str) -> Result<Vec<Vec<String>>> {
    session
        .rows(&format!(
            "select tablename, array_to_string(attnames, ','), coalesce(rowfilter, '') from pg_publication_tables
             where pubname = '{publication}' and tablename <> 'zz_marker' order by 1"
        ))
        .await
}

async fn check(connector: &Connector) -> Result<Finished> {
    let file = connector.write_file()?;
    let store = format!("kafka://{}", connector.database().bootstrap());
    tributary(&["check", "--config", &file.to_string_lossy(), "--store", &store], DEADLINE).await
}

/// Method: the tables are those that make PostgreSQL refuse an update if a list is wrong: a unique index over an excluded column that
/// becomes the replica identity later, and REPLICA IDENTITY FULL. The application does all it did before.
#[tokio::test]
async fn excluded_columns_stay_in_the_database_and_the_application_notices_nothing() -> Result<()> {
    let database = Stack::shared()?.database("collist").await?;
    let session = database
        .with(
            "create table person (id int primary key, code int not null unique, secret text, note text);
             create table whole (id int primary key, secret text); alter table whole replica identity full;
             insert into person values (1, 10, 's', 'n')",
        )
        .await?;
    let connector = database
        .connector()?
        .set("column.exclude.list", "public[.].*[.](secret|code)")
        .set(PUSHDOWN, "columns");
    let told = check(&connector).await?;
    assert_eq!(told.exit_code, 0, "{}", told.stdout);
    for word in ["PG070", "PG071", "REPLICA IDENTITY FULL", "(\"id\", \"code\", \"note\")"] {
        assert!(told.stdout.contains(word), "`{word}`: {}", told.stdout);
    }
    let mut process = connector.start_streaming().await?;
    let expected = [["person", "id,code,note", ""], ["whole", "id,secret", ""]];
    assert_eq!(listed(&session, database.name()).await?, expected);
    session
        .run(
            "update person set secret = 't'; update person set note = 'm';
             alter table person replica identity using index person_code_key; update person set note = 'o';
             insert into whole values (1, 's'); update whole set secret = 't'; delete from whole",
        )
        .await?;
    let events = database.events("public.person").await?;
    let events: Vec<_> = events.iter().map(|event| event.payload()["after"].clone()).collect();
    let row = |note: &str| json!({"id": 1, "note": note});
    assert_eq!(events, [row("n"), row("n"), row("m"), row("o")]);
    let whole = database.events("public.whole").await?;
    assert_eq!(event::story(&whole), "c(1) u(1) d(1) ∅(1)");
    assert_eq!(whole[0].payload()["after"], json!({"id": 1}));
    process.terminate().await?;
    Ok(())
}

/// A role that may not read the excluded column captures the rest of the table.
#[tokio::test]
async fn a_snapshot_reads_no_column_that_nobody_captures() -> Result<()> {
    let database = Stack::shared()?.database("narrow").await?;
    let role = format!("{}_cdc", database.name());
    database
        .with(&format!(
            "create table person (id int primary key, secret text, note text); insert into person values (1, 's', 'n');
             create role {role} login replication; grant select (id, note) on person to {role};
             create publication {} for table person", database.name()
        ))
        .await?;
    let connector = database
        .connector()?
        .set("database.user", &role)
        .set("publication.autocreate.mode", "disabled")
        .set("table.include.list", "public[.]person")
        .set("column.exclude.list", "public[.]person[.]secret");
    let mut process = connector.start_streaming().await?;
    let events = database.tail("public.person")?.until(DEADLINE, |_| true).await?;
    assert_eq!(events[0].payload()["after"], json!({"id": 1, "note": "n"}));
    process.terminate().await?;
    Ok(())
}

/// A column that comes later is missing until the next start, which is said; turned off, everything is published again.
#[tokio::test]
async fn a_list_grows_at_the_next_start_and_goes_when_it_is_turned_off() -> Result<()> {
    let database = Stack::shared()?.database("listgrows").await?;
    let session = database
        .with("create table person (id int primary key, secret text); insert into person values (1, 's')")
        .await?;
    let connector =
        database.connector()?.set("column.exclude.list", ".*[.]secret").set(PUSHDOWN, "columns");
    let mut process = connector.start_streaming().await?;
    session.run("alter table person add later int; insert into person values (2, 's', 2)").await?;
    process.log_with("PG073", DEADLINE).await?;
    database.sync().await?;
    process.terminate().await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into person values (3, 's', 3)").await?;
    let events = database.events("public.person").await?;
    let after: Vec<_> = events.iter().map(|event| event.payload()["after"].clone()).collect();
    assert_eq!(after, [json!({"id": 1}), json!({"id": 2}), json!({"id": 3, "later": 3})]);
    for refused in ["alter table person drop later", "alter table person alter later type bigint"] {
        assert!(session.run(refused).await.is_err(), "documented as refused: {refused}");
    }
    process.terminate().await?;
    let connector = connector.set(PUSHDOWN, "off");
    let mut process = connector.start_streaming().await?;
    assert_eq!(listed(&session, database.name()).await?, [["person", "id,secret,later", ""]]);
    session
        .run("alter table person alter later type bigint; alter table person drop later")
        .await?;
    process.terminate().await?;
    Ok(())
}

/// Method: rows on both sides of the filter are there before the snapshot, come in the stream, and cross it.
#[tokio::test]
async fn a_row_filter_holds_for_snapshot_and_stream() -> Result<()> {
    let database = Stack::shared()?.database("rowfilter").await?;
    let session = database
        .with(
            "create table item (id int, region text, v int, primary key (id, region));
             insert into item values (1, 'eu', 1), (2, 'us', 1)",
        )
        .await?;
    let connector = database
        .connector()?
        .set(PUSHDOWN, "rows")
        .set("tributary.row.filter.public.item", "region = 'eu'");
    let mut process = connector.start_streaming().await?;
    assert_eq!(
        listed(&session, database.name()).await?,
        [["item", "id,region,v", "(region = 'eu'::text)"]]
    );
    session
        .run(
            "update item set v = 2; insert into item values (3, 'us', 1), (4, 'eu', 1);
             update item set region = 'eu' where id = 2; update item set region = 'us' where id = 1",
        )
        .await?;
    let events = database.events("public.item").await?;
    assert_eq!(event::story(&events), "r(1,eu) u(1,eu) c(4,eu) c(2,eu) d(1,eu) ∅(1,eu)");
    process.terminate().await?;
    Ok(())
}

/// PostgreSQL would take this filter and refuse every update from then on: the connector does not start, and changes nothing.
#[tokio::test]
async fn a_row_filter_that_would_break_updates_ends_the_start_before_it_is_there() -> Result<()> {
    let database = Stack::shared()?.database("badfilter").await?;
    let session = database
        .with("create table item (id int primary key, v int); insert into item values (1, 1)")
        .await?;
    let connector = database
        .connector()?
        .set(PUSHDOWN, "rows")
        .set("tributary.row.filter.public.item", "v > 0");
    let told = check(&connector).await?;
    assert_eq!(told.exit_code, 1, "{}", told.stdout);
    assert!(told.stdout.contains("CO041") && told.stdout.contains("(id)"), "{}", told.stdout);
    let mut process = connector.start()?;
    assert_ne!(process.exit_code(DEADLINE).await?, 0);
    assert!(process.log().contains("CO041"), "{}", process.log());
    assert_eq!(listed(&session, database.name()).await?, Vec::<Vec<String>>::new());
    session.run("update item set v = 2").await?;
    Ok(())
}
