//! A whole record in a topic of its own.
//!
//! In: a record that its topic does not take. Out: its bytes in as many records as it needs, in order, in one partition, each
//! with headers that say what it is a part of. Put together they are the record again.
//!
//! Headers of every part, beside those the record had: `tributary.topic` (where it was meant to go), `tributary.id`,
//! `tributary.position`, `tributary.transaction`, `tributary.part` and `tributary.parts` (from 1), `tributary.code` and
//! `tributary.cause` (why it is here), `tributary.content` (`record`, or `row` for the JSON of a row that could not be encoded).
//! A key that is too long for a key stands before the value; `tributary.key.bytes` says how long it is. `tributary.tombstone` is
//! there if the record has no value.

use envelope::SourcePosition;
use kafka::{Topic, Transaction};

use super::row;
use crate::append::Headers;

/// Batches are at most that large, whatever else is allowed.
const PART_BYTES_MAX: usize = 512 << 10;

/// Why a record is where it is.
pub(super) struct Cause {
    pub(super) code: &'static str,
    pub(super) text: String,
}

/// One record, whole.
pub(super) struct Letter<'a> {
    pub(super) meant_for: &'a str,
    pub(super) id: String,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: &'a [(&'a str, &'a [u8])],
    pub(super) cause: Option<Cause>,
    /// Its value is the JSON of a row, not a record.
    pub(super) is_row: bool,
}

impl Letter<'_> {
    /// Puts it into the open Kafka transaction.
    pub(super) fn append(
        &self,
        topic: &Topic,
        at: &SourcePosition<'_>,
        request_bytes_max: usize,
        transaction: &mut Transaction,
    ) {
        // Half is left for headers, and for what a batch adds.
        let largest = topic.batch_bytes_limit().min(request_bytes_max) / 2;
        let part_bytes = largest.clamp(1, PART_BYTES_MAX);
        let is_long_key = self.key.is_some_and(|key| key.len() > part_bytes / 4);
        let (key, key_in_content) = if is_long_key { (None, self.key) } else { (self.key, None) };
        let value = self.value.unwrap_or_default();
        let content = [key_in_content.unwrap_or_default(), value];
        let content_bytes = content[0].len() + content[1].len();
        let parts = content_bytes.div_ceil(part_bytes).max(1);
        let partition_key = key.unwrap_or(self.id.as_bytes());
        let partition = topic.partition(topic.partition_for(Some(partition_key)));
        let timestamp_ms = at.processed_at_unix_ns / 1_000_000;
        let position = row::position(at);
        let transaction_id = at.xid.map(|xid| xid.to_string());
        let (count, key_bytes) =
            (parts.to_string(), key_in_content.map(|key| key.len().to_string()));
        for part in 0..parts {
            let number = (part + 1).to_string();
            let mut headers: Headers<'_> = self.headers.iter().copied().collect();
            let content_kind: &[u8] = if self.is_row { b"row" } else { b"record" };
            headers.extend([
                ("tributary.topic", self.meant_for.as_bytes()),
                ("tributary.id", self.id.as_bytes()),
                ("tributary.position", position.as_bytes()),
                ("tributary.content", content_kind),
                ("tributary.part", number.as_bytes()),
                ("tributary.parts", count.as_bytes()),
            ]);
            headers
                .extend(transaction_id.iter().map(|id| ("tributary.transaction", id.as_bytes())));
            headers.extend(key_bytes.iter().map(|bytes| ("tributary.key.bytes", bytes.as_bytes())));
            if let Some(cause) = &self.cause {
                headers.push(("tributary.code", cause.code.as_bytes()));
                headers.push(("tributary.cause", cause.text.as_bytes()));
            }
            if self.value.is_none() {
                headers.push(("tributary.tombstone", b"true"));
            }
            let from = part * part_bytes;
            let piece = piece(content, from, (from + part_bytes).min(content_bytes));
            transaction.append(&partition, timestamp_ms, key, Some(&piece), &headers);
        }
    }
}

/// Bytes `from..to` of two slices that follow each other.
fn piece(content: [&[u8]; 2], from: usize, to: usize) -> Vec<u8> {
    let [first, second] = content;
    let split = first.len();
    let mut piece = Vec::with_capacity(to - from);
    piece.extend_from_slice(&first[from.min(split)..to.min(split)]);
    piece.extend_from_slice(&second[from.saturating_sub(split)..to.saturating_sub(split)]);
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_two_slices_are_the_whole() {
        let content: [&[u8]; 2] = [b"abcde", b"fghijklm"];
        for size in 1..=13 {
            let pieces = (0..13_usize.div_ceil(size))
                .flat_map(|index| piece(content, index * size, ((index + 1) * size).min(13)));
            assert_eq!(pieces.collect::<Vec<_>>(), b"abcdefghijklm", "{size}");
        }
    }
}
