//! A report as programs and workers pass it on.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Report, TableReport};

/// What was found, as it is passed on.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = VerifyReport))]
pub struct ReportJson {
    /// Tables and topics are compared as of here.
    lsn: String,
    /// Nothing is wrong with any table.
    clean: bool,
    /// Each captured table.
    tables: Vec<TableReportJson>,
}

/// What was found of one table, as it is passed on.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = VerifiedTable))]
struct TableReportJson {
    /// `schema.table`.
    table: String,
    /// Its topic.
    topic: String,
    /// Nothing is wrong with it.
    clean: bool,
    /// Rows of the table.
    rows: u64,
    /// Events that counted.
    events: u64,
    /// Rows that no event tells of.
    missing: u64,
    /// Rows whose newest event says something else.
    different: u64,
    /// What the topic has and the table has not.
    phantom: u64,
    /// Events that were there before.
    repeated: u64,
    /// Events behind later ones.
    out_of_order: u64,
    /// Records that are no events of this table.
    unreadable: u64,
    /// Values that could not be compared: no event has told them.
    unknown_values: u64,
    /// Events have ids, so that a repetition is told from disorder.
    has_event_ids: bool,
    /// A few of the differences, in words.
    examples: Vec<String>,
    /// Why it was not compared, or not all of it.
    #[cfg_attr(feature = "openapi", schema(required))]
    not_compared: Option<String>,
}

impl From<&Report> for ReportJson {
    fn from(report: &Report) -> Self {
        let tables = report.tables.iter().map(TableReportJson::from).collect();
        Self { lsn: report.lsn.to_string(), clean: report.is_clean(), tables }
    }
}

impl From<&TableReport> for TableReportJson {
    fn from(table: &TableReport) -> Self {
        Self {
            table: table.table.clone(),
            topic: table.topic.clone(),
            clean: table.is_clean(),
            rows: table.rows,
            events: table.events,
            missing: table.missing,
            different: table.different,
            phantom: table.phantom,
            repeated: table.repeated,
            out_of_order: table.out_of_order,
            unreadable: table.unreadable,
            unknown_values: table.unknown_values,
            has_event_ids: table.has_event_ids,
            examples: table.examples.clone(),
            not_compared: table.not_compared.clone(),
        }
    }
}

impl Report {
    /// As JSON: `lsn`, `clean`, `tables`.
    pub fn to_json(&self) -> Value {
        json!(ReportJson::from(self))
    }

    /// Reads what [`Self::to_json`] wrote; `None` of anything else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let lsn = value["lsn"].as_str()?.parse().ok()?;
        let tables = Vec::<TableReport>::deserialize(&value["tables"]).ok()?;
        Some(Self { lsn, tables })
    }
}

#[cfg(test)]
mod tests {
    use pgoutput::Lsn;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let table = TableReport {
            table: "s.t".to_owned(),
            rows: 3,
            missing: 1,
            has_event_ids: true,
            examples: vec!["a row".to_owned()],
            not_compared: Some("a reason".to_owned()),
            ..TableReport::default()
        };
        let report = Report { lsn: Lsn::new(0x1_0000_0001), tables: vec![table] };
        assert_eq!(Report::from_json(&report.to_json()), Some(report));
        assert_eq!(Report::from_json(&json!({"lsn": "x", "tables": []})), None);
    }
}
