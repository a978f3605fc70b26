//! How topics that do not exist yet are made.
//!
//! In: `topic.creation.*`. Out: a [`TopicCreation`] that answers for a topic name.
//! Source: KIP-158; Kafka Connect source connector configuration. The first group that fits counts; `exclude` wins over
//! `include`; partitions and replication factor fall back to the default rule, other configurations do not.

use std::collections::BTreeMap;

use kafka::NewTopic;
use regex::Regex;

use super::filter::patterns;
use super::pattern::Case;
use super::problem::Problem;
use super::values::Values;

#[derive(Debug, Clone, Default)]
struct Rule {
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    configs: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
struct Group {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    rule: Rule,
}

/// Rules for new topics.
#[derive(Debug, Clone, Default)]
pub struct TopicCreation {
    default: Rule,
    groups: Vec<Group>,
}

/// `topic.transaction`, if there is to be such a topic.
pub(super) fn transaction(values: &mut Values<'_>) -> Option<String> {
    values
        .flag("provide.transaction.metadata")
        .then(|| values.text("topic.transaction").unwrap_or_default().to_owned())
}

impl TopicCreation {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let names = values.list("topic.creation.groups");
        for key in unclaimed(values, &names) {
            values.problems.push(Problem::new(
                "CF006",
                &key,
                "its group is not in `topic.creation.groups`",
                "add the group to `topic.creation.groups`, or remove the key",
            ));
        }
        let mut groups = Vec::new();
        for name in names {
            let include = format!("topic.creation.{name}.include");
            if values.given(&include).is_none() {
                values.problems.push(Problem::new(
                    "CF005",
                    &include,
                    format!("group `{name}` says nothing about the topics it is for"),
                    format!("set `{include}` to regular expressions of topic names"),
                ));
            }
            let exclude = format!("topic.creation.{name}.exclude");
            groups.push(Group {
                include: patterns(values, &include, Case::Matters),
                exclude: patterns(values, &exclude, Case::Matters),
                rule: rule(values, name),
            });
        }
        Self { default: rule(values, "default"), groups }
    }

    /// How this topic is to be made.
    pub fn for_topic(&self, name: &str) -> NewTopic {
        let matches = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(name));
        let fits = |group: &&Group| matches(&group.include) && !matches(&group.exclude);
        let rule = self.groups.iter().find(fits).map_or(&self.default, |group| &group.rule);
        NewTopic {
            name: name.to_owned(),
            partitions: rule.partitions.or(self.default.partitions).unwrap_or(-1),
            replication_factor: rule
                .replication_factor
                .or(self.default.replication_factor)
                .unwrap_or(-1),
            configs: rule.configs.clone(),
        }
    }

    /// Replication factor for topics of our own; -1 is the broker's default.
    pub fn default_replication_factor(&self) -> i16 {
        self.default.replication_factor.unwrap_or(-1)
    }
}

/// Keys of groups that nobody has declared.
fn unclaimed(values: &Values<'_>, names: &[&str]) -> Vec<String> {
    values
        .pairs()
        .filter_map(|(key, _)| Some((key, key.strip_prefix("topic.creation.")?.split_once('.')?.0)))
        .filter(|(_, group)| *group != "default" && !names.contains(group))
        .map(|(key, _)| key.to_owned())
        .collect()
}

fn rule(values: &mut Values<'_>, group: &str) -> Rule {
    let prefix = format!("topic.creation.{group}.");
    let mut rule = Rule::default();
    for (key, text) in values.pairs() {
        let Some(option) = key.strip_prefix(&prefix) else {
            continue;
        };
        match option {
            "partitions" => rule.partitions = positive(values, key),
            "replication.factor" => rule.replication_factor = positive(values, key),
            "include" | "exclude" => {}
            config => {
                rule.configs.insert(config.to_owned(), text.to_owned());
            }
        }
    }
    rule
}

/// A count, or -1 for the broker's default.
fn positive<T: TryFrom<i64>>(values: &mut Values<'_>, key: &str) -> Option<T> {
    let number = values.number(key, -1, 32_767);
    if number == 0 {
        values.invalid(
            key,
            "0 is not possible",
            "write -1 for the broker's default, or 1 and more",
        );
    }
    T::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_that_fits_counts_and_exclude_wins() {
        let config: BTreeMap<String, String> = [
            ("topic.creation.default.partitions", "3"),
            ("topic.creation.default.replication.factor", "2"),
            ("topic.creation.default.retention.ms", "1000"),
            ("topic.creation.groups", "big, log"),
            ("topic.creation.big.include", "p[.]public[.].*"),
            ("topic.creation.big.exclude", ".*small"),
            ("topic.creation.big.partitions", "12"),
            ("topic.creation.log.include", ".*"),
            ("topic.creation.log.cleanup.policy", "compact"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let mut values = Values::new(&config);
        let creation = TopicCreation::read(&mut values);
        assert_eq!(values.problems, []);
        let big = creation.for_topic("p.public.orders");
        assert_eq!((big.partitions, big.replication_factor, big.configs.len()), (12, 2, 0));
        let log = creation.for_topic("p.public.small");
        assert_eq!((log.partitions, log.configs.len()), (3, 1));
    }

    #[test]
    fn an_undeclared_group_is_a_problem() {
        let config: BTreeMap<String, String> =
            [("topic.creation.big.partitions".to_owned(), "3".to_owned())].into();
        let mut values = Values::new(&config);
        TopicCreation::read(&mut values);
        assert_eq!(values.problems[0].code, "CF006");
    }
}
