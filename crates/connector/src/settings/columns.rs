//! What is done to single columns: masks, truncation, and the type in the source told by the schema.
//!
//! In: the keys `column.mask.*`, `column.truncate.*`, `column.propagate.source.type`, `datatype.propagate.source.type`.
//! Out: a [`ColumnTreatment`] for a column as the catalog spells it. Never: a value is changed here; `envelope` does.
//! Where several masks are for the same column the one that hides most counts: asterisks, then a digest, then truncation.
//! Source: Debezium documentation, the keys of these names; where two of them are for the same column Debezium takes one by
//! an order of its own and drops the other, a mask beside `column.propagate.source.type` too.

use envelope::{ColumnTreatment, HashAlgorithm, HashInput, Mask, Salt};
use regex::Regex;

use super::filter::patterns;
use super::pattern::Case;
use super::problem::Problem;
use super::values::Values;

const TRUNCATE: &str = "column.truncate.to.";
const ASTERISKS: &str = "column.mask.with.";
const CHARACTERS: &str = ".chars";
const HASH: &str = "column.mask.hash.";
const HASH_V2: &str = "column.mask.hash.v2.";
const SALT: &str = ".with.salt.";

/// Asterisks are written for every row.
const ASTERISKS_MAX: u32 = 10_000;

/// What is done to which columns.
#[derive(Debug, Clone, Default)]
pub struct ColumnTreatments {
    masks: Vec<(Vec<Regex>, Mask)>,
    /// Of names as `schema.table.column`.
    source_types: Vec<Regex>,
    /// Of types as `schema.table.type`.
    source_types_by_type: Vec<Regex>,
}

impl ColumnTreatments {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let mut masks = Vec::new();
        for (key, _) in values.pairs() {
            if let Some(mask) = mask(values, key) {
                masks.push((patterns(values, key, Case::Ignored), mask));
            }
        }
        Self {
            masks,
            source_types: patterns(values, "column.propagate.source.type", Case::Ignored),
            source_types_by_type: patterns(values, "datatype.propagate.source.type", Case::Ignored),
        }
    }

    /// What is done to this column, whose type the catalog calls `type_name`.
    pub fn of(&self, schema: &str, table: &str, column: &str, type_name: &str) -> ColumnTreatment {
        if self.masks.is_empty()
            && self.source_types.is_empty()
            && self.source_types_by_type.is_empty()
        {
            return ColumnTreatment::default();
        }
        let column = format!("{schema}.{table}.{column}");
        let data_type = format!("{schema}.{table}.{type_name}");
        let matches =
            |patterns: &[Regex], name: &str| patterns.iter().any(|pattern| pattern.is_match(name));
        let masks = self.masks.iter().filter(|(columns, _)| matches(columns, &column));
        ColumnTreatment {
            mask: masks.map(|(_, mask)| mask).min_by_key(|mask| what_is_left(mask)).cloned(),
            source_type: matches(&self.source_types, &column)
                || matches(&self.source_types_by_type, &data_type),
        }
    }
}

/// Orders masks by what they let through.
fn what_is_left(mask: &Mask) -> (u8, usize) {
    match mask {
        Mask::Asterisks { length } => (0, *length),
        Mask::Hash { .. } => (1, 0),
        Mask::Truncate { length_max } => (2, *length_max),
    }
}

/// The mask a key asks for; `None` for any other key, and with a problem for one that cannot be used.
fn mask(values: &mut Values<'_>, key: &str) -> Option<Mask> {
    let between = |head: &str| key.strip_prefix(head)?.strip_suffix(CHARACTERS);
    if let Some(length) = between(TRUNCATE) {
        let length_max = count(values, key, length, i32::MAX.cast_unsigned())?;
        return Some(Mask::Truncate { length_max });
    }
    if let Some(length) = between(ASTERISKS) {
        return Some(Mask::Asterisks { length: count(values, key, length, ASTERISKS_MAX)? });
    }
    let (rest, input) = match (key.strip_prefix(HASH_V2), key.strip_prefix(HASH)) {
        (Some(rest), _) => (rest, HashInput::Utf8),
        (None, Some(rest)) => (rest, HashInput::JavaSerialized),
        (None, None) => return None,
    };
    let (name, salt) = rest.split_once(SALT)?;
    let Some(algorithm) = HashAlgorithm::from_name(name) else {
        // Without the salt, which is nobody's business but the digests'.
        let key = key.strip_suffix(salt).unwrap_or(HASH);
        let names: Vec<&str> = HashAlgorithm::ALL.into_iter().map(HashAlgorithm::name).collect();
        values.problems.push(Problem::new(
            "CF003",
            &format!("{key}<salt>"),
            format!("`{name}` is not a digest algorithm"),
            format!("write one of {}", names.join(", ")),
        ));
        return None;
    };
    Some(Mask::Hash { algorithm, input, salt: Salt::new(salt) })
}

/// The number in a key.
fn count(values: &mut Values<'_>, key: &str, digits: &str, most: u32) -> Option<usize> {
    let number = digits.parse::<u32>().ok().filter(|number| *number <= most);
    if number.is_none() {
        let why = format!("`{digits}` is not a whole number from 0 to {most}");
        values.invalid(key, &why, "write the length in digits");
    }
    usize::try_from(number?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (ColumnTreatments, Vec<Problem>) {
        let config: BTreeMap<String, String> =
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut values = Values::new(&config);
        let treatments = ColumnTreatments::read(&mut values);
        (treatments, values.problems)
    }

    fn mask_of(treatments: &ColumnTreatments, column: &str) -> Option<Mask> {
        treatments.of("s", "t", column, "text").mask
    }

    #[test]
    fn each_key_treats_the_columns_it_names() {
        let (treatments, problems) = read(&[
            ("column.truncate.to.3.chars", "s.t.cut, x.y.z"),
            ("column.mask.with.0.chars", "S[.]T[.]empty"),
            ("column.mask.hash.SHA-256.with.salt.a.with.salt.b", ".*[.]digest"),
            ("column.mask.hash.v2.md5.with.salt.b", "s.t.newer"),
            ("column.propagate.source.type", "s.t.typed"),
            ("datatype.propagate.source.type", r".+\.VARCHAR"),
        ]);
        assert_eq!(problems, []);
        assert_eq!(mask_of(&treatments, "cut"), Some(Mask::Truncate { length_max: 3 }));
        assert_eq!(mask_of(&treatments, "empty"), Some(Mask::Asterisks { length: 0 }));
        let hash = |algorithm, input, salt| Mask::Hash { algorithm, input, salt: Salt::new(salt) };
        assert_eq!(
            mask_of(&treatments, "digest"),
            Some(hash(HashAlgorithm::Sha256, HashInput::JavaSerialized, "a.with.salt.b"))
        );
        assert_eq!(
            mask_of(&treatments, "newer"),
            Some(hash(HashAlgorithm::Md5, HashInput::Utf8, "b"))
        );
        assert!(treatments.of("s", "t", "typed", "int4").source_type);
        assert!(treatments.of("s", "t", "other", "varchar").source_type);
        assert_eq!(treatments.of("s", "t", "other", "int4"), ColumnTreatment::default());
    }

    #[test]
    fn the_mask_that_hides_most_counts() {
        let (treatments, _) = read(&[
            ("column.truncate.to.2.chars", "s.t.*"),
            ("column.truncate.to.9.chars", "s.t.*"),
            ("column.mask.hash.SHA-1.with.salt.x", "s.t.b.*"),
            ("column.mask.with.5.chars", "s.t.bc"),
            ("column.propagate.source.type", ".*"),
        ]);
        assert_eq!(mask_of(&treatments, "a"), Some(Mask::Truncate { length_max: 2 }));
        assert!(matches!(mask_of(&treatments, "bb"), Some(Mask::Hash { .. })));
        assert_eq!(mask_of(&treatments, "bc"), Some(Mask::Asterisks { length: 5 }));
        assert!(treatments.of("s", "t", "bc", "text").source_type, "beside the mask");
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_salt() {
        let (_, problems) = read(&[
            ("column.mask.hash.SHA-999.with.salt.geheim", "a.b.c"),
            ("column.mask.with.many.chars", "a.b.c"),
            ("column.truncate.to.-1.chars", "a.b.c"),
            ("column.mask.with.3.chars", "a.(b"),
        ]);
        let found: Vec<_> =
            problems.iter().map(|problem| (problem.code, problem.key.as_str())).collect();
        assert_eq!(
            found,
            [
                ("CF003", "column.mask.hash.SHA-999.with.salt.<salt>"),
                ("CF007", "column.mask.with.3.chars"),
                ("CF003", "column.mask.with.many.chars"),
                ("CF003", "column.truncate.to.-1.chars"),
            ]
        );
        assert!(problems[0].fix.ends_with("SHA3-384, SHA3-512"), "{}", problems[0].fix);
    }
}
