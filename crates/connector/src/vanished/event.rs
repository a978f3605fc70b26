//! What a record says of a row, and what of it a delete event repeats. Pure.
//!
//! In: bytes of a record, with or without schema. Out: a [`LastRow`] that borrows from them, so that a value comes out as it
//! came in: no number loses a digit.
//! Never: a guess. What is no event of ours is left to whoever wrote it.
//! Source: Debezium documentation, "PostgreSQL connector: Data change events"; Kafka Connect, `JsonConverter`.

use std::borrow::Cow;

use envelope::KeyForm;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A row as the newest record of its key has it.
#[derive(Debug)]
pub(super) struct LastRow<'a> {
    /// The schema of the value, if it has one.
    pub(super) schema: Option<&'a str>,
    /// `after`.
    pub(super) row: &'a str,
    /// Whose row it is.
    pub(super) source: Source<'a>,
}

/// The part of `source` that tells one table of one connector from all others.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Source<'a> {
    /// `topic.prefix`.
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    /// The database.
    #[serde(borrow)]
    pub(super) db: Cow<'a, str>,
    /// The schema.
    #[serde(borrow)]
    pub(super) schema: Cow<'a, str>,
    /// The table.
    #[serde(borrow)]
    pub(super) table: Cow<'a, str>,
}

/// A value in either form: the event itself, or the event beside its schema.
#[derive(Deserialize)]
struct StoredValue<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<StoredEvent<'a>>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    op: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<Source<'a>>,
}

#[derive(Deserialize)]
struct StoredEvent<'a> {
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    op: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<Source<'a>>,
}

/// Reads a value. `None` for one that leaves no row behind: a delete, a message, whatever is no event.
///
/// Errors: it is not JSON, or parts of it are not what an event has there.
pub(super) fn read(value: &[u8]) -> Result<Option<LastRow<'_>>, serde_json::Error> {
    let stored: StoredValue<'_> = serde_json::from_slice(value)?;
    let StoredValue { schema, payload, after, op, source } = stored;
    let event = payload.unwrap_or(StoredEvent { after, op, source });
    let operation = event.op.map(RawValue::get);
    let leaves_row = matches!(operation, Some(r#""c""# | r#""u""# | r#""r""#));
    let (true, Some(row), Some(source)) = (leaves_row, event.after, event.source) else {
        return Ok(None);
    };
    Ok(Some(LastRow { schema: schema.map(RawValue::get), row: row.get(), source }))
}

/// Whether a key looks like those its table has now. One of another form may be of a row that is there under its new form.
pub(super) fn has_form(key: &[u8], form: &KeyForm) -> bool {
    let payload = key.strip_prefix(&form.head[..]).and_then(|rest| rest.strip_suffix(form.close));
    let payload = payload.and_then(|payload| serde_json::from_slice::<Map<_, _>>(payload).ok());
    payload.is_some_and(|fields: Map<String, Value>| {
        fields.len() == form.fields.len()
            && fields
                .iter()
                .zip(&form.fields)
                .all(|((name, value), (known, kind))| name == known && fits(value, kind))
    })
}

/// Whether a value can be of a type of Kafka Connect, as its converter writes it.
fn fits(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) if kind.starts_with("int") => number.is_i64() || number.is_u64(),
        // A Decimal is of type bytes, and may be written as a number.
        Value::Number(_) => matches!(kind, "float" | "double" | "bytes"),
        // A double that no number of JSON stands for is written in words.
        Value::String(_) => matches!(kind, "string" | "bytes" | "float" | "double"),
        Value::Array(_) => matches!(kind, "array" | "map"),
        Value::Object(_) => matches!(kind, "struct" | "map"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"{"version":"1","name":"p","ts_ms":1,"snapshot":null,"db":"d","schema":"s","table":"t\u0041","lsn":5}"#;

    fn event(operation: &str, after: &str) -> String {
        format!(
            r#"{{"before":null,"after":{after},"source":{SOURCE},"transaction":null,"op":"{operation}","ts_ms":1}}"#
        )
    }

    #[test]
    fn a_row_comes_out_as_it_stands_there_with_and_without_schema() {
        let row = r#"{"id": 12345678901234567890.10, "op":"d","x":{"after":null}}"#;
        for operation in ["c", "u", "r"] {
            let bare = event(operation, row);
            let wrapped = format!(r#"{{"schema":{{"type": "struct"}},"payload":{bare}}}"#);
            let read_bare = read(bare.as_bytes()).unwrap().unwrap();
            let read_wrapped = read(wrapped.as_bytes()).unwrap().unwrap();
            assert_eq!((read_bare.schema, read_bare.row), (None, row));
            assert_eq!(
                (read_wrapped.schema, read_wrapped.row),
                (Some(r#"{"type": "struct"}"#), row)
            );
            assert_eq!(read_wrapped.source, read_bare.source);
            assert_eq!(read_bare.source.table, "tA");
        }
    }

    #[test]
    fn what_leaves_no_row_is_none_and_what_is_no_json_is_an_error() {
        for value in [event("d", "null"), event("t", "null"), event("c", "null"), "{}".to_owned()] {
            assert!(read(value.as_bytes()).unwrap().is_none(), "{value}");
        }
        assert!(read(br#"{"op":"c","after":{},"ours":false}"#).unwrap().is_none());
        for value in [&b"\0\0\0\0\x01abc"[..], b"{\"op\":", br#"{"payload":"text"}"#, b"5", b""] {
            assert!(read(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_key_of_another_form_is_told_from_those_of_now() {
        let fields = vec![("id".to_owned(), "int64"), ("a".to_owned(), "string")];
        let form = KeyForm { head: Vec::new(), close: b"", fields };
        assert!(has_form(br#"{"id":1,"a":"x"}"#, &form));
        for other in [
            r#"{"id":"1","a":"x"}"#,
            r#"{"a":"x","id":1}"#,
            r#"{"id":1}"#,
            r#"{"id":1,"a":"x","b":1}"#,
            r#"{"id":1.5,"a":"x"}"#,
            r#"{"schema":{},"payload":{"id":1,"a":"x"}}"#,
            "1",
            "",
        ] {
            assert!(!has_form(other.as_bytes(), &form), "{other}");
        }
        let with_schema =
            KeyForm { head: b"{\"schema\":1,\"payload\":".to_vec(), close: b"}", ..form };
        assert!(has_form(br#"{"schema":1,"payload":{"id":1,"a":"x"}}"#, &with_schema));
        assert!(!has_form(br#"{"schema":2,"payload":{"id":1,"a":"x"}}"#, &with_schema));
    }
}
