//! Bytes that are rendered once and appended many times. In: their bytes. Out: the same, appended fast.
//! Never: a call to copy a handful of bytes; short ones are stored as a whole and cut.

/// Fragments up to this length are appended with one store.
const SHORT: usize = 48;

/// Bytes that stay the same from row to row.
#[derive(Clone, Debug)]
pub(crate) enum Fragment {
    /// Filled up with anything after its length.
    Short([u8; SHORT], usize),
    Long(Box<[u8]>),
}

impl Fragment {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        if bytes.len() > SHORT {
            return Self::Long(bytes.into());
        }
        let mut short = [0; SHORT];
        short[..bytes.len()].copy_from_slice(&bytes);
        Self::Short(short, bytes.len())
    }

    /// Appends the bytes.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Short(bytes, length) => {
                let end = out.len() + length;
                out.extend_from_slice(bytes);
                out.truncate(end);
            }
            Self::Long(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// Appends a number in decimal.
#[inline]
pub(crate) fn digits(value: u64, out: &mut Vec<u8>) {
    append(&decimal(value), out);
}

/// Appends digits made before.
#[inline]
pub(crate) fn append((digits, length): &([u8; 24], usize), out: &mut Vec<u8>) {
    let end = out.len() + length;
    out.extend_from_slice(digits);
    out.truncate(end);
}

/// Appends bytes that are probably few.
#[inline]
pub(crate) fn few(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.len() <= 16
        && let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>())
    {
        let end = out.len() + bytes.len();
        out.extend_from_slice(first);
        out.truncate(end - 8);
        out.extend_from_slice(last);
    } else if bytes.len() < 8
        && let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>())
    {
        let end = out.len() + bytes.len();
        out.extend_from_slice(first);
        out.truncate(end - 4);
        out.extend_from_slice(last);
    } else if bytes.len() < 4 {
        for &byte in bytes {
            out.push(byte);
        }
    } else {
        out.extend_from_slice(bytes);
    }
}

/// Appends a number in decimal with its sign.
#[inline]
pub(crate) fn signed_digits(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    digits(value.unsigned_abs(), out);
}

/// Decimal digits and how many they are.
#[inline]
pub(crate) fn decimal(value: u64) -> ([u8; 24], usize) {
    const EIGHT_DIGITS: u64 = 100_000_000;
    let length = value.checked_ilog10().map_or(1, |log| log as usize + 1);
    let mut digits = [b'0'; 24];
    let mut rest = value;
    let mut end = length;
    // Eight at a time: their divisions do not wait for one another.
    while end >= 8 {
        digits[end - 8..end].copy_from_slice(&eight_digits((rest % EIGHT_DIGITS) as u32));
        rest /= EIGHT_DIGITS;
        end -= 8;
    }
    digits[..end].copy_from_slice(&eight_digits((rest % EIGHT_DIGITS) as u32)[8 - end..]);
    (digits, length)
}

/// The digits of the last number asked for: the changes of one transaction share most of theirs.
#[derive(Clone, Debug)]
pub(crate) struct Memo {
    value: u64,
    digits: ([u8; 24], usize),
}

impl Default for Memo {
    fn default() -> Self {
        Self { value: 0, digits: decimal(0) }
    }
}

impl Memo {
    #[inline]
    pub(crate) fn decimal(&mut self, value: u64) -> &([u8; 24], usize) {
        if value != self.value {
            *self = Self { value, digits: decimal(value) };
        }
        &self.digits
    }
}

/// All eight digits of a number below 100,000,000.
#[inline]
fn eight_digits(value: u32) -> [u8; 8] {
    let (high, low) = (value / 10_000 % 10_000, value % 10_000);
    let pair = |number: u32| PAIRS[number as usize];
    let (a, b) = (pair(high / 100), pair(high % 100));
    let (c, d) = (pair(low / 100), pair(low % 100));
    [a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b"0123456789"[number / 10], b"0123456789"[number % 10]];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fragments_of_every_length_come_out_whole() {
        for length in 0..70 {
            let bytes: Vec<u8> = (0..length).collect();
            let mut out = b"x".to_vec();
            Fragment::new(bytes.clone()).write(&mut out);
            assert_eq!(out[1..], bytes);
        }
    }

    #[test]
    fn few_bytes_or_many_come_out_whole() {
        for length in 0..40 {
            let bytes: Vec<u8> = (0..length).collect();
            let mut out = b"x".to_vec();
            few(&bytes, &mut out);
            assert_eq!(out[1..], bytes);
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_out_in_decimal(value: i64, shift in 0..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            signed_digits(value, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
