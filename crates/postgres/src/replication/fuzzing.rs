//! Frames of the replication stream and of batches, reached with arbitrary bytes. For fuzzers.

use bytes::Bytes;
use pgoutput::replication::ReplicationMessage;

pub(crate) use super::batch::fuzzing::batch;
use super::chunk::WalChunk;
use crate::session::{COPY_DATA, frame_len};

/// See [`crate::fuzzing::frames`].
pub(crate) fn frames(bytes: &[u8]) {
    let (mut complete, mut count) = (0, 0);
    while let Ok(Some(length)) = frame_len(&bytes[complete..]) {
        let rest = &bytes[complete..];
        if rest.len() < length || rest[0] != COPY_DATA {
            break;
        }
        complete += length;
        count += 1;
    }
    let chunk = WalChunk::new(Bytes::copy_from_slice(&bytes[..complete]));
    assert_eq!(chunk.messages().count(), count);
    let (mut offset, mut messages) = (0, chunk.messages());
    while let Some((length, body)) = chunk.frame_at(offset) {
        assert_eq!(&chunk.share(body)[..], body);
        let alone = chunk.part(offset..offset + length);
        let first = alone.messages().next();
        assert_eq!(
            first.is_some_and(|it| it.is_ok()),
            messages.next().is_some_and(|it| it.is_ok())
        );
        offset += length;
    }
    assert_eq!(offset, complete);
    for message in chunk.messages() {
        if let Ok(ReplicationMessage::XLogData(data)) = message {
            assert!(data.payload.len() <= complete);
        }
    }
}
