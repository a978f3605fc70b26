//! How much of a value is kept while it is encoded.
//!
//! In: a buffer that grows. Out: the same buffer, or, once it has grown beyond what any topic takes, how long the value would be.
//! So a row of any length needs no second copy of itself to be refused.
//! Never: a value of which the beginning is missing, handed on as if it were whole.

/// What is encoded between two looks.
pub(crate) const STEP_BYTES: usize = 64 << 10;

/// The limit of one value, and what of it was let go.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    bytes_max: usize,
    gone_bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes_max: usize::MAX, gone_bytes: 0 }
    }
}

impl Room {
    pub(crate) fn of(bytes_max: usize) -> Self {
        Self { bytes_max, gone_bytes: 0 }
    }

    /// A value begins.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.gone_bytes = 0;
    }

    /// Lets go of a beginning that is too long already.
    #[inline]
    pub(crate) fn look(&mut self, out: &mut Vec<u8>) {
        if out.len() > self.bytes_max || self.gone_bytes > 0 {
            self.gone_bytes += out.len();
            out.clear();
        }
    }

    /// How long the value would be; `None` if all of it is there.
    #[inline]
    pub(crate) fn value_bytes(&self, out: &[u8]) -> Option<usize> {
        (self.gone_bytes > 0).then(|| self.gone_bytes + out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_counted_and_not_kept() {
        let (mut room, mut out) = (Room::of(10), Vec::new());
        for (bytes, kept) in [(4, 4), (6, 10), (1, 0), (2, 0)] {
            out.extend(std::iter::repeat_n(b'x', bytes));
            room.look(&mut out);
            assert_eq!(out.len(), kept);
        }
        assert_eq!(room.value_bytes(b"end"), Some(16));
        room.begin();
        out.extend_from_slice(b"0123456789");
        room.look(&mut out);
        assert_eq!((room.value_bytes(&out), out.len()), (None, 10));
    }
}
