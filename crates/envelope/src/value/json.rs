//! JSON strings as Jackson writes them. In: UTF-8 bytes. Out: the bytes between the quotes, or with them.
//! Never: checks UTF-8; the server has.
//!
//! Source: RFC 8259 §7; what Jackson does beyond it: only `"`, `\` and control characters are escaped, these with the
//! short form where there is one, else as `\u00XX` in upper-case hexadecimal.

use crate::fragment::few;

/// Source bytes per round. Bounds how far the output is made larger than needed.
const BLOCK: usize = 1024;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text` as a JSON string with its quotes.
#[inline]
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Appends `text` as it stands between the quotes of a JSON string.
#[inline]
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let clean = clean_words(text);
    few(&text[..clean], out);
    for block in text[clean..].chunks(BLOCK) {
        escape_block(block, out);
    }
}

/// How many bytes from the first need no escape, in whole words unless it is all of them.
#[inline]
fn clean_words(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    match words.iter().position(|word| !is_clean(*word)) {
        Some(dirty) => 8 * dirty,
        None if is_clean(padded(rest)) => text.len(),
        None => 8 * words.len(),
    }
}

fn escape_block(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Two bytes for each, and a word that may be written past the end.
    out.resize(start + 2 * text.len() + 8, 0);
    let (read, written) = escape_short(text, &mut out[start..]);
    out.truncate(start + written);
    escape_any(&text[read..], out);
}

/// Escapes up to the first control character without a short form; returns bytes read and written.
///
/// Each step writes eight bytes and keeps those before the next that needs an escape.
fn escape_short(text: &[u8], out: &mut [u8]) -> (usize, usize) {
    let (words, rest) = text.as_chunks::<8>();
    let mut written = 0;
    let tail = (!rest.is_empty()).then(|| (padded(rest), rest.len()));
    for (index, (bytes, length)) in words.iter().map(|word| (*word, 8)).chain(tail).enumerate() {
        let mut word = u64::from_le_bytes(bytes);
        let mut marks = dirty_marks(word);
        let mut left = length;
        while marks != 0 {
            let clean = marks.trailing_zeros() as usize / 8;
            let letter = ESCAPES[usize::from((word >> (8 * clean)).to_le_bytes()[0])];
            out[written..written + 8].copy_from_slice(&word.to_le_bytes());
            written += clean;
            left -= clean;
            if letter == b'u' {
                return (8 * index + length - left, written);
            }
            out[written..written + 2].copy_from_slice(&[b'\\', letter]);
            written += 2;
            left -= 1;
            // In two steps: the whole word may be gone.
            word = word >> (8 * clean) >> 8;
            marks = marks >> (8 * clean) >> 8;
        }
        out[written..written + 8].copy_from_slice(&word.to_le_bytes());
        written += left;
    }
    (text.len(), written)
}

/// Fewer than eight bytes, filled up with bytes that need no escape.
#[inline]
fn padded(rest: &[u8]) -> [u8; 8] {
    let mut word = [b' '; 8];
    for (to, from) in word.iter_mut().zip(rest) {
        *to = *from;
    }
    word
}

/// True if no byte of the word needs an escape.
#[inline]
fn is_clean(word: [u8; 8]) -> bool {
    dirty_marks(u64::from_le_bytes(word)) == 0
}

/// The highest bit of each byte that needs an escape: a quote, a backslash or a control character.
#[inline]
fn dirty_marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES * 0x80;
    const LOW: u64 = ONES * 0x7F;
    // No sum reaches the next byte, so each byte is judged alone.
    let not_zero = |word: u64| ((word & LOW) + LOW) | word;
    let plain = not_zero(word ^ (ONES * 0x22))
        & not_zero(word ^ (ONES * 0x5C))
        & (((word & LOW) + ONES * 0x60) | word);
    !plain & HIGH
}

/// The letter of the short escape; `u` without one, 0 for what needs none.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[0x08] = b'b';
    table[0x0C] = b'f';
    table
};

fn escape_any(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match ESCAPES[usize::from(byte)] {
            0 => out.push(byte),
            b'u' => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
    }
}

/// The text of a JSON string that [`string`] wrote.
pub(crate) fn unescape(json: &[u8]) -> Vec<u8> {
    let inner = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(json);
    let mut text = inner.to_vec();
    let length = unescape_in_place(&mut text);
    text.truncate(length);
    text
}

/// The same of what stands between the quotes, where it is; how long it is then.
pub(crate) fn unescape_in_place(text: &mut [u8]) -> usize {
    let (mut read, mut written) = (0, 0);
    while let Some(&byte) = text.get(read) {
        let (plain, length) = match (byte, text.get(read + 1)) {
            // Only control characters are written in digits, so the last two say all.
            (b'\\', Some(b'u')) => (hex(text.get(read + 4..read + 6)), 6),
            (b'\\', Some(&letter)) => (unescaped(letter), 2),
            (other, _) => (other, 1),
        };
        text[written] = plain;
        written += 1;
        read += length;
    }
    written
}

/// What the short escape with this letter stands for.
fn unescaped(letter: u8) -> u8 {
    let byte = (0..=u8::MAX).find(|&byte| ESCAPES[usize::from(byte)] == letter);
    byte.unwrap_or(letter)
}

fn hex(digits: Option<&[u8]>) -> u8 {
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default();
    let digits = digits.unwrap_or_default().iter();
    digits.fold(0, |byte, &digit| byte << 4 | value(digit)).to_le_bytes()[0]
}

/// Appends `text` with its quotes as Connect's `Values` writes a string inside a structure: only `"` and `\` escaped.
pub(crate) fn header_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        string(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_those_of_jackson() {
        for (text, expected) in [
            ("", r#""""#),
            ("plain", r#""plain""#),
            (
                "quote \" backslash \\ slash / tab \t nl \n cr \r",
                r#""quote \" backslash \\ slash / tab \t nl \n cr \r""#,
            ),
            ("\u{1}\u{2}\u{1f}", r#""\u0001\u0002\u001F""#),
            ("\u{8}\u{c}", r#""\b\f""#),
            ("😀 é \u{2028}\u{feff}\u{7f}", "\"😀 é \u{2028}\u{feff}\u{7f}\""),
            ("{\"a\": \"b\"}", r#""{\"a\": \"b\"}""#),
            ("1234567\"", r#""1234567\"""#),
            ("12345678\"", r#""12345678\"""#),
        ] {
            assert_eq!(written(text), expected);
        }
    }

    proptest! {
        #[test]
        fn every_string_reads_back(text in "(\\PC|[\\x00-\\x22\\\\]){0,40}") {
            let json = written(&text);
            prop_assert_eq!(unescape(json.as_bytes()), text.as_bytes());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn long_strings_read_back(text in proptest::collection::vec(any::<char>(), 900..1300)) {
            let text: String = text.into_iter().collect();
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).unwrap(), text);
        }
    }
}
