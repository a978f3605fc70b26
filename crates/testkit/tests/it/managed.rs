//! Heroku's verbs, and ours, typed as their users type them, against a worker.

use std::time::Duration;

use serde_json::Value;
use testkit::connector::{Finished, tributary};
use testkit::session::Session;
use testkit::stack::{Database, Stack};
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::{Group, Worker};
use testkit::{Failure, Result};

const COMMAND_MAX: Duration = Duration::from_secs(90);

/// A worker, and what is typed at it.
pub(crate) struct Shell {
    pub(crate) worker: Worker,
    pub(crate) name: String,
}

impl Shell {
    pub(crate) async fn new(database: &Database) -> Result<Self> {
        let name = database.name().to_owned();
        Ok(Self { worker: Group::new(database.bootstrap(), &name)?.start("one").await?, name })
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Finished> {
        let mut all = vec![arguments[0], "--url", self.worker.url()];
        all.extend(&arguments[1..]);
        tributary(&all, COMMAND_MAX).await
    }

    /// Runs it, and anything but success is a failure.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> Result<String> {
        let finished = self.run(arguments).await?;
        if finished.exit_code == 0 {
            return Ok(finished.stdout);
        }
        let text = format!("{arguments:?}: {finished:?}\n{}", self.worker.process.log_end());
        Err(Failure::new(text))
    }
}

/// Method: every verb once, on one connector made by flags; events, slot and answers are looked at after each.
#[tokio::test]
async fn a_connector_is_managed_from_its_creation_to_its_end() -> Result<()> {
    let database = Stack::shared()?.database("verbs").await?;
    let session = database
        .with("create table item (id int primary key, secret text); create table other (id int primary key); insert into item values (1, 'x'); insert into other values (1)")
        .await?;
    let shell = Shell::new(&database).await?;
    let (name, source) = (shell.name.as_str(), database.url());
    let create = [
        "create",
        "--source",
        &source,
        "--table",
        "item",
        "--exclude-column",
        "item.secret",
        "--name",
        name,
        "--wait",
    ];
    let made = shell.ok(&create).await?;
    assert!(made.contains("Status:       streaming"), "{made}");
    assert!(
        made.contains(&format!("public.item                      {name}.public.item")),
        "{made}"
    );
    assert!(made.contains("public.item.secret"), "{made}");

    let listed = shell.ok(&["list"]).await?;
    assert!(listed.starts_with(name) && listed.contains("streaming"), "{listed}");
    let listed = shell.ok(&["list", "--output", "json"]).await?;
    let listed: Value = serde_json::from_str(&listed)?;
    assert_eq!(listed["connectors"][0]["name"], name);
    assert!(!listed.to_string().contains("secret_of"), "{listed}");

    shell
        .ok(&["update", name, "--add-table", "other", "--setting", "tombstones.on.delete=false"])
        .await?;
    eventually("the added table is read", DEADLINE, async || {
        let events = database.tail("public.other")?.to_end(DEADLINE).await?;
        Ok(Seen::when(!events.is_empty(), || "nothing yet".to_owned()))
    })
    .await?;
    session.run("insert into item values (2, 'y'); insert into other values (2)").await?;
    shell.ok(&["wait", name]).await?;

    shell.ok(&["pause", name]).await?;
    let waited = shell.run(&["wait", name]).await?;
    assert!(waited.exit_code == 1 && waited.stderr.contains("CL018"), "{waited:?}");
    session.run("insert into item values (3, 'z')").await?;
    shell.ok(&["resume", name]).await?;
    shell.ok(&["wait", name]).await?;
    shell.ok(&["restart", name]).await?;
    shell.ok(&["wait", name]).await?;
    eventually("what was written while it was paused has come", DEADLINE, async || {
        let events = database.tail("public.item")?.to_end(DEADLINE).await?;
        let story = testkit::event::story(&events);
        Ok(Seen::when(story == "r(1) c(2) c(3)", || story))
    })
    .await?;

    end(&shell, &session).await
}

/// What it has left, and that it is gone.
async fn end(shell: &Shell, session: &Session) -> Result<()> {
    let name = shell.name.as_str();
    let topics = shell.ok(&["topics", name]).await?;
    assert_eq!(topics, format!("{name}.public.item\n{name}.public.other\n"));
    let offsets: Value = serde_json::from_str(&shell.ok(&["offsets", name]).await?)?;
    assert!(offsets["offsets"][0]["offset"]["lsn"].is_u64(), "{offsets}");

    let refused = shell.run(&["destroy", name, "--confirm", "another"]).await?;
    assert_eq!(refused.exit_code, 2, "{refused:?}");
    let gone = shell.ok(&["destroy", name, "--confirm", name]).await?;
    assert!(gone.contains(&format!("{name}.public.item")), "{gone}");
    let slots = session
        .text(&format!("select count(*) from pg_replication_slots where slot_name = '{name}'"))
        .await?;
    assert_eq!(slots.as_deref(), Some("0"));
    Ok(())
}

/// Method: a connector whose role may not log in, made and waited for.
#[tokio::test]
async fn waiting_ends_with_the_cause_where_a_connector_cannot_run() -> Result<()> {
    let database = Stack::shared()?.database("cause").await?;
    database.with("create table item (id int primary key)").await?;
    let shell = Shell::new(&database).await?;
    let source = database.url();
    let create = [
        "create",
        "--source",
        &source,
        "--table",
        "item",
        "--name",
        &shell.name,
        "--set",
        "publication.autocreate.mode=disabled",
    ];
    shell.ok(&create).await?;
    let waited = shell.run(&["wait", &shell.name]).await?;
    assert_eq!(waited.exit_code, 1, "{waited:?}");
    assert!(waited.stderr.contains("PG") && waited.stderr.contains("publication"), "{waited:?}");
    let unknown = shell.run(&["wait", "nobody"]).await?;
    assert!(unknown.exit_code == 1 && unknown.stderr.contains("CL017"), "{unknown:?}");
    Ok(())
}

/// Method: a file in Strimzi's form is applied, applied again, changed, and applied once more; what is applied is what it shows before.
#[tokio::test]
async fn a_file_is_applied_and_what_is_so_already_is_left_alone() -> Result<()> {
    let database = Stack::shared()?.database("applied").await?;
    database.with("create table item (id int primary key); insert into item values (1)").await?;
    let shell = Shell::new(&database).await?;
    let name = shell.name.as_str();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("connectors.yaml");
    let write = |tombstones: bool| {
        let text = format!(
            "apiVersion: kafka.strimzi.io/v1\nkind: KafkaConnector\nmetadata:\n  name: {name}\nspec:\n  class: io.debezium.connector.postgresql.PostgresConnector\n  tasksMax: 1\n  config:\n    database.hostname: 127.0.0.1\n    database.port: {}\n    database.user: postgres\n    database.password: secret_of_a_test\n    database.dbname: {name}\n    topic.prefix: {name}\n    slot.name: {name}\n    publication.name: {name}\n    table.include.list: public.item\n    tombstones.on.delete: {tombstones}\n",
            database.port()
        );
        std::fs::write(&file, text)
    };
    write(true)?;
    let path = file.to_string_lossy().into_owned();
    let shown = shell.ok(&["apply", "-f", &path, "--dry-run"]).await?;
    assert!(shown.contains(": new") && !shown.contains("secret_of_a_test"), "{shown}");
    assert_eq!(shell.worker.expect("GET", "/connectors", None).await?, serde_json::json!([]));
    shell.ok(&["apply", "-f", &path]).await?;
    shell.ok(&["wait", name]).await?;
    let revision = async || -> Result<Value> {
        let path = format!("/v1/connectors/{name}");
        Ok(shell.worker.expect("GET", &path, None).await?["revision"].clone())
    };
    let before = revision().await?;
    let shown = shell.ok(&["apply", "-f", &path]).await?;
    assert!(shown.contains("as it should be"), "{shown}");
    assert_eq!(revision().await?, before);
    write(false)?;
    let shown = shell.ok(&["apply", "-f", &path]).await?;
    assert!(
        shown.contains("- tombstones.on.delete: true")
            && shown.contains("+ tombstones.on.delete: false"),
        "{shown}"
    );
    assert_ne!(revision().await?, before);
    Ok(())
}
