//! `/connector-plugins`: the one connector there is, its settings, and what is wrong with some.
//!
//! Source: Kafka Connect, `PluginInfo`, `ConfigKeyInfo`, `ConfigInfos`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use connector::settings::{Definition, Problem, definition_of, definitions};
use serde_json::{Value, json};

use super::body::{self, Object};
use super::connectors::query_values;
use super::error::ApiError;
use super::{Api, root, secrets};
use crate::wanted::Config;

/// Debezium's class, which existing configurations name.
const CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";
/// As Connect finds it, too.
const ALIASES: [&str; 3] = [CLASS, "PostgresConnector", "Postgres"];
/// What `connectorsOnly=false` adds, with its kind.
const OTHERS: [(&str, &str); 2] = [
    ("org.apache.kafka.connect.json.JsonConverter", "converter"),
    ("org.apache.kafka.connect.storage.SimpleHeaderConverter", "header_converter"),
];

pub(super) async fn list(RawQuery(query): RawQuery) -> Json<Value> {
    let plugin =
        |class: &str, kind: &str| json!({"class": class, "type": kind, "version": root::VERSION});
    let connectors_only = query_values(query.as_deref().unwrap_or_default(), "connectorsOnly");
    let mut plugins = vec![plugin(CLASS, "source")];
    if connectors_only.last().is_some_and(|value| !value.eq_ignore_ascii_case("true")) {
        plugins.extend(OTHERS.map(|(class, kind)| plugin(class, kind)));
    }
    Json(json!(plugins))
}

pub(super) async fn definitions_of(Path(plugin): Path<String>) -> Result<Json<Value>, ApiError> {
    expect_known(&plugin)?;
    Ok(Json(definitions().map(|definition| key_info(&definition, definition.name)).collect()))
}

pub(super) async fn validate(
    State(api): State<Api>,
    Path(plugin): Path<String>,
    Object(object): Object,
) -> Result<Json<Value>, ApiError> {
    expect_known(&plugin)?;
    let config = body::config(object)?;
    expect_same(&plugin, &config)?;
    let name = config.get("name").cloned().unwrap_or_default();
    let config = api.incoming(&name, config)?;
    let problems = match api.group().options().settings(&name, &config) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.problems,
    };
    Ok(Json(infos(&config, &problems)))
}

fn expect_known(plugin: &str) -> Result<(), ApiError> {
    if ALIASES.contains(&plugin) {
        return Ok(());
    }
    Err(ApiError::NoPlugin { plugin: plugin.to_owned() })
}

fn expect_same(plugin: &str, config: &Config) -> Result<(), ApiError> {
    let class = config.get("connector.class").map(String::as_str);
    match class {
        Some(class) if ALIASES.contains(&class) => Ok(()),
        Some(class) => {
            Err(ApiError::OtherPlugin { plugin: plugin.to_owned(), class: class.to_owned() })
        }
        None => {
            Err(ApiError::body("`connector.class` is missing, as it says what is to be validated"))
        }
    }
}

/// `ConfigInfos`: each definition with the value it would have, and what is wrong with it.
fn infos(config: &Config, problems: &[Problem]) -> Value {
    let mut wrong: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for problem in problems {
        // What is about the whole is told at the first of all keys.
        let key = if problem.key.is_empty() { "name" } else { &problem.key };
        let text = format!("[{}] {}: {}", problem.code, problem.why, problem.fix);
        wrong.entry(key).or_default().push(text);
    }
    let mut configs = Vec::new();
    for definition in definitions() {
        let errors = wrong.remove(definition.name).unwrap_or_default();
        configs.push(config_info(&definition, definition.name, config, &errors));
    }
    // Keys that only a pattern knows, and those that nothing knows.
    let shown: Vec<&str> = definitions().map(|definition| definition.name).collect();
    let mut others: Vec<&str> =
        config.keys().map(String::as_str).chain(wrong.keys().copied()).collect();
    others.retain(|key| !shown.contains(key));
    others.sort_unstable();
    others.dedup();
    for key in others {
        let errors = wrong.remove(key).unwrap_or_default();
        let definition = definition_of(key).unwrap_or(UNKNOWN);
        configs.push(config_info(&definition, key, config, &errors));
    }
    let mut groups: Vec<&str> = Vec::new();
    for group in definitions().map(|definition| definition.group) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    json!({"name": CLASS, "error_count": problems.len(), "groups": groups, "configs": configs})
}

/// What a key is that nothing knows.
const UNKNOWN: Definition = Definition {
    name: "",
    type_name: "STRING",
    importance: "LOW",
    group: "Other",
    order_in_group: 0,
    width: "NONE",
    display_name: "",
    recommended: "",
    default: "",
    kind: connector::settings::keys::Kind::NotYet("nothing is known of this key"),
};

fn config_info(definition: &Definition, key: &str, config: &Config, errors: &[String]) -> Value {
    let given = config.get(key).map(|value| secrets::shown(key, value));
    let default = Some(definition.default).filter(|text| !text.is_empty()).map(str::to_owned);
    json!({
        "definition": key_info(definition, key),
        "value": {
            "name": key,
            "value": given.or(default),
            "recommended_values": definition.recommended_values().collect::<Vec<_>>(),
            "errors": errors,
            "visible": true,
        },
    })
}

/// `ConfigKeyInfo`.
fn key_info(definition: &Definition, key: &str) -> Value {
    let default = Some(definition.default).filter(|text| !text.is_empty());
    json!({
        "name": key,
        "type": definition.type_name,
        "required": definition.is_required(),
        "default_value": default.filter(|_| !definition.is_required()),
        "importance": definition.importance,
        "documentation": definition.documentation(),
        "group": definition.group,
        "order_in_group": definition.order_in_group,
        "width": definition.width,
        "display_name": if definition.name == key { definition.display_name } else { key },
        "dependents": [],
    })
}
