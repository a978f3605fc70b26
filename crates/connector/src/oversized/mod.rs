//! What becomes of records that are larger than Kafka takes, and of rows that cannot be encoded.
//!
//! In: records on their way into the open Kafka transaction. Out: what of them exceeds a limit, and the way the settings have for it:
//! an error that names it, the whole record in parts in a topic of its own, or an event with shorter values.
//! All of it happens in the Kafka transaction of the change, so that it is there exactly once, like any event.
//! Never: a record that is in no topic and in no error.

mod letter;
mod row;
mod shorten;

use envelope::{EnvelopeError, Record, SourcePosition};
use kafka::{Compression, ProducerSettings, Topic, Transaction};
use tracing::debug;
use uuid::Uuid;

use crate::append::RowChange;
use crate::error::ConnectorError;
use crate::settings::{OversizedPolicy, Settings};
use crate::status::Notice;
use crate::tables::CapturedTable;
use letter::{Cause, Letter};
use shorten::Shortening;

/// Bytes of a batch around its only record, without key, value and headers; and around a header.
const BATCH_OVERHEAD_BYTES: usize = 128;
const HEADER_OVERHEAD_BYTES: usize = 20;

/// What records may have, and what becomes of one that has more.
#[derive(Debug)]
pub(crate) struct RecordLimits {
    request_bytes_max: usize,
    compression: Compression,
    policy: Policy,
    notices: Vec<Notice>,
}

#[derive(Debug)]
enum Policy {
    Fail,
    DeadLetter(Topic),
    Shorten(Shortening),
}

/// A record that its topic does not take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) at: &'a SourcePosition<'a>,
    pub(crate) record: &'a Record<'a>,
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
}

/// How a record exceeds a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excess {
    record_bytes: usize,
    limit_bytes: usize,
}

impl RecordLimits {
    /// `topic` is that of whole records, which the settings name.
    pub(crate) fn new(settings: &Settings, topic: Option<Topic>) -> Self {
        let oversized = &settings.oversized;
        let policy = match (oversized.policy, topic) {
            (OversizedPolicy::DeadLetter, Some(topic)) => Policy::DeadLetter(topic),
            (OversizedPolicy::Truncate | OversizedPolicy::ClaimCheck, claims) => {
                Policy::Shorten(Shortening::new(oversized, claims))
            }
            (OversizedPolicy::Fail | OversizedPolicy::DeadLetter, _) => Policy::Fail,
        };
        Self { policy, ..Self::fixed(&settings.producer) }
    }

    /// Those of records for which there is no other way than to fail.
    pub(crate) fn fixed(producer: &ProducerSettings) -> Self {
        let ProducerSettings { request_bytes_max, compression, .. } = *producer;
        Self { request_bytes_max, compression, policy: Policy::Fail, notices: Vec::new() }
    }

    /// How long the value of an event may become before it need not be built: longer than any request, with a policy that has no
    /// use for the whole.
    pub(crate) fn value_bytes_max(&self) -> Option<usize> {
        match &self.policy {
            Policy::DeadLetter(_) => None,
            Policy::Shorten(shortening) if shortening.wants_whole() => None,
            Policy::Fail | Policy::Shorten(_) => Some(self.request_bytes_max),
        }
    }

    /// What became of records since this was last asked.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Whether the topic would refuse a record. What a topic takes is the size of the compressed batch, so a record over that is
    /// compressed to see.
    #[inline]
    pub(crate) fn excess(
        &self,
        topic: &Topic,
        record: &Record<'_>,
        headers: &[(&str, &[u8])],
    ) -> Option<Excess> {
        let record_bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let around_bytes = headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD_BYTES)
            .sum::<usize>()
            + BATCH_OVERHEAD_BYTES;
        let limit_bytes = topic.batch_bytes_limit();
        if record_bytes + around_bytes <= limit_bytes.min(self.request_bytes_max) {
            return None;
        }
        if record_bytes > self.request_bytes_max {
            return Some(Excess { record_bytes, limit_bytes: self.request_bytes_max });
        }
        let alone = kafka::lone_batch_bytes(record.key, record.value, headers, self.compression);
        let fits = alone.is_ok_and(|alone_bytes| alone_bytes <= limit_bytes);
        (!fits).then_some(Excess { record_bytes, limit_bytes })
    }

    /// A record that exceeds a limit.
    ///
    /// Errors: [`ConnectorError::RecordTooLarge`], unless it goes into a topic of its own.
    pub(crate) fn keep(
        &mut self,
        refused: &Refused<'_>,
        excess: Excess,
        transaction: &mut Transaction,
    ) -> Result<(), ConnectorError> {
        let Refused { topic, at, record, headers } = *refused;
        let error = too_large(topic, at, record, excess);
        let Policy::DeadLetter(letters) = &self.policy else { return Err(error) };
        let cause = Cause { code: error.code(), text: error.to_string() };
        let letter = Letter {
            meant_for: topic.name(),
            id: id_of(at),
            key: record.key,
            value: record.value,
            headers,
            cause: Some(cause),
            is_row: false,
        };
        letter.append(letters, at, self.request_bytes_max, transaction);
        let notice = Notice {
            code: "NT010",
            subject: topic.name().to_owned(),
            text: format!(
                "records that Kafka would not take go into `{}`; the first: {error}",
                letters.name()
            ),
        };
        self.note(notice);
        Ok(())
    }

    /// A row of which no record can be made.
    ///
    /// Errors: [`ConnectorError::Unencodable`], unless it goes as it is into a topic of its own; [`ConnectorError::RecordTooLarge`],
    /// if its record was not even built.
    pub(crate) fn unencodable(
        &mut self,
        table: &CapturedTable,
        at: &SourcePosition<'_>,
        change: &RowChange<'_>,
        transaction: Option<&mut Transaction>,
        error: EnvelopeError,
    ) -> Result<(), ConnectorError> {
        if let EnvelopeError::ValueTooLarge { value_bytes, .. } = error {
            // Without a transaction the row was sent before a restart, by other settings.
            return transaction.map_or(Ok(()), |_| {
                Err(ConnectorError::RecordTooLarge {
                    topic: table.topic.name().to_owned(),
                    key: row::key(table.plan.table(), change),
                    position: row::position(at),
                    record_bytes: value_bytes,
                    limit_bytes: self.request_bytes_max,
                })
            });
        }
        let Policy::DeadLetter(letters) = &self.policy else {
            return Err(ConnectorError::Unencodable {
                table: row::name(table.plan.table()),
                position: row::position(at),
                key: row::key(table.plan.table(), change),
                error: Box::new(error),
            });
        };
        let Some(transaction) = transaction else { return Ok(()) };
        let json = row::to_json(table.plan.table(), change);
        let letter = Letter {
            meant_for: table.topic.name(),
            id: id_of(at),
            key: None,
            value: Some(&json),
            headers: &[],
            cause: Some(Cause { code: error.code(), text: error.to_string() }),
            is_row: true,
        };
        letter.append(letters, at, self.request_bytes_max, transaction);
        let notice = Notice {
            code: "NT010",
            subject: table.topic.name().to_owned(),
            text: format!(
                "rows that cannot be encoded go into `{}`; the first, at {}, key {}: {error}",
                letters.name(),
                row::position(at),
                row::key(table.plan.table(), change),
            ),
        };
        self.note(notice);
        Ok(())
    }

    fn note(&mut self, notice: Notice) {
        debug!(code = notice.code, subject = notice.subject, "{}", notice.text);
        let same = |other: &Notice| (other.code, &other.subject) == (notice.code, &notice.subject);
        if !self.notices.iter().any(same) {
            self.notices.push(notice);
        }
    }
}

fn too_large(
    topic: &Topic,
    at: &SourcePosition<'_>,
    record: &Record<'_>,
    excess: Excess,
) -> ConnectorError {
    ConnectorError::RecordTooLarge {
        topic: topic.name().to_owned(),
        key: shortened(record.key),
        position: row::position(at),
        record_bytes: excess.record_bytes,
        limit_bytes: excess.limit_bytes,
    }
}

/// What names a whole record: the id of its change, the same after any restart; rows of a snapshot have none and get one.
fn id_of(at: &SourcePosition<'_>) -> String {
    at.event_id.map_or_else(|| Uuid::new_v4().to_string(), |id| id.to_string())
}

/// A key as an operator can read it in an error.
fn shortened(key: Option<&[u8]>) -> String {
    const KEY_BYTES_SHOWN: usize = 200;
    match key {
        None => "none".to_owned(),
        Some(key) => String::from_utf8_lossy(&key[..key.len().min(KEY_BYTES_SHOWN)]).into_owned(),
    }
}
