//! Values that are made of several: points, geometries, vectors, `hstore`. In: PostgreSQL's text. Out: Avro's binary form.
//!
//! Source: as of `value::special` and `value::hstore`, which read the text.

use super::binary;
use crate::value::{Malformed, Outcome, hstore, numeric, special};

pub(super) fn point(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (x, y, well_known) = special::point_parts(text)?;
    binary::double(x, out);
    binary::double(y, out);
    out.push(binary::SECOND);
    binary::bytes(&well_known, out);
    // No spatial reference system.
    out.push(binary::FIRST);
    Ok(())
}

pub(super) fn geometry(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let length = text.len() / 2;
    binary::count(length, out);
    let start = out.len();
    out.resize(start + length, 0);
    match special::geometry_bytes(text, &mut out[start..])? {
        Some(srid) => {
            out.push(binary::SECOND);
            binary::long(i64::from(srid), out);
        }
        None => out.push(binary::FIRST),
    }
    Ok(())
}

pub(super) fn vector(text: &[u8], is_double: bool, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    out.push(0);
    let mut count = 0;
    for item in special::vector_items(text)? {
        count += 1;
        if is_double {
            binary::double(numeric::number(item)?, out);
        } else {
            binary::float(numeric::number(item)?, out);
        }
    }
    end_block(start, count, out);
    Ok(())
}

pub(super) fn sparse_vector(text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
    let (pairs, dimensions) = special::sparse_parts(text)?;
    let Ok(dimensions) = dimensions.parse::<i16>() else {
        return Ok(Outcome::Inexpressible);
    };
    binary::long(i64::from(dimensions), out);
    let start = out.len();
    out.push(0);
    let mut count = 0;
    for pair in special::sparse_pairs(pairs) {
        let (index, value) = pair?;
        count += 1;
        binary::long(i64::from(index), out);
        binary::double(numeric::number(value.as_bytes())?, out);
    }
    end_block(start, count, out);
    Ok(Outcome::Written)
}

pub(super) fn hstore(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let pairs = hstore::pairs(text)?;
    let start = out.len();
    out.push(0);
    for (key, value) in &pairs {
        binary::bytes(key, out);
        match value {
            Some(value) => {
                out.push(binary::SECOND);
                binary::bytes(value, out);
            }
            None => out.push(binary::FIRST),
        }
    }
    end_block(start, pairs.len(), out);
    Ok(())
}

/// Puts the number of items before them, and says that there are no more.
pub(super) fn end_block(start: usize, count: usize, out: &mut Vec<u8>) {
    if count > 0 {
        binary::put_count(start, count, out);
        out.push(0);
    }
}
