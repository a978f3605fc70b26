//! `/connector-plugins`: the one connector there is, its settings, and what is wrong with some.
//!
//! In: the name of a plugin, a configuration. Out: each setting with the value it would have. Never: a look at the source or at Kafka.
//! Source: Kafka Connect, `PluginInfo`, `ConfigKeyInfo`, `ConfigInfos`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use connector::settings::{Definition, Problem, definition_of, definitions};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Body, GivenConfig};
use super::error::ApiError;
use super::openapi::{Answer, Doc, Parameter, Refusal, Values, list as list_of, one};
use super::query::query_values;
use super::{Api, root, secrets};
use crate::wanted::Config;

/// Debezium's class, which existing configurations name.
const CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";
/// As Connect finds it, too.
const ALIASES: [&str; 3] = [CLASS, "PostgresConnector", "Postgres"];
/// What `connectorsOnly=false` adds, with its kind.
const OTHERS: [(&str, PluginKind); 2] = [
    ("org.apache.kafka.connect.json.JsonConverter", PluginKind::Converter),
    ("org.apache.kafka.connect.storage.SimpleHeaderConverter", PluginKind::HeaderConverter),
];

/// A class that a configuration may name.
#[derive(Serialize, ToSchema)]
pub(super) struct Plugin {
    class: &'static str,
    #[serde(rename = "type")]
    kind: PluginKind,
    version: &'static str,
}

/// What a plugin is.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PluginKind {
    Source,
    Converter,
    HeaderConverter,
}

/// What there is to know of a setting.
#[derive(Serialize, ToSchema)]
pub(super) struct ConfigKeyInfo {
    name: String,
    /// `STRING`, `INT`, `LONG`, `BOOLEAN`, `LIST`, `CLASS` or `PASSWORD`.
    #[serde(rename = "type")]
    kind: &'static str,
    required: bool,
    #[schema(required)]
    default_value: Option<&'static str>,
    /// `HIGH`, `MEDIUM` or `LOW`.
    importance: &'static str,
    /// What it does here, or why it does nothing.
    documentation: String,
    group: &'static str,
    order_in_group: u32,
    /// `NONE`, `SHORT`, `MEDIUM` or `LONG`.
    width: &'static str,
    display_name: String,
    /// There are none.
    dependents: Vec<&'static str>,
}

/// What is wrong with a configuration.
#[derive(Serialize, ToSchema)]
pub(super) struct ConfigInfos {
    /// The class of the connector.
    name: &'static str,
    #[schema(value_type = u64)]
    error_count: usize,
    groups: Vec<&'static str>,
    configs: Vec<ConfigInfo>,
}

/// A setting, and the value it would have.
#[derive(Serialize, ToSchema)]
struct ConfigInfo {
    definition: ConfigKeyInfo,
    value: ConfigValueInfo,
}

/// The value a setting would have, and what is wrong with it.
#[derive(Serialize, ToSchema)]
struct ConfigValueInfo {
    name: String,
    #[schema(required)]
    value: Option<String>,
    recommended_values: Vec<&'static str>,
    errors: Vec<String>,
    visible: bool,
}

pub(super) const LIST: Doc = Doc {
    parameters: &[Parameter::query("connectorsOnly", Values::Flag, "false adds converters")],
    answers: &[Answer::json("plugins", list_of::<Plugin>)],
    ..Doc::of("Plugins")
};

pub(super) async fn list(RawQuery(query): RawQuery) -> Json<Vec<Plugin>> {
    let plugin = |class, kind| Plugin { class, kind, version: root::VERSION };
    let connectors_only = query_values(query.as_deref().unwrap_or_default(), "connectorsOnly");
    let mut plugins = vec![plugin(CLASS, PluginKind::Source)];
    if connectors_only.last().is_some_and(|value| !value.eq_ignore_ascii_case("true")) {
        plugins.extend(OTHERS.map(|(class, kind)| plugin(class, kind)));
    }
    Json(plugins)
}

pub(super) const SETTINGS: Doc = Doc {
    answers: &[Answer::json("definitions", list_of::<ConfigKeyInfo>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("Every setting")
};

pub(super) async fn settings(
    Path(plugin): Path<String>,
) -> Result<Json<Vec<ConfigKeyInfo>>, ApiError> {
    expect_known(&plugin)?;
    Ok(Json(definitions().map(|definition| key_info(&definition, definition.name)).collect()))
}

pub(super) const CHECK: Doc = Doc {
    body: Some(one::<GivenConfig>),
    answers: &[Answer::json("each setting with its value and errors", one::<ConfigInfos>)],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("What is wrong with a configuration; nothing is changed")
};

pub(super) async fn check(
    State(api): State<Api>,
    Path(plugin): Path<String>,
    Body(GivenConfig(config)): Body<GivenConfig>,
) -> Result<Json<ConfigInfos>, ApiError> {
    expect_known(&plugin)?;
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
fn infos(config: &Config, problems: &[Problem]) -> ConfigInfos {
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
        configs.push(config_info(&definition, definition.name, config, errors));
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
        configs.push(config_info(&definition, key, config, errors));
    }
    let mut groups: Vec<&str> = Vec::new();
    for group in definitions().map(|definition| definition.group) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    ConfigInfos { name: CLASS, error_count: problems.len(), groups, configs }
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

fn config_info(
    definition: &Definition,
    key: &str,
    config: &Config,
    errors: Vec<String>,
) -> ConfigInfo {
    let given = config.get(key).map(|value| secrets::shown(key, value));
    let value = ConfigValueInfo {
        name: key.to_owned(),
        value: given.or(default_of(definition).map(str::to_owned)),
        recommended_values: definition.recommended_values().collect(),
        errors,
        visible: true,
    };
    ConfigInfo { definition: key_info(definition, key), value }
}

/// `ConfigKeyInfo`.
fn key_info(definition: &Definition, key: &str) -> ConfigKeyInfo {
    let required = definition.is_required();
    let display_name = if definition.name == key { definition.display_name } else { key };
    ConfigKeyInfo {
        name: key.to_owned(),
        kind: definition.type_name,
        required,
        default_value: default_of(definition).filter(|_| !required),
        importance: definition.importance,
        documentation: definition.documentation(),
        group: definition.group,
        order_in_group: definition.order_in_group,
        width: definition.width,
        display_name: display_name.to_owned(),
        dependents: Vec::new(),
    }
}

fn default_of(definition: &Definition) -> Option<&'static str> {
    Some(definition.default).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::openapi::expect_fit;
    use super::*;

    #[test]
    fn settings_are_what_the_document_says() {
        let config = [("nothing.knows".to_owned(), "a".to_owned())].into();
        let problem = Problem {
            code: "CF001",
            key: "nothing.knows".to_owned(),
            why: "b".to_owned(),
            fix: "c".to_owned(),
            nearest: None,
        };
        let infos = infos(&config, &[problem]);
        assert_eq!(infos.configs.last().map(|last| last.value.errors.len()), Some(1));
        expect_fit(&infos);
    }
}
