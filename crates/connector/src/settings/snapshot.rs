//! What is read before streaming.
//!
//! Source: Debezium documentation, `snapshot.mode`, `snapshot.include.collection.list`, `snapshot.select.statement.overrides`.

use std::collections::BTreeMap;

use regex::Regex;

use super::filter::patterns;
use super::pattern::Case;
use super::problem::Problem;
use super::values::{Choice, Values};

/// `snapshot.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMode {
    /// Copy the tables once, then stream.
    Initial,
    /// Copy the tables once, then end.
    InitialOnly,
    /// Stream only.
    NoData,
    /// Copy the tables at every start, then stream.
    Always,
    /// As [`SnapshotMode::Initial`], and again whenever the source no longer has what the checkpoint needs.
    WhenNeeded,
}

impl SnapshotMode {
    /// Whether tables are copied when there is no checkpoint yet.
    pub fn reads_tables(self) -> bool {
        match self {
            Self::Initial | Self::InitialOnly | Self::Always | Self::WhenNeeded => true,
            Self::NoData => false,
        }
    }

    /// Whether it goes on after the copy.
    pub fn streams(self) -> bool {
        match self {
            Self::Initial | Self::NoData | Self::Always | Self::WhenNeeded => true,
            Self::InitialOnly => false,
        }
    }
}

/// `tributary.snapshot.inherited.rows`: where the rows of a table go that inherits from another captured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InheritedRows {
    /// To its own topic and to that of each table it inherits from, as a `SELECT` from that one shows them.
    Repeated,
    /// To its own topic, as in the stream.
    Once,
}

/// The snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotSettings {
    /// When tables are copied.
    pub mode: SnapshotMode,
    /// `snapshot.max.threads`: readers at the same time.
    pub max_threads: usize,
    /// Where rows of inheriting tables go.
    pub inherited_rows: InheritedRows,
    /// `snapshot.include.collection.list`; `None` copies every captured table.
    include: Option<Vec<Regex>>,
    /// `snapshot.select.statement.overrides`, by `schema.table`.
    overrides: BTreeMap<String, String>,
}

impl SnapshotSettings {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        const INCLUDE: &str = "snapshot.include.collection.list";
        let threads = values.number("snapshot.max.threads", 1, 64);
        let include = values.given(INCLUDE).is_some();
        Self {
            mode: mode(values),
            max_threads: usize::try_from(threads).unwrap_or(1),
            inherited_rows: values.choice(
                "tributary.snapshot.inherited.rows",
                &[
                    ("repeated", Choice::Is(InheritedRows::Repeated)),
                    ("once", Choice::Is(InheritedRows::Once)),
                ],
                InheritedRows::Repeated,
            ),
            include: include.then(|| patterns(values, INCLUDE, Case::Ignored)),
            overrides: overrides(values),
        }
    }

    /// Whether the rows of a captured table are copied.
    pub fn copies(&self, schema: &str, table: &str) -> bool {
        let name = format!("{schema}.{table}");
        let include = self.include.as_ref();
        include.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.is_match(&name)))
    }

    /// The statement whose rows stand for those of the table.
    pub fn select_override(&self, schema: &str, table: &str) -> Option<&str> {
        self.overrides.get(&format!("{schema}.{table}")).map(String::as_str)
    }
}

fn mode(values: &mut Values<'_>) -> SnapshotMode {
    values.choice(
        "snapshot.mode",
        &[
            ("initial", Choice::Is(SnapshotMode::Initial)),
            ("initial_only", Choice::Is(SnapshotMode::InitialOnly)),
            ("no_data", Choice::Is(SnapshotMode::NoData)),
            ("never", Choice::Is(SnapshotMode::NoData)),
            ("always", Choice::Is(SnapshotMode::Always)),
            ("when_needed", Choice::Is(SnapshotMode::WhenNeeded)),
            ("configuration_based", Choice::NotYet),
            ("custom", Choice::NotYet),
        ],
        SnapshotMode::Initial,
    )
}

/// Each listed table has a statement of its own, and no statement is for a table that is not listed.
fn overrides(values: &mut Values<'_>) -> BTreeMap<String, String> {
    const LIST: &str = "snapshot.select.statement.overrides";
    let prefix = format!("{LIST}.");
    let listed = values.list(LIST);
    let stray = values.pairs().filter_map(|(key, _)| key.strip_prefix(&prefix));
    let stray: Vec<&str> = stray.filter(|table| !listed.contains(table)).collect();
    for table in stray {
        values.problems.push(Problem::new(
            "CF006",
            &format!("{prefix}{table}"),
            format!("`{table}` is not in `{LIST}`"),
            format!("add it to `{LIST}`, or remove the statement"),
        ));
    }
    let mut overrides = BTreeMap::new();
    for table in listed {
        let key = format!("{prefix}{table}");
        match values.given(&key) {
            Some(statement) => {
                overrides.insert(table.to_owned(), statement.to_owned());
            }
            None => values.problems.push(Problem::new(
                "CF005",
                &key,
                format!("`{table}` is listed in `{LIST}` without a statement"),
                format!("set `{key}` to a SELECT with the table's columns"),
            )),
        }
    }
    overrides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (SnapshotSettings, Vec<Problem>) {
        let config: BTreeMap<String, String> =
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut values = Values::new(&config);
        let settings = SnapshotSettings::read(&mut values);
        (settings, values.problems)
    }

    #[test]
    fn a_subset_of_the_tables_is_copied_each_by_its_own_statement_if_it_has_one() {
        let (settings, problems) = read(&[
            ("snapshot.include.collection.list", "s[.].*_yes"),
            ("snapshot.select.statement.overrides", "s.a_yes, s.b"),
            ("snapshot.select.statement.overrides.s.a_yes", "select * from s.a_yes where v > 1"),
            ("snapshot.select.statement.overrides.s.b", "select 1"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        assert!(settings.copies("s", "a_yes") && !settings.copies("s", "b"));
        assert_eq!(
            settings.select_override("s", "a_yes"),
            Some("select * from s.a_yes where v > 1")
        );
        assert_eq!(settings.select_override("s", "c"), None);
        let (settings, _) = read(&[]);
        assert!(settings.copies("s", "b"));
    }

    #[test]
    fn statements_and_their_list_must_agree() {
        let (_, problems) = read(&[
            ("snapshot.select.statement.overrides", "s.a"),
            ("snapshot.select.statement.overrides.s.b", "select 1"),
        ]);
        let found: Vec<_> =
            problems.iter().map(|problem| (problem.code, problem.key.as_str())).collect();
        assert_eq!(
            found,
            [
                ("CF006", "snapshot.select.statement.overrides.s.b"),
                ("CF005", "snapshot.select.statement.overrides.s.a"),
            ]
        );
    }
}
