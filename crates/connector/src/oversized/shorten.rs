//! Rows with shorter values, for records that would be larger than their topic takes.
//!
//! In: a row whose records may be too large. Out: if one is, the records of the same row with its long values cut
//! (`truncate`), or taken for absent and the whole record put where it can be fetched (`claim.check`). Headers of the event say so:
//! `tributary.shortened` is a JSON object of the columns and the bytes their values have, `tributary.claim.topic` and
//! `tributary.claim.id` say where the record is.
//! Never: a key that is shortened, a character that is cut in two.

use envelope::{DataType, EnvelopeError, Record, Scratch, SourcePosition, Table, TypeKind};
use kafka::{Topic, Transaction};
use pgoutput::TupleValue;
use regex::Regex;
use serde_json::{Map, Value};

use super::letter::Letter;
use super::{Policy, RecordLimits, id_of};
use crate::append::{Appender, Headers, Row, RowChange};
use crate::error::ConnectorError;
use crate::settings::OversizedSettings;
use crate::status::Notice;
use crate::tables::CapturedTable;

/// How many times its text a value may take in a record: six, where every byte is escaped.
const GROWTH_MAX: usize = 8;

/// How values are made shorter.
#[derive(Clone, Debug)]
pub(super) struct Shortening {
    keep_bytes: usize,
    columns: Vec<Regex>,
    /// Where whole records go; without it they are cut.
    claims: Option<Topic>,
}

impl Shortening {
    pub(super) fn new(settings: &OversizedSettings, claims: Option<Topic>) -> Self {
        let columns = settings.columns.clone();
        Self { keep_bytes: settings.keep_bytes, columns, claims }
    }

    /// Whether the whole record is kept beside what is made shorter.
    pub(super) fn wants_whole(&self) -> bool {
        self.claims.is_some()
    }

    /// The row with shorter values; what was shortened goes into `shortened`.
    fn apply<'a>(
        &self,
        table: &Table,
        values: &[TupleValue<'a>],
        shortened: &mut Map<String, Value>,
    ) -> Row<'a> {
        let mut row: Row<'a> = values.iter().copied().collect();
        for (index, (column, value)) in table.columns.iter().zip(&mut row).enumerate() {
            let TupleValue::Text(text) = *value else { continue };
            let name = format!("{}.{}.{}", table.schema, table.name, column.name);
            let is_meant =
                self.columns.is_empty() || self.columns.iter().any(|regex| regex.is_match(&name));
            if text.len() <= self.keep_bytes || !is_meant || table.key.contains(&index) {
                continue;
            }
            let shorter = match &self.claims {
                Some(_) => Some(TupleValue::UnchangedToast),
                None => cut(&column.data_type, text, self.keep_bytes).map(TupleValue::Text),
            };
            if let Some(shorter) = shorter {
                *value = shorter;
                if column.captured {
                    shortened.insert(column.name.clone(), text.len().into());
                }
            }
        }
        row
    }
}

/// The beginning of a text that is a value of its type as well; `None` if the type has no such thing.
fn cut<'a>(data_type: &DataType, text: &'a [u8], bytes_max: usize) -> Option<&'a [u8]> {
    if let TypeKind::Domain { base, .. } = &data_type.kind {
        return cut(base, text, bytes_max);
    }
    match data_type.name.as_str() {
        "text" | "varchar" | "bpchar" | "citext" if data_type.kind == TypeKind::Base => {
            let is_start = |at: usize| text.get(at).is_none_or(|byte| byte & 0xC0 != 0x80);
            let end = (0..=bytes_max.min(text.len())).rev().find(|&at| is_start(at))?;
            Some(&text[..end])
        }
        // `\x` and two digits a byte.
        "bytea" if text.starts_with(b"\\x") => {
            let digits = (bytes_max & !1).min(text.len() - 2);
            Some(&text[..2 + digits])
        }
        _ => None,
    }
}

impl RecordLimits {
    /// Whether it is worth to look how large the records of a row will be.
    #[inline]
    pub(crate) fn may_shorten(&self, topic: &Topic, change: &RowChange<'_>) -> bool {
        let Policy::Shorten(_) = &self.policy else { return false };
        let limit_bytes = self.request_bytes_max.min(topic.batch_bytes_limit());
        let (old, new) = change.values();
        let bytes = |value: &TupleValue<'_>| match value {
            TupleValue::Text(bytes) | TupleValue::Binary(bytes) => bytes.len(),
            TupleValue::Null | TupleValue::UnchangedToast => 0,
        };
        old.iter().chain(new).map(bytes).sum::<usize>() > limit_bytes / GROWTH_MAX
    }

    /// Puts the row into the Kafka transaction with shorter values, if otherwise a record of it would be too large. False is
    /// returned, and nothing was done, if none would be.
    pub(crate) fn shorten(
        &mut self,
        table: &CapturedTable,
        at: &SourcePosition<'_>,
        change: &RowChange<'_>,
        transaction: &mut Transaction,
        scratch: &mut Scratch,
    ) -> Result<bool, ConnectorError> {
        let Policy::Shorten(shortening) = &self.policy else { return Ok(false) };
        let shortening = shortening.clone();
        let id = id_of(at);
        let mut is_too_large = false;
        let mut look = |record: Record<'_>| {
            let headers: Headers<'_> =
                record.headers.iter().map(|header| (header.name, header.value)).collect();
            if self.excess(&table.topic, &record, &headers).is_none() {
                return;
            }
            is_too_large = true;
            if let Some(claims) = &shortening.claims {
                let letter = Letter {
                    meant_for: table.topic.name(),
                    id: id.clone(),
                    key: record.key,
                    value: record.value,
                    headers: &headers,
                    cause: None,
                    is_row: false,
                };
                letter.append(claims, at, self.request_bytes_max, transaction);
            }
        };
        let encoded = change.encode(&table.plan, at, &mut look, &mut scratch.for_rehearsal());
        match encoded {
            Err(EnvelopeError::ValueTooLarge { .. }) => {}
            Ok(()) if is_too_large => {}
            // What cannot be encoded is said by whoever encodes it for good.
            Ok(()) | Err(_) => return Ok(false),
        }
        let mut shortened = Map::new();
        let (old, new) = change.values();
        let old = shortening.apply(table.plan.table(), old, &mut shortened);
        let new = shortening.apply(table.plan.table(), new, &mut shortened);
        let notice = Notice {
            code: "NT011",
            subject: table.topic.name().to_owned(),
            text: format!(
                "values are made shorter, because Kafka would not take the record; the first at {}: {}",
                super::row::position(at),
                Value::Object(shortened.clone())
            ),
        };
        let shortened = Value::Object(shortened).to_string();
        let mut headers: Headers<'_> = Headers::new();
        headers.push(("tributary.shortened", shortened.as_bytes()));
        if let Some(claims) = &shortening.claims {
            headers.push(("tributary.claim.topic", claims.name().as_bytes()));
            headers.push(("tributary.claim.id", id.as_bytes()));
        }
        let change = change.with_values(&old, &new);
        let appender = Appender::new(Some(transaction), &table.topic, at, self);
        let mut appender = appender.with_headers(&headers);
        let encoded =
            change.encode(&table.plan, at, &mut |record| appender.append(&record), scratch);
        appender.finish()?;
        if let Err(error) = encoded {
            self.unencodable(table, at, &change, Some(transaction), error)?;
        }
        self.note(notice);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use pgoutput::Oid;

    use super::*;

    fn base(name: &str) -> DataType {
        DataType { oid: Oid(0), name: name.to_owned(), kind: TypeKind::Base }
    }

    #[test]
    fn text_is_cut_between_characters() {
        let text = "aä€😀".as_bytes();
        let cut = |bytes_max| cut(&base("text"), text, bytes_max).unwrap();
        let ends: Vec<usize> = (0..=text.len()).map(|bytes_max| cut(bytes_max).len()).collect();
        assert_eq!(ends, [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10]);
    }

    #[test]
    fn bytes_are_cut_between_bytes() {
        let cut = |bytes_max| cut(&base("bytea"), b"\\x010203", bytes_max).unwrap();
        assert_eq!(cut(3), b"\\x01");
        assert_eq!(cut(4), b"\\x0102");
        assert_eq!(cut(0), b"\\x");
    }

    #[test]
    fn a_document_is_not_cut() {
        assert_eq!(cut(&base("jsonb"), b"{\"a\": 1}", 3), None);
        assert_eq!(cut(&base("_text"), b"{a,b}", 3), None);
    }
}
