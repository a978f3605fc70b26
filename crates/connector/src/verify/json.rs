//! A report as programs and workers pass it on.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Report, TableReport};

impl Report {
    /// As JSON: `lsn`, `clean`, `tables`.
    pub fn to_json(&self) -> Value {
        json!({
            "lsn": self.lsn.to_string(),
            "clean": self.is_clean(),
            "tables": self.tables.iter().map(table).collect::<Vec<_>>(),
        })
    }

    /// Reads what [`Self::to_json`] wrote; `None` of anything else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let lsn = value["lsn"].as_str()?.parse().ok()?;
        let tables = Vec::<TableReport>::deserialize(&value["tables"]).ok()?;
        Some(Self { lsn, tables })
    }
}

fn table(table: &TableReport) -> Value {
    json!({
        "table": table.table,
        "topic": table.topic,
        "clean": table.is_clean(),
        "rows": table.rows,
        "events": table.events,
        "missing": table.missing,
        "different": table.different,
        "phantom": table.phantom,
        "repeated": table.repeated,
        "out_of_order": table.out_of_order,
        "unreadable": table.unreadable,
        "unknown_values": table.unknown_values,
        "has_event_ids": table.has_event_ids,
        "examples": table.examples,
        "not_compared": table.not_compared,
    })
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
