//! JSON strings as Jackson writes them. In: UTF-8 bytes. Out: the bytes between the quotes, or with them.
//! Never: checks UTF-8; the server has.
//!
//! Source: RFC 8259 §7; what Jackson does beyond it: only `"`, `\` and control characters are escaped, these with the
//! short form where there is one, else as `\u00XX` in upper-case hexadecimal.

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
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for block in text.chunks(BLOCK) {
        let start = out.len();
        // Two bytes for each, and a word that may be written past the end.
        out.resize(start + 2 * block.len() + 8, 0);
        let (read, written) = escape_short(block, &mut out[start..]);
        out.truncate(start + written);
        escape_any(&block[read..], out);
    }
}

/// Escapes up to the first control character without a short form; returns bytes read and written.
///
/// Each step copies eight bytes and advances to the first that needs an escape.
#[inline]
fn escape_short(text: &[u8], out: &mut [u8]) -> (usize, usize) {
    let (mut read, mut written) = (0, 0);
    while read < text.len() {
        let rest = &text[read..];
        let word: [u8; 8] = match rest.first_chunk() {
            Some(word) => *word,
            None => padded(rest),
        };
        out[written..written + 8].copy_from_slice(&word);
        let clean = clean_bytes(u64::from_le_bytes(word)).min(rest.len());
        read += clean;
        written += clean;
        if clean < 8
            && let Some(&byte) = text.get(read)
        {
            let Some(letter) = short_escape(byte) else {
                return (read, written);
            };
            out[written] = b'\\';
            out[written + 1] = letter;
            read += 1;
            written += 2;
        }
    }
    (read, written)
}

/// Fewer than eight bytes, filled up with bytes that need no escape.
#[inline]
fn padded(rest: &[u8]) -> [u8; 8] {
    let mut word = [b' '; 8];
    word[..rest.len()].copy_from_slice(rest);
    word
}

/// How many bytes of the word, from its first, need no escape.
#[inline]
fn clean_bytes(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero_in(word ^ (ONES * 0x22));
    let backslash = zero_in(word ^ (ONES * 0x5C));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    // A borrow can mark a clean byte only above one that is marked rightly, so the lowest mark is exact.
    ((quote | backslash | control) & HIGH).trailing_zeros() as usize / 8
}

#[inline]
fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x08 => Some(b'b'),
        0x0C => Some(b'f'),
        _ => None,
    }
}

fn escape_any(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if let Some(letter) = short_escape(byte) {
            out.extend_from_slice(&[b'\\', letter]);
        } else if byte < 0x20 {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        } else {
            out.push(byte);
        }
    }
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
            (
                "😀 é \u{2028}\u{feff}\u{7f}",
                "\"😀 é \u{2028}\u{feff}\u{7f}\"",
            ),
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
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn long_strings_read_back(text in proptest::collection::vec(any::<char>(), 900..1300)) {
            let text: String = text.into_iter().collect();
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).unwrap(), text);
        }
    }
}
