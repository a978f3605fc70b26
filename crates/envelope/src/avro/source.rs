//! The `source` block and the times of an event in Avro's binary form. In: where a row comes from. Out: bytes. Never: renders
//! twice what stays the same for a table.
//!
//! Each union of `source` has null first, but for `snapshot`, which has a default.

use pgoutput::Lsn;

use super::binary::{self, FIRST, SECOND};
use crate::fragment::{self, Fragment};
use crate::position::{SnapshotMarker, SourcePosition};
use crate::settings::EncoderSettings;

/// `source` of one table.
#[derive(Clone, Debug)]
pub(crate) struct AvroSource {
    /// `version`, `connector`, `name`.
    head: Fragment,
    /// `snapshot` of rows of the stream.
    streaming: Fragment,
    /// `db`, and the branch of `sequence`.
    database: Fragment,
    /// `schema` and `table`.
    table: Fragment,
}

impl AvroSource {
    pub(crate) fn new(settings: &EncoderSettings, schema: &str, table: &str) -> Self {
        let strings = |texts: &[&str]| {
            let mut out = Vec::new();
            for text in texts {
                binary::bytes(text.as_bytes(), &mut out);
            }
            out
        };
        // Debezium leaves the marker of streamed rows out; its default shows only where defaults replace nulls.
        let streaming = if settings.value.replace_null_with_default {
            [&[FIRST][..], &strings(&[SnapshotMarker::False.as_str()])].concat()
        } else {
            vec![SECOND]
        };
        let mut database = strings(&[&settings.database]);
        database.push(SECOND);
        let head = [&settings.connector_version[..], "postgresql", &settings.topic_prefix];
        Self {
            head: Fragment::new(strings(&head)),
            streaming: Fragment::new(streaming),
            database: Fragment::new(database),
            table: Fragment::new(strings(&[schema, table])),
        }
    }

    /// Appends the block.
    pub(crate) fn write(&self, at: &SourcePosition<'_>, out: &mut Vec<u8>) {
        // Nothing that is stamped lies before 1970.
        let micros = at.committed_at_unix_us.max(0);
        self.head.write(out);
        binary::long(micros / 1_000, out);
        if at.snapshot == SnapshotMarker::False {
            self.streaming.write(out);
        } else {
            out.push(FIRST);
            binary::bytes(at.snapshot.as_str().as_bytes(), out);
        }
        self.database.write(out);
        sequence(at, out);
        present(micros, out);
        present(micros.saturating_mul(1_000), out);
        self.table.write(out);
        optional(at.xid.map(u64::cast_signed), out);
        optional(at.lsn.map(|lsn| lsn.as_u64().cast_signed()), out);
        // `xmin.fetch.interval.ms` is what would fill it; without it the connector never does.
        out.push(FIRST);
        match at.origin {
            Some(origin) => {
                out.push(SECOND);
                binary::bytes(origin.as_bytes(), out);
            }
            None => out.push(FIRST),
        }
        optional(at.origin_lsn.map(|lsn| lsn.as_u64().cast_signed()), out);
    }
}

/// Appends `ts_ms`, `ts_us` and `ts_ns`.
#[inline]
pub(crate) fn processing_times(unix_ns: i64, out: &mut Vec<u8>) {
    let nanos = unix_ns.max(0);
    present(nanos / 1_000_000, out);
    present(nanos / 1_000, out);
    present(nanos, out);
}

/// Appends a number that may be null and is not.
#[inline]
pub(crate) fn present(value: i64, out: &mut Vec<u8>) {
    out.push(SECOND);
    binary::long(value, out);
}

#[inline]
fn optional(value: Option<i64>, out: &mut Vec<u8>) {
    match value {
        Some(value) => present(value, out),
        None => out.push(FIRST),
    }
}

/// `["24023119","24023128"]`, never as long as 64 characters.
#[inline]
fn sequence(at: &SourcePosition<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(b"\0[");
    sequence_part(at.last_commit_lsn, out);
    out.push(b',');
    sequence_part(at.lsn, out);
    out.push(b']');
    binary::put_count(start, out.len() - start - 1, out);
}

#[inline]
fn sequence_part(lsn: Option<Lsn>, out: &mut Vec<u8>) {
    match lsn {
        Some(lsn) => {
            out.push(b'"');
            fragment::digits(lsn.as_u64(), out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}
