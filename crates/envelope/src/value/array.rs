//! Arrays. In: PostgreSQL's array text. Out: a JSON array, each element by its own writer.
//!
//! Source: PostgreSQL manual, "Array Input and Output Syntax". An event's array has one dimension, as its schema says; the
//! elements of an array with more follow each other in it, row after row, so that none is lost.

use super::{Malformed, Outcome, Writer};

/// How the arrays of one type are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArrayForm {
    pub(crate) element: Writer,
    pub(crate) null_element: NullElement,
    /// What stands between two elements.
    pub(crate) delimiter: u8,
}

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
    form: &ArrayForm,
    out: &mut Vec<u8>,
) -> Result<Outcome, Malformed> {
    out.push(b'[');
    let mut is_first = true;
    let outcome = elements(text, form.delimiter, &mut |item| {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        form.write(item, out)
    })?;
    out.push(b']');
    Ok(outcome)
}

/// Hands over each element, `None` for NULL, until one has no form.
pub(crate) fn elements(
    text: &[u8],
    delimiter: u8,
    each: &mut impl FnMut(Option<&[u8]>) -> Result<Outcome, Malformed>,
) -> Result<Outcome, Malformed> {
    let mut rest = without_bounds(text)?.strip_prefix(b"{").ok_or(MALFORMED)?;
    if rest == b"}" {
        return Ok(Outcome::Written);
    }
    let mut depth = 1_u32;
    let mut outcome = Outcome::Written;
    loop {
        while let Some(row) = rest.strip_prefix(b"{") {
            depth += 1;
            outcome = Outcome::Altered;
            rest = row;
        }
        let (item, after) = next_item(rest, delimiter)?;
        match each(item.text())? {
            Outcome::Written => {}
            Outcome::Altered | Outcome::Beyond => outcome = Outcome::Altered,
            Outcome::Inexpressible => return Ok(Outcome::Inexpressible),
        }
        rest = after;
        while let Some(after) = rest.strip_prefix(b"}") {
            depth -= 1;
            if depth == 0 {
                return if after.is_empty() { Ok(outcome) } else { Err(MALFORMED) };
            }
            rest = after;
        }
        match rest.split_first() {
            Some((&byte, after)) if byte == delimiter => rest = after,
            _ => return Err(MALFORMED),
        }
    }
}

impl ArrayForm {
    /// One element; one that has no form is null where that may stand.
    fn write(&self, item: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        let start = out.len();
        let text = match (item, self.null_element) {
            (Some(text), _) => text,
            (None, NullElement::Null) => {
                out.extend_from_slice(b"null");
                return Ok(Outcome::Written);
            }
            (None, NullElement::NoArray) => return Ok(Outcome::Inexpressible),
        };
        let outcome = self.element.write(text, out)?;
        match (outcome, self.null_element) {
            (Outcome::Inexpressible | Outcome::Beyond, NullElement::Null) => {
                out.truncate(start);
                out.extend_from_slice(b"null");
                Ok(Outcome::Altered)
            }
            _ => Ok(outcome),
        }
    }
}

enum Item<'a> {
    Plain(&'a [u8]),
    Unescaped(smallvec::SmallVec<[u8; 128]>),
    Null,
}

impl Item<'_> {
    fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Unescaped(text) => Some(text),
            Self::Null => None,
        }
    }
}

/// Drops `[0:2]=` before the array.
fn without_bounds(text: &[u8]) -> Result<&[u8], Malformed> {
    if text.first() != Some(&b'[') {
        return Ok(text);
    }
    let equals = text.iter().position(|&byte| byte == b'=').ok_or(MALFORMED)?;
    Ok(&text[equals + 1..])
}

fn next_item(text: &[u8], delimiter: u8) -> Result<(Item<'_>, &[u8]), Malformed> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        return quoted_item(quoted);
    }
    let ends = |&byte: &u8| byte == delimiter || byte == b'}';
    let end = text.iter().position(ends).ok_or(MALFORMED)?;
    let (item, rest) = text.split_at(end);
    Ok((if item == b"NULL" { Item::Null } else { Item::Plain(item) }, rest))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(element: Writer, null_element: NullElement) -> ArrayForm {
        ArrayForm { element, null_element, delimiter: b',' }
    }

    fn written(text: &str, form: &ArrayForm) -> String {
        let mut out = Vec::new();
        let outcome = array(text.as_bytes(), form, &mut out).unwrap();
        let json = String::from_utf8(out).unwrap();
        match outcome {
            Outcome::Written => json,
            Outcome::Altered | Outcome::Beyond => format!("altered {json}"),
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
            ("{one,two}", Writer::Text, r#"["one","two"]"#),
            (r#"{NULL,"","NULL",x}"#, Writer::Text, r#"[null,"","NULL","x"]"#),
            (
                r#"{"cone      ","a,b","c}d","{e"}"#,
                Writer::Text,
                r#"["cone      ","a,b","c}d","{e"]"#,
            ),
            (r#"{"{\"bar\": \"b\\\\z\"}"}"#, Writer::Text, r#"["{\"bar\": \"b\\\\z\"}"]"#),
        ] {
            assert_eq!(written(text, &of(element, NullElement::Null)), expected, "{text}");
        }
        let labels = of(Writer::Text, NullElement::NoArray);
        assert_eq!(written("{V2,NULL}", &labels), "inexpressible");
    }

    #[test]
    fn no_element_of_more_than_one_dimension_is_lost() {
        for (text, element, expected) in [
            ("{{1,2},{3,4}}", Writer::Integer, "altered [1,2,3,4]"),
            ("{{{1},{2}},{{3},{NULL}}}", Writer::Integer, "altered [1,2,3,null]"),
            ("[-1:0][2:3]={{1,2},{3,4}}", Writer::Integer, "altered [1,2,3,4]"),
            (r#"{{"a}","b"},{c,"{d"}}"#, Writer::Text, r#"altered ["a}","b","c","{d"]"#),
        ] {
            assert_eq!(written(text, &of(element, NullElement::Null)), expected, "{text}");
        }
    }

    #[test]
    fn a_type_may_have_its_own_delimiter() {
        let boxes = ArrayForm { delimiter: b';', ..of(Writer::Text, NullElement::Null) };
        assert_eq!(
            written("{(1,1),(0,0);(3,3),(2,2)}", &boxes),
            r#"["(1,1),(0,0)","(3,3),(2,2)"]"#
        );
    }

    #[test]
    fn an_element_without_form_is_null_and_that_is_told() {
        let timed = of(Writer::Decimal(super::super::DecimalForm::Unscaled(0)), NullElement::Null);
        assert_eq!(written("{1,NaN}", &timed), r#"altered ["AQ==",null]"#);
    }

    #[test]
    fn text_that_is_no_array_is_refused() {
        for text in [
            "", "1", "{", "{1", "{1,", "{\"a", "{\"a\\", "{1}x", "[0:1]", "{{1}", "{1}}",
            "{{1}{2}}",
        ] {
            let form = of(Writer::Text, NullElement::Null);
            assert!(array(text.as_bytes(), &form, &mut Vec::new()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_element_comes_through(items in proptest::collection::vec("\\PC{0,20}", 1..6)) {
            let quoted: Vec<String> = items
                .iter()
                .map(|item| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            let form = of(Writer::Text, NullElement::Null);
            let json = written(&format!("{{{}}}", quoted.join(",")), &form);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), items);
        }
    }
}
