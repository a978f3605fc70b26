//! `hstore`. In: its text. Out: a JSON object, plain or as text. Allocates: pairs must be reordered.
//!
//! Source: PostgreSQL manual, "hstore External Representation"; Debezium documentation, `hstore.handling.mode`. Pairs
//! come in the order of Java's `HashMap`, because the JSON text is compared as text.

use super::{Malformed, json};

type Bytes = Vec<u8>;

const MALFORMED: Malformed = Malformed("expected pairs like \"key\"=>\"value\"");

/// A JSON object of strings and nulls.
pub(crate) fn object(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let pairs = pairs(text)?;
    out.push(b'{');
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::string(key, out);
        out.push(b':');
        match value {
            Some(value) => json::string(value, out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    Ok(())
}

/// The same object as the text of a JSON string.
pub(crate) fn object_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut object_json = Vec::with_capacity(text.len());
    object(text, &mut object_json)?;
    json::string(&object_json, out);
    Ok(())
}

/// Keys and values, in the order of Java.
pub(crate) fn pairs(text: &[u8]) -> Result<Vec<(Bytes, Option<Bytes>)>, Malformed> {
    Ok(in_java_order(parse(text)?))
}

fn parse(text: &[u8]) -> Result<Vec<(Bytes, Option<Bytes>)>, Malformed> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        let after = after.strip_prefix(b"=>").ok_or(MALFORMED)?;
        let (value, after) = match after.strip_prefix(b"NULL") {
            Some(after) => (None, after),
            None => quoted(after).map(|(value, after)| (Some(value), after))?,
        };
        pairs.push((key, value));
        rest = match after {
            [] => after,
            _ => after.strip_prefix(b", ").ok_or(MALFORMED)?,
        };
    }
    Ok(pairs)
}

fn quoted(text: &[u8]) -> Result<(Bytes, &[u8]), Malformed> {
    let mut rest = text.strip_prefix(b"\"").ok_or(MALFORMED)?;
    let mut value = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Ok((value, after)),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return Err(MALFORMED),
        }
    }
}

/// Order of iteration of a `HashMap<String, String>` into which the pairs were put one after the other.
fn in_java_order<V>(mut pairs: Vec<(Bytes, V)>) -> Vec<(Bytes, V)> {
    // 16 buckets, doubled whenever more than three quarters as many pairs are in it.
    let mut buckets = 16;
    while pairs.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    pairs.sort_by_key(|(key, _)| {
        let hash = java_hash(key);
        (hash ^ hash >> 16) as usize & (buckets - 1)
    });
    pairs
}

fn java_hash(text: &[u8]) -> u32 {
    String::from_utf8_lossy(text)
        .encode_utf16()
        .fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        object(text.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pairs_come_in_the_order_of_java() {
        for (text, expected) in [
            ("", "{}"),
            (r#""key"=>"val""#, r#"{"key":"val"}"#),
            (r#""key1"=>"v1", "key2"=>NULL"#, r#"{"key1":"v1","key2":null}"#),
            (
                r#""key 2"=>" ##123 78", "key_#1"=>"val 1""#,
                r#"{"key_#1":"val 1","key 2":" ##123 78"}"#,
            ),
            (r#""key4"=>"val4", "key5"=>NULL"#, r#"{"key5":null,"key4":"val4"}"#),
            (r#""a"=>"x\"y""#, r#"{"a":"x\"y"}"#),
        ] {
            assert_eq!(written(text), expected);
        }
        let mut out = Vec::new();
        object_text(br#""a"=>"x\"y""#, &mut out).unwrap();
        assert_eq!(out, br#""{\"a\":\"x\\\"y\"}""#);
    }

    #[test]
    fn text_that_is_no_hstore_is_refused() {
        for text in ["a", "\"a\"", "\"a\"=>", "\"a\"=>\"b", "\"a\"=>\"b\"x"] {
            assert!(object(text.as_bytes(), &mut Vec::new()).is_err(), "{text}");
        }
    }
}
