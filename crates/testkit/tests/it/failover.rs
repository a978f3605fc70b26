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
/// primary ends, the standby is promoted, and the connector is told where it is.
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
    assert_eq!(standby_session.text("select pg_promote()").await?.as_deref(), Some("t"));

    let at_standby = connector(standby.port())?;
    let mut process = at_standby.start()?;
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
