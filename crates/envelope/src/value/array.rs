//! One-dimensional arrays. In: PostgreSQL's array text. Out: a JSON array, each element by its own writer.
//!
//! Source: PostgreSQL manual, "Array Input and Output Syntax". A row of a multidimensional array has no element form:
//! null stands for it, as Debezium writes it.

use super::{Malformed, Outcome, Writer};

/// What a NULL element becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NullElement {
    /// null.
    Null,
    /// The element type is not optional, so the whole array has no form.
    NoArray,
}

const MALFORMED: Malformed = Malformed("expected an array like {a,\"b c\",NULL}");

/// Appends the array; on [`Outcome::Inexpressible`] the caller takes back what was appended.
pub(crate) fn array(
    text: &[u8],
    element: &Writer,
    null_element: NullElement,
    out: &mut Vec<u8>,
) -> Result<Outcome, Malformed> {
    let mut rest = without_bounds(text)?.strip_prefix(b"{").ok_or(MALFORMED)?;
    out.push(b'[');
    if rest == b"}" {
        out.push(b']');
        return Ok(Outcome::Written);
    }
    loop {
        let (item, after) = next_item(rest)?;
        let start = out.len();
        let outcome = match &item {
            Item::Plain(text) => element.write(text, out)?,
            Item::Unescaped(text) => element.write(text, out)?,
            Item::Null | Item::Row => Outcome::Inexpressible,
        };
        if outcome == Outcome::Inexpressible {
            if null_element == NullElement::NoArray {
                return Ok(Outcome::Inexpressible);
            }
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
        match after.split_first() {
            Some((b',', after)) => {
                out.push(b',');
                rest = after;
            }
            Some((b'}', [])) => {
                out.push(b']');
                return Ok(Outcome::Written);
            }
            _ => return Err(MALFORMED),
        }
    }
}

enum Item<'a> {
    Plain(&'a [u8]),
    Unescaped(smallvec::SmallVec<[u8; 128]>),
    Null,
    Row,
}

/// Drops `[0:2]=` before the array.
fn without_bounds(text: &[u8]) -> Result<&[u8], Malformed> {
    if text.first() != Some(&b'[') {
        return Ok(text);
    }
    let equals = text.iter().position(|&byte| byte == b'=').ok_or(MALFORMED)?;
    Ok(&text[equals + 1..])
}

fn next_item(text: &[u8]) -> Result<(Item<'_>, &[u8]), Malformed> {
    match text.first() {
        Some(b'"') => quoted_item(&text[1..]),
        Some(b'{') => Ok((Item::Row, after_row(text)?)),
        _ => {
            let end = text.iter().position(|byte| matches!(byte, b',' | b'}')).ok_or(MALFORMED)?;
            let (item, rest) = text.split_at(end);
            Ok((if item == b"NULL" { Item::Null } else { Item::Plain(item) }, rest))
        }
    }
}

/// Reads up to the closing quote; `text` begins after the opening one.
fn quoted_item(text: &[u8]) -> Result<(Item<'_>, &[u8]), Malformed> {
    let end = memchr::memchr2(b'"', b'\\', text).ok_or(MALFORMED)?;
    if text[end] == b'"' {
        return Ok((Item::Plain(&text[..end]), &text[end + 1..]));
    }
    let mut item = smallvec::SmallVec::from_slice(&text[..end]);
    let mut rest = &text[end..];
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest).ok_or(MALFORMED)?;
        item.extend_from_slice(&rest[..at]);
        if rest[at] == b'"' {
            return Ok((Item::Unescaped(item), &rest[at + 1..]));
        }
        item.push(*rest.get(at + 1).ok_or(MALFORMED)?);
        rest = &rest[at + 2..];
    }
}

/// Skips a row of a multidimensional array.
fn after_row(text: &[u8]) -> Result<&[u8], Malformed> {
    let (mut depth, mut rest) = (0_u32, text);
    loop {
        let (&byte, after) = rest.split_first().ok_or(MALFORMED)?;
        rest = match byte {
            b'"' => quoted_item(after)?.1,
            _ => after,
        };
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return Ok(rest),
            b'}' => depth -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str, element: &Writer, null_element: NullElement) -> String {
        let mut out = Vec::new();
        match array(text.as_bytes(), element, null_element, &mut out).unwrap() {
            Outcome::Written => String::from_utf8(out).unwrap(),
            Outcome::Inexpressible => "inexpressible".to_owned(),
        }
    }

    #[test]
    fn arrays_become_json_arrays() {
        for (text, element, expected) in [
            ("{}", Writer::Integer, "[]"),
            ("{1,2,3}", Writer::Integer, "[1,2,3]"),
            ("{NULL,1}", Writer::Integer, "[null,1]"),
            ("[0:2]={1,2,3}", Writer::Integer, "[1,2,3]"),
            ("{{1,2},{3,4}}", Writer::Integer, "[null,null]"),
            ("{one,two}", Writer::Text, r#"["one","two"]"#),
            (r#"{NULL,"","NULL",x}"#, Writer::Text, r#"[null,"","NULL","x"]"#),
            (r#"{"cone      ","a,b","c}d"}"#, Writer::Text, r#"["cone      ","a,b","c}d"]"#),
            (r#"{"{\"bar\": \"b\\\\z\"}"}"#, Writer::Text, r#"["{\"bar\": \"b\\\\z\"}"]"#),
            (r#"{{"a}","b"},{c,d}}"#, Writer::Text, "[null,null]"),
        ] {
            assert_eq!(written(text, &element, NullElement::Null), expected, "{text}");
        }
        assert_eq!(written("{V2,NULL}", &Writer::Text, NullElement::NoArray), "inexpressible");
    }

    #[test]
    fn text_that_is_no_array_is_refused() {
        for text in ["", "1", "{", "{1", "{1,", "{\"a", "{\"a\\", "{1}x", "[0:1]", "{{1}"] {
            assert!(
                array(text.as_bytes(), &Writer::Text, NullElement::Null, &mut Vec::new()).is_err(),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_text_element_comes_through(items in proptest::collection::vec("\\PC{0,20}", 1..6)) {
            let quoted: Vec<String> = items
                .iter()
                .map(|item| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            let json = written(&format!("{{{}}}", quoted.join(",")), &Writer::Text, NullElement::Null);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), items);
        }
    }
}
