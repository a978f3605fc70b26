//! One batch while it comes, from arbitrary bytes. For fuzzers.

use bytes::BytesMut;
use pgoutput::{Lsn, PgTimestamp};

use super::chunk::BatchChunk;
use super::coming::{Batch, Next};
use super::pace::Standing;

/// See [`crate::fuzzing::batch`].
pub(crate) fn batch(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let (one, other) = bytes.split_at(usize::from(first).min(bytes.len()));
    let clock = PgTimestamp::new(0);
    let zero = Standing { restart: Lsn::ZERO, confirmed: Lsn::ZERO, flushed: Lsn::ZERO, clock };
    let mut batch = Batch::asked(zero);
    let mut buffer = BytesMut::from(one);
    let mut told = 0;
    let mut rest = Some(other);
    loop {
        let Ok(next) = batch.walk(&mut buffer) else { return };
        match next {
            Next::Incomplete(missing) => {
                assert!(missing > 0);
                match rest.take() {
                    Some(other) => buffer.extend_from_slice(other),
                    None => break,
                }
            }
            Next::Full => told += take(&mut batch, &mut buffer),
            Next::Other(_) if batch.complete > 0 => told += take(&mut batch, &mut buffer),
            Next::Other(length) => {
                let before = buffer.len();
                let is_over = batch.other_message(&mut buffer, length, "p");
                assert_eq!(buffer.len(), before - length);
                if !matches!(is_over, Ok(false)) {
                    return;
                }
            }
        }
    }
    told += take(&mut batch, &mut buffer);
    assert!(told <= batch.messages);
}

/// Takes what may be handed on, and reads it. Returns the messages in it.
fn take(batch: &mut Batch, buffer: &mut BytesMut) -> u64 {
    let rows = batch.take(buffer);
    let chunk = BatchChunk {
        rows,
        session_began: None,
        sent_at: PgTimestamp::new(0),
        decoded_to: None,
        received: batch.received,
        _room: None,
    };
    chunk.messages().map(|_| 1).sum()
}
