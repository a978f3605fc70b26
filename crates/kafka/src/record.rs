//! Record batches (format version 2), built record by record in the buffer that is sent.
//!
//! In: records of one partition. Out: one finished batch: records compressed, then header, producer id,
//! epoch, sequence and CRC filled in. Never here: I/O, clocks, decisions about size. Source: Kafka
//! documentation, "Message Format"; KIP-98.

use bytes::{BufMut, Bytes, BytesMut};

use crate::buffers::Buffers;
use crate::compression::{Compression, Compressor};

/// Bytes of a batch before its first record.
pub(crate) const BATCH_HEADER_BYTES: usize = 61;
/// Bytes that the length field of a batch does not count: base offset and the field itself.
pub(crate) const BATCH_PREFIX_BYTES: usize = 12;
/// Where the CRC-covered part of a batch begins.
pub(crate) const CRC_START: usize = 21;
/// Attribute bit: part of a transaction.
pub(crate) const TRANSACTIONAL: i16 = 0x10;
/// Attribute bit: transaction marker, not data.
pub(crate) const CONTROL: i16 = 0x20;

const MAGIC: i8 = 2;
const BUFFER_BYTES_MIN: usize = 1 << 12;

/// Who sends a batch, and where it stands among the sender's batches of that partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// -1 without idempotence.
    pub(crate) producer_id: i64,
    /// -1 without idempotence.
    pub(crate) producer_epoch: i16,
    /// -1 without idempotence.
    pub(crate) base_sequence: i32,
    /// Part of a transaction.
    pub(crate) transactional: bool,
}

/// The record of a batch that decides whether a broker takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LargestRecord {
    /// Index within the batch.
    pub(crate) index: usize,
    /// Uncompressed bytes.
    pub(crate) len_bytes: usize,
}

/// One record, borrowed from whoever encoded it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRef<'a> {
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
}

/// A batch that still takes records.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    buffer: BytesMut,
    record_count: i32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    largest: LargestRecord,
}

/// A batch that takes no more records.
#[derive(Debug)]
pub(crate) struct ClosedBatch {
    builder: BatchBuilder,
    /// Attribute bits of the codec. `None`: no codec has seen it yet.
    codec: Option<i16>,
    /// Where the buffer goes when it was sent.
    home: Option<Buffers>,
}

impl BatchBuilder {
    pub(crate) fn new() -> Self {
        Self::within(BytesMut::new())
    }

    /// Builds in a buffer that was used before.
    pub(crate) fn within(mut buffer: BytesMut) -> Self {
        buffer.clear();
        buffer.reserve(BUFFER_BYTES_MIN);
        buffer.put_bytes(0, BATCH_HEADER_BYTES);
        Self {
            buffer,
            record_count: 0,
            base_timestamp_ms: 0,
            max_timestamp_ms: i64::MIN,
            largest: LargestRecord::default(),
        }
    }

    pub(crate) fn len_bytes(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Appends one record.
    ///
    /// Shape: varint length · int8 attributes (0) · varlong timestamp delta · varint offset delta ·
    /// key · value · headers; key, value and header values are a varint length (-1: null) and bytes.
    pub(crate) fn append(&mut self, record: &RecordRef<'_>) {
        if self.record_count == 0 {
            self.base_timestamp_ms = record.timestamp_ms;
        }
        let timestamp_delta = record.timestamp_ms - self.base_timestamp_ms;
        let offset_delta = i64::from(self.record_count);
        let body_bytes = 1
            + varint_bytes(timestamp_delta)
            + varint_bytes(offset_delta)
            + nullable_bytes(record.key)
            + nullable_bytes(record.value)
            + varint_bytes(length(record.headers.len()))
            + record.headers.iter().map(header_bytes).sum::<usize>();
        let before = self.buffer.len();
        self.buffer.reserve(body_bytes + 5);
        put_varint(&mut self.buffer, length(body_bytes));
        self.buffer.put_i8(0);
        put_varint(&mut self.buffer, timestamp_delta);
        put_varint(&mut self.buffer, offset_delta);
        put_nullable(&mut self.buffer, record.key);
        put_nullable(&mut self.buffer, record.value);
        put_varint(&mut self.buffer, length(record.headers.len()));
        for (name, value) in record.headers {
            put_nullable(&mut self.buffer, Some(name.as_bytes()));
            put_nullable(&mut self.buffer, Some(value));
        }
        let len_bytes = self.buffer.len() - before;
        if len_bytes > self.largest.len_bytes {
            let index = usize::try_from(self.record_count).unwrap_or(usize::MAX);
            self.largest = LargestRecord { index, len_bytes };
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        self.record_count += 1;
    }

    /// Ends it, as it is.
    pub(crate) fn close(self) -> ClosedBatch {
        ClosedBatch { builder: self, codec: None, home: None }
    }
}

impl ClosedBatch {
    pub(crate) fn record_count(&self) -> i32 {
        self.builder.record_count
    }

    pub(crate) fn largest(&self) -> LargestRecord {
        self.builder.largest
    }

    /// Compresses the records, unless that would make the batch larger or was tried before. Returns
    /// the buffer that they were in, if they are in another one now.
    pub(crate) fn compress(&mut self, compressor: &mut Compressor) -> Option<BytesMut> {
        if self.codec.is_some() {
            return None;
        }
        let buffer = &mut self.builder.buffer;
        let compressed = compressor.compress(buffer, BATCH_HEADER_BYTES);
        self.codec = Some(if compressed.is_some() { compressor.attribute() } else { 0 });
        compressed.map(|compressed| {
            self.home = Some(compressor.buffers.clone());
            std::mem::replace(buffer, compressed)
        })
    }

    /// Fills in the header.
    ///
    /// Shape: int64 base offset · int32 length · int32 leader epoch (-1) · int8 magic (2) · uint32
    /// crc · int16 attributes · int32 last offset delta · int64 base timestamp · int64 max timestamp
    /// · int64 producer id · int16 producer epoch · int32 base sequence · int32 record count.
    pub(crate) fn finish(self, stamp: Stamp) -> Bytes {
        let BatchBuilder { mut buffer, record_count, base_timestamp_ms, max_timestamp_ms, .. } =
            self.builder;
        let transactional = if stamp.transactional { TRANSACTIONAL } else { 0 };
        let batch_length = length_i32(buffer.len() - BATCH_PREFIX_BYTES);
        let mut header = &mut buffer[..BATCH_HEADER_BYTES];
        header.put_i64(0);
        header.put_i32(batch_length);
        header.put_i32(-1);
        header.put_i8(MAGIC);
        header.put_u32(0);
        header.put_i16(transactional | self.codec.unwrap_or(0));
        header.put_i32(record_count - 1);
        header.put_i64(base_timestamp_ms);
        header.put_i64(max_timestamp_ms);
        header.put_i64(stamp.producer_id);
        header.put_i16(stamp.producer_epoch);
        header.put_i32(stamp.base_sequence);
        header.put_i32(record_count);
        let crc = crc32c::crc32c(&buffer[CRC_START..]);
        buffer[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_be_bytes());
        match self.home {
            Some(home) => home.lend(buffer),
            None => buffer.freeze(),
        }
    }
}

/// Bytes of a batch that holds one record alone, as it would be sent with this compression.
///
/// # Errors
/// The compression cannot be set up.
pub fn lone_batch_bytes(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&str, &[u8])],
    compression: Compression,
) -> std::io::Result<usize> {
    let mut batch = BatchBuilder::new();
    batch.append(&RecordRef { timestamp_ms: 0, key, value, headers });
    let stamp = Stamp { producer_id: 0, producer_epoch: 0, base_sequence: 0, transactional: true };
    let mut batch = batch.close();
    batch.compress(&mut Compressor::new(compression)?);
    Ok(batch.finish(stamp).len())
}

/// Upper bound of the bytes `record` takes in a batch.
pub(crate) fn record_bytes_max(record: &RecordRef<'_>) -> usize {
    const VARINTS_BYTES_MAX: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
    let headers: usize =
        record.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    VARINTS_BYTES_MAX
        + record.key.map_or(0, <[u8]>::len)
        + record.value.map_or(0, <[u8]>::len)
        + headers
}

/// Length as the protocol's signed number. Larger than any buffer that exists is unreachable.
fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Length of a whole batch. A batch over 2 GiB is refused before it is finished.
fn length_i32(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

fn nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint_bytes(length(bytes.len())) + bytes.len())
}

fn header_bytes((name, value): &(&str, &[u8])) -> usize {
    nullable_bytes(Some(name.as_bytes())) + nullable_bytes(Some(value))
}

fn put_nullable(buffer: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(buffer, length(bytes.len()));
            buffer.put_slice(bytes);
        }
        None => put_varint(buffer, -1),
    }
}

/// Zig-zag, then seven bits a byte, least significant first.
fn put_varint(buffer: &mut BytesMut, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        buffer.put_u8(low_byte(rest) | 0x80);
        rest >>= 7;
    }
    buffer.put_u8(low_byte(rest));
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

fn varint_bytes(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_takes_the_bytes_it_was_measured_to_take() {
        for value in
            [0, -1, 1, 63, 64, -64, -65, 8191, 8192, i64::from(i32::MAX), i64::MAX, i64::MIN]
        {
            let mut buffer = BytesMut::new();
            put_varint(&mut buffer, value);
            assert_eq!(buffer.len(), varint_bytes(value), "{value}");
        }
    }

    #[test]
    fn a_lone_batch_is_measured_as_it_is_sent() {
        let value = vec![b'x'; 100_000];
        let bytes = |compression| lone_batch_bytes(None, Some(&value), &[], compression).unwrap();
        assert!(bytes(Compression::None) > 100_000);
        assert!(bytes(Compression::Lz4) < 10_000);
    }

    #[test]
    fn the_largest_record_is_known_by_its_index() {
        let mut batch = BatchBuilder::new();
        for size in [10, 500, 20] {
            let value = vec![b'x'; size];
            batch.append(&RecordRef {
                timestamp_ms: 0,
                key: None,
                value: Some(&value),
                headers: &[],
            });
        }
        let batch = batch.close();
        assert_eq!(batch.largest().index, 1);
        assert!(batch.largest().len_bytes > 500);
        assert_eq!(batch.record_count(), 3);
    }
}
