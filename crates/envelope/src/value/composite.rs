//! Row types. In: PostgreSQL's text of a row. Out: a JSON object with one member per attribute, each by its own writer.
//!
//! Source: PostgreSQL manual, "Composite Type Input and Output Syntax". The text has no names: attributes are told by their
//! place. Attributes are added at the end only, so a row from before that has fewer; one with more is from before an
//! attribute was dropped, and nothing says which.

use smallvec::SmallVec;

use super::{Malformed, Outcome, Writer};

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// `"name":` as JSON.
    pub(crate) member: Box<[u8]>,
    pub(crate) writer: Writer,
}

const MALFORMED: Malformed = Malformed("expected a row like (1,\"two \"\"2\"\"\",)");

/// Appends the object; on [`Outcome::Inexpressible`] the caller takes back what was appended.
pub(crate) fn composite(
    text: &[u8],
    attributes: &[Attribute],
    out: &mut Vec<u8>,
) -> Result<Outcome, Malformed> {
    let outcome = fields(text, attributes.len(), &mut |index, field| {
        let attribute = &attributes[index];
        out.push(if index == 0 { b'{' } else { b',' });
        out.extend_from_slice(&attribute.member);
        attribute.write(field, out)
    })?;
    if attributes.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(outcome)
}

/// Hands over each of so many fields, `None` for NULL and for what the row does not have.
pub(crate) fn fields(
    text: &[u8],
    count: usize,
    each: &mut impl FnMut(usize, Option<&[u8]>) -> Result<Outcome, Malformed>,
) -> Result<Outcome, Malformed> {
    let mut rest = Some(text.strip_prefix(b"(").ok_or(MALFORMED)?);
    let mut outcome = Outcome::Written;
    for index in 0..count {
        let Some(unread) = rest else {
            each(index, None)?;
            continue;
        };
        let (field, after) = next_field(unread)?;
        rest = match after.split_first() {
            Some((b',', after)) => Some(after),
            Some((b')', [])) => None,
            _ => return Err(MALFORMED),
        };
        if each(index, field.as_deref())? == Outcome::Altered {
            outcome = Outcome::Altered;
        }
    }
    if count == 0 {
        rest = rest.filter(|&rest| rest != b")");
    }
    Ok(if rest.is_some() { Outcome::Inexpressible } else { outcome })
}

impl Attribute {
    fn write(&self, text: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        let Some(text) = text else {
            out.extend_from_slice(b"null");
            return Ok(Outcome::Written);
        };
        let start = out.len();
        let outcome = self.writer.write(text, out)?;
        if matches!(outcome, Outcome::Written | Outcome::Altered) {
            return Ok(outcome);
        }
        out.truncate(start);
        out.extend_from_slice(b"null");
        Ok(Outcome::Altered)
    }
}

type Field = SmallVec<[u8; 64]>;

/// A field, `None` for NULL, and what follows it. Quoted and plain parts may alternate.
fn next_field(text: &[u8]) -> Result<(Option<Field>, &[u8]), Malformed> {
    let mut field = Field::new();
    let (mut rest, mut quoted, mut ever_quoted) = (text, false, false);
    loop {
        rest = match (rest, quoted) {
            ([b'"', b'"', after @ ..], true) => {
                field.push(b'"');
                after
            }
            ([b'"', after @ ..], _) => {
                (quoted, ever_quoted) = (!quoted, true);
                after
            }
            ([b',' | b')', ..], false) => {
                let is_null = field.is_empty() && !ever_quoted;
                return Ok(((!is_null).then_some(field), rest));
            }
            ([b'\\', byte, after @ ..] | [byte, after @ ..], _) => {
                field.push(*byte);
                after
            }
            ([], _) => return Err(MALFORMED),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attributes(writers: &[Writer]) -> Vec<Attribute> {
        let named = |(index, writer): (usize, &Writer)| Attribute {
            member: format!("\"{}\":", char::from(b'a' + u8::try_from(index).unwrap()))
                .into_bytes()
                .into(),
            writer: writer.clone(),
        };
        writers.iter().enumerate().map(named).collect()
    }

    fn written(text: &str, writers: &[Writer]) -> Option<String> {
        let mut out = Vec::new();
        let outcome = composite(text.as_bytes(), &attributes(writers), &mut out).unwrap();
        (outcome != Outcome::Inexpressible).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn rows_become_objects() {
        let both = [Writer::Integer, Writer::Text];
        for (text, expected) in [
            ("(1,two)", r#"{"a":1,"b":"two"}"#),
            ("(,)", r#"{"a":null,"b":null}"#),
            (r#"(1,"")"#, r#"{"a":1,"b":""}"#),
            (r#"(1,"a ""q"" \\ , ) b")"#, r#"{"a":1,"b":"a \"q\" \\ , ) b"}"#),
            ("(1,\"line\nbreak\")", r#"{"a":1,"b":"line\nbreak"}"#),
            ("(1)", r#"{"a":1,"b":null}"#),
        ] {
            assert_eq!(written(text, &both).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(written("()", &[]).as_deref(), Some("{}"));
        assert_eq!(written("()", &[Writer::Text]).as_deref(), Some(r#"{"a":null}"#));
        let inner = Writer::Composite(attributes(&both).into());
        assert_eq!(
            written(r#"("(1,""x, y"")")"#, &[inner]).as_deref(),
            Some(r#"{"a":{"a":1,"b":"x, y"}}"#)
        );
    }

    #[test]
    fn a_row_of_more_attributes_than_there_are_is_never_read_by_place() {
        assert_eq!(written("(1,two,3)", &[Writer::Integer, Writer::Text]), None);
        assert_eq!(written("(1)", &[]), None);
    }

    #[test]
    fn text_that_is_no_row_is_refused() {
        for text in ["", "1", "(", "(1", "(1,", "(\"a", "(1)x"] {
            let attributes = attributes(&[Writer::Text, Writer::Text]);
            assert!(composite(text.as_bytes(), &attributes, &mut Vec::new()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_attribute_comes_through(items in proptest::collection::vec("\\PC{1,20}", 1..6)) {
            let quoted: Vec<String> = items
                .iter()
                .map(|item| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\"\"")))
                .collect();
            let writers = vec![Writer::Text; items.len()];
            let json = written(&format!("({})", quoted.join(",")), &writers).unwrap();
            let object: serde_json::Value = serde_json::from_str(&json).unwrap();
            let values: Vec<&str> =
                object.as_object().unwrap().values().map(|value| value.as_str().unwrap()).collect();
            prop_assert_eq!(values, items);
        }
    }
}
