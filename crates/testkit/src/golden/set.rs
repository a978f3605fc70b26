//! Reads a folder of recordings.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Failure, Result};

/// One configuration with its cases.
#[derive(Debug)]
pub struct Group {
    /// Name of the group and of its folder.
    pub name: String,
    /// Schema that holds its tables.
    pub schema: String,
    /// Connector configuration; values may hold `${PG_HOST}` and the like.
    pub config: Map<String, Value>,
    /// Its slot.
    pub slot: String,
    /// Its publication.
    pub publication: String,
    /// SQL to run before the cases' set-up.
    pub pre: Vec<String>,
    /// SQL to run at the end.
    pub teardown: Vec<String>,
    /// Further schemas of its cases.
    pub schemas: Vec<String>,
    /// Every action is awaited before the next.
    pub sync_each: bool,
    /// How the runner knows that everything so far has arrived.
    pub sync: Sync,
    /// The connector ends by itself after the snapshot.
    pub no_stream: bool,
    /// Cases in the order in which they are run.
    pub cases: Vec<Case>,
}

/// One recorded case.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Its id; its tables begin with it.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// Present where the recorded behaviour is plainly wrong.
    pub debezium_bug: Option<String>,
    /// SQL to run before the connector is made.
    pub setup: Vec<String>,
    /// What happens while the connector streams.
    #[serde(default)]
    actions: Vec<Value>,
    /// What becomes of the connector.
    pub outcome: Outcome,
    /// The recorded records, ordered by topic, partition, offset.
    pub records: Vec<RecordedRecord>,
    #[serde(default)]
    schemas: Vec<Value>,
}

/// One recorded Kafka record.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordedRecord {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    #[serde(default)]
    pub partition: i32,
    /// `{"schema", "payload"}`, or `None` for no key.
    pub key: Option<Value>,
    /// `{"schema", "payload"}`, or `None` for a tombstone.
    pub value: Option<Value>,
    /// Name and text; text that is JSON is `{"json": value}`.
    #[serde(default)]
    pub headers: Vec<(String, Value)>,
    /// Timestamp of the record, where it is part of the case.
    pub timestamp: Option<Value>,
}

/// How the runner knows that everything so far has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// The event of a marker row comes after everything else.
    #[default]
    Marker,
    /// A marker would be seen: as many records as were recorded, and quiet then.
    Idle,
}

/// What becomes of the connector, as recorded.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Outcome {
    /// `RUNNING`, `FAILED` or `ANY`.
    pub task_state: Option<String>,
    /// The configuration was refused with this text.
    pub message: Option<String>,
}

impl Outcome {
    /// The connector ends with an error.
    pub fn fails(&self) -> bool {
        self.message.is_some() || self.task_state.as_deref() == Some("FAILED")
    }

    /// The key a refusal is about, which its text has in quotes.
    pub fn refused_key(&self) -> Option<&str> {
        self.message.as_deref()?.split('\'').nth(1)
    }
}

/// One step of a case.
#[derive(Debug)]
pub enum Action {
    /// Runs SQL in a named session, or in the case's own. With `error`, it must fail with this SQLSTATE.
    Sql {
        /// What to run.
        sql: String,
        /// Name of the session.
        session: Option<String>,
        /// SQLSTATE it must fail with.
        error: Option<String>,
    },
    /// Waits until everything so far has arrived.
    Sync,
    /// Stops the connector.
    Stop,
    /// Starts it again.
    Start,
    /// Waits, as the recording did where nothing tells the end.
    Sleep(Duration),
}

impl Case {
    /// What happens while the connector streams.
    pub fn actions(&self) -> Result<Vec<Action>> {
        self.actions.iter().map(action).collect()
    }
}

fn action(value: &Value) -> Result<Action> {
    if let Some(sql) = value.as_str() {
        return Ok(Action::Sql { sql: sql.to_owned(), session: None, error: None });
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(sql) = text("sql") {
        return Ok(Action::Sql { sql, session: text("session"), error: text("error") });
    }
    if let Some(seconds) = value.get("sleep").and_then(Value::as_f64) {
        return Ok(Action::Sleep(Duration::from_secs_f64(seconds)));
    }
    match text("do").as_deref() {
        Some("sync") => Ok(Action::Sync),
        Some("stop") => Ok(Action::Stop),
        Some("start") => Ok(Action::Start),
        _ => Err(Failure::new(format!("action {value} is not known to this runner"))),
    }
}

#[derive(Deserialize)]
struct GroupFile {
    group: String,
    schema: String,
    slot: String,
    publication: String,
    config: Map<String, Value>,
    cases: Vec<String>,
    #[serde(default)]
    pre: Vec<String>,
    #[serde(default)]
    teardown: Vec<String>,
    #[serde(default)]
    schemas: Vec<String>,
    #[serde(default)]
    sync_each: bool,
    #[serde(default)]
    sync: Sync,
    #[serde(default)]
    no_stream: bool,
}

/// Reads all groups of a folder, in order of their names.
pub fn load(folder: &Path) -> Result<Vec<Group>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.path().join("_group.json");
        if file.exists() {
            files.push(file);
        }
    }
    files.sort();
    files.iter().map(|file| load_group(file)).collect()
}

fn load_group(path: &Path) -> Result<Group> {
    let file: GroupFile = read_json(path)?;
    let folder = path.parent().unwrap_or(path);
    let cases = file.cases.iter().map(|id| load_case(&folder.join(format!("{id}.json"))));
    Ok(Group {
        cases: cases.collect::<Result<Vec<Case>>>()?,
        name: file.group,
        schema: file.schema,
        config: file.config,
        slot: file.slot,
        publication: file.publication,
        pre: file.pre,
        teardown: file.teardown,
        schemas: file.schemas,
        sync_each: file.sync_each,
        sync: file.sync,
        no_stream: file.no_stream,
    })
}

fn load_case(path: &Path) -> Result<Case> {
    let mut case: Case = read_json(path)?;
    let schemas = std::mem::take(&mut case.schemas);
    for record in &mut case.records {
        resolve(&mut record.key, &schemas)?;
        resolve(&mut record.value, &schemas)?;
    }
    Ok(case)
}

/// Replaces `"schema": "#/schemas/N"` by the schema itself.
fn resolve(side: &mut Option<Value>, schemas: &[Value]) -> Result<()> {
    let Some(schema) = side.as_mut().and_then(|side| side.get_mut("schema")) else {
        return Ok(());
    };
    let Some(reference) = schema.as_str() else {
        return Ok(());
    };
    let number = reference.strip_prefix("#/schemas/").and_then(|number| number.parse().ok());
    let found = number.and_then(|number: usize| schemas.get(number));
    *schema = found.cloned().ok_or_else(|| Failure::new(format!("no schema {reference}")))?;
    Ok(())
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::from(error).during(path.display()))?;
    serde_json::from_str(&text).map_err(|error| Failure::from(error).during(path.display()))
}
