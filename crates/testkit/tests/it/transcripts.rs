//! What is typed at a worker, and what is read: each managed verb with its refusals, as a terminal session.
//!
//! The transcripts are in `snapshots/`, one per verb; docs/guides/managed.md names them. Standard error is behind `2| `.

use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use testkit::Result;
use testkit::stack::{Database, Stack};
use testkit::terminal::Terminal;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::{Group, Worker};

const TABLES: &str = "create table customers (id int primary key, name text, email text);
    create table orders (id int primary key, customer int, note text);
    create table invoices (id int primary key, iban text);
    insert into customers values (1, 'Ann', 'ann@example.com'), (2, 'Ben', 'ben@example.com');
    insert into orders values (1, 1, 'first'), (2, 1, 'second'), (3, 2, 'third');
    insert into invoices values (1, 'DE02')";

/// A file as Kafka Connect takes it.
const CONNECTOR: &str = r#"{ "name": "billing",
  "config": {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "plugin.name": "pgoutput",
    "database.hostname": "127.0.0.1", "database.port": "5432", "database.user": "postgres", "database.password": "secret",
    "database.dbname": "shop", "slot.name": "billing", "publication.name": "billing",
    "topic.prefix": "billing", "table.include.list": "public.invoices" } }
"#;

/// A worker with a database of its own, and who sits before it.
struct Scene {
    worker: Worker,
    /// Has the worker's log.
    _group: Group,
    terminal: Terminal,
}

impl Scene {
    async fn new(database: &Database) -> Result<Self> {
        let group = Group::new(database.bootstrap(), "transcripts")?;
        let worker = group.start("worker-1").await?;
        let url = worker.url().to_owned();
        let terminal = Terminal::new(&[("TRIBUTARY_URL", &url)])?
            .call(url, "http://127.0.0.1:8083")
            .call(format!("127.0.0.1:{}", database.port()), "127.0.0.1:5432")
            .call(format!("\"{}\"", database.port()), "\"5432\"")
            .call(format!("port: {}", database.port()), "port: 5432")
            .call(database.bootstrap(), "127.0.0.1:9092")
            // The slot is looked at every ten seconds; a connector may be made before or after the first look.
            .mask_of("create", r"Lag: .*\n(Slot keeps: .*\n)?", "Lag:          LAG\n")?
            // How far it has come by then.
            .mask_of("update", r#""state": \{(?s:.*?)\n  \},"#, "\"state\": STATE,")?
            .mask_of("update", r#""applied_revision": \d+"#, "\"applied_revision\": NUMBER")?
            .mask_of(
                "wait",
                r"it is (starting|retrying)(?s:.*?)(\n  fix: none if)",
                "it is AWAY$2",
            )?
            .mask_of("destroy", r"it is destroying(?s:.*?)(\n  fix: none if)", "it is AWAY$1")?
            // Of this server and this run.
            .mask(r#"("system_id"): ?"\d+""#, "$1: NUMBER")?
            .mask(r#"("instance"): ?"[-0-9a-f]+""#, "$1: ID")?
            // When.
            .mask(r#"("\w+_ms"): \d+"#, "$1: MOMENT")?
            // Where in the log.
            .mask(r#"("(?:lsn|lsn_proc|lsn_commit|txId|ts_usec)"): ?\d+"#, "$1: NUMBER")?
            .mask(r#""[0-9A-F]+/[0-9A-F]+""#, "\"LSN\"")?
            // How much of it, and how long it took.
            .mask(r#"("\w*bytes\w*"): (\d+|null)"#, "$1: NUMBER")?
            .mask(r#"("seconds\w*"): ([0-9.]+|null)"#, "$1: NUMBER")?
            .mask(r#"("records_committed"): \d+"#, "$1: NUMBER")?
            .mask(r"Slot keeps:   \d+ MB", "Slot keeps:   N MB")?
            // Why the slot keeps that, which depends on what the server did last.
            .mask(r#"("seconds_until_limit": NUMBER,\s+"cause"): ("[^"]*"|null)"#, "$1: WHY")?;
        Ok(Self { worker, _group: group, terminal })
    }

    async fn ok(&mut self, line: &str) -> Result<()> {
        self.terminal.ok(line).await.map(drop)
    }

    /// Types what has to be refused.
    async fn refused(&mut self, line: &str) -> Result<()> {
        let finished = self.terminal.run(line).await?;
        assert_ne!(finished.exit_code, 0, "{line}: {finished:?}");
        Ok(())
    }

    /// Waits until a connector is in a phase.
    async fn until(&self, name: &str, phase: &str) -> Result<()> {
        self.see(name, phase, |state| state["phase"] == phase).await
    }

    /// Waits until it is told what the slot of a connector keeps.
    async fn known(&self, name: &str) -> Result<()> {
        self.see(name, "known", |state| !state["retention"].is_null()).await
    }

    /// Waits until a connector has written to a topic.
    async fn has_topic(&self, name: &str, topic: &str) -> Result<()> {
        let path = format!("/connectors/{name}/topics");
        eventually(&format!("{name} has written to {topic}"), DEADLINE, async || {
            let body = self.worker.expect("GET", &path, None).await?;
            let topics = body[name]["topics"].as_array();
            let has = topics.is_some_and(|topics| topics.contains(&topic.into()));
            Ok(Seen::when(has, || body.to_string()))
        })
        .await
    }

    async fn see(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        let path = format!("/v1/connectors/{name}");
        eventually(&format!("{name} is {what}"), DEADLINE, async || {
            let body = self.worker.expect("GET", &path, None).await?;
            let is_of_now = body["applied_revision"] == body["revision"];
            Ok(Seen::when(is_of_now && is_so(&body["state"]), || body.to_string()))
        })
        .await
    }
}

#[tokio::test]
async fn every_verb_and_its_refusals_read_as_they_did() -> Result<()> {
    let stack = Stack::start(&[("fsync", "off")]).await?;
    stack
        .existing_database("postgres")
        .session()
        .await?
        .run("create database shop encoding 'UTF8' template template0")
        .await?;
    let database = stack.existing_database("shop");
    database.with(TABLES).await?;
    let mut scene = Scene::new(&database).await?;
    nobody_there(&mut scene).await?;
    make(&mut scene).await?;
    look(&mut scene).await?;
    change(&mut scene).await?;
    rest_and_go_on(&mut scene).await?;
    positions(&mut scene).await?;
    describe(&mut scene).await?;
    take_away(&mut scene).await?;
    for (verb, transcript) in scene.terminal.transcripts() {
        assert_snapshot!(verb.as_str(), transcript);
    }
    scene.worker.process.terminate().await?;
    stack.stop().await
}

/// Each verb where no worker listens.
async fn nobody_there(scene: &mut Scene) -> Result<()> {
    for command in [
        "create --source postgres://postgres@127.0.0.1:5432/shop --table orders --name shop",
        "list",
        "info shop",
        "wait shop",
        "update shop --add-table invoices",
        "pause shop",
        "resume shop",
        "stop shop",
        "restart shop",
        "offsets shop",
        "topics shop",
        "destroy shop --confirm shop",
    ] {
        scene.refused(&format!("tributary {command} --url http://127.0.0.1:9")).await?;
    }
    Ok(())
}

async fn make(scene: &mut Scene) -> Result<()> {
    scene.ok("tributary list").await?;
    scene.ok("tributary list --output json | jq .").await?;
    scene.refused("tributary create --name shop").await?;
    scene.refused("tributary create --table orders --name shop").await?;
    scene
        .refused("tributary create --source postgres://postgres@127.0.0.1:5432/shop --table orders --name shop --set decimal.handling.mode=bogus")
        .await?;
    let create = "tributary create --source postgres://postgres@127.0.0.1:5432/shop --table orders --table customers --exclude-column customers.email --name shop";
    scene.ok(create).await?;
    scene.refused(create).await?;
    scene.terminal.file("create", "connector.json", CONNECTOR)?;
    scene.ok("tributary create --config connector.json --wait").await?;
    scene
        .ok("tributary create --config connector.json --name billing-2 --set slot.name=billing_2 --set publication.name=billing_2 --set topic.prefix=billing-2 --output json | jq .")
        .await?;
    scene.until("billing-2", "streaming").await?;
    scene.ok("tributary destroy billing-2 --confirm billing-2 --delete-topics").await
}

async fn look(scene: &mut Scene) -> Result<()> {
    for name in ["shop", "billing"] {
        scene.until(name, "streaming").await?;
        scene.known(name).await?;
    }
    scene.ok("tributary list").await?;
    scene.ok("tributary list --output json | jq .").await?;
    scene.ok("tributary info shop").await?;
    scene.ok("tributary info shop --output json | jq .").await?;
    scene.refused("tributary info shpo").await?;
    scene.ok("tributary wait shop").await?;
    scene.ok("tributary wait shop --output json | jq .").await?;
    scene.refused("tributary wait shpo").await?;
    scene.ok("tributary topics shop").await?;
    scene.ok("tributary topics shop --output json | jq .").await?;
    scene.refused("tributary topics shpo").await?;
    scene
        .ok("tributary create --source postgres://postgres@127.0.0.1:9/shop --table orders --name away")
        .await?;
    scene.until("away", "retrying").await?;
    scene.terminal.remark("wait", "the database of `away` does not answer");
    scene.refused("tributary wait away --wait-max 1s").await?;
    // Its slot may be there: it is tried until the database answers.
    scene.refused("tributary destroy away --confirm away --wait-max 5s").await
}

async fn change(scene: &mut Scene) -> Result<()> {
    for command in [
        "update shop --add-table invoices --exclude-column invoices.iban --setting tombstones.on.delete=false",
        "update shop --unset tombstones.on.delete",
        "update shop --remove-table customers --remove-excluded-column customers.email",
        "update shop --add-table customers --output json | jq .",
    ] {
        scene.ok(&format!("tributary {command}")).await?;
        scene.until("shop", "streaming").await?;
        // It was added first, and its rows come when they are read.
        scene.has_topic("shop", "shop.public.invoices").await?;
    }
    for command in [
        "update shop",
        "update shop --setting tombstone.on.delete=false",
        "update shop --remove-table products",
        "update billing --remove-table invoices",
        "update shop --remove-excluded-column orders.note",
        "update shpo --add-table invoices",
    ] {
        scene.refused(&format!("tributary {command}")).await?;
    }
    Ok(())
}

async fn rest_and_go_on(scene: &mut Scene) -> Result<()> {
    scene.ok("tributary pause shop").await?;
    scene.until("shop", "paused").await?;
    scene.known("shop").await?;
    scene.terminal.remark("info", "it is paused");
    scene.ok("tributary info shop").await?;
    scene.terminal.remark("wait", "it is paused");
    scene.refused("tributary wait shop").await?;
    scene.terminal.remark("restart", "it is paused");
    scene.ok("tributary restart shop").await?;
    scene.ok("tributary pause shop --output json | jq .").await?;
    scene.refused("tributary pause shpo").await?;
    scene.ok("tributary resume shop").await?;
    scene.until("shop", "streaming").await?;
    scene.ok("tributary resume shop --output json | jq .").await?;
    scene.refused("tributary resume shpo").await?;
    scene.ok("tributary restart shop").await?;
    scene.until("shop", "streaming").await?;
    scene.ok("tributary restart shop --output json | jq .").await?;
    scene.refused("tributary restart shpo").await?;
    scene.until("shop", "streaming").await
}

async fn positions(scene: &mut Scene) -> Result<()> {
    scene.ok("tributary offsets shop").await?;
    scene.refused("tributary offsets shop --reset").await?;
    scene.ok("tributary stop shop").await?;
    scene.until("shop", "stopped").await?;
    scene.ok("tributary stop shop --output json | jq .").await?;
    scene.refused("tributary stop shpo").await?;
    scene.terminal.remark("offsets", "it is stopped");
    scene.ok("tributary offsets shop --output json | jq .").await?;
    scene.terminal.file("offsets", "offsets.json", "lsn 0/1\n")?;
    scene.refused("tributary offsets shop --set offsets.json").await?;
    scene.ok("tributary offsets shop --reset").await?;
    scene.ok("tributary offsets shop").await?;
    scene.ok("tributary offsets shop --reset --output json | jq .").await?;
    scene.refused("tributary offsets shpo").await
}

/// The same connector, as a file describes it.
fn described(tombstones: bool, state: &str) -> String {
    format!(
        "name: files
state: {state}
config:
  connector.class: io.debezium.connector.postgresql.PostgresConnector
  database.hostname: 127.0.0.1
  database.port: 5432
  database.user: postgres
  database.password: secret
  database.dbname: shop
  slot.name: files
  publication.name: files
  topic.prefix: files
  table.include.list: public.invoices
  tombstones.on.delete: {tombstones}
"
    )
}

async fn describe(scene: &mut Scene) -> Result<()> {
    const FILE: &str = "connectors.yaml";
    scene.terminal.file("apply", FILE, &described(true, "running"))?;
    scene.refused("tributary apply -f connectors.yaml --url http://127.0.0.1:9").await?;
    scene.ok("tributary apply -f connectors.yaml --dry-run").await?;
    scene.ok("tributary apply -f connectors.yaml").await?;
    scene.until("files", "streaming").await?;
    scene.ok("tributary apply -f connectors.yaml").await?;
    scene.terminal.file("apply", FILE, &described(false, "paused"))?;
    scene.ok("tributary apply -f connectors.yaml --dry-run --output json | jq .").await?;
    scene.ok("tributary apply -f connectors.yaml").await?;
    scene.until("files", "paused").await?;
    scene.refused("tributary apply -f nowhere.yaml").await?;
    scene.terminal.file("apply", FILE, "name: files\nconfg: {}\n")?;
    scene.refused("tributary apply -f connectors.yaml").await?;
    scene.terminal.file(
        "apply",
        FILE,
        "name: files\nconfig:\n  topic.prefix: files\n  tombstone: false\n",
    )?;
    scene.refused("tributary apply -f connectors.yaml").await
}

async fn take_away(scene: &mut Scene) -> Result<()> {
    scene.refused("tributary destroy shop").await?;
    scene.refused("tributary destroy shop --confirm shpo").await?;
    scene.refused("tributary destroy shpo --confirm shpo").await?;
    scene.ok("tributary destroy shop --confirm shop").await?;
    scene
        .ok("tributary destroy billing --confirm billing --delete-topics --output json | jq .")
        .await?;
    scene.ok("tributary destroy files --confirm files --delete-topics").await
}

/// Every command of Heroku's data connectors.
const HEROKU: [&str; 9] = [
    "data:connectors",
    "data:connectors:create",
    "data:connectors:info",
    "data:connectors:wait",
    "data:connectors:update",
    "data:connectors:pause",
    "data:connectors:resume",
    "data:connectors:destroy",
    "pg:settings:data-connector-details-logs",
];

/// Method: the table of docs/guides/managed.md against the list of Heroku's commands, and against the files of the transcripts.
#[test]
fn every_command_of_heroku_has_a_counterpart_with_a_transcript() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(own.join("../../docs/guides/managed.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.len() == 5 && cells[2].starts_with("`tributary "))
        .collect();
    let theirs: Vec<&str> = rows
        .iter()
        .filter_map(|cells| cells[1].trim_matches('`').split(' ').next())
        .filter(|command| !command.is_empty())
        .collect();
    for command in HEROKU {
        assert!(theirs.contains(&command), "{command} has no row in docs/guides/managed.md");
    }
    let folder = own.join("tests/it/snapshots");
    for cells in &rows {
        let verb = cells[2].trim_start_matches("`tributary ").split([' ', '`']).next().unwrap();
        let file = format!("it__transcripts__{verb}.snap");
        assert!(cells[3].contains(&file), "the row of {verb} does not name its transcript");
        let transcript = std::fs::read_to_string(folder.join(&file)).unwrap();
        assert!(transcript.contains(&format!("$ tributary {verb}")), "{file} is of another verb");
    }
}
