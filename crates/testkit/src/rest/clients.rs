//! Clients of Kafka Connect that others wrote, with every call they have.
//!
//! In: a worker of either kind. Out: what each call gave, as [`Answer`]s whose status is 0 where it went well.
//! Never: a client changed, or told which kind of worker it asks.
//! Source: `kafka-connect-py` 1.0.0 (of `PyPI`, the command `kc`); `org.sourcelab:kafka-connect-client` 4.0.5 (of Maven).

use std::path::{Path, PathBuf};
use std::process::Command;

use embedded::{ConnectClient, Silent};
use serde_json::{Map, Value, json};

use super::play::{Answer, Side};
use crate::{Failure, Result};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rest/Calls.java");
const PINNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rest/kafka-connect-py.txt");
const PYTHON_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/kafka-connect-py");
const CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";

/// Every method of the Java client.
pub async fn java(side: &Side<'_>) -> Result<Vec<Answer>> {
    let client = ConnectClient::provide(&Silent).await?;
    let mut command = client.command(Path::new(PROGRAM));
    command.args([side.url, "item"]);
    command.args(config(side).iter().map(|(key, value)| format!("{key}={}", text(value))));
    let output = run(command).await?;
    output
        .lines()
        .map(|line| {
            let mut fields = line.splitn(3, '\t');
            let (Some(say), Some(code), Some(body)) = (fields.next(), fields.next(), fields.next())
            else {
                return Err(Failure::new(format!("not a line of the program: {line}")));
            };
            Ok(answer(say, code.parse()?, serde_json::from_str(body)?))
        })
        .collect()
}

/// Every command of `kc`.
pub async fn python(side: &Side<'_>) -> Result<Vec<Answer>> {
    let kc = Kc { program: program().await?, side };
    let config = Value::Object(config(side)).to_string();
    let created = json!({"name": "item", "config": config_value(&config)?}).to_string();
    let mut named: Value = serde_json::from_str(&config)?;
    named["name"] = json!("item");
    let named = named.to_string();
    let (mut answers, mut before) = (Vec::new(), Vec::<String>::new());
    let mut call = async |arguments: &[&str], state: &str| {
        let is_again = before == arguments;
        before = arguments.iter().map(|&argument| argument.to_owned()).collect();
        answers.push(kc.call(arguments, is_again).await?);
        if state.is_empty() { Ok(()) } else { side.wait_for("item", state).await }
    };
    call(&["info"], "").await?;
    call(&["list"], "").await?;
    call(&["list-plugins"], "").await?;
    call(&["validate-config", CLASS, "-d", &named], "").await?;
    call(&["create", "-d", &created], "RUNNING").await?;
    call(&["create", "-d", &created], "").await?;
    call(&["update", "item", "-d", &config], "RUNNING").await?;
    call(&["list", "--expand", "status"], "").await?;
    call(&["list", "--expand", "info"], "").await?;
    call(&["list", "--pattern", "it.*", "--state", "RUNNING"], "").await?;
    call(&["get", "item"], "").await?;
    call(&["config", "item"], "").await?;
    call(&["status", "item"], "").await?;
    call(&["list-tasks", "item"], "").await?;
    call(&["task-status", "item", "0"], "").await?;
    call(&["restart-task", "item", "0"], "RUNNING").await?;
    call(&["list-topics", "item"], "").await?;
    call(&["reset-topics", "item"], "").await?;
    call(&["restart", "item"], "RUNNING").await?;
    call(&["restart", "item", "--include-tasks"], "RUNNING").await?;
    call(&["restart", "item", "--include-tasks", "--only-failed"], "RUNNING").await?;
    call(&["restart", "--all", "--pattern", "it.*"], "RUNNING").await?;
    call(&["pause", "item"], "PAUSED").await?;
    call(&["resume", "item"], "RUNNING").await?;
    call(&["pause", "--all"], "PAUSED").await?;
    call(&["resume", "--all", "--state", "PAUSED"], "RUNNING").await?;
    call(&["status", "nobody"], "").await?;
    call(&["delete", "item"], "").await?;
    call(&["delete", "item"], "").await?;
    Ok(answers)
}

/// The configuration both clients make a connector with.
fn config(side: &Side<'_>) -> Map<String, Value> {
    let slot = format!("clients_{}", side.name);
    let config = json!({
        "connector.class": CLASS,
        "database.hostname": "127.0.0.1",
        "database.port": side.database.port().to_string(),
        "database.user": "postgres",
        "database.password": super::SECRET,
        "database.dbname": side.database.name(),
        "plugin.name": "pgoutput",
        "publication.autocreate.mode": "filtered",
        "slot.name": slot,
        "publication.name": slot,
        "topic.prefix": slot,
        "table.include.list": "public.item",
    });
    config.as_object().cloned().unwrap_or_default()
}

fn config_value(text: &str) -> Result<Value> {
    Ok(serde_json::from_str(text)?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

struct Kc<'a> {
    program: PathBuf,
    side: &'a Side<'a>,
}

impl Kc<'_> {
    async fn call(&self, arguments: &[&str], is_again: bool) -> Result<Answer> {
        let mut command = Command::new(&self.program);
        command.args(["--url", self.side.url]).args(arguments).env("NO_PROXY", "*");
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let printed = String::from_utf8_lossy(&output.stdout);
        // What goes wrong is said in words, and the command ends well all the same.
        let body = match printed.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        };
        let shown = arguments.iter().filter(|argument| !argument.starts_with('{'));
        let mut say = shown.copied().collect::<Vec<_>>().join(" ");
        if is_again {
            say.push_str(" again");
        }
        let code = output.status.code().and_then(|code| u16::try_from(code).ok());
        Ok(answer(&say, code.unwrap_or(u16::MAX), body))
    }
}

/// Where `kc` is; it is brought once, by the `pip` of this machine.
async fn program() -> Result<PathBuf> {
    let program = Path::new(PYTHON_FOLDER).join("bin/kc");
    if !program.is_file() {
        let mut environment = Command::new("python3");
        environment.args(["-m", "venv", PYTHON_FOLDER]);
        run(environment).await?;
        let mut install = Command::new(Path::new(PYTHON_FOLDER).join("bin/pip"));
        install.args(["install", "--quiet", "--no-deps", "--requirement", PINNED]);
        run(install).await?;
    }
    Ok(program)
}

async fn run(mut command: Command) -> Result<String> {
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stdout);
        return Err(Failure::new(format!("{printed}{}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn answer(say: &str, status: u16, body: Value) -> Answer {
    Answer { say: say.to_owned(), call: String::new(), status, has_location: false, body }
}
