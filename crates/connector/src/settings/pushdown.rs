//! What the publication already leaves out: columns and rows that are not wanted.
//!
//! In: `tributary.publication.pushdown`, `tributary.row.filter.<table>`. Out: a [`PushdownSettings`].
//! Never: whether a table can have it; [`pushdown`](crate::pushdown) asks the catalog.
//! Source: PostgreSQL manual, "Row Filters", "Column Lists"; docs/adr/0010-what-the-publication-leaves-out.md.

use std::collections::BTreeMap;

use super::Note;
use super::problem::Problem;
use super::source::Autocreate;
use super::values::Values;

const PUSHDOWN: &str = "tributary.publication.pushdown";
const ROW_FILTER: &str = "tributary.row.filter.";
const FUTURE_TABLES: &str = "tributary.publication.future.tables";
const MODE: &str = "publication.autocreate.mode";

/// What the publication leaves out.
#[derive(Debug, Clone, Default)]
pub struct PushdownSettings {
    /// Columns that are not captured.
    pub columns: bool,
    /// `tributary.row.filter.<table>`: the condition for the rows of a table, by `schema.table`.
    row_filters: BTreeMap<String, String>,
}

impl PushdownSettings {
    pub(super) fn read(values: &mut Values<'_>, mode: Autocreate, notes: &mut Vec<Note>) -> Self {
        let (columns, rows) = parts(values);
        if (columns || rows) && mode != Autocreate::Filtered {
            values.problems.push(Problem::new(
                "CF006",
                PUSHDOWN,
                format!("only a publication of exactly the captured tables can leave something of them out, and `{MODE}` says it is another"),
                format!("set `{MODE}=filtered`, or `{PUSHDOWN}=off`"),
            ));
        }
        if columns && values.given(FUTURE_TABLES).is_some() && values.flag(FUTURE_TABLES) {
            values.problems.push(Problem::new(
                "CF006",
                FUTURE_TABLES,
                format!("PostgreSQL takes no column lists beside whole schemas, and `{PUSHDOWN}` asks for column lists"),
                format!("remove it, or take `columns` out of `{PUSHDOWN}`"),
            ));
        }
        let row_filters = row_filters(values, rows);
        let lists = ["column.include.list", "column.exclude.list"];
        if columns && lists.iter().all(|list| values.given(list).is_none()) {
            let reason = "`columns` leaves nothing out: all columns are captured".to_owned();
            notes.push(Note { key: PUSHDOWN.to_owned(), reason });
        }
        if rows && row_filters.is_empty() {
            let reason = format!("`rows` leaves nothing out: there is no `{ROW_FILTER}<table>`");
            notes.push(Note { key: PUSHDOWN.to_owned(), reason });
        }
        Self { columns, row_filters }
    }

    /// The condition for the rows of a table.
    pub fn row_filter(&self, schema: &str, table: &str) -> Option<&str> {
        self.row_filters.get(&format!("{schema}.{table}")).map(String::as_str)
    }

    /// Tables with a condition, as they were typed.
    pub(crate) fn filtered_tables(&self) -> impl Iterator<Item = &str> {
        self.row_filters.keys().map(String::as_str)
    }

    /// Whether a table of the schema has a condition, be it there or not.
    pub(crate) fn filters_schema(&self, schema: &str) -> bool {
        let is_of_schema =
            |table: &String| table.strip_prefix(schema).is_some_and(|rest| rest.starts_with('.'));
        self.row_filters.keys().any(is_of_schema)
    }
}

/// `columns`, `rows`, both, or `off`.
fn parts(values: &mut Values<'_>) -> (bool, bool) {
    const FIX: &str = "write `columns`, `rows`, `columns,rows` or `off`";
    let (mut columns, mut rows, mut off) = (false, false, false);
    for part in values.list(PUSHDOWN) {
        match part.to_ascii_lowercase().as_str() {
            "columns" => columns = true,
            "rows" => rows = true,
            "off" => off = true,
            _ => values.invalid(PUSHDOWN, &format!("`{part}` is not one of its values"), FIX),
        }
    }
    if off && (columns || rows) {
        values.invalid(PUSHDOWN, "`off` stands beside something else", FIX);
    }
    (columns, rows)
}

/// The conditions by table. One that stream and snapshot would not both heed is a problem.
fn row_filters(values: &mut Values<'_>, rows: bool) -> BTreeMap<String, String> {
    let given = values.pairs().filter_map(|(key, condition)| {
        Some((key.strip_prefix(ROW_FILTER)?, condition)).filter(|(_, text)| !text.is_empty())
    });
    let filters: BTreeMap<String, String> =
        given.map(|(table, condition)| (table.to_owned(), condition.to_owned())).collect();
    let overridden = values.list("snapshot.select.statement.overrides");
    for table in filters.keys() {
        let key = format!("{ROW_FILTER}{table}");
        if !rows {
            values.problems.push(Problem::new(
                "CF006",
                &key,
                format!("it is the publication that leaves rows out of the stream, and `{PUSHDOWN}` does not let it"),
                format!("add `rows` to `{PUSHDOWN}`, and read docs/guides/pushdown.md before"),
            ));
        }
        if overridden.contains(&table.as_str()) {
            values.problems.push(Problem::new(
                "CF006",
                &key,
                "`snapshot.select.statement.overrides` says already which rows of the table a snapshot has",
                "remove one of them: the row filter holds for snapshot and stream",
            ));
        }
        if !table.contains('.') {
            let why = format!("`{table}` is not the name of a table with its schema");
            values.invalid(&key, &why, &format!("write `{ROW_FILTER}schema.table`"));
        }
    }
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (PushdownSettings, Vec<String>, Vec<Note>) {
        let config: BTreeMap<String, String> =
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let (mut values, mut notes) = (Values::new(&config), Vec::new());
        let settings = PushdownSettings::read(&mut values, Autocreate::Filtered, &mut notes);
        let problems = values.problems.iter();
        (
            settings,
            problems.map(|problem| format!("{} {}", problem.code, problem.key)).collect(),
            notes,
        )
    }

    #[test]
    fn nothing_is_left_out_unless_it_is_asked_for() {
        let (settings, problems, notes) = read(&[("column.exclude.list", "s.t.c")]);
        assert!(!settings.columns && problems.is_empty() && notes.is_empty());
        let (_, problems, _) = read(&[("tributary.row.filter.s.t", "id > 1")]);
        assert_eq!(problems, ["CF006 tributary.row.filter.s.t"]);
    }

    #[test]
    fn columns_and_rows_are_asked_for_one_by_one() {
        let (settings, problems, notes) = read(&[
            ("tributary.publication.pushdown", "columns, rows"),
            ("column.exclude.list", "s.t.c"),
            ("tributary.row.filter.s.t", "id > 1"),
        ]);
        assert!(problems.is_empty() && notes.is_empty(), "{problems:?} {notes:?}");
        assert!(settings.columns);
        assert_eq!(settings.row_filter("s", "t"), Some("id > 1"));
        assert_eq!(settings.row_filter("s", "u"), None);
        assert!(settings.filters_schema("s") && !settings.filters_schema("t"));
        let (_, _, notes) = read(&[("tributary.publication.pushdown", "columns,rows")]);
        assert_eq!(notes.len(), 2);
    }

    #[test]
    fn what_cannot_be_is_a_problem() {
        let off = read(&[("tributary.publication.pushdown", "off,rows")]).1;
        assert_eq!(off, ["CF003 tributary.publication.pushdown"]);
        let unknown = read(&[("tributary.publication.pushdown", "tables")]).1;
        assert_eq!(unknown, ["CF003 tributary.publication.pushdown"]);
        let contradictions = read(&[
            ("tributary.publication.pushdown", "columns,rows"),
            ("tributary.publication.future.tables", "true"),
            ("snapshot.select.statement.overrides", "s.t"),
            ("tributary.row.filter.s.t", "id > 1"),
        ]);
        assert_eq!(
            contradictions.1,
            ["CF006 tributary.publication.future.tables", "CF006 tributary.row.filter.s.t"]
        );
    }

    #[test]
    fn a_publication_that_is_not_of_the_captured_tables_leaves_nothing_out() {
        let config = BTreeMap::from([(PUSHDOWN.to_owned(), "columns".to_owned())]);
        let mut values = Values::new(&config);
        PushdownSettings::read(&mut values, Autocreate::Disabled, &mut Vec::new());
        assert_eq!((values.problems[0].code, values.problems.len()), ("CF006", 1));
    }
}
