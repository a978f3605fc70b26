//! A group of workers, by its API: connectors made, changed, moved and taken away.

use serde_json::json;
use testkit::Result;
use testkit::faults::{ITEM, Trickle, expect_each_once};
use testkit::stack::Stack;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::Group;

/// Method: the life of one connector on one worker, each state looked up as Kafka Connect's clients do.
#[tokio::test]
async fn a_connector_lives_on_a_worker_from_its_creation_to_its_end() -> Result<()> {
    let database = Stack::shared()?.database("managed").await?;
    let session = database
        .with("create table item (id int primary key); insert into item values (1)")
        .await?;
    let name = database.name();
    let mut worker = Group::new(database.bootstrap(), name)?.start("one").await?;
    worker.create(&database, json!({})).await?;
    worker.task_is(name, "RUNNING").await?;
    session.run("insert into item values (2)").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "r(1) c(2)");
    let path = |verb: &str| format!("/connectors/{name}/{verb}");

    worker.expect("PUT", &path("pause"), None).await?;
    worker.task_is(name, "PAUSED").await?;
    session.run("insert into item values (3)").await?;
    worker.expect("PUT", &path("resume"), None).await?;
    worker.task_is(name, "RUNNING").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "r(1) c(2) c(3)");

    worker.expect("POST", &path("restart?includeTasks=true"), None).await?;
    worker.expect("PUT", &path("stop"), None).await?;
    connector_is(&worker, name, "STOPPED").await?;
    session.run("insert into item values (4)").await?;
    worker.expect("PUT", &path("resume"), None).await?;
    assert_eq!(
        testkit::event::story(&database.events("public.item").await?),
        "r(1) c(2) c(3) c(4)"
    );

    worker.expect("DELETE", &format!("/connectors/{name}"), None).await?;
    let answer = worker.ask("GET", &format!("/connectors/{name}"), None).await?;
    assert_eq!(answer.status, 404);
    eventually("the slot is free, and there", DEADLINE, async || {
        let slot = session
            .text(&format!("select active from pg_replication_slots where slot_name = '{name}'"))
            .await?;
        Ok(Seen::when(slot.as_deref() == Some("f"), || format!("{slot:?}")))
    })
    .await?;
    assert_eq!(worker.process.terminate().await?, 0);
    Ok(())
}

/// Method: what the group's topics hold is all that is left when a worker has ended; the next one reads it there.
#[tokio::test]
async fn a_worker_that_starts_again_goes_on_with_its_connectors() -> Result<()> {
    let database = Stack::shared()?.database("again").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let name = database.name();
    let group = Group::new(database.bootstrap(), name)?;
    let mut worker = group.start("one").await?;
    worker.create(&database, json!({})).await?;
    worker.task_is(name, "RUNNING").await?;
    session.run("insert into item values (1)").await?;
    database.sync().await?;
    worker.process.kill().await?;
    session.run("insert into item values (2)").await?;
    let mut worker = group.start("one").await?;
    worker.task_is(name, "RUNNING").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "c(1) c(2)");
    assert_eq!(worker.process.terminate().await?, 0);
    Ok(())
}

/// Method: the elder of two workers is told to end; its connectors are handed over while rows are written.
#[tokio::test]
async fn sigterm_hands_over_and_nothing_is_doubled_or_lost() -> Result<()> {
    let database = Stack::shared()?.database("handover").await?;
    let session = database.with("create table item (id int primary key)").await?;
    let name = database.name();
    let group = Group::new(database.bootstrap(), name)?;
    let mut elder = group.start("elder").await?;
    elder.create(&database, json!({})).await?;
    elder.task_is(name, "RUNNING").await?;
    let younger = group.start("younger").await?;
    session.run("insert into item select generate_series(1, 500)").await?;
    assert_eq!(elder.process.terminate().await?, 0);
    session.run("insert into item select generate_series(501, 1000)").await?;
    eventually("the younger has it", DEADLINE, async || {
        let status = younger.expect("GET", &format!("/connectors/{name}/status"), None).await?;
        let task = &status["tasks"][0];
        let has = task["state"] == "RUNNING" && task["worker_id"] == "younger";
        Ok(Seen::when(has, || status.to_string()))
    })
    .await?;
    let events = database.events("public.item").await?;
    let ids = events.iter().filter_map(|event| event.key_payload()["id"].as_i64());
    assert!(ids.eq(1..=1000), "{} events", events.len());
    Ok(())
}

/// Method: what `docs/guides/upgrade.md` says of a group: one worker after the other is told to end and started again, the next one
/// once it is ready and nothing is unassigned; rows are written all the while.
#[tokio::test]
async fn workers_that_are_upgraded_one_by_one_double_and_lose_nothing() -> Result<()> {
    let database = Stack::shared()?.database("upgraded").await?;
    database.with(ITEM).await?;
    let name = database.name();
    let group = Group::new(database.bootstrap(), name)?;
    let mut workers = Vec::new();
    for id in ["one", "two", "three"] {
        workers.push(group.start(id).await?);
    }
    workers[0].create(&database, json!({})).await?;
    workers[0].task_is(name, "RUNNING").await?;
    let load = Trickle::start(&database);
    for (at, id) in ["one", "two", "three"].into_iter().enumerate() {
        load.more(200).await?;
        assert_eq!(workers[at].process.terminate().await?, 0);
        workers[at] = group.start(id).await?;
        let again = &workers[at];
        eventually("it is ready", DEADLINE, async || {
            let answer = again.ask("GET", "/ready", None).await?;
            Ok(Seen::when(answer.status == 200, || format!("{answer:?}")))
        })
        .await?;
        again.task_is(name, "RUNNING").await?;
    }
    load.more(200).await?;
    expect_each_once(&database, load.stop().await?).await
}

/// Method: the configuration is replaced while the connector runs; what had failed is mended by it.
#[tokio::test]
async fn a_changed_configuration_is_gone_on_with_and_mends_a_failure() -> Result<()> {
    let database = Stack::shared()?.database("mended").await?;
    database.with("create table item (id int primary key); insert into item values (1)").await?;
    let name = database.name();
    let worker = Group::new(database.bootstrap(), name)?.start("one").await?;
    worker.create(&database, json!({"publication.autocreate.mode": "disabled"})).await?;
    worker.task_is(name, "FAILED").await?;
    let status = worker.expect("GET", &format!("/connectors/{name}/status"), None).await?;
    let trace = status["tasks"][0]["trace"].as_str().unwrap_or_default();
    assert!(trace.contains("publication"), "{status}");
    let patch = json!({"publication.autocreate.mode": "filtered"});
    worker.expect("PATCH", &format!("/connectors/{name}/config"), Some(patch)).await?;
    worker.task_is(name, "RUNNING").await?;
    assert_eq!(testkit::event::story(&database.events("public.item").await?), "r(1)");
    Ok(())
}

/// Method: what `destroy` promises: slot, publication, and, where asked, topics are gone; the connector is not found.
#[tokio::test]
async fn destroying_takes_away_slot_publication_and_the_topics_if_asked() -> Result<()> {
    let database = Stack::shared()?.database("destroyed").await?;
    let session = database
        .with("create table item (id int primary key); insert into item values (1)")
        .await?;
    let name = database.name();
    let worker = Group::new(database.bootstrap(), name)?.start("one").await?;
    for topics in [false, true] {
        worker.create(&database, json!({})).await?;
        worker.task_is(name, "RUNNING").await?;
        let path = format!("/v1/connectors/{name}");
        worker.expect("DELETE", &format!("{path}?topics={topics}"), None).await?;
        eventually("it is gone", DEADLINE, async || {
            let answer = worker.ask("GET", &path, None).await?;
            Ok(Seen::when(answer.status == 404, || format!("{answer:?}")))
        })
        .await?;
        let left = session.text(&format!("select (select count(*) from pg_replication_slots where slot_name = '{name}') + (select count(*) from pg_publication where pubname = '{name}')")).await?;
        assert_eq!(left.as_deref(), Some("0"));
        let there = testkit::tail::topics_with_prefix(database.bootstrap(), &format!("{name}."))?;
        assert_eq!(there.is_empty(), topics, "{there:?}");
    }
    Ok(())
}

/// Method: `testkit::fleet`, small: three workers, one killed, one stopped and woken.
#[tokio::test]
async fn a_killed_and_a_stopped_worker_are_stood_in_for() -> Result<()> {
    let options = testkit::fleet::Options {
        connectors: 6,
        workers: 3,
        round: std::time::Duration::from_millis(100),
        calm: std::time::Duration::from_secs(2),
    };
    let outcome = testkit::fleet::run(Stack::shared()?, options, |_| {}).await?;
    assert!(outcome.is_clean(), "{outcome:?}");
    Ok(())
}

async fn connector_is(worker: &testkit::worker::Worker, name: &str, state: &str) -> Result<()> {
    eventually(&format!("{name} is {state}"), DEADLINE, async || {
        let status = worker.expect("GET", &format!("/connectors/{name}/status"), None).await?;
        let found = status["connector"]["state"] == state;
        Ok(Seen::when(found, || status.to_string()))
    })
    .await
}
