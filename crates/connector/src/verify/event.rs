//! What a record says, as far as checking it goes. Pure.
//!
//! In: bytes of a value, with or without schema. Out: an [`Event`] that borrows from them; a column's value is the JSON text it
//! has, so that nothing is lost in reading it. Never: a guess; what is no event is an error.
//! Source: Debezium documentation, "PostgreSQL connector: Data change events".

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Columns by name.
pub(super) type Columns<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// One event.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) op: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) before: Option<Columns<'a>>,
    #[serde(borrow, default)]
    pub(super) after: Option<Columns<'a>>,
    #[serde(borrow)]
    pub(super) source: Source<'a>,
}

/// Where it comes from.
#[derive(Debug, Deserialize)]
pub(super) struct Source<'a> {
    #[serde(borrow, default)]
    pub(super) schema: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) table: Cow<'a, str>,
    #[serde(rename = "txId", default)]
    pub(super) xid: Option<u64>,
    /// `["<last commit>","<lsn>"]`, as text.
    #[serde(borrow, default)]
    sequence: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Enveloped<'a> {
    #[serde(borrow)]
    payload: Event<'a>,
}

impl<'a> Event<'a> {
    /// Reads a value.
    pub(super) fn read(value: &'a [u8]) -> Result<Self, serde_json::Error> {
        // The schema comes first where there is one, and the two forms have no field in common.
        if value.starts_with(b"{\"schema\"") {
            return Ok(serde_json::from_slice::<Enveloped<'a>>(value)?.payload);
        }
        serde_json::from_slice(value)
    }
}

impl Source<'_> {
    /// Where the event stands among those of a partition, if it says so: where the commit before its transaction ends, and its own
    /// place in the log.
    pub(super) fn order(&self) -> Option<(u64, u64)> {
        let parts: [Option<String>; 2] = serde_json::from_str(self.sequence.as_deref()?).ok()?;
        let [last_commit, lsn] = parts;
        Some((last_commit?.parse().ok()?, lsn?.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"before":null,"after":{"id":1,"n":1.50},"source":{"schema":"s","table":"t","txId":7,"lsn":9,"sequence":"[\"5\",\"9\"]"},"op":"c"}"#;

    #[test]
    fn an_event_reads_alike_with_and_without_schema() {
        let with = format!(r#"{{"schema":{{"type":"struct"}},"payload":{PLAIN}}}"#);
        for text in [PLAIN, &with] {
            let event = Event::read(text.as_bytes()).unwrap();
            assert_eq!((&*event.op, event.source.order()), ("c", Some((5, 9))));
            assert_eq!(event.after.unwrap()["n"].get(), "1.50", "no digit is lost");
        }
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        assert!(Event::read(b"{}").is_err());
        assert!(Event::read(b"no JSON").is_err());
    }
}
