//! What tools that draw forms and check configurations want to know of each key: type, importance, group, order.
//!
//! In: the table `keys/definitions.tsv`, and [`super::keys`] for defaults and texts. Out: a [`Definition`] per key.
//! Never: a key that is not in the table of keys, a default or a text of its own.
//! Source: types, importance, groups, order and recommended values of Debezium's and Kafka Connect's keys as Kafka Connect 4.3 with
//! Debezium 3.6 answers `PUT /connector-plugins/…/config/validate`; ours follow them.

use super::keys::{self, Kind};

const TABLE: &str = include_str!("keys/definitions.tsv");

/// How tools show and check one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// The key, or the pattern it is one of.
    pub name: &'static str,
    /// Kafka's name of the type: `STRING`, `INT`, `LONG`, `BOOLEAN`, `LIST`, `CLASS`, `PASSWORD`.
    pub type_name: &'static str,
    /// `HIGH`, `MEDIUM` or `LOW`.
    pub importance: &'static str,
    /// Keys that belong together.
    pub group: &'static str,
    /// Place within the group, from 1.
    pub order_in_group: u32,
    /// `NONE`, `SHORT`, `MEDIUM` or `LONG`.
    pub width: &'static str,
    /// For people.
    pub display_name: &'static str,
    /// Values to choose from, comma-separated; empty if any may do.
    pub recommended: &'static str,
    /// Its default as text; empty for none.
    pub default: &'static str,
    /// What it does here, or why it does nothing.
    pub kind: Kind,
}

impl Definition {
    /// Whether a configuration without it cannot be used, whatever else it says.
    pub fn is_required(&self) -> bool {
        matches!(self.name, "name" | "connector.class")
    }

    /// Values to choose from.
    pub fn recommended_values(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.recommended.split(',').filter(|value| !value.is_empty())
    }

    /// What it does here, in words.
    pub fn documentation(&self) -> String {
        match self.kind {
            Kind::Supported(effect) => effect.to_owned(),
            Kind::NeedsNothing(reason) => {
                format!("Accepted, and there is nothing to do: {reason}.")
            }
            Kind::NotYet(instead) => format!("Not supported yet: {instead}."),
            Kind::Renamed(now) => format!("Write `{now}`."),
        }
    }
}

/// The definition of every key that has a name of its own, in the order tools show them.
pub fn definitions() -> impl Iterator<Item = Definition> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(parse)
}

/// The definition of a key as typed; one that only a pattern knows is text without a place.
pub fn definition_of(typed: &str) -> Option<Definition> {
    definitions().find(|definition| definition.name == typed).or_else(|| {
        let key = keys::find(typed)?;
        Some(Definition {
            name: key.name,
            type_name: if is_secret(typed) { "PASSWORD" } else { "STRING" },
            importance: "MEDIUM",
            group: "Other",
            order_in_group: 0,
            width: "MEDIUM",
            display_name: key.name,
            recommended: "",
            default: key.default,
            kind: key.kind,
        })
    })
}

/// Whether the value of a key must never be shown.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let ends = [
        "password",
        "secret",
        "passphrase",
        "token",
        "sasl.jaas.config",
        "ssl.keystore.key",
        "basic.auth.user.info",
        "credentials.json",
        "private.key",
        "access.key",
        "api.key",
    ];
    ends.iter().any(|end| key.ends_with(end))
}

fn parse(line: &'static str) -> Option<Definition> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let key = keys::find(name)?;
    Some(Definition {
        name,
        type_name: fields.next()?,
        importance: fields.next()?,
        group: fields.next()?,
        order_in_group: fields.next()?.parse().ok()?,
        width: fields.next()?,
        display_name: fields.next()?,
        recommended: fields.next()?,
        default: key.default,
        kind: key.kind,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::settings::{Environment, Settings};
    use crate::spec::Spec;

    #[test]
    fn every_key_with_a_name_of_its_own_has_a_definition_and_only_one() {
        let rows = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        let defined: BTreeSet<_> = definitions().map(|definition| definition.name).collect();
        assert_eq!((defined.len(), definitions().count()), (rows, rows));
        let is_own =
            |key: &&keys::Key| !key.name.contains('<') && !matches!(key.kind, Kind::Renamed(_));
        let known: BTreeSet<_> = keys::all().filter(is_own).map(|key| key.name).collect();
        assert_eq!(known.difference(&defined).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn no_two_keys_of_a_group_have_the_same_place() {
        let mut places = BTreeSet::new();
        for definition in definitions() {
            let place = (definition.group, definition.order_in_group);
            assert!(places.insert(place), "{} at {place:?}", definition.name);
        }
    }

    #[test]
    fn types_and_sizes_are_kafkas() {
        for definition in definitions() {
            let types = ["STRING", "INT", "LONG", "BOOLEAN", "LIST", "CLASS", "PASSWORD"];
            assert!(types.contains(&definition.type_name), "{definition:?}");
            assert!(["HIGH", "MEDIUM", "LOW"].contains(&definition.importance), "{definition:?}");
            let widths = ["NONE", "SHORT", "MEDIUM", "LONG"];
            assert!(widths.contains(&definition.width), "{definition:?}");
            if definition.type_name == "BOOLEAN" && !definition.default.is_empty() {
                assert!(["true", "false"].contains(&definition.default), "{definition:?}");
            }
        }
    }

    #[test]
    fn a_recommended_value_of_a_key_that_works_is_no_problem_of_that_key() {
        let base: BTreeMap<String, String> = [
            ("name", "a"),
            ("topic.prefix", "a"),
            ("database.hostname", "h"),
            ("database.user", "u"),
            ("database.dbname", "d"),
            ("tributary.store.url", "kafka://h"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let mut refused = Vec::new();
        for definition in definitions() {
            for value in definition.recommended_values() {
                let mut config = base.clone();
                config.insert(definition.name.to_owned(), value.to_owned());
                let spec = Spec { name: None, config };
                let Err(invalid) = Settings::resolve(&spec, &Environment::default()) else {
                    continue;
                };
                if invalid.problems.iter().any(|problem| problem.key == definition.name) {
                    refused.push((definition.name, value));
                }
            }
        }
        assert_eq!(refused, []);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for key in [
            "database.password",
            "database.sslpassword",
            "sasl.jaas.config",
            "producer.override.sasl.jaas.config",
            "ssl.keystore.key",
            "sasl.oauthbearer.token",
            "signal.consumer.ssl.key.password",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["database.user", "sasl.oauthbearer.token.endpoint.url", "slot.name"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
