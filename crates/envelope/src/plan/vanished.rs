//! Delete events of rows of which only a record is left. In: the record's key and row, as bytes. Out: op `d`, and its
//! tombstone. Never: a look at the row; what stood in `after` stands in `before`, byte for byte.
//!
//! Source: docs/adr/0013-deletes-after-a-gap.md.

use super::TablePlan;
use crate::key::{KeyForm, KeyPlan};
use crate::position::SourcePosition;
use crate::record::{Emission, Record, Scratch};
use crate::source;

/// A row that is gone although no change of the log says so.
#[derive(Clone, Copy, Debug)]
pub struct VanishedRow<'a> {
    /// The key of its last record.
    pub key: &'a [u8],
    /// The schema of that record's value; `None` writes the value without one.
    pub schema: Option<&'a [u8]>,
    /// `after` of that record: JSON that fits the schema.
    pub row: &'a [u8],
    /// Names the delete, for the id header.
    pub event_id: &'a str,
}

impl TablePlan {
    /// What every key of the table looks like; `None` for a table without key.
    pub fn key_form(&self) -> Option<&KeyForm> {
        self.key.as_ref().map(KeyPlan::form)
    }

    /// A row that vanished: op `d`, and a tombstone if those are wanted.
    pub fn vanished(
        &self,
        at: &SourcePosition<'_>,
        row: &VanishedRow<'_>,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) {
        if self.settings.skipped_operations.delete {
            return;
        }
        scratch.key.clear();
        scratch.key.extend_from_slice(row.key);
        self.write_vanished(at, row, scratch);
        self.emit_vanished(row.event_id, Emission::VALUE, out, scratch);
        if self.settings.tombstones_on_delete {
            self.emit_vanished(row.event_id, Emission::TOMBSTONE, out, scratch);
        }
    }

    fn write_vanished(
        &self,
        at: &SourcePosition<'_>,
        row: &VanishedRow<'_>,
        scratch: &mut Scratch,
    ) {
        let Scratch { value: out, memos, transaction, .. } = scratch;
        out.clear();
        if let Some(schema) = row.schema {
            out.extend_from_slice(b"{\"schema\":");
            out.extend_from_slice(schema);
            out.extend_from_slice(b",\"payload\":");
        }
        out.extend_from_slice(b"{\"before\":");
        out.extend_from_slice(row.row);
        out.extend_from_slice(b",\"after\":null,\"source\":");
        self.source.write(at, memos, out);
        out.extend_from_slice(b",\"transaction\":");
        self.source.write_transaction(at, transaction, out);
        out.extend_from_slice(b",\"op\":\"d\",");
        source::processing_times(at.processed_at_unix_ns, memos, out);
        out.extend_from_slice(if row.schema.is_some() { b"}}" } else { b"}" });
    }

    fn emit_vanished(
        &self,
        event_id: &str,
        emission: Emission,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) {
        scratch.event_id.clear();
        scratch.event_id.extend_from_slice(event_id.as_bytes());
        if emission.number > 0 {
            scratch.event_id.extend_from_slice(&[b'.', b'0' + emission.number]);
        }
        self.hand_out(emission, true, out, scratch);
    }
}
