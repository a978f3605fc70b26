//! Rows of one table version to records. In: old and new rows with their position. Out: the records of each change, in
//! order, through a callback. Never: keeps a row; decides about Kafka partitions or timestamps.
//!
//! Source: Debezium documentation, "PostgreSQL connector: Data change events", "Primary key updates", "Delete events".

mod avro;
mod emit;
mod vanished;

pub use vanished::VanishedRow;

use std::sync::Arc;

use pgoutput::TupleValue;

use crate::era::EraLoss;
use crate::frame::Frame;
use crate::key::KeyPlan;
use crate::notice::{Notice, NoticeKind, Notices};
use crate::position::SourcePosition;
use crate::record::{Emission, OldRow, Record, Scratch};
use crate::room::Room;
use crate::row::{Row, RowError, RowPlan};
use crate::schema;
use crate::settings::EncoderSettings;
use crate::source::{self, SourceBlock};
use crate::table::Table;
use crate::types::{Context, Placeholder};
use crate::{EnvelopeError, names, treatment};

const NEW_KEY_HEADER: &str = "__debezium.newkey";
const OLD_KEY_HEADER: &str = "__debezium.oldkey";

/// Encodes one version of one table; compiled once for it.
#[derive(Debug)]
pub struct TablePlan {
    table: Table,
    settings: Arc<EncoderSettings>,
    topic: String,
    key: Option<KeyPlan>,
    rows: RowPlan,
    era_loss: EraLoss,
    source: SourceBlock,
    /// Up to the value of `before`, and after the value of `ts_ns`.
    frame: Frame,
}

/// What one record is made of, beside the key.
struct Event<'a> {
    operation: u8,
    before: Option<Row<'a>>,
    after: Option<Row<'a>>,
}

impl TablePlan {
    /// Prepares everything that stays the same for all rows.
    ///
    /// Errors: [`EnvelopeError::KeyColumn`]; [`EnvelopeError::Placeholder`]; [`EnvelopeError::TopicName`];
    /// [`EnvelopeError::FieldCollision`]; [`EnvelopeError::KeyFieldCollision`]; [`EnvelopeError::AvroName`],
    /// [`EnvelopeError::AvroFieldName`] and [`EnvelopeError::AvroRedefined`].
    pub fn compile(table: Table, settings: &Arc<EncoderSettings>) -> Result<Self, EnvelopeError> {
        let topic = settings.legal_topic_of(&table.schema, &table.name)?;
        let placeholder = Placeholder::parse(&settings.unavailable_value_placeholder)?;
        let unmapped = settings.unmapped_types;
        let context = |format| Context { settings, format, placeholder: &placeholder, unmapped };
        let captured: Vec<usize> =
            (0..table.columns.len()).filter(|&index| table.columns[index].captured).collect();
        let (rows, row_schema) = RowPlan::compile(&table, &captured, &context(settings.value))?;
        let schema_prefix = names::schema(&topic, settings.schema_names);
        let envelope = schema::envelope(&row_schema, &schema_prefix);
        let frame = Frame::of(&envelope, settings.value, &table.full_name())?;
        let rows = if frame.is_json() {
            rows
        } else {
            rows.for_avro(&row_schema).map_err(|error| error.of_table(&table))?
        };
        Ok(Self {
            key: KeyPlan::compile(&table, &schema_prefix, &context(settings.key))?,
            source: SourceBlock::new(settings, &table.schema, &table.name),
            rows,
            era_loss: EraLoss::compile(&table, settings),
            frame: frame.around_object(b"{\"before\":"),
            topic,
            settings: Arc::clone(settings),
            table,
        })
    }

    /// Where its records go.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// What it was compiled from.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What the user should know of its columns: those that events leave out, and masks that hide less than they seem to.
    pub fn notices(&self) -> Vec<Notice> {
        let omitted = self.rows.omitted().iter().map(|&column| (NoticeKind::Omitted, column));
        omitted
            .chain(treatment::exposures(&self.table))
            .map(|(kind, column)| Notice::new(kind, &self.table, column))
            .collect()
    }

    /// A new row: one record, op `c`.
    pub fn insert(
        &self,
        at: &SourcePosition<'_>,
        after: &[TupleValue<'_>],
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        if self.settings.skipped_operations.create {
            return Ok(());
        }
        self.only_new(b'c', at, after, out, scratch)
    }

    /// A row of a snapshot: one record, op `r`.
    pub fn read(
        &self,
        at: &SourcePosition<'_>,
        after: &[TupleValue<'_>],
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        let changed = self.era_loss.apply(after, &self.table, &mut scratch.lost_eras);
        self.only_new(b'r', at, changed.as_deref().unwrap_or(after), out, scratch)
    }

    /// A changed row: one record, op `u`; a changed key gives a delete, its tombstone and a create instead.
    pub fn update<'a>(
        &self,
        at: &SourcePosition<'_>,
        before: OldRow<'a>,
        after: &'a [TupleValue<'a>],
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        self.check_count(after)?;
        if self.settings.skipped_operations.update {
            return Ok(());
        }
        let old = before.values();
        let new = Row { values: after, old };
        scratch.key.clear();
        self.write_key(new, &mut scratch.key)?;
        if let Some(values) = old {
            self.check_count(values)?;
            let old = Row { values, old: None };
            if self.key_changed(old, new, scratch)? {
                return self.key_change(at, old, new, out, scratch);
            }
            if self.is_unchanged(before, new, scratch)? {
                return Ok(());
            }
        }
        let before = old.map(|values| Row { values, old: None });
        self.write_event(&Event { operation: b'u', before, after: Some(new) }, at, scratch)?;
        self.emit(at, Emission::VALUE, out, scratch);
        Ok(())
    }

    /// A removed row: op `d`, and a tombstone if those are wanted.
    pub fn delete(
        &self,
        at: &SourcePosition<'_>,
        before: OldRow<'_>,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        if self.settings.skipped_operations.delete {
            return Ok(());
        }
        let Some(values) = before.values() else {
            return Err(self.count_error(0));
        };
        self.check_count(values)?;
        let row = Row { values, old: None };
        scratch.key.clear();
        self.write_key(row, &mut scratch.key)?;
        self.write_event(&Event { operation: b'd', before: Some(row), after: None }, at, scratch)?;
        self.emit(at, Emission::VALUE, out, scratch);
        if self.settings.tombstones_on_delete {
            self.emit(at, Emission::TOMBSTONE, out, scratch);
        }
        Ok(())
    }

    /// An emptied table: one record, op `t`, with a null key.
    pub fn truncate(
        &self,
        at: &SourcePosition<'_>,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        if self.settings.skipped_operations.truncate {
            return Ok(());
        }
        self.write_event(&Event { operation: b't', before: None, after: None }, at, scratch)?;
        self.emit(at, Emission { keyed: false, ..Emission::VALUE }, out, scratch);
        Ok(())
    }

    fn only_new(
        &self,
        operation: u8,
        at: &SourcePosition<'_>,
        after: &[TupleValue<'_>],
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        self.check_count(after)?;
        let row = Row { values: after, old: None };
        scratch.key.clear();
        self.write_key(row, &mut scratch.key)?;
        self.write_event(&Event { operation, before: None, after: Some(row) }, at, scratch)?;
        self.emit(at, Emission::VALUE, out, scratch);
        Ok(())
    }

    /// Whether to skip an update, because nothing that is captured changed. Only an old row in full can tell.
    fn is_unchanged(
        &self,
        before: OldRow<'_>,
        new: Row<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, EnvelopeError> {
        let (true, OldRow::Full(values)) = (self.settings.skip_unchanged_updates, before) else {
            return Ok(false);
        };
        let old = Row { values, old: None };
        self.rows.looks_same(new, old, &mut scratch.value).map_err(|error| self.row_error(error))
    }

    /// Compares keys as they are written: with REPLICA IDENTITY FULL the server does not say which changed, and an old
    /// row without a key column shows that column's stand-in.
    fn key_changed(
        &self,
        old: Row<'_>,
        new: Row<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, EnvelopeError> {
        let Some(key) = &self.key else {
            return Ok(false);
        };
        if !key.may_differ(new, old) {
            return Ok(false);
        }
        scratch.old_key.clear();
        self.write_key(old, &mut scratch.old_key)?;
        Ok(scratch.key != scratch.old_key)
    }

    fn key_change(
        &self,
        at: &SourcePosition<'_>,
        old: Row<'_>,
        new: Row<'_>,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        let Some(key) = &self.key else { return Ok(()) };
        let skipped = self.settings.skipped_operations;
        if !skipped.delete {
            let key_header = Some(NEW_KEY_HEADER);
            std::mem::swap(&mut scratch.key, &mut scratch.old_key);
            self.write_key_header(key, new, scratch)?;
            self.write_event(
                &Event { operation: b'd', before: Some(old), after: None },
                at,
                scratch,
            )?;
            self.emit(at, Emission { key_header, ..Emission::VALUE }, out, scratch);
            if self.settings.tombstones_on_delete {
                self.emit(at, Emission { key_header, ..Emission::TOMBSTONE }, out, scratch);
            }
            std::mem::swap(&mut scratch.key, &mut scratch.old_key);
        }
        if !skipped.create {
            self.write_key_header(key, old, scratch)?;
            self.write_event(
                &Event { operation: b'c', before: None, after: Some(new) },
                at,
                scratch,
            )?;
            let key_header = Some(OLD_KEY_HEADER);
            self.emit(at, Emission { number: 2, key_header, ..Emission::VALUE }, out, scratch);
        }
        Ok(())
    }

    fn write_key(&self, row: Row<'_>, out: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        let Some(key) = &self.key else { return Ok(()) };
        key.write(row, out).map_err(|error| self.row_error(error))
    }

    fn write_key_header(
        &self,
        key: &KeyPlan,
        row: Row<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        scratch.key_header.clear();
        key.write_header(row, &mut scratch.key_header).map_err(|error| self.row_error(error))
    }

    fn write_event(
        &self,
        event: &Event<'_>,
        at: &SourcePosition<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        if !self.frame.is_json() {
            return self.write_event_avro(event, at, scratch);
        }
        let Scratch { value: out, room, memos, transaction, notices, .. } = scratch;
        out.clear();
        room.begin();
        self.frame.begin(out);
        self.write_row(event.before, out, room, notices)?;
        out.extend_from_slice(b",\"after\":");
        self.write_row(event.after, out, room, notices)?;
        out.extend_from_slice(b",\"source\":");
        self.source.write(at, memos, out);
        out.extend_from_slice(b",\"transaction\":");
        self.source.write_transaction(at, transaction, out);
        out.extend_from_slice(b",\"op\":\"");
        out.extend_from_slice(&[event.operation, b'"', b',']);
        source::processing_times(at.processed_at_unix_ns, memos, out);
        self.frame.end(out);
        room.value_bytes(out).map_or(Ok(()), |value_bytes| Err(self.too_large(value_bytes)))
    }

    #[inline]
    fn write_row(
        &self,
        row: Option<Row<'_>>,
        out: &mut Vec<u8>,
        room: &mut Room,
        notices: &mut Notices,
    ) -> Result<(), EnvelopeError> {
        let Some(row) = row else {
            out.extend_from_slice(self.rows.absent());
            return Ok(());
        };
        out.extend_from_slice(self.rows.present());
        let mut note = |kind, column| notices.add(kind, &self.table, column);
        self.rows.write(row, out, room, &mut note).map_err(|error| self.row_error(error))
    }

    #[inline]
    fn check_count(&self, values: &[TupleValue<'_>]) -> Result<(), EnvelopeError> {
        if values.len() == self.table.columns.len() {
            Ok(())
        } else {
            Err(self.count_error(values.len()))
        }
    }

    #[cold]
    fn too_large(&self, value_bytes: usize) -> EnvelopeError {
        let table = format!("{}.{}", self.table.schema, self.table.name);
        EnvelopeError::ValueTooLarge { table, value_bytes }
    }

    #[cold]
    fn count_error(&self, found: usize) -> EnvelopeError {
        EnvelopeError::ColumnCount {
            table: format!("{}.{}", self.table.schema, self.table.name),
            expected: self.table.columns.len(),
            found,
        }
    }

    #[cold]
    fn row_error(&self, error: RowError) -> EnvelopeError {
        error.of_table(&self.table)
    }
}
