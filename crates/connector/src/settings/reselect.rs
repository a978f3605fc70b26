//! Columns that are read again when the stream does not carry their value.
//!
//! In: `post.processors` and the options under each name. Out: one [`ReselectSettings`] per name.
//! Source: Debezium documentation, "Reselect columns post processor".

use regex::Regex;

use super::Note;
use super::filter::patterns;
use super::pattern::Case;
use super::problem::Problem;
use super::values::{Choice, Values};

const CLASS: &str = "io.debezium.processors.reselect.ReselectColumnsPostProcessor";

/// The options under a name, beside `type`.
const OPTIONS: [&str; 6] = [
    "reselect.columns.include.list",
    "reselect.columns.exclude.list",
    "reselect.unavailable.values",
    "reselect.null.values",
    "reselect.use.event.key",
    "reselect.error.handling.mode",
];

/// One reselecting post-processor.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent switches, as the user writes them"
)]
pub struct ReselectSettings {
    include: Option<Vec<Regex>>,
    exclude: Vec<Regex>,
    /// `reselect.unavailable.values`: values stored out of line that did not change.
    pub unavailable: bool,
    /// `reselect.null.values`.
    pub nulls: bool,
    /// `reselect.use.event.key`: the row is looked up by the record key in place of the primary key.
    pub by_event_key: bool,
    /// `reselect.error.handling.mode`: a failed query ends the connector; otherwise the event goes out as it is.
    pub fails: bool,
}

impl ReselectSettings {
    /// One for each name in `post.processors`.
    pub(super) fn read(values: &mut Values<'_>, notes: &mut Vec<Note>) -> Vec<Self> {
        let names = values.list("post.processors");
        names.into_iter().map(|name| Self::one(values, name, notes)).collect()
    }

    fn one(values: &mut Values<'_>, name: &str, notes: &mut Vec<Note>) -> Self {
        let key = |option: &str| format!("{name}.{option}");
        let type_key = key("type");
        let class = values.given(&type_key);
        if class != Some(CLASS) {
            let why = class.map_or_else(
                || format!("post-processor `{name}` has no class"),
                |class| format!("post-processor `{class}` is not known here"),
            );
            values.problems.push(Problem::new("CF004", &type_key, why, format!("write `{CLASS}`")));
        }
        survey(values, name, notes);
        let include = key("reselect.columns.include.list");
        let exclude = key("reselect.columns.exclude.list");
        values.exclusive(&include, &exclude);
        let given = values.given(&include).is_some();
        Self {
            include: given.then(|| patterns(values, &include, Case::Ignored)),
            exclude: patterns(values, &exclude, Case::Ignored),
            unavailable: flag(values, &key("reselect.unavailable.values"), true),
            nulls: flag(values, &key("reselect.null.values"), true),
            by_event_key: flag(values, &key("reselect.use.event.key"), false),
            fails: values.given(&key("reselect.error.handling.mode")).is_some()
                && values.choice(
                    &key("reselect.error.handling.mode"),
                    &[("warn", Choice::Is(false)), ("fail", Choice::Is(true))],
                    false,
                ),
        }
    }

    /// Whether a column, given as `schema.table:column`, may be read again.
    pub(crate) fn takes(&self, column: &str) -> bool {
        let matches = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(column));
        self.include.as_deref().is_none_or(matches) && !matches(&self.exclude)
    }
}

/// A flag whose default is not in the table of keys, because its name begins with what the user chose.
fn flag(values: &mut Values<'_>, key: &str, default: bool) -> bool {
    if values.given(key).is_some() { values.flag(key) } else { default }
}

/// Looks at every key under the name.
fn survey(values: &mut Values<'_>, name: &str, notes: &mut Vec<Note>) {
    let prefix = format!("{name}.");
    let options: Vec<(String, &str)> = values
        .pairs()
        .filter_map(|(key, _)| Some((key.to_owned(), key.strip_prefix(&prefix)?)))
        .collect();
    for (key, option) in options {
        if option == "type" || OPTIONS.contains(&option) {
            continue;
        }
        if option.starts_with("reselect.cache.") {
            let reason = "what is read again is not cached: a cached value would be older still";
            notes.push(Note { key, reason: reason.to_owned() });
            continue;
        }
        values.problems.push(Problem::new(
            "CF001",
            &key,
            "no such option of this post-processor is known",
            format!("remove it, or write one of {}", OPTIONS.join(", ")),
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Vec<ReselectSettings>, Vec<String>, usize) {
        let config: BTreeMap<String, String> =
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let (mut values, mut notes) = (Values::new(&config), Vec::new());
        let settings = ReselectSettings::read(&mut values, &mut notes);
        let problems = values.problems.iter();
        let problems = problems.map(|problem| format!("{} {}", problem.code, problem.key));
        (settings, problems.collect(), notes.len())
    }

    #[test]
    fn the_defaults_and_the_lists_are_those_of_debezium() {
        let (settings, problems, notes) = read(&[
            ("post.processors", "r"),
            ("r.type", CLASS),
            ("r.reselect.columns.include.list", "public.t:a.*"),
            ("r.reselect.error.handling.mode", "FAIL"),
            ("r.reselect.cache.enabled", "true"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(notes, 1);
        let only = &settings[0];
        assert!(only.unavailable && only.nulls && !only.by_event_key && only.fails);
        assert!(only.takes("public.t:abc") && !only.takes("public.t:b"));
    }

    #[test]
    fn another_class_and_an_unknown_option_are_named() {
        let (_, problems, _) = read(&[
            ("post.processors", "r,s"),
            ("r.type", "x.Y"),
            ("s.type", CLASS),
            ("s.reselect.nulls", "true"),
        ]);
        assert_eq!(problems, ["CF004 r.type", "CF001 s.reselect.nulls"]);
    }
}
