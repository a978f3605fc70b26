//! Types with a form of their own: bits, points, geometries, vectors. In: PostgreSQL's text. Out: JSON.
//!
//! Source: Debezium documentation, "PostgreSQL basic types", "Geometry types", "pgvector types".

use super::{Malformed, Outcome, base64, numeric};

/// `bit(1)`: true or false.
pub(crate) fn single_bit(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.extend_from_slice(match text {
        b"1" => &b"true"[..],
        b"0" | b"" => b"false",
        _ => return Err(Malformed("expected one bit")),
    });
    Ok(())
}

/// Bits as bytes, the last bit in the lowest place of the first byte; zero bytes at the end are left out, of `bit(n)` too.
pub(crate) fn bits(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.push(b'"');
    base64::encode(&bits_bytes(text)?, out);
    out.push(b'"');
    Ok(())
}

/// The bytes themselves.
pub(crate) fn bits_bytes(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut bytes = vec![0_u8; text.len().div_ceil(8)];
    for (place, &bit) in text.iter().rev().enumerate() {
        match bit {
            b'0' => {}
            b'1' => bytes[place / 8] |= 1 << (place % 8),
            _ => return Err(Malformed("expected bits")),
        }
    }
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

fn coordinate(text: &[u8]) -> Result<f64, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed("expected a number"))?;
    text.trim().parse().map_err(|_| Malformed("expected a number"))
}

/// `(1,2)` as `{"x":1.0,"y":2.0,"wkb":…,"srid":null}`.
pub(crate) fn point(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (x, y, binary) = point_parts(text)?;
    out.extend_from_slice(b"{\"x\":");
    numeric::java_double(x, out)?;
    out.extend_from_slice(b",\"y\":");
    numeric::java_double(y, out)?;
    out.extend_from_slice(b",\"wkb\":\"");
    base64::encode(&binary, out);
    out.extend_from_slice(b"\",\"srid\":null}");
    Ok(())
}

/// Both coordinates, and the well-known binary of the point.
pub(crate) fn point_parts(text: &[u8]) -> Result<(f64, f64, [u8; 21]), Malformed> {
    let malformed = Malformed("expected a point like (1,2)");
    let inner =
        text.strip_prefix(b"(").and_then(|text| text.strip_suffix(b")")).ok_or(malformed)?;
    let comma = inner.iter().position(|&byte| byte == b',').ok_or(malformed)?;
    let (x, y) = (coordinate(&inner[..comma])?, coordinate(&inner[comma + 1..])?);
    // Well-known binary: little endian, type 1, two coordinates.
    let mut binary = [0; 21];
    binary[..5].copy_from_slice(&[1, 1, 0, 0, 0]);
    binary[5..13].copy_from_slice(&x.to_le_bytes());
    binary[13..].copy_from_slice(&y.to_le_bytes());
    Ok((x, y, binary))
}

/// Extended well-known binary in hexadecimal, as `PostGIS` shows it: `{"wkb":…,"srid":4326}`.
pub(crate) fn geometry(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut bytes = vec![0; text.len() / 2];
    let srid = geometry_bytes(text, &mut bytes)?;
    out.extend_from_slice(b"{\"wkb\":\"");
    base64::encode(&bytes, out);
    out.extend_from_slice(b"\",\"srid\":");
    match srid {
        Some(srid) => out.extend_from_slice(itoa::Buffer::new().format(srid).as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    Ok(())
}

/// Decodes a geometry into as many bytes as it has pairs of digits; its spatial reference system, if it names one.
pub(crate) fn geometry_bytes(text: &[u8], bytes: &mut [u8]) -> Result<Option<u32>, Malformed> {
    const HAS_SRID: u32 = 0x2000_0000;
    let malformed = Malformed("expected a geometry in hexadecimal");
    base64::decode_hex(text, bytes)?;
    let word = |at: usize| {
        let word: [u8; 4] = *bytes.get(at..)?.first_chunk()?;
        Some(if bytes.first() == Some(&0) {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        })
    };
    let kind = word(1).ok_or(malformed)?;
    if kind & HAS_SRID == 0 { Ok(None) } else { word(5).ok_or(malformed).map(Some) }
}

/// `[1,2,3]` as a JSON array of floats.
pub(crate) fn vector(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.push(b'[');
    for (index, item) in vector_items(text)?.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        numeric::java_number(item, out)?;
    }
    out.push(b']');
    Ok(())
}

/// The items of `[1,2,3]`.
pub(crate) fn vector_items(text: &[u8]) -> Result<impl Iterator<Item = &[u8]>, Malformed> {
    let malformed = Malformed("expected a vector like [1,2,3]");
    let inner =
        text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).ok_or(malformed)?;
    Ok(inner.split(|&byte| byte == b','))
}

/// `{1:201,9:209}/3000` as dimensions and pairs of index and value. Java counts both in 16 bits.
pub(crate) fn sparse_vector(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    let (pairs, dimensions) = sparse_parts(text)?;
    let Ok(dimensions) = dimensions.parse::<i16>() else {
        return Ok(Outcome::Inexpressible);
    };
    out.extend_from_slice(b"{\"dimensions\":");
    out.extend_from_slice(itoa::Buffer::new().format(dimensions).as_bytes());
    out.extend_from_slice(b",\"vector\":[");
    for (position, pair) in sparse_pairs(pairs).enumerate() {
        let (index, value) = pair?;
        if position > 0 {
            out.push(b',');
        }
        out.push(b'[');
        out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        out.push(b',');
        numeric::java_number(value.as_bytes(), out)?;
        out.push(b']');
    }
    out.extend_from_slice(b"]}");
    Ok(Outcome::Written)
}

const NO_SPARSE_VECTOR: Malformed = Malformed("expected a sparse vector like {1:201}/3000");

/// Pairs and dimensions of `{1:201,9:209}/3000`.
pub(crate) fn sparse_parts(text: &[u8]) -> Result<(&str, &str), Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| NO_SPARSE_VECTOR)?;
    text.strip_prefix('{').and_then(|text| text.split_once("}/")).ok_or(NO_SPARSE_VECTOR)
}

/// Index and value of each of `1:201,9:209`.
pub(crate) fn sparse_pairs(pairs: &str) -> impl Iterator<Item = Result<(i16, &str), Malformed>> {
    pairs.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
        let (index, value) = pair.split_once(':').ok_or(NO_SPARSE_VECTOR)?;
        Ok((index.parse().map_err(|_| NO_SPARSE_VECTOR)?, value))
    })
}

/// Text of a geometric type with its numbers as Java writes them: `(1,1),(0,0)` becomes `(1.0,1.0),(0.0,0.0)`.
pub(crate) fn java_geometric(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e');
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if is_number(&byte) {
            let end = rest.iter().position(|byte| !is_number(byte)).unwrap_or(rest.len());
            numeric::java_number(&rest[..end], out)?;
            rest = &rest[end..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bits_are_little_endian_bytes_without_zeros_at_the_end() {
        for (text, expected) in [
            ("11", "Aw=="),
            ("0000001", "AQ=="),
            ("1000000", "QA=="),
            ("0000000", ""),
            ("00", ""),
            ("000000110000001000000001", "AQID"),
            ("1000000000000000000000000000000000000000000000000000000000000000", "AAAAAAAAAIA="),
            ("111011010001000110000001000000001", "AQIj2gE="),
            ("", ""),
        ] {
            assert_eq!(written(|out| bits(text.as_bytes(), out)), format!("\"{expected}\""));
        }
        assert_eq!(written(|out| single_bit(b"1", out)), "true");
        assert!(bits(b"012", &mut Vec::new()).is_err());
    }

    #[test]
    fn points_and_geometries_carry_their_binary_form() {
        assert_eq!(
            written(|out| point(b"(-1.5,10000000000)", out)),
            r#"{"x":-1.5,"y":1.0E10,"wkb":"AQEAAAAAAAAAAAD4vwAAACBfoAJC","srid":null}"#
        );
        assert_eq!(
            written(|out| geometry(b"0101000020730C00001C7C613255DE6540787AA52C435C42C0", out)),
            r#"{"wkb":"AQEAACBzDAAAHHxhMlXeZUB4eqUsQ1xCwA==","srid":3187}"#
        );
        assert_eq!(
            written(|out| geometry(b"0101000000000000000000F03F0000000000000040", out)),
            r#"{"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":null}"#
        );
        assert!(point(b"1,2", &mut Vec::new()).is_err());
        assert!(geometry(b"01", &mut Vec::new()).is_err());
    }

    #[test]
    fn vectors_are_arrays_of_floats() {
        assert_eq!(written(|out| vector(b"[-0.5,0,1e+10]", out)), "[-0.5,0.0,1.0E10]");
        let mut out = Vec::new();
        assert_eq!(sparse_vector(b"{1:201,9:209}/3000", &mut out).unwrap(), Outcome::Written);
        assert_eq!(out, br#"{"dimensions":3000,"vector":[[1,201.0],[9,209.0]]}"#);
        out.clear();
        sparse_vector(b"{}/3000", &mut out).unwrap();
        assert_eq!(out, br#"{"dimensions":3000,"vector":[]}"#);
        assert_eq!(sparse_vector(b"{}/40000", &mut out).unwrap(), Outcome::Inexpressible);
    }

    #[test]
    fn geometric_text_has_the_numbers_of_java() {
        assert_eq!(written(|out| java_geometric(b"<(10,4),10>", out)), "<(10.0,4.0),10.0>");
        assert_eq!(written(|out| java_geometric(b"{1,-1,0}", out)), "{1.0,-1.0,0.0}");
    }
}
