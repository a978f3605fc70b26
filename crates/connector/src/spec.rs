//! What the user typed: a name and Connect's flat map of text, nothing parsed yet.
//!
//! In: a connector JSON as Kafka Connect takes it, or the flags of `tributary run`. Out: a [`Spec`].
//! Never: defaults of single keys (they live in [`crate::settings::keys`]), files, the environment.
//! Source: Kafka Connect REST API, `POST /connectors` (`{"name", "config"}`) and `PUT /connectors/{name}/config` (bare map).

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::settings::problem::{InvalidSettings, Problem};

/// One connector as its user described it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// The connector's name, if it was given.
    pub name: Option<String>,
    /// Debezium's and Kafka Connect's keys, verbatim.
    pub config: BTreeMap<String, String>,
}

/// What `tributary run` takes when there is no connector JSON.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--source`: a `postgres://` URL or libpq keywords.
    pub source: Option<String>,
    /// `--store`: a `kafka://` URL.
    pub store: Option<String>,
    /// `--table`, repeated: `schema.table`; without a schema, `public` is meant.
    pub tables: Vec<String>,
    /// `--exclude-column`, repeated: `schema.table.column`; without a schema, `public` is meant.
    pub exclude_columns: Vec<String>,
    /// `--name`.
    pub name: Option<String>,
    /// `--set key=value`, repeated; wins over everything derived from the other flags.
    pub set: Vec<(String, String)>,
}

impl Spec {
    /// Reads `{"name": …, "config": {…}}` or the bare map; numbers and booleans become their text, `null` means "not set".
    pub fn from_json(text: &str) -> Result<Self, InvalidSettings> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            shape(format!("not valid JSON: {error}"), "mend the file at that line and column")
        })?;
        let Value::Object(mut object) = value else {
            return Err(shape("the file holds no JSON object".to_owned(), SHAPE_FIX));
        };
        let mut name = None;
        if matches!(object.get("config"), Some(Value::Object(_))) {
            name = match object.remove("name") {
                None | Some(Value::Null) => None,
                Some(Value::String(name)) => Some(name),
                Some(other) => {
                    return Err(shape(format!("`name` is {other}, not text"), SHAPE_FIX));
                }
            };
            let config = object.remove("config");
            // What GET /connectors/{name} adds, so that its answer can be fed back.
            object.retain(|key, _| key != "tasks" && key != "type");
            if let Some(key) = object.keys().next() {
                return Err(shape(format!("`{key}` stands beside `name` and `config`"), SHAPE_FIX));
            }
            object = match config {
                Some(Value::Object(config)) => config,
                _ => serde_json::Map::new(),
            };
        }
        Self::from_map(name, object)
    }

    fn from_map(
        name: Option<String>,
        object: serde_json::Map<String, Value>,
    ) -> Result<Self, InvalidSettings> {
        let mut config = BTreeMap::new();
        let mut problems = Vec::new();
        for (key, value) in object {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Bool(flag) => flag.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    problems.push(Problem::new(
                        "CF009",
                        &key,
                        "the value is a JSON array or object; Kafka Connect's values are text, numbers or booleans",
                        "write lists as one comma-separated string",
                    ));
                    continue;
                }
            };
            config.insert(key, text);
        }
        let inner = config.get("name").cloned();
        if let (Some(outer), Some(inner)) = (&name, &inner)
            && outer != inner
        {
            problems.push(Problem::new(
                "CF006",
                "name",
                format!(
                    "the connector is called `{outer}` outside and `{inner}` inside of `config`"
                ),
                "keep one of the two",
            ));
        }
        InvalidSettings::unless_empty(problems)?;
        Ok(Self { name: name.or(inner), config })
    }

    /// The spec that the flags stand for, with everything this way of starting decides written out as keys:
    /// names derived from the connector's, `replace.null.with.default=false`, the event id header on, the era of dates kept,
    /// nothing written to the source, signals from a topic, rows of inheriting tables once, columns of every type captured, and the context messages of applications turned into headers.
    ///
    /// Without `--name` the name is derived from database and tables, so that a restart finds its state again.
    pub fn from_flags(flags: &Flags, database_url: Option<&str>) -> Self {
        let source = flags.source.as_deref().or(database_url);
        let tables: Vec<String> = flags.tables.iter().map(|table| qualified(table, 2)).collect();
        let name =
            flags.name.clone().unwrap_or_else(|| derived_name(source.unwrap_or_default(), &tables));
        let identifier = identifier(&name);
        let mut config = BTreeMap::new();
        let mut put = |key: &str, value: String| config.insert(key.to_owned(), value);
        put("topic.prefix", name.replace('-', "_"));
        put("slot.name", identifier.clone());
        put("publication.name", identifier);
        put("key.converter.replace.null.with.default", "false".to_owned());
        put("value.converter.replace.null.with.default", "false".to_owned());
        put("tributary.event.id.header.enabled", "true".to_owned());
        put("tributary.snapshot.date.era", "kept".to_owned());
        put("tributary.publication.future.tables", "false".to_owned());
        put("tributary.enum.labels", "current".to_owned());
        put("context.message.prefix", "tributary.context".to_owned());
        put("read.only", "true".to_owned());
        put("signal.enabled.channels", "source,kafka".to_owned());
        put("tributary.snapshot.inherited.rows", "once".to_owned());
        put("tributary.unmapped.types", "capture".to_owned());
        if let Some(source) = &flags.source {
            put("tributary.source.url", source.clone());
        }
        if let Some(store) = &flags.store {
            put("tributary.store.url", store.clone());
        }
        if !tables.is_empty() {
            put("table.include.list", literals(&tables));
        }
        if !flags.exclude_columns.is_empty() {
            let columns: Vec<_> =
                flags.exclude_columns.iter().map(|column| qualified(column, 3)).collect();
            put("column.exclude.list", literals(&columns));
        }
        let mut spec = Self { name: Some(name), config };
        spec.set(&flags.set);
        spec
    }

    /// `--source` beside a connector JSON: it takes the place of whatever the JSON says about where the database is.
    pub fn set_source(&mut self, url: &str) {
        for part in ["hostname", "port", "user", "password", "dbname"] {
            self.config.remove(&format!("database.{part}"));
        }
        self.config.insert("tributary.source.url".to_owned(), url.to_owned());
    }

    /// `--store` beside a connector JSON: it takes the place of its `bootstrap.servers`.
    pub fn set_store(&mut self, url: &str) {
        self.config.remove("bootstrap.servers");
        self.config.insert("tributary.store.url".to_owned(), url.to_owned());
    }

    /// Writes `--set` pairs over the config.
    pub fn set(&mut self, pairs: &[(String, String)]) {
        for (key, value) in pairs {
            if key == "name" {
                self.name = Some(value.clone());
            }
            self.config.insert(key.clone(), value.clone());
        }
    }
}

const SHAPE_FIX: &str =
    "write {\"name\": \"…\", \"config\": {\"connector.class\": \"…\", …}} or the inner map alone";

fn shape(why: String, fix: &str) -> InvalidSettings {
    InvalidSettings { problems: vec![Problem::new("CF009", "", why, fix)] }
}

/// `orders` means `public.orders`, as it does for a session with the usual search path.
pub fn qualified(name: &str, parts: usize) -> String {
    if name.split('.').count() < parts { format!("public.{name}") } else { name.to_owned() }
}

/// Flags name tables literally; the keys behind them take regular expressions.
fn literals(names: &[String]) -> String {
    names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(",")
}

/// A name as the regular expression that fits only it.
pub fn literal(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if !character.is_alphanumeric() && character != '_' && !character.is_whitespace() {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// A valid name for slots and publications: lower-case letters, digits and underscores, at most 63 bytes.
fn identifier(name: &str) -> String {
    let safe = |character: char| {
        let lower = character.to_ascii_lowercase();
        if lower.is_ascii_alphanumeric() { lower } else { '_' }
    };
    name.chars().map(safe).take(63).collect()
}

/// What names of connectors begin with that nobody gave one.
pub const ADJECTIVES: [&str; 32] = [
    "amber", "brave", "bright", "calm", "clear", "deep", "eager", "fair", "fresh", "gentle",
    "golden", "grand", "happy", "keen", "kind", "lively", "lucky", "mellow", "merry", "mighty",
    "noble", "patient", "proud", "quick", "quiet", "silver", "smooth", "steady", "swift", "tidy",
    "vivid", "witty",
];

/// Same database and same tables give the same name, whatever the user, password or order.
fn derived_name(source: &str, tables: &[String]) -> String {
    let mut tables: Vec<_> = tables.iter().map(String::as_str).collect();
    tables.sort_unstable();
    tables.dedup();
    let mut hash = Sha256::new();
    hash.update(database_of(source));
    for table in tables {
        hash.update([0]);
        hash.update(table);
    }
    let digest = hash.finalize();
    let adjective = ADJECTIVES[usize::from(digest[0]) % ADJECTIVES.len()];
    let number = 1000 + u32::from_be_bytes([0, digest[1], digest[2], digest[3]]) % 9000;
    format!("{adjective}-connector-{number}")
}

/// Host, port and database of a URL or of libpq keywords; credentials and options must not change a name.
fn database_of(source: &str) -> String {
    if let Some((_, rest)) = source.split_once("://") {
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        return rest.rsplit('@').next().unwrap_or_default().to_owned();
    }
    let mut parts: Vec<_> = source
        .split_whitespace()
        .filter(|part| {
            ["host=", "hostaddr=", "port=", "dbname="].iter().any(|key| part.starts_with(key))
        })
        .collect();
    parts.sort_unstable();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_and_a_bare_map_are_the_same_spec() {
        let wrapped =
            Spec::from_json(r#"{"name":"a","config":{"tasks.max":1,"x":true,"y":null}}"#).unwrap();
        let bare = Spec::from_json(r#"{"name":"a","tasks.max":"1","x":"true"}"#).unwrap();
        assert_eq!(wrapped.name, bare.name);
        assert_eq!(wrapped.config["tasks.max"], bare.config["tasks.max"]);
        assert_eq!(wrapped.config["x"], "true");
        assert!(!wrapped.config.contains_key("y"));
    }

    #[test]
    fn two_different_names_are_refused() {
        let error = Spec::from_json(r#"{"name":"a","config":{"name":"b"}}"#).unwrap_err();
        assert_eq!(error.problems[0].code, "CF006");
    }

    #[test]
    fn nested_values_are_refused_by_key() {
        let error = Spec::from_json(r#"{"table.include.list":["a.b"]}"#).unwrap_err();
        assert_eq!(
            (error.problems[0].code, error.problems[0].key.as_str()),
            ("CF009", "table.include.list")
        );
    }

    #[test]
    fn the_derived_name_ignores_credentials_and_order() {
        let flags = |source: &str, tables: &[&str]| Flags {
            source: Some(source.to_owned()),
            tables: tables.iter().map(|&table| table.to_owned()).collect(),
            ..Flags::default()
        };
        let one = Spec::from_flags(
            &flags("postgres://a:b@h:5432/shop?sslmode=require", &["a", "public.b"]),
            None,
        );
        let two =
            Spec::from_flags(&flags("postgres://c@h:5432/shop", &["public.b", "public.a"]), None);
        let other =
            Spec::from_flags(&flags("postgres://c@h:5432/other", &["public.b", "public.a"]), None);
        assert_eq!(one.name, two.name);
        assert_ne!(one.name, other.name);
    }

    #[test]
    fn flags_become_keys_with_names_derived_from_the_connectors() {
        let spec = Spec::from_flags(
            &Flags {
                name: Some("Shop-1".to_owned()),
                tables: vec!["public.orders".to_owned(), "items".to_owned()],
                set: vec![("slot.name".to_owned(), "mine".to_owned())],
                ..Flags::default()
            },
            None,
        );
        assert_eq!(spec.config["topic.prefix"], "Shop_1");
        assert_eq!(spec.config["publication.name"], "shop_1");
        assert_eq!(spec.config["slot.name"], "mine");
        assert_eq!(spec.config["table.include.list"], r"public\.orders,public\.items");
        assert_eq!(spec.config["tributary.unmapped.types"], "capture");
        assert_eq!(spec.config["signal.enabled.channels"], "source,kafka");
    }
}
