//! What a run found, for people.

use std::collections::BTreeMap;
use std::fmt;

use super::compare::{Comparison, Finding};
use super::table::quoted;

/// Kinds of differences told per table.
const FINDINGS_MOST: usize = 40;

/// What one run found.
#[derive(Debug)]
pub struct Report {
    /// Seed of the run.
    pub seed: u64,
    /// Transactions of row changes.
    pub transactions: u64,
    /// Changes of tables and types between them, in their order.
    pub ddl: Vec<String>,
    /// Extensions the server lacks.
    pub skipped: Vec<&'static str>,
    /// One per table.
    pub tables: Vec<TableReport>,
    /// Why the run did not come to its end.
    pub broken_off: Option<String>,
}

/// What comparing the two topics of one table found.
#[derive(Debug)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// Pairs of records that were compared.
    pub records: u64,
    /// How many of each operation; `∅` are tombstones.
    pub operations: BTreeMap<String, u64>,
    /// `real`s that are the same number in other digits.
    pub other_digits: u64,
    /// By the path within a record.
    pub findings: BTreeMap<String, Finding>,
}

impl Report {
    pub(super) fn new(seed: u64, skipped: Vec<&'static str>) -> Self {
        Self {
            seed,
            transactions: 0,
            ddl: Vec::new(),
            skipped,
            tables: Vec::new(),
            broken_off: None,
        }
    }

    /// Whether both readers came to the end and nothing differs.
    pub fn is_clean(&self) -> bool {
        self.broken_off.is_none() && self.tables.iter().all(|table| table.findings.is_empty())
    }
}

impl TableReport {
    /// Whether a statement changed the column a finding is about.
    fn concerns(&self, finding: &Finding, statement: &str) -> bool {
        let path = finding.example.path.strip_prefix("value.payload.");
        let field = path.and_then(|path| path.split_once('.')).map_or("", |(_, field)| field);
        let column = field.split_once('[').map_or(field, |(column, _)| column);
        !column.is_empty() && statement.contains(&self.table) && statement.contains(&quoted(column))
    }

    pub(super) fn new(table: &str, comparison: Comparison) -> Self {
        Self {
            table: table.to_owned(),
            records: comparison.records,
            operations: comparison.operations,
            other_digits: comparison.other_digits,
            findings: comparison.findings,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "seed {}: {} transactions, {} changes of tables and types; extensions the server lacks: {}",
            self.seed,
            self.transactions,
            self.ddl.len(),
            super::list(&self.skipped)
        )?;
        for table in &self.tables {
            table.write(formatter, &self.ddl)?;
        }
        if let Some(reason) = &self.broken_off {
            let last = self.ddl.last().map_or("the beginning", String::as_str);
            writeln!(formatter, "broken off after `{last}`:\n{reason}")?;
        }
        let verdict = if self.is_clean() { "no difference" } else { "DIFFERENT" };
        writeln!(formatter, "{verdict}")
    }
}

impl TableReport {
    /// With the statements that changed a column that differs.
    fn write(&self, formatter: &mut fmt::Formatter<'_>, ddl: &[String]) -> fmt::Result {
        let operations: Vec<String> =
            self.operations.iter().map(|(name, count)| format!("{name} {count}")).collect();
        writeln!(
            formatter,
            "{}: {} records compared ({}), {} reals in other digits, {} kinds of differences",
            self.table,
            self.records,
            operations.join(", "),
            self.other_digits,
            self.findings.len()
        )?;
        for finding in self.findings.values().take(FINDINGS_MOST) {
            writeln!(formatter, "{}", finding.example)?;
            writeln!(
                formatter,
                "    in {} records, the first is {}",
                finding.records, finding.first
            )?;
            for statement in ddl.iter().filter(|statement| self.concerns(finding, statement)) {
                writeln!(formatter, "    after {statement}")?;
            }
        }
        let more = self.findings.len().saturating_sub(FINDINGS_MOST);
        if more > 0 { writeln!(formatter, "  and {more} more kinds") } else { Ok(()) }
    }
}
