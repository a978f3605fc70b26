//! How the connector is asked for something while it runs.
//!
//! Source: Debezium documentation, `signal.data.collection`, `signal.enabled.channels`.

use postgres::TableName;
use regex::Regex;

use super::Note;
use super::pattern::{Case, PatternError, compile};
use super::problem::Problem;
use super::values::Values;

const TABLE: &str = "signal.data.collection";
const CHANNELS: &str = "signal.enabled.channels";

/// `signal.*`.
#[derive(Debug, Clone)]
pub struct SignalSettings {
    /// `signal.data.collection`: the table whose inserted rows are signals.
    pub table: TableName,
}

/// What `signal.enabled.channels` says of the channels that are read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EnabledChannels {
    source: bool,
    /// Signals come from a topic.
    pub(super) kafka: bool,
    /// Signals come from a file.
    pub(super) file: bool,
}

impl EnabledChannels {
    pub(super) fn read(values: &mut Values<'_>, notes: &mut Vec<Note>) -> Self {
        let mut enabled = Self::default();
        for channel in values.list(CHANNELS) {
            match channel.to_ascii_lowercase().as_str() {
                "source" => enabled.source = true,
                "kafka" => enabled.kafka = true,
                "file" => enabled.file = true,
                "jmx" => notes.push(Note {
                    key: CHANNELS.to_owned(),
                    reason: "channel `jmx`: there is no JMX; `source`, `kafka` and `file` take the same signals"
                        .to_owned(),
                }),
                "in-process" => values.problems.push(Problem::new(
                    "CF002",
                    CHANNELS,
                    "channel `in-process` is not supported: no application runs in this process",
                    "use `source`, with a table named in `signal.data.collection`, or `kafka`, or `file`",
                )),
                other => values.invalid(
                    CHANNELS,
                    &format!("there is no channel `{other}`"),
                    "write some of source, kafka, file",
                ),
            }
        }
        enabled
    }
}

impl SignalSettings {
    /// `None` while there is no table to read signals from.
    pub(super) fn read(
        values: &mut Values<'_>,
        enabled: EnabledChannels,
        notes: &mut Vec<Note>,
    ) -> Option<Self> {
        let typed = values.given(TABLE)?;
        let Some(table) = table_name(typed) else {
            let why = format!("`{typed}` is not the name of a table with its schema");
            values.invalid(TABLE, &why, "write `schema.table`");
            return None;
        };
        if !enabled.source {
            notes.push(without_channel(TABLE, "source"));
            return None;
        }
        Some(Self { table })
    }
}

/// A key of a channel that is not enabled.
pub(super) fn without_channel(key: &str, channel: &str) -> Note {
    Note { key: key.to_owned(), reason: format!("`{CHANNELS}` does not have `{channel}`") }
}

/// `schema.table`, each part in double quotes if it has a dot of its own.
fn table_name(typed: &str) -> Option<TableName> {
    let (schema, rest) = name_part(typed)?;
    let (name, rest) = name_part(rest.strip_prefix('.')?)?;
    rest.is_empty().then(|| TableName::new(schema, name))
}

/// The first part of a dotted name, and what follows it.
fn name_part(text: &str) -> Option<(String, &str)> {
    let (part, rest) = if let Some(quoted) = text.strip_prefix('"') {
        let mut end = 0;
        loop {
            end += quoted[end..].find('"')?;
            if !quoted[end + 1..].starts_with('"') {
                break (quoted[..end].replace("\"\"", "\""), &quoted[end + 1..]);
            }
            end += 2;
        }
    } else {
        let end = text.find('.').unwrap_or(text.len());
        (text[..end].to_owned(), &text[end..])
    };
    (!part.is_empty()).then_some((part, rest))
}

/// An expression for tables, as it stands in a signal.
///
/// Errors: why it cannot be used.
pub(crate) fn table_pattern(typed: &str) -> Result<Regex, String> {
    compile(typed, Case::Ignored).map_err(|error| match error {
        PatternError::Invalid(reason) => reason,
        PatternError::JavaOnly(construct) => format!("{construct} is not supported"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Option<SignalSettings>, Vec<&'static str>, usize) {
        let config: BTreeMap<String, String> =
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut values = Values::new(&config);
        let mut notes = Vec::new();
        let enabled = EnabledChannels::read(&mut values, &mut notes);
        let settings = SignalSettings::read(&mut values, enabled, &mut notes);
        (settings, values.problems.iter().map(|problem| problem.code).collect(), notes.len())
    }

    #[test]
    fn signals_come_from_the_table_and_what_cannot_be_a_channel_is_refused_by_name() {
        let (settings, problems, notes) = read(&[(TABLE, "app.signals")]);
        assert_eq!(settings.map(|settings| settings.table), Some(TableName::new("app", "signals")));
        assert!(problems.is_empty() && notes == 0);
        assert!(read(&[]).0.is_none());
        let (_, problems, _) = read(&[(CHANNELS, "source,in-process,kafka,fax")]);
        assert_eq!(problems, ["CF002", "CF003"]);
        let (settings, problems, notes) = read(&[(TABLE, "app.signals"), (CHANNELS, "jmx")]);
        assert!(settings.is_none() && problems.is_empty() && notes == 2);
    }

    #[test]
    fn a_table_is_named_with_its_schema() {
        assert_eq!(table_name("a.b"), Some(TableName::new("a", "b")));
        assert_eq!(table_name("\"a.x\".\"b\"\"\""), Some(TableName::new("a.x", "b\"")));
        for wrong in ["b", "a.b.c", ".b", "a.", "\"a.b"] {
            assert_eq!(table_name(wrong), None, "{wrong}");
        }
    }
}
