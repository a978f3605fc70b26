//! Buffers that come back when what is in them was sent.
//!
//! In: a full buffer. Out: its bytes for whoever sends them; when the last of those is done, the buffer is here again. Never: more kept
//! than [`KEPT_BYTES_MAX`], and no small ones, which cost nothing.
//! One thread fills batches and another sends them. An allocator gives such buffers back to the thread they came from and to the system
//! later, if at all: what is in use at once would be a part of what the process has.

use std::fmt;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// What one store keeps of all its buffers together.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A smaller one is not kept.
const BUFFER_BYTES_MIN: usize = 16 * 1024;

/// A store of empty buffers, shared by whoever fills them and whoever is done with them.
#[derive(Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    buffers: Vec<BytesMut>,
    bytes: usize,
}

impl Buffers {
    /// An empty one: the last that came back, or a new one without room.
    pub(crate) fn get(&self) -> BytesMut {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = kept.buffers.pop().unwrap_or_default();
        kept.bytes -= buffer.capacity();
        buffer
    }

    /// Takes one in for the next.
    pub(crate) fn keep(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.bytes + buffer.capacity();
        if buffer.capacity() >= BUFFER_BYTES_MIN && bytes <= KEPT_BYTES_MAX {
            kept.bytes = bytes;
            kept.buffers.push(buffer);
        }
    }

    /// What is in it, to be sent. The buffer comes back.
    pub(crate) fn lend(&self, buffer: BytesMut) -> Bytes {
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).buffers.len()
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffers")
    }
}

/// One that is away.
struct Lent {
    buffer: BytesMut,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.keep(take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(len: usize) -> BytesMut {
        BytesMut::from(&vec![7; len][..])
    }

    #[test]
    fn a_buffer_comes_back_with_the_last_of_its_bytes() {
        let buffers = Buffers::default();
        let sent = buffers.lend(filled(20_000));
        let rest = sent.slice(10_000..);
        drop(sent);
        assert_eq!((rest.len(), buffers.len()), (10_000, 0));
        drop(rest);
        let buffer = buffers.get();
        assert!(buffer.is_empty() && buffer.capacity() >= 20_000);
        assert_eq!(buffers.get().capacity(), 0, "there was one");
    }

    #[test]
    fn small_ones_are_not_kept_and_large_ones_up_to_a_limit() {
        let buffers = Buffers::default();
        buffers.keep(filled(BUFFER_BYTES_MIN - 1));
        assert_eq!(buffers.len(), 0);
        for _ in 0..10 {
            buffers.keep(filled(1_000_000));
        }
        assert_eq!(buffers.len(), 4);
        for _ in 0..10 {
            drop(buffers.get());
        }
        buffers.keep(filled(1_000_000));
        assert_eq!(buffers.len(), 1);
    }
}
