//! A row that cannot become a record, in a form people can read.
//!
//! In: its values as the server sent them. Out: JSON with the text of each, its key, its place.
//! Never: a column that the settings leave out or mask.

use envelope::{SourcePosition, Table};
use pgoutput::TupleValue;
use serde_json::{Map, Value, json};

use crate::append::RowChange;

const KEY_CHARS_SHOWN: usize = 200;

/// `schema.table`.
pub(super) fn name(table: &Table) -> String {
    format!("{}.{}", table.schema, table.name)
}

/// Where a change stands in the log; rows of an incremental snapshot stand nowhere.
pub(super) fn position(at: &SourcePosition<'_>) -> String {
    at.lsn.map_or_else(|| "a snapshot".to_owned(), |lsn| lsn.to_string())
}

/// Names and values of the key columns.
pub(super) fn key(table: &Table, change: &RowChange<'_>) -> String {
    let (old, new) = change.values();
    let values = if new.is_empty() { old } else { new };
    let mut key = Map::new();
    for &index in &table.key {
        if let (Some(column), Some(value)) = (table.columns.get(index), values.get(index)) {
            key.insert(column.name.clone(), text(value).unwrap_or(Value::Null));
        }
    }
    Value::Object(key).to_string().chars().take(KEY_CHARS_SHOWN).collect()
}

/// Shape: `{"schema", "table", "op", "before", "after"}`; a row is an object of the texts PostgreSQL sent, or null. A value that the
/// server did not send, because it is stored out of line and did not change, is not in it.
pub(super) fn to_json(table: &Table, change: &RowChange<'_>) -> Vec<u8> {
    let (old, new) = change.values();
    let operation = match change {
        RowChange::Insert(_) => "c",
        RowChange::Update(..) => "u",
        RowChange::Delete(_) => "d",
        RowChange::Read(_) => "r",
    };
    let row = json!({
        "schema": table.schema,
        "table": table.name,
        "op": operation,
        "before": object(table, old),
        "after": object(table, new),
    });
    row.to_string().into_bytes()
}

fn object(table: &Table, values: &[TupleValue<'_>]) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    let mut object = Map::new();
    for (index, (column, value)) in table.columns.iter().zip(values).enumerate() {
        let is_shown = column.captured || table.key.contains(&index);
        if is_shown
            && column.treatment.mask.is_none()
            && let Some(text) = text(value)
        {
            object.insert(column.name.clone(), text);
        }
    }
    Value::Object(object)
}

fn text(value: &TupleValue<'_>) -> Option<Value> {
    match value {
        TupleValue::Null => Some(Value::Null),
        TupleValue::UnchangedToast => None,
        TupleValue::Text(text) => Some(String::from_utf8_lossy(text).into()),
        TupleValue::Binary(bytes) => Some(format!("\\x{}", hex::encode(bytes)).into()),
    }
}
