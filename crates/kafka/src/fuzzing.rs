//! Parsers of what brokers send, reached with arbitrary bytes. For fuzzers, not for users.
//!
//! In: any bytes. Out: nothing; a panic when a parser breaks its promise. Never: I/O.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages;

use crate::config::ScramHash;
use crate::read::{Visibility, next_batch};
use crate::record::{BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, CRC_START};
use crate::sasl::scram::Scram;
use crate::wire;

/// Bytes of a fetch answer, as they are and then once more as batches whose lengths and checksums are right, so that what is behind those
/// is reached, too.
pub fn batches(bytes: &[u8]) {
    walk(Bytes::copy_from_slice(bytes));
    walk(sealed(bytes));
}

fn walk(mut bytes: Bytes) {
    let mut visibility = Visibility::new(vec![(3, 7), (0, 1)]);
    loop {
        let before = bytes.len();
        let Ok(Some(batch)) = next_batch(&mut bytes) else { return };
        assert!(bytes.len() < before, "no batch is empty");
        // What a reader may not see has to be readable all the same.
        let _ = visibility.admits(&batch);
        let Ok(records) = batch.records() else { continue };
        let mut cursor = records.cursor();
        while let Ok(Some(record)) = cursor.next() {
            for part in [record.key, record.value].into_iter().flatten() {
                assert_eq!(records.share(part), part);
            }
            let _ = record.headers();
        }
    }
}

/// One batch of all bytes behind a header.
fn sealed(bytes: &[u8]) -> Bytes {
    let mut batch = BytesMut::zeroed(BATCH_HEADER_BYTES.max(bytes.len()));
    batch[..bytes.len()].copy_from_slice(bytes);
    let length = u32::try_from(batch.len() - BATCH_PREFIX_BYTES).unwrap_or_default();
    (&mut batch[8..]).put_u32(length);
    batch[16] = 2;
    let check = crc32c::crc32c(&batch[CRC_START..]);
    (&mut batch[CRC_START - 4..]).put_u32(check);
    batch.freeze()
}

macro_rules! decode_any {
    ($number:expr, $version:expr, $frame:expr; $($request:ident),*) => {{
        type Read = fn(Bytes, i16) -> bool;
        const ALL: &[(Read, i16, i16)] = &[$((
            |frame, version| wire::decode::<messages::$request>(frame, version).is_ok(),
            <messages::$request as wire::Api>::MIN,
            <messages::$request as wire::Api>::MAX,
        )),*];
        let (read, min, max) = ALL[usize::from($number) % ALL.len()];
        let version = min + i16::from($version) % (max - min + 1);
        read($frame, version)
    }};
}

/// An answer to each of our requests, in each version that we speak.
///
/// Shape: `u8` request · `u8` version · the answer.
pub fn answers(bytes: &[u8]) {
    let Some((&[number, version], frame)) = bytes.split_first_chunk::<2>() else { return };
    let frame = Bytes::copy_from_slice(frame);
    decode_any!(
        number, version, frame;
        ApiVersionsRequest, MetadataRequest, FindCoordinatorRequest, InitProducerIdRequest,
        AddPartitionsToTxnRequest, EndTxnRequest, DescribeTransactionsRequest, ProduceRequest,
        FetchRequest, ListOffsetsRequest, OffsetFetchRequest, CreateTopicsRequest,
        DeleteTopicsRequest, DescribeConfigsRequest, SaslHandshakeRequest, SaslAuthenticateRequest,
        DescribeProducersRequest
    );
}

/// What a broker says while we log in.
///
/// Shape: two messages with a zero byte between them.
pub fn scram(bytes: &[u8]) {
    // More iterations are allowed, and take their time.
    let is_slow = |text: &[u8]| text.starts_with(b"i=") && text.len() > b"i=4096".len();
    if bytes.split(|byte| matches!(byte, b',' | 0)).any(is_slow) {
        return;
    }
    for hash in [ScramHash::Sha256, ScramHash::Sha512] {
        let mut login = Scram::new(hash, "us=er,", "pencil", "n");
        for message in bytes.split(|byte| *byte == 0) {
            if login.next(message).is_err() {
                break;
            }
        }
    }
}
