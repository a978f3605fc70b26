//! `replica.identity.autoset.values`: which table is to get which replica identity.
//!
//! In: `<expression>:DEFAULT|FULL|NOTHING|INDEX <name>, …`. Out: the choice for a table, or none.
//! Never: a table for which two entries say different things; that is an error at the start, as in Debezium.
//! Source: Debezium documentation, `replica.identity.autoset.values`.

use postgres::identity::IdentityChoice;
use regex::Regex;

use super::filter::pattern;
use super::pattern::{Case, split_list};
use super::values::Values;

const KEY: &str = "replica.identity.autoset.values";
const FIX: &str = "write `schema.table:FULL,schema.table:INDEX name`, with DEFAULT, FULL, NOTHING or INDEX and its name";

/// Replica identities that a start sets.
#[derive(Debug, Clone, Default)]
pub struct IdentityRules {
    entries: Vec<(Regex, IdentityChoice)>,
}

impl IdentityRules {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let mut entries = Vec::new();
        for item in split_list(values.given(KEY).unwrap_or_default()) {
            let Some((tables, identity)) = item.rsplit_once(':') else {
                let why = format!("`{item}` has no colon between table and identity");
                values.invalid(KEY, &why, FIX);
                continue;
            };
            let Some(choice) = choice(identity.trim()) else {
                let why = format!("`{}` in `{item}` is no replica identity", identity.trim());
                values.invalid(KEY, &why, FIX);
                continue;
            };
            if let Some(regex) = pattern(values, KEY, tables.trim(), Case::Ignored) {
                entries.push((regex, choice));
            }
        }
        Self { entries }
    }

    /// What all entries say that fit a table, each once.
    pub fn for_table(&self, schema: &str, table: &str) -> Vec<&IdentityChoice> {
        let name = format!("{schema}.{table}");
        let mut choices: Vec<&IdentityChoice> = Vec::new();
        for (_, choice) in self.entries.iter().filter(|(tables, _)| tables.is_match(&name)) {
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
        choices
    }
}

fn choice(text: &str) -> Option<IdentityChoice> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match (word.to_ascii_uppercase().as_str(), rest.trim()) {
        ("DEFAULT", "") => Some(IdentityChoice::Default),
        ("FULL", "") => Some(IdentityChoice::Full),
        ("NOTHING", "") => Some(IdentityChoice::Nothing),
        ("INDEX", name) if !name.is_empty() => Some(IdentityChoice::Index(name.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn rules(text: &str) -> (IdentityRules, usize) {
        let config = BTreeMap::from([(KEY.to_owned(), text.to_owned())]);
        let mut values = Values::new(&config);
        let rules = IdentityRules::read(&mut values);
        (rules, values.problems.len())
    }

    #[test]
    fn each_table_gets_the_identity_of_its_entry() {
        let (rules, problems) = rules("s.a:FULL, s[.]b.*:index b_idx ,s.c:NOTHING,s.d:default");
        assert_eq!(problems, 0);
        assert_eq!(rules.for_table("s", "a"), [&IdentityChoice::Full]);
        assert_eq!(rules.for_table("s", "bcd"), [&IdentityChoice::Index("b_idx".to_owned())]);
        assert_eq!(rules.for_table("s", "c"), [&IdentityChoice::Nothing]);
        assert_eq!(rules.for_table("s", "d"), [&IdentityChoice::Default]);
        assert!(rules.for_table("t", "a").is_empty());
    }

    #[test]
    fn entries_that_contradict_each_other_are_all_given() {
        let (rules, _) = rules("s.a:FULL,s.*:NOTHING,s.a:full");
        assert_eq!(rules.for_table("s", "a").len(), 2);
    }

    #[test]
    fn what_is_no_identity_is_a_problem() {
        assert_eq!(rules("s.a:EVERYTHING,s.b,s.c:INDEX").1, 3);
    }
}
