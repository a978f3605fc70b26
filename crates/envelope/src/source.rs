//! The `source` block and the times of an event. In: where a row comes from. Out: JSON, or Avro by `avro::source`. Never: renders twice what stays
//! the same for a table.
//!
//! Source: Debezium documentation, "PostgreSQL connector: Change events", `source`.

use crate::avro::source::AvroSource;
use crate::fragment::{self, Fragment, Memo};
use crate::position::{SnapshotMarker, SourcePosition};
use crate::settings::EncoderSettings;
use crate::transaction::TransactionOrder;
use crate::value::json;

/// `source` of one table.
#[derive(Clone, Debug)]
pub(crate) struct SourceBlock {
    form: SourceForm,
    /// `schema.table`, as transaction metadata counts it.
    collection: String,
}

#[derive(Clone, Debug)]
enum SourceForm {
    Json(JsonSource),
    Avro(AvroSource),
}

impl SourceBlock {
    pub(crate) fn new(settings: &EncoderSettings, schema: &str, table: &str) -> Self {
        let form = if settings.value.is_json() {
            SourceForm::Json(JsonSource::new(settings, schema, table))
        } else {
            SourceForm::Avro(AvroSource::new(settings, schema, table))
        };
        Self { form, collection: format!("{schema}.{table}") }
    }

    /// Counts the events of this block's table under another name.
    pub(crate) fn counted_as(self, collection: &str) -> Self {
        Self { collection: collection.to_owned(), ..self }
    }

    /// Appends the `transaction` block that belongs to this one.
    #[inline]
    pub(crate) fn write_transaction(
        &self,
        at: &SourcePosition<'_>,
        order: &mut TransactionOrder,
        out: &mut Vec<u8>,
    ) {
        match self.form {
            SourceForm::Json(_) => order.write_next(&self.collection, at.lsn, out),
            SourceForm::Avro(_) => order.write_next_avro(&self.collection, at.lsn, out),
        }
    }

    /// Appends the block.
    #[inline]
    pub(crate) fn write(&self, at: &SourcePosition<'_>, memos: &mut Memos, out: &mut Vec<u8>) {
        match &self.form {
            SourceForm::Json(source) => source.write(at, memos, out),
            SourceForm::Avro(source) => source.write(at, out),
        }
    }
}

/// The block as JSON, with everything rendered that does not change from row to row.
#[derive(Clone, Debug)]
struct JsonSource {
    /// Up to the value of `ts_ms`.
    head: Fragment,
    /// The value of `snapshot` for rows of the stream, and up to the value of `sequence`.
    streaming: Fragment,
    /// From after the value of `snapshot` up to the value of `sequence`.
    database: Fragment,
    /// Up to the value of `txId`.
    table: Fragment,
}

impl JsonSource {
    fn new(settings: &EncoderSettings, schema: &str, table: &str) -> Self {
        let mut head = b"{\"version\":".to_vec();
        json::string(settings.connector_version.as_bytes(), &mut head);
        head.extend_from_slice(b",\"connector\":\"postgresql\",\"name\":");
        json::string(settings.topic_prefix.as_bytes(), &mut head);
        head.extend_from_slice(b",\"ts_ms\":");
        let mut database = b",\"db\":".to_vec();
        json::string(settings.database.as_bytes(), &mut database);
        database.extend_from_slice(b",\"sequence\":\"[");
        // Debezium leaves the marker of streamed rows out; its default shows only where defaults replace nulls.
        let marker: &[u8] =
            if settings.value.replace_null_with_default { b"\"false\"" } else { b"null" };
        let streaming = [b",\"snapshot\":", marker, &database].concat();
        let mut names = b",\"schema\":".to_vec();
        json::string(schema.as_bytes(), &mut names);
        names.extend_from_slice(b",\"table\":");
        json::string(table.as_bytes(), &mut names);
        names.extend_from_slice(b",\"txId\":");
        Self {
            head: Fragment::new(head),
            streaming: Fragment::new(streaming),
            database: Fragment::new(database),
            table: Fragment::new(names),
        }
    }

    fn write(&self, at: &SourcePosition<'_>, memos: &mut Memos, out: &mut Vec<u8>) {
        let times = Times::of_micros(at.committed_at_unix_us, &mut memos.committed_at);
        let lsn = at.lsn.map(|lsn| fragment::decimal(lsn.as_u64()));
        self.head.write(out);
        times.millis(out);
        if at.snapshot == SnapshotMarker::False {
            self.streaming.write(out);
        } else {
            out.extend_from_slice(b",\"snapshot\":");
            json::string(at.snapshot.as_str().as_bytes(), out);
            self.database.write(out);
        }
        let last_commit = at.last_commit_lsn.map(|lsn| memos.last_commit.decimal(lsn.as_u64()));
        sequence_part(last_commit, out);
        out.push(b',');
        sequence_part(lsn.as_ref(), out);
        out.extend_from_slice(b"]\",\"ts_us\":");
        times.micros(out);
        out.extend_from_slice(b",\"ts_ns\":");
        times.nanos(out);
        self.table.write(out);
        number(at.xid.map(|xid| memos.xid.decimal(xid)), out);
        out.extend_from_slice(b",\"lsn\":");
        number(lsn.as_ref(), out);
        // `xmin.fetch.interval.ms` is what would fill it; without it the connector never does.
        out.extend_from_slice(b",\"xmin\":null,\"origin\":");
        match at.origin {
            Some(origin) => json::string(origin.as_bytes(), out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"origin_lsn\":");
        let origin_lsn = at.origin_lsn.map(|lsn| fragment::decimal(lsn.as_u64()));
        number(origin_lsn.as_ref(), out);
        out.push(b'}');
    }
}

/// Numbers that the rows of one transaction share.
#[derive(Debug, Default)]
pub(crate) struct Memos {
    committed_at: Memo,
    processed_at: Memo,
    last_commit: Memo,
    xid: Memo,
}

#[inline]
fn sequence_part(lsn: Option<&([u8; 24], usize)>, out: &mut Vec<u8>) {
    match lsn {
        Some(digits) => {
            out.extend_from_slice(b"\\\"");
            fragment::append(digits, out);
            out.extend_from_slice(b"\\\"");
        }
        None => out.extend_from_slice(b"null"),
    }
}

#[inline]
fn number(digits: Option<&([u8; 24], usize)>, out: &mut Vec<u8>) {
    match digits {
        Some(digits) => fragment::append(digits, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends `"ts_ms":…,"ts_us":…,"ts_ns":…`.
pub(crate) fn processing_times(unix_ns: i64, memos: &mut Memos, out: &mut Vec<u8>) {
    let times = Times::of_nanos(unix_ns, &mut memos.processed_at);
    out.extend_from_slice(b"\"ts_ms\":");
    times.millis(out);
    out.extend_from_slice(b",\"ts_us\":");
    times.micros(out);
    out.extend_from_slice(b",\"ts_ns\":");
    times.nanos(out);
}

/// Appends the milliseconds of a moment.
pub(crate) fn millis(unix_ns: i64, memos: &mut Memos, out: &mut Vec<u8>) {
    Times::of_nanos(unix_ns, &mut memos.processed_at).millis(out);
}

/// One moment in three units. Its nanoseconds are rendered once; the others are the beginning of their digits.
struct Times {
    digits: [u8; 24],
    length: usize,
}

impl Times {
    fn of_micros(unix_us: i64, memo: &mut Memo) -> Self {
        Self::new(unix_us, 3, memo)
    }

    fn of_nanos(unix_ns: i64, memo: &mut Memo) -> Self {
        Self::new(unix_ns, 0, memo)
    }

    /// Nothing that is stamped lies before 1970.
    fn new(value: i64, zeros: usize, memo: &mut Memo) -> Self {
        let &(digits, length) = memo.decimal(value.max(0).unsigned_abs());
        Self { digits, length: if value > 0 { length + zeros } else { 1 } }
    }

    /// Without so many digits at the end.
    #[inline]
    fn write(&self, dropped: usize, out: &mut Vec<u8>) {
        if self.length <= dropped {
            return out.push(b'0');
        }
        fragment::append(&(self.digits, self.length - dropped), out);
    }

    fn millis(&self, out: &mut Vec<u8>) {
        self.write(6, out);
    }

    fn micros(&self, out: &mut Vec<u8>) {
        self.write(3, out);
    }

    fn nanos(&self, out: &mut Vec<u8>) {
        self.write(0, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgoutput::Lsn;
    use proptest::prelude::*;

    fn block(settings: &EncoderSettings, at: &SourcePosition<'_>) -> String {
        let mut out = Vec::new();
        SourceBlock::new(settings, "public", "t").write(at, &mut Memos::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn position() -> SourcePosition<'static> {
        SourcePosition {
            event_id: None,
            snapshot: SnapshotMarker::False,
            committed_at_unix_us: 1_559_033_904_863_123,
            processed_at_unix_ns: 0,
            xid: Some(555),
            lsn: Some(Lsn::new(24_023_128)),
            last_commit_lsn: Some(Lsn::new(24_023_119)),
            origin: None,
            origin_lsn: None,
        }
    }

    #[test]
    fn source_has_every_field_in_the_order_of_debezium() {
        let settings = EncoderSettings::new("server", "postgres", "3.6.1.Final");
        assert_eq!(
            block(&settings, &position()),
            concat!(
                r#"{"version":"3.6.1.Final","connector":"postgresql","name":"server","ts_ms":1559033904863,"#,
                r#""snapshot":"false","db":"postgres","sequence":"[\"24023119\",\"24023128\"]","#,
                r#""ts_us":1559033904863123,"ts_ns":1559033904863123000,"schema":"public","table":"t","#,
                r#""txId":555,"lsn":24023128,"xmin":null,"origin":null,"origin_lsn":null}"#
            )
        );
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut settings = EncoderSettings::new("server", "postgres", "1");
        settings.value.replace_null_with_default = false;
        let at = SourcePosition { xid: None, lsn: None, last_commit_lsn: None, ..position() };
        let json: serde_json::Value = serde_json::from_str(&block(&settings, &at)).unwrap();
        assert_eq!(json["snapshot"], serde_json::Value::Null);
        assert_eq!(json["sequence"], "[null,null]");
        assert_eq!(json["txId"], serde_json::Value::Null);
        let at = SourcePosition {
            snapshot: SnapshotMarker::Incremental,
            origin: Some("dc\"1"),
            origin_lsn: Some(Lsn::new(74_565)),
            ..position()
        };
        let json: serde_json::Value = serde_json::from_str(&block(&settings, &at)).unwrap();
        assert_eq!(json["snapshot"], "incremental");
        assert_eq!(json["origin"], "dc\"1");
        assert_eq!(json["origin_lsn"], 74_565);
    }

    proptest! {
        #[test]
        fn times_are_one_moment_in_three_units(unix_ns in prop_oneof![0..i64::MAX, 0..10_000_000_i64]) {
            let mut out = b"{".to_vec();
            processing_times(unix_ns, &mut Memos::default(), &mut out);
            out.push(b'}');
            let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(json["ts_ms"].as_i64(), Some(unix_ns / 1_000_000));
            prop_assert_eq!(json["ts_us"].as_i64(), Some(unix_ns / 1_000));
            prop_assert_eq!(json["ts_ns"].as_i64(), Some(unix_ns));
        }
    }
}
