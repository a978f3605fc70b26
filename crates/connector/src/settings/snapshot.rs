//! What is read before streaming.
//!
//! Source: Debezium documentation, `snapshot.mode`, `snapshot.include.collection.list`, `snapshot.select.statement.overrides`.

use std::collections::BTreeMap;
use std::time::Duration;

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

/// `snapshot.tables.order.by.row.count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableOrder {
    /// By name.
    ByName,
    /// Those with fewest rows first.
    FewestRowsFirst,
    /// Those with most rows first.
    MostRowsFirst,
}

/// The snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotSettings {
    /// When tables are copied.
    pub mode: SnapshotMode,
    /// `snapshot.mode.configuration.based.snapshot.on.data.error`: a gap is closed by a new snapshot.
    pub on_data_error: bool,
    /// `snapshot.delay.ms`.
    pub delay: Duration,
    /// The order tables are read in.
    pub order: TableOrder,
    /// `snapshot.max.threads`: readers at the same time.
    pub max_threads: usize,
    /// `tributary.snapshot.max.rows.per.second`; `None` does not limit. Incremental snapshots are limited, too.
    pub rows_per_second_max: Option<u64>,
    /// `tributary.snapshot.added.tables`: tables that join the lists later are read, too.
    pub added_tables: bool,
    /// `tributary.snapshot.concurrent`: the tables are read while the stream runs, from the first start on.
    pub concurrent: bool,
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
        let rows_per_second = values.number("tributary.snapshot.max.rows.per.second", 0, i64::MAX);
        let include = values.given(INCLUDE).is_some();
        let (mode, overrides) = (mode(values), overrides(values));
        let on_data_error = values.flag(ON_DATA_ERROR) && mode == SnapshotMode::Always;
        let concurrent = values.flag("tributary.snapshot.concurrent");
        if concurrent {
            look_for_contradictions(values, mode, &overrides);
        }
        Self {
            mode,
            on_data_error,
            delay: values.milliseconds("snapshot.delay.ms", 0, u32::MAX),
            order: order(values),
            max_threads: usize::try_from(threads).unwrap_or(1),
            rows_per_second_max: u64::try_from(rows_per_second).ok().filter(|rows| *rows > 0),
            added_tables: values.flag("tributary.snapshot.added.tables"),
            concurrent,
            inherited_rows: values.choice(
                "tributary.snapshot.inherited.rows",
                &[
                    ("repeated", Choice::Is(InheritedRows::Repeated)),
                    ("once", Choice::Is(InheritedRows::Once)),
                ],
                InheritedRows::Repeated,
            ),
            include: include.then(|| patterns(values, INCLUDE, Case::Ignored)),
            overrides,
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

/// What cannot be done while the stream runs.
fn look_for_contradictions(
    values: &mut Values<'_>,
    mode: SnapshotMode,
    overrides: &BTreeMap<String, String>,
) {
    const CONCURRENT: &str = "tributary.snapshot.concurrent";
    match mode {
        SnapshotMode::Initial | SnapshotMode::WhenNeeded => {}
        SnapshotMode::InitialOnly | SnapshotMode::Always | SnapshotMode::NoData => values.invalid(
            CONCURRENT,
            "`snapshot.mode` has no snapshot that could be taken while the stream runs",
            "leave it out, or set `snapshot.mode` to `initial` or `when_needed`",
        ),
    }
    if !overrides.is_empty() {
        values.invalid(
            CONCURRENT,
            "a statement of `snapshot.select.statement.overrides` can only be read while the stream stands still",
            "leave one of the two out",
        );
    }
}

fn order(values: &mut Values<'_>) -> TableOrder {
    let orders = [
        ("disabled", Choice::Is(TableOrder::ByName)),
        ("ascending", Choice::Is(TableOrder::FewestRowsFirst)),
        ("descending", Choice::Is(TableOrder::MostRowsFirst)),
    ];
    values.choice("snapshot.tables.order.by.row.count", &orders, TableOrder::ByName)
}

const ON_DATA_ERROR: &str = "snapshot.mode.configuration.based.snapshot.on.data.error";

/// What the flags of `configuration_based` come to.
fn mode_of_flags(values: &mut Values<'_>) -> SnapshotMode {
    let data = values.flag("snapshot.mode.configuration.based.snapshot.data");
    let streams = values.flag("snapshot.mode.configuration.based.start.stream");
    let on_data_error = values.flag(ON_DATA_ERROR);
    let mut contradiction = |key: &str, why: &str, fix: &str| {
        values.problems.push(Problem::new("CF006", key, why, fix));
    };
    if on_data_error && !(data && streams) {
        contradiction(
            ON_DATA_ERROR,
            "a gap is closed by a new snapshot only where tables are read and the connector streams",
            "set `snapshot.mode=when_needed`",
        );
    }
    match (data, streams) {
        (true, true) => SnapshotMode::Always,
        (true, false) => SnapshotMode::InitialOnly,
        (false, true) => SnapshotMode::NoData,
        (false, false) => {
            contradiction(
                "snapshot.mode",
                "`configuration_based` neither reads tables nor streams: its flags are all `false`",
                "set `snapshot.mode.configuration.based.start.stream=true`",
            );
            SnapshotMode::NoData
        }
    }
}

fn mode(values: &mut Values<'_>) -> SnapshotMode {
    const KEY: &str = "snapshot.mode";
    if values.text(KEY).is_some_and(|mode| mode.eq_ignore_ascii_case("configuration_based")) {
        return mode_of_flags(values);
    }
    values.choice(
        KEY,
        &[
            ("initial", Choice::Is(SnapshotMode::Initial)),
            ("initial_only", Choice::Is(SnapshotMode::InitialOnly)),
            ("no_data", Choice::Is(SnapshotMode::NoData)),
            ("never", Choice::Is(SnapshotMode::NoData)),
            ("always", Choice::Is(SnapshotMode::Always)),
            ("when_needed", Choice::Is(SnapshotMode::WhenNeeded)),
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
    fn the_flags_of_configuration_based_are_one_of_the_modes() {
        let with = |flags: &[&str]| {
            let keys: Vec<String> = flags
                .iter()
                .map(|flag| format!("snapshot.mode.configuration.based.{flag}"))
                .collect();
            let mut pairs = vec![("snapshot.mode", "configuration_based")];
            pairs.extend(keys.iter().map(|key| (key.as_str(), "true")));
            let (settings, problems) = read(&pairs);
            (settings.mode, settings.on_data_error, problems.len())
        };
        let (data, stream, on_error) = ("snapshot.data", "start.stream", "snapshot.on.data.error");
        assert_eq!(with(&[data, stream]), (SnapshotMode::Always, false, 0));
        assert_eq!(with(&[data, stream, on_error]), (SnapshotMode::Always, true, 0));
        assert_eq!(with(&[data]), (SnapshotMode::InitialOnly, false, 0));
        assert_eq!(with(&[stream]), (SnapshotMode::NoData, false, 0));
        assert_eq!(with(&[stream, on_error]).2, 1);
        assert_eq!(with(&[]).2, 1);
    }

    #[test]
    fn a_concurrent_snapshot_needs_one_that_can_be() {
        const CONCURRENT: (&str, &str) = ("tributary.snapshot.concurrent", "true");
        let problems = |pairs: &[(&str, &str)]| read(pairs).1.len();
        assert_eq!(problems(&[CONCURRENT]), 0);
        assert_eq!(problems(&[CONCURRENT, ("snapshot.mode", "when_needed")]), 0);
        for mode in ["initial_only", "always", "no_data"] {
            assert_eq!(problems(&[CONCURRENT, ("snapshot.mode", mode)]), 1, "{mode}");
        }
        let overridden = [
            CONCURRENT,
            ("snapshot.select.statement.overrides", "s.a"),
            ("snapshot.select.statement.overrides.s.a", "select 1"),
        ];
        assert_eq!(problems(&overridden), 1);
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
