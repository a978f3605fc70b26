//! What a worker does for a connector by its name, because only a worker has its secrets: typed as its users type it.

use serde_json::Value;
use tempfile::TempDir;
use testkit::Result;
use testkit::connector::{ConnectorProcess, tributary};
use testkit::event::story;
use testkit::produce::send_record;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::Group;

use crate::managed::Shell;

/// A worker with one connector made by flags, for table `item`, that follows the log.
async fn managed(database: &Database) -> Result<Shell> {
    let shell = Shell::new(database).await?;
    let source = database.url();
    let create =
        ["create", "--source", &source, "--table", "item", "--name", &shell.name, "--wait"];
    shell.ok(&create).await?;
    Ok(shell)
}

/// The last line of an output, as JSON.
fn last_line(output: &str) -> Result<Value> {
    Ok(serde_json::from_str(output.lines().last().unwrap_or_default())?)
}

/// Each line of an output, as JSON.
fn json_lines(output: &str) -> Result<Vec<Value>> {
    output.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Waits until the topic of `item` tells this story.
async fn tells(database: &Database, expected: &str) -> Result<()> {
    eventually(&format!("the topic says {expected}"), DEADLINE, async || {
        let story = story(&database.tail("public.item")?.to_end(DEADLINE).await?);
        Ok(Seen::when(story == expected, || story))
    })
    .await
}

/// Method: the rows are looked for in the topic the moment the command says they are read.
#[tokio::test]
async fn a_table_is_read_again_by_the_name_of_its_connector() -> Result<()> {
    let database = Stack::shared()?.database("again").await?;
    database
        .with("create table item (id int primary key); insert into item values (1), (2)")
        .await?;
    let shell = managed(&database).await?;
    let name = shell.name.as_str();
    tells(&database, "r(1) r(2)").await?;

    let read = ["snapshot", name, "--table", "item", "--wait", "--output", "json"];
    let ended = last_line(&shell.ok(&read).await?)?;
    assert_eq!((&ended["outcome"], &ended["rows"]), (&"completed".into(), &2.into()), "{ended}");
    let story = story(&database.tail("public.item")?.to_end(DEADLINE).await?);
    assert_eq!(story, "r(1) r(2) r(1) r(2)");

    let some = ["snapshot", name, "--table", "item", "--where", "id = 2", "--blocking", "--wait"];
    let ended = shell.run(&some).await?;
    assert!(ended.exit_code == 0 && ended.stderr.contains("completed: 1 rows"), "{ended:?}");
    tells(&database, "r(1) r(2) r(1) r(2) r(2)").await
}

#[tokio::test]
async fn waiting_for_a_snapshot_ends_with_the_cause_where_nothing_is_read() -> Result<()> {
    let database = Stack::shared()?.database("unread").await?;
    database.with("create table item (id int primary key); insert into item values (1)").await?;
    let shell = managed(&database).await?;
    let name = shell.name.as_str();
    let unknown = shell.run(&["snapshot", name, "--table", "nowhere", "--wait"]).await?;
    assert_eq!(unknown.exit_code, 1, "{unknown:?}");
    assert!(unknown.stderr.contains("CL015"), "{unknown:?}");
    assert!(unknown.stderr.contains("no captured table"), "{unknown:?}");

    shell.ok(&["pause", name]).await?;
    let path = format!("/v1/connectors/{name}");
    eventually("it is paused", DEADLINE, async || {
        let connector = shell.worker.expect("GET", &path, None).await?;
        Ok(Seen::when(connector["state"]["phase"] == "paused", || connector.to_string()))
    })
    .await?;
    let rests = shell.run(&["snapshot", name, "--table", "item", "--wait"]).await?;
    assert!(rests.exit_code == 1 && rests.stderr.contains("CL018"), "{rests:?}");

    shell.ok(&["update", name, "--setting", "signal.enabled.channels=source"]).await?;
    let unheard = shell.run(&["snapshot", name, "--stop"]).await?;
    assert_eq!(unheard.exit_code, 1, "{unheard:?}");
    assert!(unheard.stderr.contains("signal.enabled.channels=source,kafka"), "{unheard:?}");
    Ok(())
}

/// Method: a change that cannot work is planned, and one that can; nothing of either is to be seen at the connector.
#[tokio::test]
async fn a_worker_looks_at_a_connector_and_at_what_an_update_would_make_of_it() -> Result<()> {
    let database = Stack::shared()?.database("looked").await?;
    database
        .with("create table item (id int primary key, note text); create table bare (line text)")
        .await?;
    let shell = managed(&database).await?;
    let name = shell.name.as_str();
    let checked = shell.ok(&["check", name]).await?;
    assert!(checked.contains("public.item") && checked.contains("ready"), "{checked}");
    let checked = shell.ok(&["check", name, "--output", "json"]).await?;
    let checked: Value = serde_json::from_str(&checked)?;
    assert_eq!(checked["tables"][0]["table"], "public.item", "{checked}");
    assert!(!checked.to_string().contains("secret_of"), "{checked}");

    let path = format!("/v1/connectors/{name}");
    let before = shell.worker.expect("GET", &path, None).await?["revision"].clone();
    let planned = shell.ok(&["plan", name, "--exclude-column", "item.note"]).await?;
    assert!(planned.contains("+ column.exclude.list: public\\.item\\.note"), "{planned}");
    let planned = shell.run(&["plan", name, "--add-table", "bare"]).await?.stdout;
    assert!(planned.contains("public.bare") && planned.contains("REPLICA IDENTITY"), "{planned}");
    let wrong = ["plan", name, "--setting", "tabel.include.list=a"];
    let refused = shell.run(&wrong).await?;
    assert!(refused.exit_code == 1 && refused.stdout.contains("CF001"), "{refused:?}");
    let away =
        ["plan", name, "--setting", "publication.autocreate.mode=disabled", "--output", "json"];
    let planned =
        shell.run(&[&away[..], &["--setting", "publication.name=nowhere"]].concat()).await?;
    let report: Value = serde_json::from_str(&planned.stdout)?;
    assert_eq!((planned.exit_code, &report["ready"]), (1, &false.into()), "{report}");
    assert_eq!(report["changes"]["publication.name"]["to"], "nowhere", "{report}");
    let after = shell.worker.expect("GET", &path, None).await?["revision"].clone();
    assert_eq!(before, after, "a plan changes nothing");
    let unknown = shell.run(&["check", "nobody"]).await?;
    assert!(unknown.exit_code == 1 && unknown.stderr.contains("CL017"), "{unknown:?}");
    Ok(())
}

/// `tributary tail NAME` under way.
async fn tailing(shell: &Shell, more: &[&str]) -> Result<(ConnectorProcess, TempDir)> {
    let folder = tempfile::tempdir()?;
    let mut arguments = vec!["tail", &shell.name, "--url", shell.worker.url()];
    arguments.extend(more);
    let binary = testkit::connector::binary()?;
    let mut process = ConnectorProcess::start(&binary, &arguments, folder.path())?;
    process.log_with("reading `", DEADLINE).await?;
    Ok((process, folder))
}

/// Method: two look on before rows are written, one at both tables and one at a table that is made only then.
#[tokio::test]
async fn whoever_looks_on_sees_each_event_until_the_connector_is_gone() -> Result<()> {
    let database = Stack::shared()?.database("lookon").await?;
    let session = database
        .with("create table item (id int primary key); create table late (id int primary key); insert into item values (1)")
        .await?;
    let shell = managed(&database).await?;
    let name = shell.name.as_str();
    tells(&database, "r(1)").await?;
    let few = ["--table", "item", "--count", "2", "--output", "json"];
    let (mut few, _folder) = tailing(&shell, &few).await?;
    let (mut all, _other) = tailing(&shell, &[]).await?;
    session.run("insert into item values (2); update item set id = 3 where id = 2").await?;
    assert_eq!(few.exit_code(DEADLINE).await?, 0, "{}", few.log());
    let lines = json_lines(&few.output())?;
    let payloads = lines.iter().map(|line| &line["value"]["payload"]);
    let seen = payloads.map(|payload| (&payload["op"], &payload["after"]["id"]));
    let expected = [(&Value::from("c"), &Value::from(2)), (&"d".into(), &Value::Null)];
    assert!(seen.eq(expected), "{lines:?}");

    shell.ok(&["update", name, "--add-table", "late"]).await?;
    session.run("insert into late values (9)").await?;
    eventually("the event of the table that came later is shown", DEADLINE, async || {
        let shown = all.output();
        Ok(Seen::when(shown.contains("public.late") && shown.contains("id=9"), || shown))
    })
    .await?;
    assert!(all.output().contains("create     id=2"), "{}", all.output());
    let refused = shell.run(&["tail", name, "--table", "nowhere"]).await?;
    assert!(refused.exit_code == 1 && refused.stderr.contains("does not capture"), "{refused:?}");

    let (mut told, _folder) = tailing(&shell, &[]).await?;
    assert_eq!(told.terminate().await?, 0, "{}", told.log());
    shell.ok(&["destroy", name, "--confirm", name, "--delete-topics"]).await?;
    assert_eq!(all.exit_code(DEADLINE).await?, 0, "{}", all.log());
    assert!(all.log().contains("is gone"), "{}", all.log());
    Ok(())
}

/// Method: equal at first; then an event is there twice; then the connector rests while rows are written.
#[tokio::test]
async fn a_worker_verifies_a_connector_by_its_name() -> Result<()> {
    let database = Stack::shared()?.database("verified").await?;
    let session = database
        .with("create table item (id int primary key); insert into item values (1), (2)")
        .await?;
    let shell = managed(&database).await?;
    let name = shell.name.as_str();
    session.run("insert into item values (3)").await?;
    let verified = shell.ok(&["verify", name, "--output", "json"]).await?;
    let report: Value = serde_json::from_str(&verified)?;
    assert_eq!((&report["clean"], &report["tables"][0]["rows"]), (&true.into(), &3.into()));

    let events = database.tail("public.item")?.to_end(DEADLINE).await?;
    let newest = &events[events.len() - 1];
    let topic = database.topic("public.item");
    let (key, value) = (newest.key.as_deref(), newest.value.as_deref());
    send_record(database.bootstrap(), (&topic, 0), key, value, &newest.headers).await?;
    let found = shell.run(&["verify", name]).await?;
    assert!(found.exit_code == 1 && found.stdout.contains("1 events repeated"), "{found:?}");

    shell.ok(&["stop", name]).await?;
    let path = format!("/v1/connectors/{name}");
    eventually("it has stopped", DEADLINE, async || {
        let connector = shell.worker.expect("GET", &path, None).await?;
        Ok(Seen::when(connector["state"]["phase"] == "stopped", || connector.to_string()))
    })
    .await?;
    session.run("insert into item values (4)").await?;
    let behind = shell.run(&["verify", name, "--wait-max", "1s"]).await?;
    assert!(behind.exit_code == 3 && behind.stderr.contains("CO027"), "{behind:?}");
    Ok(())
}

/// Method: two workers; the one that has the connector is killed, and the other is asked for what it had written.
#[tokio::test]
async fn the_last_lines_of_a_connector_outlive_the_worker_that_wrote_them() -> Result<()> {
    let database = Stack::shared()?.database("logged").await?;
    database.with("create table item (id int primary key)").await?;
    let mut shell = managed(&database).await?;
    let name = shell.name.clone();
    let other = Group::new(database.bootstrap(), &name)?.start("two").await?;
    let logs = async |url: &str, more: &[&str]| {
        let arguments = [&["logs", &name, "--url", url, "--output", "json"], more].concat();
        let finished = tributary(&arguments, DEADLINE).await?;
        assert_eq!(finished.exit_code, 0, "{finished:?}");
        json_lines(&finished.stdout)
    };
    let created = "created slot";
    let says = |line: &Value, text: &str| line["text"].as_str().unwrap_or_default().contains(text);
    eventually("any worker tells what one has written", DEADLINE, async || {
        let (here, there) = (logs(shell.worker.url(), &[]).await?, logs(other.url(), &[]).await?);
        let both = [&here, &there].iter().all(|lines| lines.iter().any(|line| says(line, created)));
        Ok(Seen::when(both, || format!("{here:?}\n{there:?}")))
    })
    .await?;
    let last = logs(other.url(), &["--lines", "1"]).await?;
    assert_eq!(last.len(), 1, "{last:?}");

    shell.worker.process.kill().await?;
    let lines = logs(other.url(), &[]).await?;
    let line = lines.iter().find(|line| says(line, created));
    assert_eq!(line.map(|line| &line["worker"]), Some(&Value::from("one")), "{lines:?}");
    assert!(!format!("{lines:?}").contains(":secret"), "{lines:?}");

    let folder = tempfile::tempdir()?;
    let arguments = ["logs", &name, "--url", other.url(), "--follow"];
    let binary = testkit::connector::binary()?;
    let mut follower = ConnectorProcess::start(&binary, &arguments, folder.path())?;
    eventually("it goes on on the other", DEADLINE, async || {
        let shown = follower.output();
        Ok(Seen::when(shown.contains("two  runs here now"), || shown))
    })
    .await?;
    other.expect("DELETE", &format!("/v1/connectors/{name}"), None).await?;
    assert_eq!(follower.exit_code(DEADLINE).await?, 0, "{}", follower.log());
    Ok(())
}
