//! Records of one change on their way into the open Kafka transaction, and rows on their way into records.
//!
//! In: rows, or records of the encoder. Out: records in the transaction, each in the partition of its key.
//! Never: a record larger than the broker would take; [`RecordLimits`] say what becomes of it.

#[cfg(test)]
mod allocations;

use envelope::{EnvelopeError, OldRow, Record, Scratch, SnapshotMarker, SourcePosition, TablePlan};
use kafka::Transaction;
use pgoutput::{Before, TupleData, TupleValue};
use smallvec::SmallVec;

use crate::clock;
use crate::error::ConnectorError;
use crate::measure::Operation;
use crate::oversized::{RecordLimits, Refused};
use crate::tables::CapturedTable;

/// Values of one row. Most tables have fewer columns than this; more only cost an allocation.
pub(crate) type Row<'a> = SmallVec<[TupleValue<'a>; 32]>;

/// Headers of one record.
pub(crate) type Headers<'a> = SmallVec<[(&'a str, &'a [u8]); 8]>;

/// What became of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowChange<'a> {
    /// It is new.
    Insert(&'a [TupleValue<'a>]),
    /// It has other values.
    Update(OldRow<'a>, &'a [TupleValue<'a>]),
    /// It is gone.
    Delete(OldRow<'a>),
    /// A snapshot read it.
    Read(&'a [TupleValue<'a>]),
}

impl<'a> RowChange<'a> {
    /// Its records.
    pub(crate) fn encode(
        &self,
        plan: &TablePlan,
        at: &SourcePosition<'_>,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        match *self {
            Self::Insert(after) => plan.insert(at, after, out, scratch),
            Self::Update(before, after) => plan.update(at, before, after, out, scratch),
            Self::Delete(before) => plan.delete(at, before, out, scratch),
            Self::Read(after) => plan.read(at, after, out, scratch),
        }
    }

    /// What became of it.
    fn operation(&self) -> Operation {
        match self {
            Self::Insert(_) => Operation::Create,
            Self::Update(..) => Operation::Update,
            Self::Delete(_) => Operation::Delete,
            Self::Read(_) => Operation::Read,
        }
    }

    /// Values of the old row and of the new one; a row that is not there has none.
    pub(crate) fn values(&self) -> (&'a [TupleValue<'a>], &'a [TupleValue<'a>]) {
        let old = |before: OldRow<'a>| match before {
            OldRow::Absent => &[][..],
            OldRow::Key(values) | OldRow::Full(values) => values,
        };
        match *self {
            Self::Insert(after) | Self::Read(after) => (&[], after),
            Self::Update(before, after) => (old(before), after),
            Self::Delete(before) => (old(before), &[]),
        }
    }

    /// The same of a row with other values.
    pub(crate) fn with_values<'b>(
        &self,
        old: &'b [TupleValue<'b>],
        new: &'b [TupleValue<'b>],
    ) -> RowChange<'b> {
        let before = |before: OldRow<'_>| match before {
            OldRow::Absent => OldRow::Absent,
            OldRow::Key(_) => OldRow::Key(old),
            OldRow::Full(_) => OldRow::Full(old),
        };
        match *self {
            Self::Insert(_) => RowChange::Insert(new),
            Self::Update(old, _) => RowChange::Update(before(old), new),
            Self::Delete(old) => RowChange::Delete(before(old)),
            Self::Read(_) => RowChange::Read(new),
        }
    }
}

/// Puts the records of one row into the open Kafka transaction. With none, the row was sent before a restart, and only its place in
/// its source transaction is wanted.
///
/// Errors: [`ConnectorError::RecordTooLarge`] and [`ConnectorError::Unencodable`], where [`RecordLimits`] have no other way.
pub(crate) fn append_row(
    table: &CapturedTable,
    at: &SourcePosition<'_>,
    change: &RowChange<'_>,
    transaction: Option<&mut Transaction>,
    limits: &mut RecordLimits,
    scratch: &mut Scratch,
) -> Result<(), ConnectorError> {
    let Some(transaction) = transaction else {
        return put_row(table, at, change, None, limits, scratch);
    };
    let (records, bytes) = (transaction.record_count(), transaction.len_bytes());
    put_row(table, at, change, Some(&mut *transaction), limits, scratch)?;
    let (records, bytes) = (transaction.record_count() - records, transaction.len_bytes() - bytes);
    table.tally.add(change.operation(), records, bytes);
    Ok(())
}

fn put_row(
    table: &CapturedTable,
    at: &SourcePosition<'_>,
    change: &RowChange<'_>,
    mut transaction: Option<&mut Transaction>,
    limits: &mut RecordLimits,
    scratch: &mut Scratch,
) -> Result<(), ConnectorError> {
    if let Some(transaction) = &mut transaction
        && limits.may_shorten(&table.topic, change)
        && limits.shorten(table, at, change, transaction, scratch)?
    {
        return Ok(());
    }
    let mut appender = Appender::new(transaction.as_deref_mut(), &table.topic, at, limits);
    let encoded = change.encode(&table.plan, at, &mut |record| appender.append(&record), scratch);
    appender.finish()?;
    match (encoded, transaction) {
        (Ok(()), _) => Ok(()),
        (Err(error), transaction) => limits.unencodable(table, at, change, transaction, error),
    }
}

/// Puts records of one change into the open Kafka transaction.
pub(crate) struct Appender<'a> {
    /// `None` takes nothing.
    transaction: Option<&'a mut Transaction>,
    topic: &'a kafka::Topic,
    at: &'a SourcePosition<'a>,
    limits: &'a mut RecordLimits,
    /// What the records have in addition.
    more_headers: &'a [(&'a str, &'a [u8])],
    too_large: Option<ConnectorError>,
}

impl<'a> Appender<'a> {
    pub(crate) fn new(
        transaction: Option<&'a mut Transaction>,
        topic: &'a kafka::Topic,
        at: &'a SourcePosition<'a>,
        limits: &'a mut RecordLimits,
    ) -> Self {
        Self { transaction, topic, at, limits, more_headers: &[], too_large: None }
    }

    /// Every record that has a value gets these headers as well.
    #[must_use]
    pub(crate) fn with_headers(self, more_headers: &'a [(&'a str, &'a [u8])]) -> Self {
        Self { more_headers, ..self }
    }

    pub(crate) fn append(&mut self, record: &Record<'_>) {
        let Some(transaction) = &mut self.transaction else { return };
        let mut headers: Headers<'_> =
            record.headers.iter().map(|header| (header.name, header.value)).collect();
        if record.value.is_some() {
            headers.extend_from_slice(self.more_headers);
        }
        if let Some(excess) = self.limits.excess(self.topic, record, &headers) {
            let refused = Refused { topic: self.topic, at: self.at, record, headers: &headers };
            if let Err(error) = self.limits.keep(&refused, excess, transaction) {
                self.too_large.get_or_insert(error);
            }
            return;
        }
        let partition = self.topic.partition(self.topic.partition_for(record.key));
        let timestamp_ms = self.at.processed_at_unix_ns / 1_000_000;
        transaction.append(&partition, timestamp_ms, record.key, record.value, &headers);
    }

    /// Errors: [`ConnectorError::RecordTooLarge`].
    pub(crate) fn finish(self) -> Result<(), ConnectorError> {
        self.too_large.map_or(Ok(()), Err)
    }
}

/// The place of a record that names no change.
pub(crate) fn no_change(committed_at_unix_us: i64) -> SourcePosition<'static> {
    SourcePosition {
        event_id: None,
        snapshot: SnapshotMarker::False,
        committed_at_unix_us,
        processed_at_unix_ns: clock::unix_ns(),
        xid: None,
        lsn: None,
        last_commit_lsn: None,
        origin: None,
        origin_lsn: None,
    }
}

pub(crate) fn row(tuple: TupleData<'_>) -> Row<'_> {
    tuple.iter().collect()
}

pub(crate) fn old_values<'a>(before: &Before<'a>) -> Row<'a> {
    match before {
        Before::Absent => Row::new(),
        Before::Key(tuple) | Before::Full(tuple) => row(*tuple),
    }
}

pub(crate) fn old_row<'a>(before: &Before<'_>, values: &'a [TupleValue<'a>]) -> OldRow<'a> {
    match before {
        Before::Absent => OldRow::Absent,
        Before::Key(_) => OldRow::Key(values),
        Before::Full(_) => OldRow::Full(values),
    }
}
