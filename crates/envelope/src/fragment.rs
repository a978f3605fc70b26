//! Bytes that are rendered once and appended many times. In: their bytes. Out: the same, appended fast.
//! Never: a call to copy a handful of bytes; short ones are stored as a whole and cut.

/// Fragments up to this length are appended with one store.
const SHORT: usize = 32;

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
    let (digits, length) = decimal(value);
    let end = out.len() + length;
    out.extend_from_slice(&digits);
    out.truncate(end);
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
    let length = value.checked_ilog10().map_or(1, |log| log as usize + 1);
    let mut digits = [b'0'; 24];
    let mut rest = value;
    let mut end = length;
    while end >= 2 {
        let pair = 2 * (rest % 100) as usize;
        digits[end - 2..end].copy_from_slice(&PAIRS[pair..pair + 2]);
        rest /= 100;
        end -= 2;
    }
    if end == 1 {
        digits[0] = PAIRS[2 * (rest % 10) as usize + 1];
    }
    (digits, length)
}

/// `00` to `99`.
const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[2 * number] = b"0123456789"[number / 10];
        pairs[2 * number + 1] = b"0123456789"[number % 10];
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
