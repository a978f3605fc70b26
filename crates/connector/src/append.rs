//! Records of one change on their way into the open Kafka transaction, and rows on their way into records.
//!
//! In: records of the encoder. Out: the same in the transaction, each in the partition of its key.
//! Never: a record larger than the broker would take; that is an error that names it.

use envelope::{OldRow, Record, SnapshotMarker, SourcePosition};
use kafka::Transaction;
use pgoutput::{Before, Lsn, TupleData, TupleValue};
use smallvec::SmallVec;

use crate::clock;
use crate::error::ConnectorError;

/// Values of one row. Most tables have fewer columns than this; more only cost an allocation.
pub(crate) type Row<'a> = SmallVec<[TupleValue<'a>; 32]>;

/// Puts records of one change into the open Kafka transaction.
pub(crate) struct Appender<'a> {
    /// `None` takes nothing: the change was sent before a restart, and only its place in its transaction is wanted.
    transaction: Option<&'a mut Transaction>,
    topic: &'a kafka::Topic,
    at: &'a SourcePosition<'a>,
    record_bytes_max: usize,
    too_large: Option<ConnectorError>,
}

impl<'a> Appender<'a> {
    pub(crate) fn new(
        transaction: Option<&'a mut Transaction>,
        topic: &'a kafka::Topic,
        at: &'a SourcePosition<'a>,
        record_bytes_max: usize,
    ) -> Self {
        Self { transaction, topic, at, record_bytes_max, too_large: None }
    }

    pub(crate) fn append(&mut self, record: &Record<'_>) {
        let Some(transaction) = &mut self.transaction else { return };
        let record_bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if record_bytes > self.record_bytes_max {
            self.too_large.get_or_insert_with(|| ConnectorError::RecordTooLarge {
                topic: record.topic.to_owned(),
                key: shortened(record.key),
                position: self.at.lsn.unwrap_or(Lsn::ZERO),
                record_bytes,
                limit_bytes: self.record_bytes_max,
            });
            return;
        }
        let headers: SmallVec<[(&str, &[u8]); 8]> =
            record.headers.iter().map(|header| (header.name, header.value)).collect();
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

/// A key as an operator can read it in an error.
fn shortened(key: Option<&[u8]>) -> String {
    const KEY_BYTES_SHOWN: usize = 200;
    match key {
        None => "none".to_owned(),
        Some(key) => String::from_utf8_lossy(&key[..key.len().min(KEY_BYTES_SHOWN)]).into_owned(),
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
