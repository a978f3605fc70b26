//! A standby that takes over from its primary.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use embedded::{Postgres, PostgresOptions, Silent, StopMode};
use testkit::connector::{Connector, ConnectorProcess};
use testkit::session::Session;
use testkit::stack::Stack;
use testkit::tail::{Tail, read_topic};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::{Failure, Result};

/// Copies the primary's data folder while it runs, and starts what was copied as its standby.
async fn standby_of(primary: &Postgres, session: &Session, folder: &Path) -> Result<Postgres> {
    session.run("select pg_create_physical_replication_slot('standby')").await?;
    session.run("select pg_backup_start('standby', true)").await?;
    let copied =
        Command::new("cp").arg("-a").arg(primary.data_dir()).arg(folder.join("data")).status()?;
    if !copied.success() {
        return Err(Failure::new(format!("cp -a: {copied}")));
    }
    let label = session.text("select labelfile from pg_backup_stop()").await?.unwrap_or_default();
    let data = folder.join("data");
    std::fs::remove_file(data.join("postmaster.pid"))?;
    for slot in std::fs::read_dir(data.join("pg_replslot"))?.flatten() {
        std::fs::remove_dir_all(slot.path())?;
    }
    let primary_address =
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres", primary.port());
    let mut options = PostgresOptions::default()
        .set("primary_conninfo", primary_address)
        .set("primary_slot_name", "standby")
        .set("hot_standby_feedback", "on");
    options.data_dir = Some(data);
    options.files =
        vec![("standby.signal".to_owned(), String::new()), ("backup_label".to_owned(), label)];
    Ok(Postgres::start(options, &Silent).await?)
}

async fn seen(topic: &str, id: u64) -> Result<()> {
    let mut tail = Tail::open(&Stack::shared()?.bootstrap(), topic)?;
    tail.until(DEADLINE, |event| event.key_payload()["id"] == id).await.map(drop)
}

/// Brings the slot onto the standby as it is now, and waits until it would survive a promotion.
async fn slot_is_synchronized(
    standby: &Session,
    slot: &str,
    process: &mut ConnectorProcess,
) -> Result<()> {
    let synced = format!(
        "select synced and not temporary from pg_replication_slots where slot_name = '{slot}'"
    );
    eventually("the slot is on the standby", DEADLINE, async || {
        process.expect_running()?;
        standby.run("select pg_sync_replication_slots()").await?;
        let synced = standby.text(&synced).await?;
        Ok(Seen::when(synced.as_deref() == Some("t"), || format!("{synced:?}")))
    })
    .await
}

/// Method: a primary of PostgreSQL 17 with a standby and `slot.failover`; rows are committed while the connector is stopped, the
/// primary ends, the connector is told where the standby is, which is promoted only then.
#[tokio::test]
async fn a_promoted_standby_that_has_the_slot_is_gone_on_with_without_loss_or_duplicate()
-> Result<()> {
    let primary = Postgres::start(PostgresOptions::version(17), &Silent).await?;
    let session = Session::connect(&primary.url()).await?;
    session.run("create table item (id int primary key)").await?;
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir()?;
    let standby = standby_of(&primary, &session, folder.path()).await?;
    let standby_session = Session::connect(&standby.url()).await?;

    let stack = Stack::shared()?;
    let topic = "promoted.public.item";
    let connector = |port: u16| -> Result<Connector> {
        let connector = stack.existing_database("postgres").connector()?.named("promoted");
        Ok(connector
            .set("database.port", &port.to_string())
            .set("topic.prefix", "promoted")
            .set("slot.name", "promoted")
            .set("publication.name", "promoted")
            .set("slot.failover", "true"))
    };
    let at_primary = connector(primary.port())?;
    let mut process = at_primary.start()?;
    session.run("insert into item select generate_series(1, 100)").await?;
    seen(topic, 100).await?;
    slot_is_synchronized(&standby_session, "promoted", &mut process).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    session.run("insert into item select generate_series(101, 200)").await?;
    // A primary that ends in order lets its standby have everything first.
    primary.stop(StopMode::Fast).await?;
    let at_standby = connector(standby.port())?;
    let mut process = at_standby.start()?;
    process.log_with("takes over again", DEADLINE).await?;
    assert!(process.log().contains("PG034"), "{}", process.log());
    assert_eq!(standby_session.text("select pg_promote()").await?.as_deref(), Some("t"));

    standby_session.run("insert into item select generate_series(201, 300)").await?;
    seen(topic, 300).await.map_err(|failure| failure.during(process.log_end()))?;
    let mut ids = Vec::new();
    for event in read_topic(&stack.bootstrap(), topic).await? {
        ids.extend(event.key_payload()["id"].as_u64());
    }
    assert!(ids.iter().copied().eq(1..=300), "{} events", ids.len());
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    standby.stop(StopMode::Fast).await?;
    Ok(())
}

/// Its primary's last changes are in Kafka and not on it, and it gives their positions to others: to go on would mix two histories.
///
/// Method: the standby is stopped while the connector goes on; then the primary ends, and the standby is promoted without it.
#[tokio::test]
async fn a_standby_promoted_without_the_last_changes_is_a_named_gap() -> Result<()> {
    let primary = Postgres::start(PostgresOptions::version(17), &Silent).await?;
    let session = Session::connect(&primary.url()).await?;
    session.run("create table item (id int primary key)").await?;
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir()?;
    let mut standby = standby_of(&primary, &session, folder.path()).await?;

    let stack = Stack::shared()?;
    let topic = "diverged.public.item";
    let connector = |port: u16| -> Result<Connector> {
        let connector = stack.existing_database("postgres").connector()?.named("diverged");
        Ok(connector
            .set("database.port", &port.to_string())
            .set("topic.prefix", "diverged")
            .set("slot.name", "diverged")
            .set("publication.name", "diverged"))
    };
    let at_primary = connector(primary.port())?;
    let mut process = at_primary.start()?;
    session.run("insert into item select generate_series(1, 100)").await?;
    seen(topic, 100).await?;
    standby.shut_down(StopMode::Fast).await;
    session.run("insert into item select generate_series(101, 200)").await?;
    seen(topic, 200).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    primary.stop(StopMode::Immediate).await?;

    standby.start_again().await?;
    let standby_session = Session::connect(&standby.url()).await?;
    assert_eq!(standby_session.text("select pg_promote()").await?.as_deref(), Some("t"));
    // Past the positions that the primary had given to its last changes.
    standby_session.run("insert into item select generate_series(1001, 3000)").await?;
    let at_standby = connector(standby.port())?;
    let mut process = at_standby.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(log.contains("CO016") && log.contains("gap") && log.contains("fix:"), "{log}");
    standby.stop(StopMode::Fast).await?;
    Ok(())
}

/// A copy has the cluster's identifier, its timeline and the slot; only its log is from before.
///
/// Method: the data folder is copied between two halves of what is written, and the copy takes the server's place.
#[tokio::test]
async fn a_server_restored_from_before_is_a_named_gap() -> Result<()> {
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir()?;
    let options = |name: &str| PostgresOptions {
        data_dir: Some(folder.path().join(name)),
        ..PostgresOptions::default()
    };
    let mut server = Postgres::start(options("data"), &Silent).await?;
    let session = Session::connect(&server.url()).await?;
    session.run("create table item (id int primary key)").await?;
    let stack = Stack::shared()?;
    let connector = |port: u16| -> Result<Connector> {
        let connector = stack.existing_database("postgres").connector()?.named("restored");
        Ok(connector
            .set("database.port", &port.to_string())
            .set("topic.prefix", "restored")
            .set("slot.name", "restored")
            .set("publication.name", "restored"))
    };
    let at_server = connector(server.port())?;
    let mut process = at_server.start()?;
    session.run("insert into item select generate_series(1, 100)").await?;
    seen("restored.public.item", 100).await.map_err(|failure| failure.during(process.log_end()))?;
    server.shut_down(StopMode::Fast).await;
    let copied = Command::new("cp")
        .arg("-a")
        .args([folder.path().join("data"), folder.path().join("copy")])
        .status()?;
    assert!(copied.success(), "cp -a: {copied}");
    server.start_again().await?;
    let session = Session::connect(&server.url()).await?;
    session.run("insert into item select generate_series(101, 20000)").await?;
    seen("restored.public.item", 20_000)
        .await
        .map_err(|failure| failure.during(process.log_end()))?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    server.stop(StopMode::Fast).await?;

    let copy = Postgres::start(options("copy"), &Silent).await?;
    let session = Session::connect(&copy.url()).await?;
    session.run("insert into item values (101)").await?;
    let at_copy = connector(copy.port())?;
    let mut process = at_copy.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(log.contains("CO029") && log.contains("gap") && log.contains("fix:"), "{log}");
    copy.stop(StopMode::Fast).await?;
    Ok(())
}

/// Two standbys that were promoted apart may both call their timeline the second: what tells them from each other is where it began.
///
/// Method: two copies of one server, the second with more of its log; the connector goes on with the one that has all, and is then led to
/// the other, which has written past the checkpoint meanwhile.
#[tokio::test]
async fn a_sibling_of_the_promoted_standby_is_a_named_gap() -> Result<()> {
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir()?;
    let promoted = async |name: &str| -> Result<(Postgres, Session)> {
        let server = Postgres::start(
            PostgresOptions {
                data_dir: Some(folder.path().join(name)),
                files: vec![("standby.signal".to_owned(), String::new())],
                ..PostgresOptions::default()
            },
            &Silent,
        )
        .await?;
        let session = Session::connect(&server.url()).await?;
        assert_eq!(session.text("select pg_promote()").await?.as_deref(), Some("t"));
        Ok((server, session))
    };
    let copy = |name: &str| -> Result<()> {
        let paths = [folder.path().join("data"), folder.path().join(name)];
        let copied = Command::new("cp").arg("-a").args(paths).status()?;
        if copied.success() { Ok(()) } else { Err(Failure::new(format!("cp -a: {copied}"))) }
    };
    let options = PostgresOptions {
        data_dir: Some(folder.path().join("data")),
        ..PostgresOptions::default()
    };
    let mut server = Postgres::start(options, &Silent).await?;
    Session::connect(&server.url()).await?.run("create table item (id int primary key)").await?;
    let stack = Stack::shared()?;
    let connector = |port: u16| -> Result<Connector> {
        let connector = stack.existing_database("postgres").connector()?.named("sibling");
        Ok(connector
            .set("database.port", &port.to_string())
            .set("topic.prefix", "sibling")
            .set("slot.name", "sibling")
            .set("publication.name", "sibling"))
    };
    for (name, first, last) in [("sibling", 1, 50), ("heir", 51, 100)] {
        let at_server = connector(server.port())?;
        let mut process = at_server.start()?;
        let session = Session::connect(&server.url()).await?;
        session.run(&format!("insert into item select generate_series({first}, {last})")).await?;
        seen("sibling.public.item", last).await?;
        assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
        server.shut_down(StopMode::Fast).await;
        copy(name)?;
        server.start_again().await?;
    }
    server.stop(StopMode::Fast).await?;

    let (heir, session) = promoted("heir").await?;
    let at_heir = connector(heir.port())?;
    let mut process = at_heir.start()?;
    session.run("insert into item select generate_series(101, 200)").await?;
    seen("sibling.public.item", 200).await.map_err(|failure| failure.during(process.log_end()))?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    heir.stop(StopMode::Fast).await?;

    let (sibling, session) = promoted("sibling").await?;
    session.run("insert into item select generate_series(1001, 30000)").await?;
    let timeline = "select timeline_id::text from pg_control_checkpoint()";
    session.run("checkpoint").await?;
    assert_eq!(session.text(timeline).await?.as_deref(), Some("2"), "as the heir's");
    let at_sibling = connector(sibling.port())?;
    let mut process = at_sibling.start()?;
    assert_eq!(process.exit_code(DEADLINE).await?, 1, "{}", process.log_end());
    let log = process.log();
    assert!(log.contains("CO029") && log.contains("gap") && log.contains("fix:"), "{log}");
    sibling.stop(StopMode::Fast).await?;
    Ok(())
}
