//! How topics of tables are named.
//!
//! In: `topic.naming.strategy` and the settings of the strategies that rewrite names. Out: a [`TopicNaming`].
//! Never: a strategy of the user's own; it would be a Java class.
//! Source: Debezium documentation, `topic.naming.strategy`, and its strategies of release 3.6.

use envelope::{KeyField, Rewrite, RewriteError, TopicForm, TopicNaming, TopicParts, TopicRouting};

use super::Note;
use super::filter::pattern;
use super::pattern::{Case, translate};
use super::problem::Problem;
use super::values::Values;

const STRATEGY: &str = "topic.naming.strategy";
const REGEX: &str = "topic.regex";
const REPLACEMENT: &str = "topic.replacement";
const UNIQUENESS: &str = "topic.key.enforce.uniqueness";
const FIELD_NAME: &str = "topic.key.field.name";
const FIELD_REGEX: &str = "topic.key.field.regex";
const FIELD_REPLACEMENT: &str = "topic.key.field.replacement";

/// How a strategy goes on once it has put a name together.
#[derive(Clone, Copy)]
enum Form {
    Plain,
    Regex,
    Unicode,
}

const STRATEGIES: [(&str, TopicParts, Form); 6] = [
    ("io.debezium.schema.SchemaTopicNamingStrategy", TopicParts::SchemaAndTable, Form::Plain),
    ("io.debezium.schema.SchemaRegexTopicNamingStrategy", TopicParts::SchemaAndTable, Form::Regex),
    (
        "io.debezium.schema.SchemaUnicodeTopicNamingStrategy",
        TopicParts::SchemaAndTable,
        Form::Unicode,
    ),
    ("io.debezium.schema.DefaultTopicNamingStrategy", TopicParts::Table, Form::Plain),
    ("io.debezium.schema.DefaultRegexTopicNamingStrategy", TopicParts::Table, Form::Regex),
    ("io.debezium.schema.DefaultUnicodeTopicNamingStrategy", TopicParts::Table, Form::Unicode),
];

/// Reads the strategy and what belongs to it. A class name counts letter by letter, as in Java.
pub(super) fn read(values: &mut Values<'_>, notes: &mut Vec<Note>) -> TopicNaming {
    let name = values.text(STRATEGY).unwrap_or_default();
    let Some(&(_, parts, form)) = STRATEGIES.iter().find(|(known, ..)| *known == name) else {
        let known: Vec<String> =
            STRATEGIES.iter().map(|(known, ..)| format!("`{known}`")).collect();
        values.invalid(
            STRATEGY,
            &format!("`{name}` is none of Debezium's strategies, and there is no Java here to load another"),
            &format!("write one of {}", known.join(", ")),
        );
        return TopicNaming::default();
    };
    let form = match form {
        Form::Plain => TopicForm::Plain,
        Form::Unicode => TopicForm::Unicode,
        Form::Regex => {
            return TopicNaming { parts, form: routing(values, notes).unwrap_or_default() };
        }
    };
    for key in [REGEX, REPLACEMENT, UNIQUENESS, FIELD_NAME, FIELD_REGEX, FIELD_REPLACEMENT] {
        unused(values, key, &format!("`{name}` rewrites no names"), notes);
    }
    TopicNaming { parts, form }
}

/// `topic.regex` and its neighbours; `None` if something is wrong with them, which is said.
fn routing(values: &mut Values<'_>, notes: &mut Vec<Note>) -> Option<TopicForm> {
    for key in [REGEX, REPLACEMENT] {
        if values.given(key).is_none() {
            values.problems.push(Problem::new(
                "CF005",
                key,
                "the strategy that rewrites names needs it, and it is not set",
                format!("set `{key}`, or another `{STRATEGY}`"),
            ));
        }
    }
    let topic = rewrite(values, REGEX, REPLACEMENT);
    let key_field = key_field(values, notes);
    let routing = TopicRouting { topic: topic?, key_field };
    Some(TopicForm::Routed(Box::new(routing)))
}

/// `topic.key.*`.
fn key_field(values: &mut Values<'_>, notes: &mut Vec<Note>) -> Option<KeyField> {
    if !values.flag(UNIQUENESS) {
        for key in [FIELD_NAME, FIELD_REGEX, FIELD_REPLACEMENT] {
            unused(values, key, &format!("`{UNIQUENESS}` is false"), notes);
        }
        return None;
    }
    let name = values.text(FIELD_NAME).unwrap_or_default().to_owned();
    if values.given(FIELD_REGEX).is_none() {
        unused(values, FIELD_REPLACEMENT, &format!("`{FIELD_REGEX}` is not set"), notes);
        return Some(KeyField { name, value: None });
    }
    if values.given(FIELD_REPLACEMENT).is_none() {
        values.problems.push(Problem::new(
            "CF005",
            FIELD_REPLACEMENT,
            format!("`{FIELD_REGEX}` is set, and it is not"),
            format!("set `{FIELD_REPLACEMENT}`, or remove `{FIELD_REGEX}`"),
        ));
    }
    Some(KeyField { name, value: rewrite(values, FIELD_REGEX, FIELD_REPLACEMENT) })
}

/// Compiles an expression with its replacement, if both are set; what cannot be used becomes a problem.
fn rewrite(values: &mut Values<'_>, regex: &str, replacement: &str) -> Option<Rewrite> {
    let (java, to) = (values.given(regex)?, values.given(replacement)?);
    pattern(values, regex, java, Case::Matters)?;
    match Rewrite::new(&translate(java).ok()?, to) {
        Ok(rewrite) => Some(rewrite),
        Err(RewriteError::Pattern(why)) => {
            values.invalid(regex, &why, "write a regular expression");
            None
        }
        Err(RewriteError::Replacement(why)) => {
            values.invalid(
                replacement,
                &format!("`{to}` cannot replace what `{regex}` matches: {why}"),
                "write `$1` or `${name}` for a group, `\\$` for a dollar sign and `\\\\` for a backslash",
            );
            None
        }
    }
}

/// Notes a key that was given and changes nothing.
fn unused(values: &Values<'_>, key: &str, reason: &str, notes: &mut Vec<Note>) {
    if values.given(key).is_some() {
        notes.push(Note { key: key.to_owned(), reason: reason.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use envelope::EncoderSettings;

    use super::*;

    struct Read {
        settings: EncoderSettings,
        problems: Vec<(&'static str, String)>,
        notes: Vec<String>,
    }

    fn read_pairs(pairs: &[(&str, &str)]) -> Read {
        let config: BTreeMap<String, String> =
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let (mut values, mut notes) = (Values::new(&config), Vec::new());
        let topic_naming = read(&mut values, &mut notes);
        let problems = values.problems.iter().map(|problem| (problem.code, problem.key.clone()));
        Read {
            settings: EncoderSettings { topic_naming, ..EncoderSettings::new("srv", "db", "1") },
            problems: problems.collect(),
            notes: notes.into_iter().map(|note| note.key).collect(),
        }
    }

    #[test]
    fn each_strategy_of_debezium_names_topics_as_there() {
        for (strategy, topic) in [
            ("SchemaTopicNamingStrategy", "srv.s.a_1"),
            ("SchemaUnicodeTopicNamingStrategy", "srv.s.a_u005f1"),
            ("SchemaRegexTopicNamingStrategy", "srv.s.a"),
            ("DefaultTopicNamingStrategy", "srv.a_1"),
            ("DefaultUnicodeTopicNamingStrategy", "srv.a_u005f1"),
            ("DefaultRegexTopicNamingStrategy", "srv.a"),
        ] {
            let strategy = format!("io.debezium.schema.{strategy}");
            let read = read_pairs(&[
                ("topic.naming.strategy", &strategy),
                ("topic.regex", r"(.*)_\d"),
                ("topic.replacement", "$1"),
            ]);
            assert!(read.problems.is_empty(), "{strategy}: {:?}", read.problems);
            assert_eq!(read.settings.topic_of("s", "a_1"), topic, "{strategy}");
            assert_eq!(read.notes.is_empty(), strategy.contains("Regex"), "{strategy}");
        }
        assert_eq!(read_pairs(&[]).settings.topic_of("s", "a_1"), "srv.s.a_1");
    }

    #[test]
    fn any_other_class_is_refused_by_name() {
        for strategy in ["SchemaTopicNamingStrategy", "com.example.Own", "io.debezium.schema.X"] {
            let read = read_pairs(&[("topic.naming.strategy", strategy)]);
            assert_eq!(read.problems, [("CF003", "topic.naming.strategy".to_owned())]);
        }
    }

    #[test]
    fn what_the_regex_strategies_lack_or_leave_unused_is_said() {
        let regex = ("topic.naming.strategy", "io.debezium.schema.SchemaRegexTopicNamingStrategy");
        let lacking = read_pairs(&[regex, ("topic.key.field.regex", "(.*)")]);
        let keys = ["topic.regex", "topic.replacement", "topic.key.field.replacement"];
        assert_eq!(lacking.problems, keys.map(|key| ("CF005", key.to_owned())));
        let (topic, to) = (("topic.regex", "(.*)"), ("topic.replacement", "$2"));
        let beyond = read_pairs(&[regex, topic, to]);
        assert_eq!(beyond.problems, [("CF003", "topic.replacement".to_owned())]);
        let unused = read_pairs(&[
            regex,
            topic,
            ("topic.replacement", "all"),
            ("topic.key.enforce.uniqueness", "false"),
            ("topic.key.field.name", "whence"),
        ]);
        assert!(unused.problems.is_empty() && unused.notes == ["topic.key.field.name"]);
        let java = read_pairs(&[regex, ("topic.regex", "(?!x).*"), ("topic.replacement", "all")]);
        assert_eq!(java.problems, [("CF008", "topic.regex".to_owned())]);
    }
}
