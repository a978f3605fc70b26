//! Avro's binary encoding of numbers, lengths and strings. In: values. Out: bytes appended.
//!
//! Source: Avro specification, "Binary encoding", "Primitive types".

use crate::fragment::few;

/// Longest form of a number of 64 bits.
const LONGEST: usize = 10;

/// The number of a branch of a union, for the first two.
pub(crate) const FIRST: u8 = 0;
pub(crate) const SECOND: u8 = 2;

/// Appends an `int` or a `long`: zigzag, seven bits to a byte, the lowest first.
#[inline]
pub(crate) fn long(value: i64, out: &mut Vec<u8>) {
    let (bytes, length) = encoded(value);
    let end = out.len() + length;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// Appends the length of bytes or of a string, or the number of items in a block.
#[inline]
pub(crate) fn count(count: usize, out: &mut Vec<u8>) {
    long((count as u64).cast_signed(), out);
}

#[inline]
fn encoded(value: i64) -> ([u8; LONGEST], usize) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    let mut bytes = [0; LONGEST];
    let mut length = 0;
    while rest >= 0x80 {
        bytes[length] = rest.to_le_bytes()[0] | 0x80;
        rest >>= 7;
        length += 1;
    }
    bytes[length] = rest.to_le_bytes()[0];
    (bytes, length + 1)
}

/// Appends a string or bytes.
#[inline]
pub(crate) fn bytes(value: &[u8], out: &mut Vec<u8>) {
    count(value.len(), out);
    few(value, out);
}

/// Appends a `double`.
#[inline]
pub(crate) fn double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `float`.
#[inline]
pub(crate) fn float(value: f32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Puts a number into the byte that was left for it at `at`, and moves what follows if it needs more than that.
#[inline]
pub(crate) fn put_count(at: usize, count: usize, out: &mut Vec<u8>) {
    let (bytes, length) = encoded((count as u64).cast_signed());
    if length > 1 {
        let end = out.len();
        out.resize(end + length - 1, 0);
        out.copy_within(at + 1..end, at + length);
    }
    out[at..at + length].copy_from_slice(&bytes[..length]);
}

/// Makes a string of Avro of the JSON string that begins at `at` and ends the buffer.
#[inline]
pub(crate) fn from_json_string(at: usize, out: &mut Vec<u8>) {
    out.pop();
    if memchr::memchr(b'\\', &out[at + 1..]).is_some() {
        let plain = crate::value::json::unescape_in_place(&mut out[at + 1..]);
        out.truncate(at + 1 + plain);
    }
    let length = out.len() - at - 1;
    put_count(at, length, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_those_of_the_specification() {
        for (value, expected) in [
            (0, &[0_u8][..]),
            (-1, &[1]),
            (1, &[2]),
            (-2, &[3]),
            (-64, &[0x7F]),
            (64, &[0x80, 1]),
            (i64::MAX, &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
        ] {
            let mut out = Vec::new();
            long(value, &mut out);
            assert_eq!(out, expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_json_string_becomes_the_same_text(text in "\\PC{0,90}[\"\\\\\n\t\u{1}a]{0,9}") {
            let mut expected = b"before".to_vec();
            bytes(text.as_bytes(), &mut expected);
            let mut found = b"before".to_vec();
            crate::value::json::string(text.as_bytes(), &mut found);
            from_json_string(6, &mut found);
            prop_assert_eq!(found, expected);
        }
    }
}
