//! What is captured: schemas, tables, columns, logical messages, and columns that make up a key.
//!
//! In: Debezium's include and exclude lists. Out: yes or no for a name as the catalog spells it.
//! Source: Debezium documentation, `table.include.list` and its neighbours: comma-separated expressions, each
//! matching the whole name without regard to case.

use std::fmt;

use regex::Regex;

use super::pattern::{Case, PatternError, compile, split_list};
use super::problem::Problem;
use super::values::Values;

/// An include list, an exclude list, or neither.
#[derive(Debug, Clone, Default)]
pub(super) enum Selection {
    #[default]
    All,
    Only(List),
    AllBut(List),
}

/// The key of a list, and the items as they were typed.
#[derive(Debug, Clone)]
pub(super) struct List {
    key: String,
    items: String,
    patterns: Vec<Regex>,
}

impl List {
    fn read(values: &mut Values<'_>, key: String) -> Self {
        let items = values.given(&key).unwrap_or_default().to_owned();
        let patterns = patterns(values, &key, Case::Ignored);
        Self { key, items, patterns }
    }

    fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.is_match(name))
    }
}

impl Selection {
    /// Reads `<stem>.include.list` or `<stem>.exclude.list`; both at once are a problem.
    pub(super) fn read(values: &mut Values<'_>, stem: &str) -> Self {
        let (include, exclude) = (format!("{stem}.include.list"), format!("{stem}.exclude.list"));
        values.exclusive(&include, &exclude);
        if values.given(&include).is_some() {
            Self::Only(List::read(values, include))
        } else if values.given(&exclude).is_some() {
            Self::AllBut(List::read(values, exclude))
        } else {
            Self::All
        }
    }

    fn admits(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.matches(name),
            Self::AllBut(list) => !list.matches(name),
        }
    }

    fn list(&self) -> Option<&List> {
        match self {
            Self::All => None,
            Self::Only(list) | Self::AllBut(list) => Some(list),
        }
    }
}

/// Compiles the list under a key; what cannot be used becomes a problem.
pub(super) fn patterns(values: &mut Values<'_>, key: &str, case: Case) -> Vec<Regex> {
    let list = values.given(key).unwrap_or_default();
    split_list(list).iter().filter_map(|item| pattern(values, key, item, case)).collect()
}

/// Compiles one expression; one that cannot be used becomes a problem.
pub(super) fn pattern(values: &mut Values<'_>, key: &str, item: &str, case: Case) -> Option<Regex> {
    match compile(item, case) {
        Ok(regex) => Some(regex),
        Err(PatternError::Invalid(why)) => {
            values.problems.push(Problem::new(
                "CF007",
                key,
                format!("`{item}` is not a valid regular expression: {why}"),
                "write comma-separated regular expressions; a literal comma is `\\,`",
            ));
            None
        }
        Err(PatternError::JavaOnly(construct)) => {
            values.problems.push(Problem::new(
                "CF008",
                key,
                format!("`{item}` uses {construct}, which Java has and this dialect has not"),
                "write it without, for example with an exclude list in place of a negative lookahead",
            ));
            None
        }
    }
}

/// Which tables are captured.
#[derive(Debug, Clone, Default)]
pub struct TableFilter {
    schemas: Selection,
    tables: Selection,
}

impl TableFilter {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        Self {
            schemas: Selection::read(values, "schema"),
            tables: Selection::read(values, "table"),
        }
    }

    /// Whether every table of the schema is captured, whatever it is called: asked with names nobody uses.
    pub(crate) fn captures_whatever(&self, schema: &str) -> bool {
        ["q", "Zq 7-\u{fd}.$", "_0", "tributary_asks_for_this"]
            .iter()
            .all(|table| self.captures(schema, table))
    }

    /// Whether changes of this table go to Kafka. System tables never do.
    pub fn captures(&self, schema: &str, table: &str) -> bool {
        let system = ["pg_catalog", "information_schema", "pg_toast"].contains(&schema)
            || schema.starts_with("pg_temp")
            || schema.starts_with("pg_toast_temp")
            || table == "spatial_ref_sys";
        !system && self.schemas.admits(schema) && self.tables.admits(&format!("{schema}.{table}"))
    }
}

impl fmt::Display for TableFilter {
    /// The lists as they were typed, for messages.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [&self.schemas, &self.tables].into_iter().filter_map(Selection::list);
        let lists: Vec<_> = lists.map(|list| format!("{}={}", list.key, list.items)).collect();
        match lists.as_slice() {
            [] => formatter.write_str("all tables"),
            lists => formatter.write_str(&lists.join(" and ")),
        }
    }
}

/// Which columns are captured.
#[derive(Debug, Clone, Default)]
pub struct ColumnFilter {
    columns: Selection,
}

impl ColumnFilter {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        Self { columns: Selection::read(values, "column") }
    }

    /// Whether this column is part of `before` and `after`. A key column stays in the key either way.
    pub fn captures(&self, schema: &str, table: &str, column: &str) -> bool {
        matches!(self.columns, Selection::All)
            || self.columns.admits(&format!("{schema}.{table}.{column}"))
    }
}

/// Which logical messages are captured.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    prefixes: Selection,
}

impl MessageFilter {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        Self { prefixes: Selection::read(values, "message.prefix") }
    }

    /// Whether messages with this prefix go to Kafka.
    pub fn captures(&self, prefix: &str) -> bool {
        self.prefixes.admits(prefix)
    }
}

/// Keys chosen by `message.key.columns` in place of the tables' own.
#[derive(Debug, Clone, Default)]
pub struct MessageKeys {
    entries: Vec<(Regex, Vec<String>)>,
}

impl MessageKeys {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        const KEY: &str = "message.key.columns";
        const FIX: &str = "write `schema.table:column,column;schema.table:column`";
        let mut entries = Vec::new();
        let list = values.given(KEY).unwrap_or_default();
        for item in list.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            let Some((tables, columns)) = item.rsplit_once(':') else {
                values.invalid(
                    KEY,
                    &format!("`{item}` has no colon between table and columns"),
                    FIX,
                );
                continue;
            };
            let columns: Vec<String> =
                columns.split(',').map(|name| name.trim().to_owned()).collect();
            if let Some(name) =
                columns.iter().find(|name| name.is_empty() || regex::escape(name) != **name)
            {
                let why = format!("`{name}` in `{item}` is not the plain name of a column");
                values.invalid(KEY, &why, FIX);
                continue;
            }
            if let Some(regex) = pattern(values, KEY, tables.trim(), Case::Ignored) {
                entries.push((regex, columns));
            }
        }
        Self { entries }
    }

    /// Names of the columns that are this table's key, in order; `None` leaves the table its own.
    pub fn for_table(&self, schema: &str, table: &str) -> Option<Vec<String>> {
        let name = format!("{schema}.{table}");
        let mut columns: Vec<String> = Vec::new();
        for (_, named) in self.entries.iter().filter(|(tables, _)| tables.is_match(&name)) {
            let fresh: Vec<_> =
                named.iter().filter(|column| !columns.contains(column)).cloned().collect();
            columns.extend(fresh);
        }
        (!columns.is_empty()).then_some(columns)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn with<T>(pairs: &[(&str, &str)], read: impl Fn(&mut Values<'_>) -> T) -> (T, Vec<Problem>) {
        let config: BTreeMap<String, String> =
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut values = Values::new(&config);
        let result = read(&mut values);
        (result, values.problems)
    }

    #[test]
    fn tables_are_matched_by_schema_and_name() {
        let (filter, problems) = with(
            &[
                ("schema.exclude.list", "audit"),
                ("table.include.list", r" public.orders , audit.*, s[.]T\,1"),
            ],
            TableFilter::read,
        );
        assert_eq!(problems, []);
        assert!(filter.captures("public", "orders"));
        assert!(filter.captures("s", "t,1"));
        assert!(!filter.captures("audit", "log"));
        assert!(!filter.captures("public", "orders2"));
    }

    #[test]
    fn system_tables_are_never_captured() {
        let filter = TableFilter::default();
        for (schema, table) in
            [("pg_catalog", "pg_class"), ("pg_temp_3", "t"), ("public", "spatial_ref_sys")]
        {
            assert!(!filter.captures(schema, table), "{schema}.{table}");
        }
    }

    #[test]
    fn include_and_exclude_together_are_a_problem() {
        let (_, problems) = with(
            &[("table.include.list", "a.b"), ("table.exclude.list", "c.d")],
            TableFilter::read,
        );
        assert_eq!((problems[0].code, problems[0].key.as_str()), ("CF006", "table.exclude.list"));
    }

    #[test]
    fn key_columns_are_joined_over_all_entries_that_fit() {
        let (keys, problems) =
            with(&[("message.key.columns", "(.*).a:x,y;s.a:z,x;s.b:p")], MessageKeys::read);
        assert_eq!(problems, []);
        assert_eq!(keys.for_table("s", "a").unwrap(), ["x", "y", "z"]);
        assert_eq!(keys.for_table("s", "c"), None);
    }

    #[test]
    fn message_prefixes_are_selected() {
        let (filter, _) =
            with(&[("message.prefix.exclude.list", "excl.*,no")], MessageFilter::read);
        assert!(filter.captures("yes") && !filter.captures("no") && !filter.captures("excluded"));
    }
}
