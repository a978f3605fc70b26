//! What makes a connector this one and no other: its name, its kind, the beginning of its topics' names.

use super::problem::Problem;
use super::values::Values;
use crate::spec::Spec;

pub(super) fn connector_name(values: &mut Values<'_>, spec: &Spec) -> String {
    let name = spec.name.as_deref().or(values.given("name")).unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        let fix = "write {\"name\": \"…\", \"config\": {…}}, or pass --name";
        values.problems.push(Problem::new("CF005", "name", "the connector has no name", fix));
    } else if name.chars().any(char::is_control) || name.contains('/') {
        values.invalid(
            "name",
            "it contains a control character or a slash",
            "use letters, digits, `-`, `_` and `.`",
        );
    }
    name
}

pub(super) fn connector_class(values: &mut Values<'_>) {
    const KEY: &str = "connector.class";
    // Connect also finds a plugin by its simple name, with or without `Connector`.
    let known =
        ["io.debezium.connector.postgresql.PostgresConnector", "PostgresConnector", "Postgres"];
    let class = values.text(KEY).unwrap_or_default();
    if !known.contains(&class) {
        values.problems.push(Problem::new(
            "CF004",
            KEY,
            format!("connector class `{class}` is not one of ours"),
            format!("write `{}`", known[0]),
        ));
    }
}

pub(super) fn plugin(values: &mut Values<'_>) {
    const KEY: &str = "plugin.name";
    let plugin = values.text(KEY).unwrap_or_default();
    if plugin != "pgoutput" {
        values.problems.push(Problem::new(
            "CF004",
            KEY,
            format!("`{plugin}` is not supported: changes are always read with pgoutput, which every server has"),
            "write `pgoutput`; a slot of another plugin has to be made anew",
        ));
    }
}

pub(super) fn topic_prefix(values: &mut Values<'_>) -> String {
    const KEY: &str = "topic.prefix";
    let prefix = values.given(KEY).unwrap_or_default();
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if prefix.is_empty() {
        values.problems.push(Problem::new(
            "CF005",
            KEY,
            "it is required and not set",
            "set `topic.prefix`, the first part of every topic name",
        ));
    } else if !prefix.chars().all(allowed) {
        values.invalid(
            KEY,
            &format!("`{prefix}` has characters that a topic name cannot have"),
            "use letters, digits, `.`, `_` and `-`",
        );
    }
    prefix.to_owned()
}

/// Transactional id and offsets topic, which go by the group.
pub(super) fn in_group(values: &Values<'_>, prefix: &str, name: &str) -> (String, String) {
    let group = prefixed(prefix, values.text("tributary.group").unwrap_or_default());
    let offsets_topic = values.given("tributary.offsets.topic");
    let offsets_topic =
        offsets_topic.map_or_else(|| format!("{group}-offsets"), |topic| prefixed(prefix, topic));
    (format!("{group}.{name}"), offsets_topic)
}

/// `KAFKA_PREFIX` begins every name on a shared cluster; who wrote it already means the same.
pub(super) fn prefixed(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}
