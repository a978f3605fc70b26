//! What a column is in the source, as parameters of its schema. In: its type and modifier. Out: name, length and scale.
//!
//! Lengths are those the PostgreSQL JDBC driver reports: digits of a number, characters of a time as text, and for whatever
//! has no limit the largest number of Java. A domain has the length of its base type, an array that of its elements. A
//! `serial` column is an integer: the stream does not say more.
//! Source: Debezium documentation, `column.propagate.source.type`; recordings of Debezium 3.6, group `types_propagate`.

use super::scalars;
use crate::names;
use crate::table::{Column, DataType, TypeKind};

/// What has no limit of its own.
const UNLIMITED: i32 = i32::MAX;
/// Digits before the point that PostgreSQL's `numeric` may have, and with it the length of one without precision.
const NUMERIC_LENGTH_MAX: i32 = 131_089;
/// Length of `-123456789 years 11 months 33 days 23 hours 10.123456 seconds`.
const INTERVAL_LENGTH: i32 = 49;
/// Lengths as text.
const DATE_LENGTH: i32 = 13;
const TIME_LENGTH: i32 = 8;
const ZONE_LENGTH: i32 = 6;

/// Length and scale of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    length: i32,
    scale: i32,
}

/// The parameters of a column's schema.
pub(crate) fn parameters(column: &Column) -> [(&'static str, String); 4] {
    let Size { length, scale } = size(&column.data_type, column.type_modifier);
    [
        ("__debezium.source.column.type", column.data_type.name.to_uppercase()),
        ("__debezium.source.column.length", length.to_string()),
        ("__debezium.source.column.scale", scale.to_string()),
        ("__debezium.source.column.name", names::column(&column.name)),
    ]
}

/// The length of a column, in the unit of its type.
pub(crate) fn length(column: &Column) -> usize {
    let Size { length, .. } = size(&column.data_type, column.type_modifier);
    usize::try_from(length).unwrap_or_default()
}

/// True for text: values that `column.mask.*` hides.
pub(crate) fn is_character(data_type: &DataType) -> bool {
    match &data_type.kind {
        TypeKind::Base => matches!(
            data_type.name.as_str(),
            "text" | "varchar" | "bpchar" | "char" | "name" | "citext"
        ),
        TypeKind::Enum { .. } => true,
        TypeKind::Domain { base, .. } => is_character(base),
        TypeKind::Array { .. }
        | TypeKind::Composite { .. }
        | TypeKind::Range
        | TypeKind::Multirange
        | TypeKind::Unknown => false,
    }
}

fn size(data_type: &DataType, modifier: i32) -> Size {
    match &data_type.kind {
        // The outermost modifier that is set: a domain over a domain has none of its own.
        TypeKind::Domain { base, type_modifier } => {
            size(base, if modifier >= 0 { modifier } else { *type_modifier })
        }
        TypeKind::Array { element, .. } => size(element, modifier),
        TypeKind::Base => base_size(&data_type.name, modifier),
        TypeKind::Enum { .. }
        | TypeKind::Composite { .. }
        | TypeKind::Range
        | TypeKind::Multirange
        | TypeKind::Unknown => Size { length: UNLIMITED, scale: 0 },
    }
}

fn base_size(name: &str, modifier: i32) -> Size {
    let has_modifier = modifier >= 0;
    let fraction = if has_modifier { modifier } else { 6 };
    let whole = |length| Size { length, scale: 0 };
    let timed = |length| Size { length: length + second_length(fraction), scale: fraction };
    match name {
        "bool" | "char" => whole(1),
        "int2" => whole(5),
        "int4" | "oid" => whole(10),
        "int8" => whole(19),
        "float4" => Size { length: 8, scale: 8 },
        "float8" => Size { length: 17, scale: 17 },
        "numeric" if modifier >= 4 => {
            Size { length: (modifier - 4) >> 16, scale: scalars::numeric_scale(modifier) }
        }
        "numeric" => whole(NUMERIC_LENGTH_MAX),
        "varchar" | "bpchar" if modifier >= 4 => whole(modifier - 4),
        "bit" | "varbit" if has_modifier => whole(modifier),
        "date" => whole(DATE_LENGTH),
        "time" => timed(TIME_LENGTH),
        "timetz" => timed(TIME_LENGTH + ZONE_LENGTH),
        "timestamp" => timed(DATE_LENGTH + 1 + TIME_LENGTH),
        "timestamptz" => timed(DATE_LENGTH + 1 + TIME_LENGTH + ZONE_LENGTH),
        // The fields of an interval are in the upper half.
        "interval" => Size {
            length: INTERVAL_LENGTH,
            scale: if has_modifier { modifier & 0xFFFF } else { 6 },
        },
        _ => whole(UNLIMITED),
    }
}

/// The fraction of a second with its point; one digit counts as two, as the driver has it.
fn second_length(fraction: i32) -> i32 {
    match fraction {
        0 => 0,
        1 => 3,
        digits => digits + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgoutput::Oid;

    fn base(name: &str) -> DataType {
        DataType { oid: Oid(0), name: name.to_owned(), kind: TypeKind::Base }
    }

    /// Beyond the recordings, which `xtask golden` replays.
    #[test]
    fn lengths_and_scales_are_those_of_the_driver() {
        let numeric = |precision: i32, scale: i32| (precision << 16 | scale) + 4;
        for (name, modifier, length, scale) in [
            ("bool", -1, 1, 0),
            ("char", -1, 1, 0),
            ("oid", -1, 10, 0),
            ("numeric", numeric(5, 2), 5, 2),
            ("numeric", -1, 131_089, 0),
            ("varchar", 24, 20, 0),
            ("time", 1, 11, 1),
            ("timestamp", 2, 25, 2),
            ("timestamptz", 1, 31, 1),
            ("timetz", 6, 21, 6),
            ("interval", 0x7FFF_0003, 49, 3),
            ("varbit", -1, UNLIMITED, 0),
            ("hstore", -1, UNLIMITED, 0),
        ] {
            assert_eq!(size(&base(name), modifier), Size { length, scale }, "{name} {modifier}");
        }
    }

    #[test]
    fn domains_and_arrays_have_the_size_of_what_they_are_made_of() {
        let domain = |base: DataType, type_modifier| DataType {
            kind: TypeKind::Domain { base: Box::new(base), type_modifier },
            ..self::base("d")
        };
        let outer = domain(domain(base("varchar"), 9), -1);
        assert_eq!(size(&outer, -1), Size { length: 5, scale: 0 });
        assert!(is_character(&outer));
        let array = DataType {
            kind: TypeKind::Array { element: Box::new(outer), delimiter: b',' },
            ..base("_d")
        };
        assert_eq!(size(&array, -1), Size { length: 5, scale: 0 });
        assert!(!is_character(&array));
    }
}
