//! Lines of `COPY … TO STDOUT` in text format. In: one line, with or without its line feed. Out: the values of a row, the
//! same a frame of the stream would carry. Never: copies a value without an escape in a line without one.
//!
//! Source: PostgreSQL manual, `COPY`, "Text Format".

use pgoutput::TupleValue;
use smallvec::SmallVec;

use crate::EnvelopeError;

/// Splits one line of COPY text format into values, unescaping into `buffer` only where needed.
///
/// Shape: values between tabs, `\N` for NULL. `buffer` and `values` are emptied first.
/// Errors: [`EnvelopeError::CopyLine`] when the line ends after a backslash.
/// Source: PostgreSQL manual, `COPY`, "Text Format".
pub fn split_line<'a>(
    line: &'a [u8],
    buffer: &'a mut Vec<u8>,
    values: &mut SmallVec<[TupleValue<'a>; 32]>,
) -> Result<(), EnvelopeError> {
    buffer.clear();
    values.clear();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    if memchr::memchr(b'\\', line).is_none() {
        values.extend(fields(line).map(TupleValue::Text));
        return Ok(());
    }
    let mut ends: SmallVec<[usize; 32]> = SmallVec::new();
    let mut offset = 0;
    for field in fields(line) {
        if field != b"\\N" {
            unescape(field, buffer)
                .map_err(|at| EnvelopeError::CopyLine { offset: offset + at })?;
        }
        ends.push(buffer.len());
        offset += field.len() + 1;
    }
    let buffer: &'a [u8] = buffer;
    let mut start = 0;
    for (field, end) in fields(line).zip(ends) {
        values.push(if field == b"\\N" {
            TupleValue::Null
        } else {
            TupleValue::Text(&buffer[start..end])
        });
        start = end;
    }
    Ok(())
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let Some(tab) = memchr::memchr(b'\t', line) else {
            rest = None;
            return Some(line);
        };
        rest = Some(&line[tab + 1..]);
        Some(&line[..tab])
    })
}

/// On error the offset of a backslash with nothing behind it.
fn unescape(field: &[u8], buffer: &mut Vec<u8>) -> Result<(), usize> {
    let mut read = 0;
    while let Some(at) = memchr::memchr(b'\\', &field[read..]) {
        buffer.extend_from_slice(&field[read..read + at]);
        read += at + 1;
        let &byte = field.get(read).ok_or(read - 1)?;
        read += 1;
        let (value, digits) = match byte {
            b'b' => (0x08, 0),
            b'f' => (0x0C, 0),
            b'n' => (b'\n', 0),
            b'r' => (b'\r', 0),
            b't' => (b'\t', 0),
            b'v' => (0x0B, 0),
            b'0'..=b'7' => numbered(&field[read - 1..], 3, 8),
            b'x' if field.get(read).is_some_and(u8::is_ascii_hexdigit) => {
                numbered(&field[read..], 2, 16)
            }
            other => (other, 0),
        };
        buffer.push(value);
        read += if byte == b'x' { digits } else { digits.saturating_sub(1) };
    }
    buffer.extend_from_slice(&field[read..]);
    Ok(())
}

/// Up to `most` digits as one byte, and how many there were. `COPY TO` never writes these; `COPY FROM` takes them.
fn numbered(field: &[u8], most: usize, radix: u32) -> (u8, usize) {
    let mut value: u32 = 0;
    let mut count = 0;
    for digit in field.iter().take(most).map_while(|&byte| char::from(byte).to_digit(radix)) {
        value = value * radix + digit;
        count += 1;
    }
    (value.to_le_bytes()[0], count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type OwnedRow = Vec<Option<Vec<u8>>>;

    fn split(line: &[u8]) -> OwnedRow {
        let (mut buffer, mut values) = (Vec::new(), SmallVec::new());
        split_line(line, &mut buffer, &mut values).unwrap();
        values
            .iter()
            .map(|value| match value {
                TupleValue::Text(text) => Some(text.to_vec()),
                _ => None,
            })
            .collect()
    }

    /// What `COPY TO` does to a row.
    fn line_of(row: &OwnedRow) -> Vec<u8> {
        let fields: Vec<Vec<u8>> = row
            .iter()
            .map(|value| {
                let Some(value) = value else {
                    return b"\\N".to_vec();
                };
                value
                    .iter()
                    .flat_map(|&byte| match byte {
                        0x08 => b"\\b".to_vec(),
                        0x0C => b"\\f".to_vec(),
                        b'\n' => b"\\n".to_vec(),
                        b'\r' => b"\\r".to_vec(),
                        b'\t' => b"\\t".to_vec(),
                        0x0B => b"\\v".to_vec(),
                        b'\\' => b"\\\\".to_vec(),
                        other => vec![other],
                    })
                    .collect()
            })
            .collect();
        fields.join(&b'\t')
    }

    #[test]
    fn values_nulls_and_escapes_are_told_apart() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        for (line, expected) in [
            ("1\tabc\t", vec![text("1"), text("abc"), text("")]),
            ("1\t\\N\tx\n", vec![text("1"), None, text("x")]),
            ("a\\tb\\\\N\t\\\\N", vec![text("a\tb\\N"), text("\\N")]),
            ("\\101\\x4a\\x4Z\\.\\xg", vec![text("AJ\u{4}Z.xg")]),
            ("", vec![text("")]),
        ] {
            assert_eq!(split(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn a_line_that_ends_in_an_escape_is_refused() {
        let (mut buffer, mut values) = (Vec::new(), SmallVec::new());
        let error = split_line(b"ab\tc\\", &mut buffer, &mut values).unwrap_err();
        assert!(matches!(error, EnvelopeError::CopyLine { offset: 4 }));
    }

    proptest! {
        #[test]
        fn splitting_is_the_inverse_of_copy(
            row in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)), 1..8)
        ) {
            prop_assert_eq!(split(&line_of(&row)), row);
        }

        #[test]
        fn splitting_is_the_inverse_of_copy_for_text_full_of_escapes(
            row in proptest::collection::vec(proptest::option::of("[\\\\Nbtn\t\n\r\u{8}\u{b}\u{c}x1]{0,8}"), 1..8)
        ) {
            let row: OwnedRow = row.into_iter().map(|value| value.map(String::into_bytes)).collect();
            prop_assert_eq!(split(&line_of(&row)), row);
        }
    }
}
