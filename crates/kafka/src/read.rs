//! Record batches as brokers store them -> records.
//!
//! In: the bytes of a fetch answer. Out: batches, their records, and which of them a `read_committed`
//! reader may see. Never here: I/O. Total on any bytes: damage is an error, never a panic. Source:
//! Kafka documentation, "Message Format", "Control Batches"; KIP-98 (aborted transactions).

use std::collections::HashSet;

use bytes::{Buf, Bytes};

use crate::{
    compression::decompress,
    record::{BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, CONTROL, CRC_START, TRANSACTIONAL},
};

const MAGIC: i8 = 2;
/// Attribute bit: the broker replaced the producer's timestamps by its own.
const LOG_APPEND_TIME: i16 = 0x08;
/// `type` in the key of a control record: the transaction was aborted.
const ABORT_MARKER: i16 = 0;
/// The same: it was committed.
const COMMIT_MARKER: i16 = 1;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Committed,
    Aborted,
}

/// One batch, its records still compressed.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) base_offset: i64,
    last_offset: i64,
    attributes: i16,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    producer_id: i64,
    record_count: i32,
    records: Bytes,
}

/// Cuts the next whole batch off. `None`: what is left is only a part of one, or nothing.
pub(crate) fn next_batch(bytes: &mut Bytes) -> Result<Option<Batch>, String> {
    let Some(prefix) = bytes.get(..BATCH_PREFIX_BYTES) else { return Ok(None) };
    let mut prefix = prefix;
    let base_offset = prefix.get_i64();
    let length = prefix.get_i32();
    let length = usize::try_from(length).map_err(|_| format!("its length is {length}"))?;
    if bytes.len() < BATCH_PREFIX_BYTES + length {
        return Ok(None);
    }
    let mut batch = bytes.split_to(BATCH_PREFIX_BYTES + length);
    let magic = batch.get(16).map_or(-1, |byte| byte.cast_signed());
    if magic != MAGIC || batch.len() < BATCH_HEADER_BYTES {
        return Err(format!(
            "its format version is {magic}, not {MAGIC}: written before Kafka 0.11"
        ));
    }
    let computed = crc32c::crc32c(&batch[CRC_START..]);
    batch.advance(CRC_START - 4);
    let stored = batch.get_u32();
    if stored != computed {
        return Err(format!("its checksum is {stored:08x}, but its bytes give {computed:08x}"));
    }
    let attributes = batch.get_i16();
    let last_offset_delta = batch.get_i32();
    let base_timestamp_ms = batch.get_i64();
    let max_timestamp_ms = batch.get_i64();
    let producer_id = batch.get_i64();
    batch.advance(2 + 4); // producer epoch, base sequence
    let record_count = batch.get_i32();
    Ok(Some(Batch {
        base_offset,
        last_offset: base_offset.saturating_add(i64::from(last_offset_delta)),
        attributes,
        base_timestamp_ms,
        max_timestamp_ms,
        producer_id,
        record_count,
        records: batch,
    }))
}

impl Batch {
    /// The offset behind this batch, gaps left by compaction included.
    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset.saturating_add(1)
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whose transaction it is of; `None`: of none.
    pub(crate) fn transaction_of(&self) -> Option<i64> {
        self.is_transactional().then_some(self.producer_id)
    }

    /// Decompresses the records.
    pub(crate) fn records(&self) -> Result<Records, String> {
        let bytes = decompress(self.attributes, self.records.clone())
            .map_err(|error| format!("its records cannot be decompressed: {error}"))?;
        Ok(Records {
            bytes,
            base_offset: self.base_offset,
            base_timestamp_ms: self.base_timestamp_ms,
            append_time_ms: (self.attributes & LOG_APPEND_TIME != 0)
                .then_some(self.max_timestamp_ms),
            record_count: self.record_count,
        })
    }

    /// What a batch of control records says of the transaction of its producer; `None`: nothing.
    pub(crate) fn verdict(&self) -> Result<Option<Verdict>, String> {
        let records = self.records()?;
        let mut cursor = records.cursor();
        let Some(marker) = cursor.next()? else { return Ok(None) };
        let mut key = marker.key.unwrap_or_default();
        // Shape: int16 version · int16 type.
        let version = key.try_get_i16();
        let kind = key.try_get_i16();
        match (version, kind) {
            (Ok(_), Ok(ABORT_MARKER)) => Ok(Some(Verdict::Aborted)),
            (Ok(_), Ok(COMMIT_MARKER)) => Ok(Some(Verdict::Committed)),
            (Ok(_), Ok(_)) => Ok(None),
            _ => Err("its control record has no type".into()),
        }
    }
}

/// The decompressed records of one batch.
#[derive(Debug)]
pub(crate) struct Records {
    bytes: Bytes,
    base_offset: i64,
    base_timestamp_ms: i64,
    append_time_ms: Option<i64>,
    record_count: i32,
}

impl Records {
    pub(crate) fn cursor(&self) -> RecordCursor<'_> {
        RecordCursor { records: self, rest: &self.bytes, left: self.record_count }
    }

    /// An owned handle of a part of these records.
    pub(crate) fn share(&self, part: &[u8]) -> Bytes {
        self.bytes.slice_ref(part)
    }
}

/// One record, borrowed from its batch.
#[derive(Debug)]
pub(crate) struct StoredRecord<'a> {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [u8],
}

/// Names and values; a value may be null.
pub(crate) type Headers<'a> = Vec<(&'a str, Option<&'a [u8]>)>;

impl<'a> StoredRecord<'a> {
    /// Names and values, in order.
    pub(crate) fn headers(&self) -> Result<Headers<'a>, String> {
        headers(self.headers)
    }
}

/// Headers as they lie in a batch.
pub(crate) fn headers(bytes: &[u8]) -> Result<Headers<'_>, String> {
    let mut rest = bytes;
    let count = varint(&mut rest)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = nullable(&mut rest)?.ok_or("a header has no name")?;
        let name = std::str::from_utf8(name).map_err(|_| "a header's name is not UTF-8")?;
        headers.push((name, nullable(&mut rest)?));
    }
    Ok(headers)
}

/// Walks over the records of one batch.
#[derive(Debug)]
pub(crate) struct RecordCursor<'a> {
    records: &'a Records,
    rest: &'a [u8],
    left: i32,
}

impl<'a> RecordCursor<'a> {
    /// The next record; `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<StoredRecord<'a>>, String> {
        if self.left <= 0 {
            return Ok(None);
        }
        self.left -= 1;
        let length = varint(&mut self.rest)?;
        let mut body = take(&mut self.rest, length)?;
        body.try_get_i8().map_err(|_| TRUNCATED)?;
        let timestamp_delta = varint(&mut body)?;
        let offset_delta = varint(&mut body)?;
        let key = nullable(&mut body)?;
        let value = nullable(&mut body)?;
        let produced_ms = self.records.base_timestamp_ms.wrapping_add(timestamp_delta);
        Ok(Some(StoredRecord {
            offset: self.records.base_offset.wrapping_add(offset_delta),
            timestamp_ms: self.records.append_time_ms.unwrap_or(produced_ms),
            key,
            value,
            headers: body,
        }))
    }
}

const TRUNCATED: &str = "a record ends too early";

fn varint(rest: &mut &[u8]) -> Result<i64, String> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((byte, behind)) = rest.split_first() else { return Err(TRUNCATED.into()) };
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    Err("a number takes more than ten bytes".into())
}

fn take<'a>(rest: &mut &'a [u8], length: i64) -> Result<&'a [u8], String> {
    let length = usize::try_from(length).map_err(|_| format!("a length is {length}"))?;
    let Some((taken, behind)) = rest.split_at_checked(length) else {
        return Err(TRUNCATED.into());
    };
    *rest = behind;
    Ok(taken)
}

fn nullable<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, String> {
    match varint(rest)? {
        -1 => Ok(None),
        length => take(rest, length).map(Some),
    }
}

/// Decides which batches of one fetch answer a reader may see.
#[derive(Debug)]
pub(crate) struct Visibility {
    /// (first offset, producer id) of aborted transactions not reached yet, the nearest last.
    upcoming: Vec<(i64, i64)>,
    /// Producers whose transaction at this place was aborted.
    aborted: HashSet<i64>,
}

impl Visibility {
    /// `aborted`: the answer's list of (first offset, producer id); empty for `read_uncommitted`.
    pub(crate) fn new(mut aborted: Vec<(i64, i64)>) -> Self {
        aborted.sort_unstable_by(|a, b| b.cmp(a));
        Self { upcoming: aborted, aborted: HashSet::new() }
    }

    /// True if the records of `batch` may be seen. Every batch must be shown, in order.
    pub(crate) fn admits(&mut self, batch: &Batch) -> Result<bool, String> {
        while let Some(&(first_offset, producer_id)) = self.upcoming.last() {
            if first_offset > batch.last_offset {
                break;
            }
            self.upcoming.pop();
            self.aborted.insert(producer_id);
        }
        if batch.is_control() {
            if self.aborted.contains(&batch.producer_id)
                && batch.verdict()? == Some(Verdict::Aborted)
            {
                self.aborted.remove(&batch.producer_id);
            }
            return Ok(false);
        }
        Ok(!(batch.is_transactional() && self.aborted.contains(&batch.producer_id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Compression,
        compression::Compressor,
        record::{BatchBuilder, RecordRef, Stamp},
    };
    use proptest::prelude::*;

    fn batch_of(records: &[RecordRef<'_>], compression: Compression) -> Bytes {
        let mut builder = BatchBuilder::new();
        for record in records {
            builder.append(record);
        }
        let stamp =
            Stamp { producer_id: 7, producer_epoch: 1, base_sequence: 0, transactional: true };
        let mut batch = builder.close();
        batch.compress(&mut Compressor::new(compression).unwrap());
        batch.finish(stamp)
    }

    fn batch_at(offset: i64, producer_id: i64, attributes: i16, records: &'static [u8]) -> Batch {
        Batch {
            base_offset: offset,
            last_offset: offset,
            attributes,
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
            producer_id,
            record_count: 1,
            records: Bytes::from_static(records),
        }
    }

    /// length 9, attributes, timestamp, offset, key of 4 bytes (version 0, type), value null, 0 headers
    const ABORT: &[u8] = &[20, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0];
    const COMMIT: &[u8] = &[20, 0, 0, 0, 8, 0, 0, 0, 1, 1, 0];

    #[test]
    fn what_was_appended_is_read_back() {
        let value = "v".repeat(3_000);
        let records = [
            RecordRef {
                timestamp_ms: 1_000,
                key: Some(b"a"),
                value: Some(value.as_bytes()),
                headers: &[],
            },
            RecordRef {
                timestamp_ms: 990,
                key: None,
                value: None,
                headers: &[("h", b"1"), ("h", b"")],
            },
        ];
        for compression in [
            Compression::None,
            Compression::Lz4,
            Compression::Snappy,
            Compression::Gzip { level: Some(9) },
            Compression::Zstd { level: Some(-5) },
        ] {
            let mut bytes = batch_of(&records, compression);
            let batch = next_batch(&mut bytes).unwrap().unwrap();
            assert!(bytes.is_empty());
            assert_eq!((batch.producer_id, batch.next_offset()), (7, 2));
            let stored = batch.records().unwrap();
            let mut cursor = stored.cursor();
            let first = cursor.next().unwrap().unwrap();
            assert_eq!((first.offset, first.timestamp_ms, first.key), (0, 1_000, Some(&b"a"[..])));
            assert_eq!(first.value, Some(value.as_bytes()));
            let second = cursor.next().unwrap().unwrap();
            assert_eq!((second.offset, second.timestamp_ms, second.value), (1, 990, None));
            assert_eq!(second.headers().unwrap(), [("h", Some(&b"1"[..])), ("h", Some(&b""[..]))]);
            assert!(cursor.next().unwrap().is_none());
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let record = RecordRef { timestamp_ms: 0, key: None, value: Some(b"value"), headers: &[] };
        let mut bytes = batch_of(&[record], Compression::None).to_vec();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        assert!(next_batch(&mut bytes.into()).unwrap_err().contains("checksum"));
    }

    #[test]
    fn a_part_of_a_batch_waits_for_the_rest() {
        let record = RecordRef { timestamp_ms: 0, key: None, value: Some(b"value"), headers: &[] };
        let whole = batch_of(&[record], Compression::None);
        for cut in 0..whole.len() {
            assert!(next_batch(&mut whole.slice(..cut)).unwrap().is_none());
        }
    }

    #[test]
    fn aborted_records_are_hidden_until_their_marker_and_others_are_not() {
        let mut visibility = Visibility::new(vec![(20, 1), (10, 1)]);
        let mut admits = |batch: Batch| visibility.admits(&batch).unwrap();
        assert!(admits(batch_at(9, 1, TRANSACTIONAL, b"")), "before the aborted transaction");
        assert!(!admits(batch_at(10, 1, TRANSACTIONAL, b"")));
        assert!(admits(batch_at(11, 2, TRANSACTIONAL, b"")), "another producer");
        assert!(admits(batch_at(12, 1, 0, b"")), "not transactional");
        assert!(!admits(batch_at(13, 2, TRANSACTIONAL | CONTROL, COMMIT)), "a marker is no data");
        assert!(!admits(batch_at(14, 1, TRANSACTIONAL | CONTROL, ABORT)));
        assert!(admits(batch_at(15, 1, TRANSACTIONAL, b"")), "the next transaction");
        assert!(!admits(batch_at(20, 1, TRANSACTIONAL, b"")), "aborted again");
    }

    proptest! {
        #[test]
        fn reading_is_total_on_any_bytes(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let records = Records { bytes: noise.clone().into(), base_offset: 0, base_timestamp_ms: 0, append_time_ms: None, record_count: 50 };
            let mut cursor = records.cursor();
            while let Ok(Some(record)) = cursor.next() {
                drop(record.headers());
            }
            drop(next_batch(&mut noise.into()));
        }

        #[test]
        fn any_record_survives_a_round_trip(
            timestamp_ms in -1_000_000_000_000_i64..4_000_000_000_000,
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100)),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3000)),
        ) {
            let record = RecordRef { timestamp_ms, key: key.as_deref(), value: value.as_deref(), headers: &[("n", b"v")] };
            let mut bytes = batch_of(&[record], Compression::None);
            let stored = next_batch(&mut bytes).unwrap().unwrap().records().unwrap();
            let read = stored.cursor().next().unwrap().unwrap();
            prop_assert_eq!((read.timestamp_ms, read.key, read.value), (timestamp_ms, key.as_deref(), value.as_deref()));
        }
    }
}
