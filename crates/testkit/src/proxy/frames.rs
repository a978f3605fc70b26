//! Where frames of the Kafka protocol begin in a stream of bytes, and what little of them matters here. Pure.
//!
//! In: lengths of what has passed, the bytes at the front. Out: headers. Never: a body, but for one error code.
//! Source: Kafka protocol guide, "Protocol Primitive Types", request and response headers, `EndTxn`.

/// Length, api key, api version, correlation id.
pub(super) const REQUEST_HEADER_BYTES: usize = 12;
/// Length, correlation id.
pub(super) const ANSWER_HEADER_BYTES: usize = 8;
/// The first version of `EndTxn` whose answer has tagged fields behind the correlation id.
const END_TXN_FLEXIBLE: i16 = 3;

/// The front of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestHeader {
    pub(super) api_key: i16,
    pub(super) api_version: i16,
    pub(super) correlation_id: i32,
}

/// Counts what is left of the frame that is passing.
#[derive(Debug, Default)]
pub(super) struct Frames {
    left_bytes: usize,
}

impl Frames {
    /// The next byte is the first of a frame.
    pub(super) fn is_at_start(&self) -> bool {
        self.left_bytes == 0
    }

    /// A frame begins, with these bytes at its front.
    pub(super) fn begin(&mut self, front: &[u8]) {
        let length = int32(front, 0).unwrap_or_default();
        self.left_bytes = usize::try_from(length).unwrap_or_default() + 4;
    }

    /// How many of `available` bytes belong to the frame that is passing.
    pub(super) fn of(&self, available: usize) -> usize {
        self.left_bytes.min(available)
    }

    /// So many bytes have passed.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.left_bytes -= bytes;
    }
}

/// `None` if the bytes are too few.
pub(super) fn request_header(front: &[u8]) -> Option<RequestHeader> {
    Some(RequestHeader {
        api_key: int16(front, 4)?,
        api_version: int16(front, 6)?,
        correlation_id: int32(front, 8)?,
    })
}

/// Correlation id of an answer; `None` if the bytes are too few.
pub(super) fn answered(front: &[u8]) -> Option<i32> {
    int32(front, 4)
}

/// Length of a frame with its length; `None` if the bytes are too few.
pub(super) fn whole_bytes(front: &[u8]) -> Option<usize> {
    Some(usize::try_from(int32(front, 0)?).unwrap_or_default() + 4)
}

/// The error code of an answer to `EndTxn`: behind correlation id, tagged fields and `throttle_time_ms`.
pub(super) fn end_txn_error(frame: &[u8], api_version: i16) -> Option<i16> {
    let tagged = usize::from(api_version >= END_TXN_FLEXIBLE);
    int16(frame, ANSWER_HEADER_BYTES + tagged + 4)
}

fn int16(bytes: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn int32(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_once_it_is_there() {
        let frame = [0, 0, 0, 20, 0, 26, 0, 5, 0, 0, 1, 0, 9, 9];
        assert_eq!(request_header(&frame[..11]), None);
        let header = RequestHeader { api_key: 26, api_version: 5, correlation_id: 256 };
        assert_eq!(request_header(&frame), Some(header));
        let mut frames = Frames::default();
        assert!(frames.is_at_start());
        frames.begin(&frame);
        assert_eq!(frames.of(100), 24);
        frames.passed(24);
        assert!(frames.is_at_start());
    }

    #[test]
    fn the_error_of_an_end_of_a_transaction_is_found_in_old_and_new_versions() {
        let old = [0, 0, 0, 10, 0, 0, 0, 7, 0, 0, 0, 0, 0, 47];
        assert_eq!(end_txn_error(&old, 1), Some(47));
        let new = [0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 90, 0];
        assert_eq!(end_txn_error(&new, 5), Some(90));
    }
}
