//! `tributary apply`: connectors become what a file says.
//!
//! In: YAML or JSON, in our form or Strimzi's. Out: what differs, and the requests that end the difference.
//! Never: a connector that the file does not name.
//! Source: Strimzi API reference, `KafkaConnector`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::{Api, segment};
use crate::args::managed::ApplyArguments;
use crate::error::CliError;
use crate::output::{Colour, Output};

const NOT_FOUND: u16 = 404;
/// What a worker shows in place of a secret.
const HIDDEN: &str = "[hidden]";
const STRIMZI_KIND: &str = "KafkaConnector";

/// A connector as the file describes it.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    name: String,
    config: BTreeMap<String, String>,
    /// `running`, `paused` or `stopped`; `None`: as it is.
    state: Option<String>,
}

pub(crate) async fn run(arguments: &ApplyArguments, output: Output) -> Result<ExitCode, CliError> {
    let path = &arguments.file;
    let unusable = |reason: String| CliError::Described { path: path.clone(), reason };
    let text = read(path).map_err(|cause| unusable(cause.to_string()))?;
    let described = parse(&text).map_err(unusable)?;
    let api = Api::new(&arguments.worker)?;
    let mut changed = Vec::new();
    for connector in &described {
        changed.push(apply(&api, connector, arguments.dry_run, output).await?);
    }
    if output.is_json() {
        output.json(&changed);
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> std::io::Result<String> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Applies one; says what that changed.
async fn apply(
    api: &Api,
    described: &Described,
    dry_run: bool,
    output: Output,
) -> Result<Value, CliError> {
    let path = format!("/connectors/{}", segment(&described.name));
    let known = api.ask("GET", &format!("{path}/config"), None, None).await?;
    let is_new = known.status == NOT_FOUND;
    let before = if is_new { Value::Null } else { known.into_success()?.body };
    let differences = differences(&before, &described.config);
    let state = if is_new {
        Value::Null
    } else {
        api.expect("GET", &format!("{path}/status"), None).await?.body
    };
    let state = state["connector"]["state"].as_str().map(str::to_lowercase);
    let verb = described.state.as_deref().and_then(|wanted| verb(wanted, state.as_deref()));
    if !output.is_json() {
        show(described, is_new, &differences, verb, output);
    }
    if !dry_run {
        // A secret that is hidden may be another one; the worker leaves alone what is so already.
        if is_new || !differences.is_empty() || has_hidden(&before) {
            let config = json!(described.config);
            api.expect("PUT", &format!("{path}/config"), Some(config)).await?;
        }
        if let Some(verb) = verb {
            api.expect("PUT", &format!("{path}/{verb}"), None).await?;
        }
    }
    let changes: Map<String, Value> = differences
        .into_iter()
        .map(|difference| (difference.key, json!({"from": difference.from, "to": difference.to})))
        .collect();
    Ok(
        json!({"name": described.name, "created": is_new, "config": changes, "state": verb, "applied": !dry_run}),
    )
}

/// What brings a connector from a state to another; `None` if it is there.
fn verb(wanted: &str, state: Option<&str>) -> Option<&'static str> {
    let rests = matches!(state, Some("paused" | "stopped"));
    match wanted {
        "paused" if state != Some("paused") => Some("pause"),
        "stopped" if state != Some("stopped") => Some("stop"),
        "running" if rests => Some("resume"),
        _ => None,
    }
}

/// A key that is one thing and shall be another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) key: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

/// Whether something of it is shown to nobody.
fn has_hidden(config: &Value) -> bool {
    config.as_object().into_iter().flat_map(Map::values).any(|value| value == HIDDEN)
}

fn differences(before: &Value, config: &BTreeMap<String, String>) -> Vec<Difference> {
    let known = |key: &str| before[key].as_str().map(str::to_owned);
    let mut differences: Vec<Difference> = config
        .iter()
        .map(|(key, to)| Difference { key: key.clone(), from: known(key), to: Some(to.clone()) })
        .filter(|difference| difference.from != difference.to)
        .filter(|difference| difference.from.as_deref() != Some(HIDDEN))
        .collect();
    let keys = before.as_object().into_iter().flat_map(Map::keys);
    for key in keys.filter(|key| key.as_str() != "name" && !config.contains_key(*key)) {
        differences.push(Difference { key: key.clone(), from: known(key), to: None });
    }
    differences.sort_by(|one, other| one.key.cmp(&other.key));
    differences
}

fn show(
    described: &Described,
    is_new: bool,
    differences: &[Difference],
    verb: Option<&str>,
    output: Output,
) {
    let head = if is_new {
        "new"
    } else if differences.is_empty() && verb.is_none() {
        "as it should be"
    } else {
        "changes"
    };
    output.line(&format!("{}: {head}", described.name));
    show_differences(differences, output);
    if let Some(verb) = verb {
        output.line(&output.paint(Colour::Yellow, &format!("  ~ {verb}")));
    }
}

/// Keys as they are and as they shall be.
pub(super) fn show_differences(differences: &[Difference], output: Output) {
    for Difference { key, from, to } in differences {
        // A secret is shown to nobody.
        let shown = |value: &Option<String>| {
            value.as_ref().map(|value| {
                if connector::settings::is_secret(key) {
                    "[hidden]".to_owned()
                } else {
                    value.clone()
                }
            })
        };
        if let Some(from) = shown(from) {
            output.line(&output.paint(Colour::Red, &format!("  - {key}: {from}")));
        }
        if let Some(to) = shown(to) {
            output.line(&output.paint(Colour::Green, &format!("  + {key}: {to}")));
        }
    }
}

/// All connectors of a text, in order.
fn parse(text: &str) -> Result<Vec<Described>, String> {
    let mut all = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        let document = Value::deserialize(document).map_err(|error| error.to_string())?;
        match document.get("connectors") {
            Some(Value::Array(list)) => {
                for connector in list {
                    all.push(described(connector)?);
                }
            }
            // An empty document, as a `---` at the end leaves one.
            _ if document.is_null() => {}
            _ => all.push(described(&document)?),
        }
    }
    if all.is_empty() {
        return Err("it describes no connector".to_owned());
    }
    Ok(all)
}

fn described(document: &Value) -> Result<Described, String> {
    let is_strimzi = document["kind"] == STRIMZI_KIND;
    if !is_strimzi && document.get("kind").is_some() {
        return Err(format!("a {} is no connector", document["kind"]));
    }
    let (name, body) = if is_strimzi {
        (&document["metadata"]["name"], &document["spec"])
    } else {
        (&document["name"], document)
    };
    let name = name.as_str().ok_or("a connector has no name")?.to_owned();
    let known: &[&str] = if is_strimzi {
        &["class", "tasksMax", "config", "pause", "state", "autoRestart", "version"]
    } else {
        &["name", "config", "state"]
    };
    for key in body.as_object().into_iter().flat_map(Map::keys) {
        if !known.contains(&key.as_str()) {
            return Err(format!(
                "`{key}` of connector {name} is not known here: {}",
                known.join(", ")
            ));
        }
    }
    let mut config = BTreeMap::new();
    for (key, value) in
        body["config"].as_object().ok_or(format!("connector {name} has no config"))?
    {
        config.insert(key.clone(), text_of(&name, key, value)?);
    }
    if is_strimzi {
        if let Some(class) = body["class"].as_str() {
            config.insert("connector.class".to_owned(), class.to_owned());
        }
        if let Some(tasks) = body["tasksMax"].as_u64() {
            config.insert("tasks.max".to_owned(), tasks.to_string());
        }
    }
    let state = body["state"].as_str().map(str::to_lowercase);
    let state = state.or_else(|| (body["pause"] == true).then(|| "paused".to_owned()));
    if let Some(state) = &state
        && !["running", "paused", "stopped"].contains(&state.as_str())
    {
        return Err(format!(
            "`state` of connector {name} is `{state}`: running, paused or stopped"
        ));
    }
    Ok(Described { name, config, state })
}

fn text_of(name: &str, key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(format!("`{key}` of connector {name} is neither text nor a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIMZI: &str = "apiVersion: kafka.strimzi.io/v1
kind: KafkaConnector
metadata:
  name: shop
  labels:
    strimzi.io/cluster: c
spec:
  class: io.debezium.connector.postgresql.PostgresConnector
  tasksMax: 1
  autoRestart:
    enabled: true
  state: paused
  config:
    topic.prefix: shop
    database.port: 5432
---
";

    #[test]
    fn a_strimzi_resource_is_a_connector() {
        let parsed = parse(STRIMZI).unwrap();
        assert_eq!(parsed.len(), 1);
        assert_eq!(parsed[0].name, "shop");
        assert_eq!(parsed[0].state.as_deref(), Some("paused"));
        assert_eq!(parsed[0].config["database.port"], "5432");
        assert_eq!(parsed[0].config["tasks.max"], "1");
    }

    #[test]
    fn what_is_not_known_is_told() {
        assert!(parse("name: a\nconfig: {x: 1}\nconfg: {}\n").unwrap_err().contains("confg"));
        assert!(parse("kind: KafkaTopic\n").is_err());
        assert!(parse("name: a\nconfig: {x: [1]}\n").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({"name": "a", "x": "1", "y": "2"});
        let config =
            [("x", "1"), ("z", "3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let differences = differences(&before, &config.into());
        let keys: Vec<&str> = differences.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["y", "z"]);
    }

    #[test]
    fn a_state_that_is_there_needs_no_verb() {
        assert_eq!(verb("paused", Some("paused")), None);
        assert_eq!(verb("running", Some("stopped")), Some("resume"));
        assert_eq!(verb("stopped", None), Some("stop"));
    }
}
