//! Base64, and `bytea` in each of its forms. In: bytes, or PostgreSQL's `\x` text. Out: their text.
//!
//! Source: RFC 4648; PostgreSQL manual, "bytea Hex Format"; Debezium documentation, `binary.handling.mode`.

use super::Malformed;
use crate::settings::BinaryHandling;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Appends `bytes` in base64 with padding.
#[inline]
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    encode_with(STANDARD, bytes, out);
}

#[inline]
fn encode_with(alphabet: &[u8; 64], bytes: &[u8], out: &mut Vec<u8>) {
    let chunks = bytes.chunks_exact(3);
    let rest = chunks.remainder();
    for chunk in chunks {
        out.extend_from_slice(&quad(alphabet, [chunk[0], chunk[1], chunk[2]]));
    }
    match *rest {
        [first] => {
            let [a, b, ..] = quad(alphabet, [first, 0, 0]);
            out.extend_from_slice(&[a, b, b'=', b'=']);
        }
        [first, second] => {
            let [a, b, c, _] = quad(alphabet, [first, second, 0]);
            out.extend_from_slice(&[a, b, c, b'=']);
        }
        _ => {}
    }
}

#[inline]
fn quad(alphabet: &[u8; 64], bytes: [u8; 3]) -> [u8; 4] {
    let word = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
    let letter = |shift: u32| alphabet[(word >> shift & 63) as usize];
    [letter(18), letter(12), letter(6), letter(0)]
}

/// The bytes of text in base64, with or without padding, up to what is none. For text that was written here.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0_u32, 0);
    for letter in text {
        let mut values = (0_u32..).zip(STANDARD);
        let Some((value, _)) = values.find(|(_, known)| *known == letter) else { break };
        word = word << 6 | value;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits).to_le_bytes()[0]);
        }
    }
    bytes
}

/// Appends bytes as the setting wants them, with quotes.
pub(crate) fn bytes_json(bytes: &[u8], handling: BinaryHandling, out: &mut Vec<u8>) {
    out.push(b'"');
    match handling {
        BinaryHandling::Bytes | BinaryHandling::Base64 => encode_with(STANDARD, bytes, out),
        BinaryHandling::Base64UrlSafe => encode_with(URL_SAFE, bytes, out),
        BinaryHandling::Hex => {
            for &byte in bytes {
                out.extend_from_slice(
                    &[byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]),
                );
            }
        }
    }
    out.push(b'"');
}

/// Appends `bytea` text (`\x0aff`) as the setting wants it, with quotes.
pub(crate) fn bytea(
    text: &[u8],
    handling: BinaryHandling,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    bytea_in_steps(text, handling, usize::MAX, out, &mut |_| {})
}

/// The same, with a call behind each step of about so many digits.
pub(crate) fn bytea_in_steps(
    text: &[u8],
    handling: BinaryHandling,
    step_digits: usize,
    out: &mut Vec<u8>,
    behind: &mut impl FnMut(&mut Vec<u8>),
) -> Result<(), Malformed> {
    let malformed = Malformed("expected bytes in hexadecimal after \\x");
    let digits = text.strip_prefix(b"\\x").ok_or(malformed)?;
    if digits.len() % 2 == 1 {
        return Err(malformed);
    }
    out.push(b'"');
    // Whole groups of three bytes, so that only the last step is padded.
    for step in digits.chunks((step_digits / 6).max(1) * 6) {
        match handling {
            BinaryHandling::Bytes | BinaryHandling::Base64 => hex_to_base64(STANDARD, step, out)?,
            BinaryHandling::Base64UrlSafe => hex_to_base64(URL_SAFE, step, out)?,
            BinaryHandling::Hex if step.iter().all(u8::is_ascii_hexdigit) => {
                out.extend_from_slice(step);
            }
            BinaryHandling::Hex => return Err(malformed),
        }
        behind(out);
    }
    out.push(b'"');
    Ok(())
}

fn hex_to_base64(alphabet: &[u8; 64], digits: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    // 192 bytes are 256 characters without padding, so blocks can follow one another.
    let mut block = [0; 192];
    for part in digits.chunks(2 * block.len()) {
        let bytes = &mut block[..part.len() / 2];
        decode_hex(part, bytes)?;
        encode_with(alphabet, bytes, out);
    }
    Ok(())
}

/// Two hexadecimal digits for each byte of `bytes`.
pub(crate) fn decode_hex(digits: &[u8], bytes: &mut [u8]) -> Result<(), Malformed> {
    let mut invalid = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (NIBBLE[usize::from(pair[0])], NIBBLE[usize::from(pair[1])]);
        invalid |= high | low;
        *byte = high << 4 | (low & 15);
    }
    if invalid & 0xF0 == 0 { Ok(()) } else { Err(Malformed("expected hexadecimal digits")) }
}

/// Value of a hexadecimal digit; 255 for anything else.
const NIBBLE: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit as usize] as usize] = digit;
        table[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE};
    use proptest::prelude::*;

    fn written(text: &str, handling: BinaryHandling) -> String {
        let mut out = Vec::new();
        bytea(text.as_bytes(), handling, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bytea_takes_the_form_that_was_set() {
        for (handling, expected) in [
            (BinaryHandling::Bytes, "\"//79/Ps=\""),
            (BinaryHandling::Base64, "\"//79/Ps=\""),
            (BinaryHandling::Base64UrlSafe, "\"__79_Ps=\""),
            (BinaryHandling::Hex, "\"fffefdfcfb\""),
        ] {
            assert_eq!(written("\\xfffefdfcfb", handling), expected);
            assert_eq!(written("\\x", handling), "\"\"");
        }
    }

    #[test]
    fn text_that_is_no_bytea_is_refused() {
        for text in ["", "abc", "\\x0", "\\x0g", "\\xé"] {
            for handling in [BinaryHandling::Bytes, BinaryHandling::Hex] {
                assert!(bytea(text.as_bytes(), handling, &mut Vec::new()).is_err(), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_bytea_keeps_its_bytes(bytes: Vec<u8>) {
            let text = bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
            prop_assert_eq!(written(&text, BinaryHandling::Bytes), format!("\"{}\"", BASE64_STANDARD.encode(&bytes)));
            prop_assert_eq!(
                written(&text, BinaryHandling::Base64UrlSafe),
                format!("\"{}\"", BASE64_URL_SAFE.encode(&bytes))
            );
        }
    }
}
