//! What PostgreSQL, and the network before it, can do to a connector: it recovers without loss, or says what is missing and what to
//! do. What happens to a connector that does not run meanwhile is in `restart.rs`; `docs/reference/faults.md` lists all.

use std::time::Duration;

use embedded::{KafkaOptions, PostgresOptions, StopMode};
use testkit::Result;
use testkit::connector::{Connector, ConnectorProcess};
use testkit::faults::{ITEM, Trickle, expect_each_once, silence};
use testkit::proxy::{Fault, Proxy, Way};
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};

/// A database with a table `item`, and its connector.
async fn item_table(label: &str) -> Result<(Database, Session, Connector)> {
    let database = Stack::shared()?.database(label).await?;
    let session = database.with(ITEM).await?;
    let connector = database.connector()?;
    Ok((database, session, connector))
}

/// Ends every session of `user` other than the own one.
async fn end_sessions_of(session: &Session, user: &str) -> Result<()> {
    session
        .run(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{user}' and pid <> pg_backend_pid()"
        ))
        .await
}

/// Waits for the end of a connector that cannot go on, and looks for these words in what it says.
async fn expect_failed(process: &mut ConnectorProcess, words: &[&str]) -> Result<()> {
    let exit_code = process.exit_code(DEADLINE).await?;
    let log = process.log();
    assert_eq!(exit_code, 1, "{log}");
    for word in words {
        assert!(log.contains(word), "`{word}` is missing: {log}");
    }
    Ok(())
}

/// Method: one server of its own under a small load, a connector whose role is nobody special, and one fault after the other.
#[tokio::test]
async fn faults_of_the_server_heal_without_loss() -> Result<()> {
    let postgres = PostgresOptions {
        pg_hba: Some(
            "host all cdc 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\nlocal all all trust\n"
                .to_owned(),
        ),
        ..PostgresOptions::default()
    };
    let mut stack = Stack::start_with(postgres, KafkaOptions::default()).await?;
    let database = stack.database("server").await?;
    let session = database
        .with(&format!(
            "create role cdc login replication password 'first'; {ITEM};
             alter table item owner to cdc; alter table zz_marker owner to cdc;
             alter database {} owner to cdc",
            database.name()
        ))
        .await?;
    let connector = database
        .connector()?
        .set("database.user", "cdc")
        .set("database.password", "first")
        .set("tributary.publication.future.tables", "false");
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;

    stack.postgres_mut().shut_down(StopMode::Immediate).await;
    process.log_with("takes over again", DEADLINE).await?;
    stack.postgres_mut().start_again().await?;
    silence(&database, "PostgreSQL stopped at once, and started again").await?;
    drop(session);
    let session = database.session().await?;
    load.more(100).await?;

    end_sessions_of(&session, "cdc").await?;
    silence(&database, "all sessions of the connector ended").await?;

    session.run("alter role cdc connection limit 0").await?;
    end_sessions_of(&session, "cdc").await?;
    process.log_with("PG020", DEADLINE).await?;
    load.more(100).await?;
    session.run("alter role cdc connection limit -1").await?;
    silence(&database, "connection limit reached, and raised").await?;

    session.run("alter role cdc set default_transaction_read_only = on").await?;
    end_sessions_of(&session, "cdc").await?;
    silence(&database, "default_transaction_read_only").await?;
    session.run("alter role cdc reset default_transaction_read_only").await?;
    process.expect_running()?;

    session.run("alter role cdc password 'second'").await?;
    end_sessions_of(&session, "cdc").await?;
    expect_failed(&mut process, &["PG006", "check user and password"]).await?;
    load.more(100).await?;
    session.run("alter role cdc password 'first'").await?;
    let mut process = connector.start_streaming().await?;
    silence(&database, "password changed, and changed back: since the start").await?;

    expect_each_once(&database, load.stop().await?).await?;
    lose_the_slot(&session, &mut process).await?;
    stack.stop().await
}

/// A connector that stands still for too long, on a server that does not wait for it.
async fn lose_the_slot(session: &Session, process: &mut ConnectorProcess) -> Result<()> {
    session.run("alter system set max_slot_wal_keep_size = '1MB'").await?;
    session.run("select pg_reload_conf()").await?;
    process.signal("STOP").await?;
    eventually("the slot is lost", DEADLINE, async || {
        session.run("insert into item select max(id) + 1 from item").await?;
        session.run("select pg_switch_wal()").await?;
        session.run("checkpoint").await?;
        let status = session.text("select wal_status from pg_replication_slots").await?;
        Ok(Seen::when(status.as_deref() == Some("lost"), || format!("{status:?}")))
    })
    .await?;
    process.signal("CONT").await?;
    expect_failed(process, &["CO014", "gap", "max_slot_wal_keep_size"]).await
}

/// Method: the connector is stopped with SIGSTOP while its slot is dropped, or it would be back before.
#[tokio::test]
async fn a_slot_dropped_under_a_running_connector_is_a_named_gap() -> Result<()> {
    let (database, session, connector) = item_table("underfoot").await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    process.signal("STOP").await?;
    let slot = connector.slot();
    session
        .run(&format!(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{slot}'"
        ))
        .await?;
    connector.wait_until_slot_free(&session).await?;
    session.run(&format!("select pg_drop_replication_slot('{slot}')")).await?;
    process.signal("CONT").await?;
    expect_failed(&mut process, &["CO012", "gap", slot, "fix:"]).await
}

/// The publication selects what is sent, so changes made while it is missing are not in the slot.
#[tokio::test]
async fn a_dropped_publication_is_a_named_gap_until_the_tables_are_read_again() -> Result<()> {
    let (database, session, connector) = item_table("unpublished").await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    session.run(&format!("drop publication {}", database.name())).await?;
    session.run("insert into item values (2)").await?;
    expect_failed(&mut process, &["PG014", "when_needed"]).await?;
    let mut process = connector.start()?;
    expect_failed(&mut process, &["CO019", "gap", "public.item", "CREATE PUBLICATION"]).await?;
    let connector = connector.set("snapshot.mode", "when_needed");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (3)").await?;
    let story = testkit::event::story(&database.events("public.item").await?);
    assert_eq!(story, "c(1) r(1) r(2) c(3)");
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    Ok(())
}

/// Without a look at the start the connector would put the table back and hide that a row is missing.
#[tokio::test]
async fn a_table_taken_out_of_the_publication_is_a_named_gap() -> Result<()> {
    let (database, session, connector) = item_table("takenout").await?;
    let connector = connector.set("tributary.publication.future.tables", "false");
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    process.terminate().await?;
    let publication = database.name();
    session.run(&format!("alter publication {publication} drop table item")).await?;
    session.run("insert into item values (2)").await?;
    let statement = format!("ALTER PUBLICATION \"{publication}\" ADD TABLE \"public\".\"item\"");
    let mut process = connector.start()?;
    expect_failed(&mut process, &["CO019", "gap", "public.item", &statement]).await?;
    session.run(&statement).await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (3)").await?;
    let story = testkit::event::story(&database.events("public.item").await?);
    assert_eq!(story, "c(1) c(3)");
    process.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_captured_table_that_is_dropped_stops_nothing_else() -> Result<()> {
    let (database, session, connector) = item_table("droptable").await?;
    session.run("create table doomed (id int primary key)").await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into doomed values (1), (2); insert into item values (1)").await?;
    session.run("drop table doomed").await?;
    session.run("insert into item values (2)").await?;
    assert_eq!(testkit::event::story(&database.events("public.doomed").await?), "c(1) c(2)");
    process.expect_running()?;
    process.terminate().await?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (3)").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(1) c(2) c(3)");
    process.terminate().await?;
    Ok(())
}

/// Method: a proxy between connector and server, a small load, and one fault after the other.
#[tokio::test]
async fn faults_of_the_network_heal_without_loss() -> Result<()> {
    let (database, session, connector) = item_table("network").await?;
    // Our reports are the server's only sign that we are there.
    session
        .run(&format!("alter database {} set wal_sender_timeout = '3s'", database.name()))
        .await?;
    let proxy = Proxy::start(&format!("127.0.0.1:{}", database.port()))?;
    let connector = connector
        .set("database.port", &proxy.address().port().to_string())
        .set("database.connectTimeout", "2")
        .set("database.query.timeout.ms", "2000")
        .set("tributary.wal.receiver.timeout.ms", "2000");
    let mut process = connector.start_streaming().await?;
    let load = Trickle::start(&database);
    load.more(100).await?;

    proxy.set(Fault::Cut);
    silence(&database, "network: cut").await?;

    proxy.set(Fault::Refuse);
    process.log_with("takes over again", DEADLINE).await?;
    load.more(200).await?;
    proxy.set(Fault::Pass);
    silence(&database, "network: refused, and open again").await?;

    for (silenced, name) in [
        (None, "both ways"),
        (Some(Way::ToClient), "towards us"),
        (Some(Way::ToServer), "away from us"),
    ] {
        let before = process.log().matches("takes over again").count();
        proxy.set(Fault::Silence(silenced));
        noticed(&process, before).await?;
        proxy.set(Fault::Pass);
        silence(&database, &format!("network: half-open {name}, and whole again")).await?;
    }

    for bytes in [1_000, 10_007] {
        let before = process.log().matches("takes over again").count();
        proxy.set(Fault::ResetAfter { bytes, way: Way::ToClient });
        noticed(&process, before).await?;
        silence(&database, "network: reset inside a frame").await?;
    }

    proxy.set(Fault::Throttle { bytes_per_second: 400_000 });
    load.more(200).await?;
    silence(&database, "network: 400 kB/s").await?;
    proxy.set(Fault::Delay(Duration::from_millis(20)));
    load.more(50).await?;
    silence(&database, "network: 20 ms later each way").await?;
    proxy.set(Fault::Pass);
    expect_each_once(&database, load.stop().await?).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    Ok(())
}

/// Waits until the connector has begun anew once more than `before`.
async fn noticed(process: &ConnectorProcess, before: usize) -> Result<()> {
    eventually("the connector notices", DEADLINE, async || {
        let now = process.log().matches("takes over again").count();
        Ok(Seen::when(now > before, || process.log_end()))
    })
    .await
}

/// Copying a table may take as long as it takes, but not for ever from a server that hangs.
///
/// Method: a snapshot through a proxy that slows it down, falls silent in the middle, and is whole again.
#[tokio::test]
async fn a_snapshot_from_a_server_that_hangs_goes_on_later() -> Result<()> {
    const ROWS: usize = 8000;
    /// More than a catalog takes, and less than all that is read: sixteen seconds at the rate below.
    const ROWS_BYTES: u64 = 8_000_000;
    let (database, session, connector) = item_table("slowcopy").await?;
    session
        .run(&format!(
            "insert into item select i, repeat('x', 1000) from generate_series(1, {ROWS}) i"
        ))
        .await?;
    let proxy = Proxy::start(&format!("127.0.0.1:{}", database.port()))?;
    let connector = connector
        .set("database.port", &proxy.address().port().to_string())
        .set("database.query.timeout.ms", "1000")
        .set("database.connectTimeout", "1");
    proxy.set(Fault::Throttle { bytes_per_second: 500_000 });
    let mut process = connector.start()?;
    process.log_with("created slot", DEADLINE).await?;
    let before_rows_bytes = proxy.to_clients_bytes();
    eventually("rows are under way", DEADLINE, async || {
        let bytes = proxy.to_clients_bytes() - before_rows_bytes;
        Ok(Seen::when(bytes > ROWS_BYTES / 8, || format!("{bytes} bytes")))
    })
    .await?;
    let before = process.log().matches("takes over again").count();
    proxy.set(Fault::Silence(None));
    noticed(&process, before).await?;
    proxy.set(Fault::Pass);
    connector.wait_until_streaming(&mut process).await?;
    let events = database.events("public.item").await?;
    let ids: std::collections::BTreeSet<i64> =
        events.iter().filter_map(|event| event.key_payload()["id"].as_i64()).collect();
    assert_eq!(ids.len(), ROWS, "{} events", events.len());
    process.terminate().await?;
    Ok(())
}

/// Method: the role of a new connector may not write, so that it cannot make its publication; then it may.
#[tokio::test]
async fn a_read_only_server_is_waited_for() -> Result<()> {
    let (database, session, connector) = item_table("readonly").await?;
    let name = database.name();
    session.run(&format!("alter database {name} set default_transaction_read_only = on")).await?;
    let mut process = connector.start()?;
    process.log_with("25006", DEADLINE).await?;
    process.log_with("takes over again", DEADLINE).await?;
    session.run(&format!("set default_transaction_read_only = off; alter database {name} reset default_transaction_read_only")).await?;
    connector.wait_until_streaming(&mut process).await?;
    session.run("insert into item values (1)").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(1)");
    process.terminate().await?;
    Ok(())
}

/// A server that takes what it is sent and answers nothing must not hold the connector for ever: what it asks has a limit.
///
/// Method: only the way to the server is silent, so that the stream brings a table that has to be asked for.
#[tokio::test]
async fn a_question_to_a_server_that_hangs_has_a_limit() -> Result<()> {
    let (database, session, connector) = item_table("hangs").await?;
    let proxy = Proxy::start(&format!("127.0.0.1:{}", database.port()))?;
    let connector = connector
        .set("database.port", &proxy.address().port().to_string())
        .set("database.query.timeout.ms", "1000")
        .set("database.connectTimeout", "1");
    let mut process = connector.start_streaming().await?;
    database.sync().await?;
    proxy.set(Fault::Silence(Some(Way::ToServer)));
    session.run("insert into item values (1)").await?;
    process.log_with("PG027", DEADLINE).await?;
    proxy.set(Fault::Pass);
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(1)");
    process.terminate().await?;
    Ok(())
}
