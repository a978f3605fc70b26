//! Where one message of the wire ends. Pure. Source: PostgreSQL manual, "Message Formats".

/// Tag and length in front of every message.
pub(crate) const HEADER_BYTES: usize = 5;

/// `CopyData`.
pub(crate) const COPY_DATA: u8 = b'd';

/// PostgreSQL's own limit for one message, and so for one row.
const LENGTH_MAX: u32 = 1 << 30;

/// The length of the message at the front, tag included; `None` while its header is incomplete.
///
/// Errors: the length, when it cannot be one.
pub(crate) fn frame_len(bytes: &[u8]) -> Result<Option<usize>, u32> {
    let Some(&[_, a, b, c, d]) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    // The length counts itself and not the tag.
    if !(4..LENGTH_MAX).contains(&length) {
        return Err(length);
    }
    Ok(usize::try_from(length).ok().map(|length| length + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_lengths_are_refused() {
        assert_eq!(frame_len(&[COPY_DATA, 0, 0, 0]), Ok(None));
        assert_eq!(frame_len(&[COPY_DATA, 0, 0, 0, 4]), Ok(Some(5)));
        assert_eq!(frame_len(&[COPY_DATA, 0, 0, 0, 3]), Err(3));
        assert_eq!(frame_len(&[COPY_DATA, 0xFF, 0, 0, 0]), Err(0xFF00_0000));
    }
}
