//! Values stored out of line that an update did not touch.

use serde_json::Value;
use testkit::Result;
use testkit::connector::{Connector, ConnectorProcess};
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};

/// Incompressible text of 9.6 kB, which PostgreSQL stores out of line.
const LONG: &str = "(select string_agg(md5(i::text), '') from generate_series(1, 300) i)";

#[tokio::test]
async fn an_untouched_out_of_line_value_is_the_placeholder_and_never_null() -> Result<()> {
    let database = Stack::shared()?.database("toast").await?;
    let session = database.with("create table doc (id int primary key, n int, body text)").await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run(&format!("insert into doc values (1, 1, {LONG})")).await?;
    session.run("update doc set n = 2; update doc set body = null; update doc set n = 3").await?;
    let events = database.events("public.doc").await?;
    let bodies: Vec<_> =
        events.iter().map(|event| event.payload()["after"]["body"].clone()).collect();
    assert_eq!(bodies[0].as_str().map(str::len), Some(9600));
    assert_eq!(bodies[1], "__debezium_unavailable_value");
    assert!(bodies[2].is_null() && bodies[3].is_null());
    connector.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn full_identity_gives_the_real_value_before_and_after() -> Result<()> {
    let database = Stack::shared()?.database("toastfull").await?;
    let session = database
        .with("create table doc (id int primary key, n int, body text); alter table doc replica identity full")
        .await?;
    let mut connector = database.connector()?.start_streaming().await?;
    session.run(&format!("insert into doc values (1, 1, {LONG})")).await?;
    session.run("update doc set n = 2").await?;
    let events = database.events("public.doc").await?;
    let update = events[1].payload();
    assert_eq!(update["before"]["body"].as_str().map(str::len), Some(9600));
    assert_eq!(update["after"]["body"], update["before"]["body"]);
    connector.terminate().await?;
    Ok(())
}

/// Method: a standby that never confirms holds a commit back: it is in the log and in the stream, and no query sees it. An
/// ordinary commit is so for a moment, too.
#[tokio::test]
async fn a_value_that_is_read_again_is_not_older_than_its_change() -> Result<()> {
    let settings = [("synchronous_standby_names", "nobody"), ("synchronous_commit", "local")];
    let stack = Stack::start(&settings).await?;
    let database = stack.database("again").await?;
    let session = database.with("create table doc (id int primary key, n int, body text)").await?;
    let connector = reselecting(&database)?;
    let mut process = connector.start_streaming().await?;
    session.run(&format!("insert into doc values (1, 1, {LONG})")).await?;
    process.log_with("captures table `public.doc`", DEADLINE).await?;
    let held = database.session().await?;
    held.run("set synchronous_commit = on").await?;
    let update = held.run("update doc set body = null");
    let rest = async {
        let asked = format!(
            "select count(*) from pg_stat_activity c, pg_stat_activity held
             where held.wait_event = 'SyncRep' and c.application_name = 'tributary:{}'
               and c.backend_type = 'client backend' and c.query_start > held.query_start
               and (c.query like '%txid_current_snapshot%' or c.query like '%doc%')",
            connector.name()
        );
        eventually("the connector asks for what the change lacks", DEADLINE, async || {
            let count = session.text(&asked).await?;
            Ok(Seen::when(count.as_deref() != Some("0"), || format!("{count:?}")))
        })
        .await?;
        session
            .run("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
            .await
    };
    let (updated, rest) = tokio::join!(update, rest);
    updated?;
    rest?;
    let events = database.events("public.doc").await?;
    assert!(events[1].payload()["after"]["body"].is_null(), "{}", events[1].payload());
    process.terminate().await?;
    stack.stop().await
}

/// With `*` every walsender is a standby, ours too: what waits for us is not waited for.
#[tokio::test]
async fn a_commit_that_waits_for_the_connector_is_not_waited_for() -> Result<()> {
    let settings = [("synchronous_standby_names", "*"), ("synchronous_commit", "local")];
    let stack = Stack::start(&settings).await?;
    let database = stack.database("waits").await?;
    let session = database.with("create table doc (id int primary key, n int, body text)").await?;
    let connector = reselecting(&database)?;
    let mut process = connector.start_streaming().await?;
    session.run(&format!("insert into doc values (1, 1, {LONG})")).await?;
    session.run("set synchronous_commit = on").await?;
    tokio::time::timeout(DEADLINE, session.run("update doc set n = 2")).await??;
    session.run("set synchronous_commit = local").await?;
    let events = database.events("public.doc").await?;
    assert_eq!(events[1].payload()["after"]["body"].as_str().map(str::len), Some(9600));
    assert!(process.log().contains("commits wait for this connector"), "{}", process.log());
    process.terminate().await?;
    stack.stop().await
}

/// A connector that reads again what the stream lacks.
fn reselecting(database: &Database) -> Result<Connector> {
    let connector = database
        .connector()?
        .set("post.processors", "again")
        .set("again.type", "io.debezium.processors.reselect.ReselectColumnsPostProcessor");
    Ok(connector)
}

/// A column of each type that may be stored out of line.
const ALL_TYPES: &str = "create extension if not exists hstore;
    create table doc (id int primary key, n int, t text, ta text[], va varchar[], bp bpchar[], ja jsonb[], j jsonb, ia int[],
                      da date[], la bigint[], ua uuid[], b bytea, ba bytea[], h hstore);
    do $$ declare name text; begin
        for name in select attname from pg_attribute where attrelid = 'doc'::regclass and attnum > 2 loop
            execute format('alter table doc alter %I set storage external', name);
        end loop;
    end $$;
    alter table doc replica identity full";

/// Each value is larger than 2 kB, from where on PostgreSQL stores it out of line.
const ALL_VALUES: &str = "insert into doc select 1, 1, string_agg(md5(i::text), ''), array_agg(md5(i::text)),
    array_agg(md5(i::text)::varchar), array_agg(md5(i::text)::bpchar), array_agg(to_jsonb(md5(i::text))),
    jsonb_build_object('k', string_agg(md5(i::text), '')), array_agg(i * 7919), array_agg('2020-01-01'::date + i),
    array_agg(i::bigint * 7919), array_agg(md5(i::text)::uuid), decode(string_agg(md5(i::text), ''), 'hex'),
    array_agg(decode(md5(i::text), 'hex')), hstore('k', string_agg(md5(i::text), '')) from generate_series(1, 900) i";

#[tokio::test]
async fn full_identity_gives_the_real_values_of_every_type() -> Result<()> {
    let database = Stack::shared()?.database("toastall").await?;
    let session = database.with(ALL_TYPES).await?;
    let mut process = database.connector()?.start_streaming().await?;
    session.run(ALL_VALUES).await?;
    session.run("update doc set n = 2").await?;
    let events = database.events("public.doc").await?;
    let (inserted, update) = (events[0].payload()["after"].clone(), events[1].payload());
    let columns = inserted.as_object().map_or(0, serde_json::Map::len);
    assert_eq!(columns, 15);
    assert_eq!(update["before"], inserted);
    assert_eq!(update["after"]["n"], 2);
    let mut after = update["after"].clone();
    after["n"] = Value::from(1);
    assert_eq!(after, inserted);
    process.terminate().await?;
    Ok(())
}

/// Sessions of the connector that are no walsender, and when each began its last statement.
async fn statements(session: &Session, connector: &Connector) -> Result<Vec<Vec<String>>> {
    let sessions = format!(
        "select pid, query_start from pg_stat_activity
         where application_name = 'tributary:{}' and backend_type = 'client backend' order by pid",
        connector.name()
    );
    session.rows(&sessions).await
}

/// Ten thousand updates of a row with a value out of line, table unchanged: the catalog is not asked again.
///
/// What was read of a table while its description could not be seen yet is looked at once more later; that may fall into one
/// round for each of the two tables, and into no other.
#[tokio::test]
async fn updates_of_a_table_that_does_not_change_ask_the_catalog_nothing() -> Result<()> {
    let database = Stack::shared()?.database("toastquiet").await?;
    let session = database.with("create table doc (id int primary key, n int, body text)").await?;
    let connector = database.connector()?;
    let mut process: ConnectorProcess = connector.start_streaming().await?;
    session.run(&format!("insert into doc values (1, 0, {LONG})")).await?;
    database.sync().await?;
    let mut before = statements(&session, &connector).await?;
    assert!(!before.is_empty(), "the connector has a session beside the stream");
    let mut rounds_that_asked = 0;
    for _ in 0..10 {
        session
            .run("do $$ begin for i in 1..1000 loop update doc set n = n + 1; end loop; end $$")
            .await?;
        database.sync().await?;
        let after = statements(&session, &connector).await?;
        rounds_that_asked += usize::from(after != before);
        before = after;
    }
    let events = database.events("public.doc").await?;
    assert_eq!(events.len(), 10_001);
    assert_eq!(events[10_000].payload()["after"]["n"], 10_000);
    assert!(rounds_that_asked <= 2, "{rounds_that_asked} of ten rounds asked the catalog");
    process.terminate().await?;
    Ok(())
}
