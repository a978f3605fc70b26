//! JSON to Avro, for what stands in the place of values: defaults, placeholders. In: JSON as the JSON form writes it, and its
//! schema. Out: the same value in Avro's binary form. Used when a plan is made, never for a row.

use super::binary::{self, FIRST, SECOND};
use crate::schema::{Parts, Schema};
use crate::value::{Malformed, base64, json, numeric};

const MALFORMED: Malformed = Malformed("expected JSON of its schema");

/// Where in a union of null and something else each of them stands.
pub(crate) fn branches(schema: &Schema) -> (u8, u8) {
    let is_struct = matches!(schema.parts, Parts::Fields(_));
    if schema.default.is_some() && !is_struct { (SECOND, FIRST) } else { (FIRST, SECOND) }
}

/// The value as Avro writes it where `schema` stands.
pub(crate) fn of_json(json: &[u8], schema: &Schema) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    match value(json, schema, &mut out)? {
        [] => Ok(out),
        _ => Err(MALFORMED),
    }
}

/// Appends the value that `text` begins with; what follows it.
fn value<'a>(text: &'a [u8], schema: &Schema, out: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    if schema.optional {
        let (null, other) = branches(schema);
        if let Some(rest) = text.strip_prefix(b"null") {
            out.push(null);
            return Ok(rest);
        }
        out.push(other);
    }
    match &schema.parts {
        Parts::Fields(fields) => structure(text, fields, out),
        Parts::Items(items) => {
            items_of(text, |rest, out| value(rest, items, out), [b'[', b']'], out)
        }
        Parts::KeysAndValues(keys, values) if keys.type_name == "string" => {
            let pair = |rest: &'a [u8], out: &mut Vec<u8>| {
                let rest = expect(value(rest, keys, out)?, b":")?;
                value(rest, values, out)
            };
            items_of(text, pair, [b'{', b'}'], out)
        }
        Parts::KeysAndValues(keys, values) => {
            let pair = |rest: &'a [u8], out: &mut Vec<u8>| {
                let rest = value(expect(rest, b"[")?, keys, out)?;
                expect(value(expect(rest, b",")?, values, out)?, b"]")
            };
            items_of(text, pair, [b'[', b']'], out)
        }
        Parts::None => primitive(text, schema.type_name, out),
    }
}

fn structure<'a>(
    text: &'a [u8],
    fields: &[(String, Schema)],
    out: &mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    let mut rest = text;
    for (index, (name, field)) in fields.iter().enumerate() {
        rest = expect(rest, if index == 0 { b"{" } else { b"," })?;
        let mut member = Vec::new();
        json::string(name.as_bytes(), &mut member);
        member.push(b':');
        rest = value(expect(rest, &member)?, field, out)?;
    }
    expect(rest, if fields.is_empty() { b"{}" } else { b"}" })
}

/// One block of items, if there are any, and the end.
fn items_of<'a>(
    text: &'a [u8],
    mut item: impl FnMut(&'a [u8], &mut Vec<u8>) -> Result<&'a [u8], Malformed>,
    [open, close]: [u8; 2],
    out: &mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    let mut rest = expect(text, &[open])?;
    if let Some(rest) = rest.strip_prefix(&[close]) {
        out.push(0);
        return Ok(rest);
    }
    let at = out.len();
    out.push(0);
    let mut count = 0;
    loop {
        rest = item(rest, out)?;
        count += 1;
        match rest.split_first() {
            Some((b',', after)) => rest = after,
            Some((&byte, after)) if byte == close => {
                binary::put_count(at, count, out);
                out.push(0);
                return Ok(after);
            }
            _ => return Err(MALFORMED),
        }
    }
}

fn primitive<'a>(
    text: &'a [u8],
    type_name: &str,
    out: &mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    let end = if text.starts_with(b"\"") {
        string_end(text)?
    } else {
        text.iter().position(|byte| b",]}".contains(byte)).unwrap_or(text.len())
    };
    let (token, rest) = text.split_at(end);
    let plain = json::unescape(token);
    match type_name {
        "boolean" => out.push(u8::from(token == b"true")),
        "int8" | "int16" | "int32" | "int64" => binary::long(numeric::number(token)?, out),
        "float" => binary::float(numeric::number(&plain)?, out),
        "double" => binary::double(numeric::number(&plain)?, out),
        "bytes" => binary::bytes(&base64::decode(&plain), out),
        "string" if token.starts_with(b"\"") => binary::bytes(&plain, out),
        _ => return Err(MALFORMED),
    }
    Ok(rest)
}

/// Where the string ends that `text` begins with.
fn string_end(text: &[u8]) -> Result<usize, Malformed> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..).ok_or(MALFORMED)?).ok_or(MALFORMED)?;
        if text[at] == b'"' {
            return Ok(at + 1);
        }
        at += 2;
    }
}

fn expect<'a>(text: &'a [u8], wanted: &[u8]) -> Result<&'a [u8], Malformed> {
    text.strip_prefix(wanted).ok_or(MALFORMED)
}
