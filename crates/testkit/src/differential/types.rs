//! The columns of the compared tables: one of every type.
//!
//! In: the extensions a server has. Out: types with a maker of values each. Never: a type without a value.
//! Source: Debezium's "Data type mappings" for PostgreSQL, and the recorded cases of `types_stream`.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::values::structures as shape;
use super::values::texts::{self, LABELS};
use super::values::{Value, numbers, times};

/// Extensions whose types are compared where the server has them.
pub(super) const EXTENSIONS: [&str; 6] = ["citext", "hstore", "isn", "ltree", "postgis", "vector"];

/// How often an element of an array is NULL.
const NULL_CHANCE: f64 = 0.15;

/// A type a column can have.
#[derive(Clone, Copy, Debug)]
pub struct ColumnType {
    /// As `create table` takes it.
    pub sql: &'static str,
    /// The extension that has it.
    pub extension: Option<&'static str>,
    /// Types such a column can be changed to: every value fits, and the cast is automatic.
    pub(super) wider: &'static [&'static str],
    /// Its values are short and never stored out of line.
    pub(super) in_row: bool,
    /// Debezium has 0 for some of its values in a column that is NOT NULL.
    never_required: bool,
    values: Values,
}

#[derive(Clone, Copy, Debug)]
enum Values {
    Scalar(Value),
    /// With this maker for the elements.
    Array(Value),
    /// The same, none of them NULL.
    Full(Value),
}

impl ColumnType {
    /// A value of this type in its text form.
    pub(super) fn value(&self, random: &mut StdRng) -> String {
        match self.values {
            Values::Scalar(value) => value(random),
            Values::Array(element) => shape::array(random, element, NULL_CHANCE),
            Values::Full(element) => shape::array(random, element, 0.0),
        }
    }

    /// A call that makes a default of this type; what it makes differs with each row. `None` for types without one.
    ///
    /// None of them is an expression of several calls: of those Debezium reads the first word in quotes.
    pub(super) fn function(&self, random: &mut StdRng) -> Option<&'static str> {
        let calls: &[&str] = match self.sql {
            "date" => &["current_date", "now()"],
            "time" | "time(0)" | "time(3)" => &["localtime", "localtime(3)"],
            "timestamp" | "timestamp(0)" | "timestamp(3)" => {
                &["localtimestamp", "now()", "current_timestamp", "timezone('utc', now())"]
            }
            "timestamptz" | "timestamptz(3)" => {
                &["current_timestamp", "now()", "clock_timestamp()", "current_timestamp(2)"]
            }
            "uuid" => &["gen_random_uuid()"],
            "text" | "varchar" => &["md5(random()::text)", "upper('a')"],
            "integer" | "bigint" => &["abs(5)"],
            "double precision" | "real" | "numeric" | "numeric(12,2)" | "numeric(38,10)" => {
                &["random()"]
            }
            "jsonb" => &["jsonb_build_object('a', 1)"],
            "interval" => &["make_interval(1)"],
            _ => &[],
        };
        calls.choose(random).copied()
    }

    /// The same, but never stored out of line where Debezium has null for an unchanged value that is, and never NOT NULL where
    /// it has 0 for a moment that nanoseconds cannot count.
    pub(super) fn placed_for(mut self, settings: &[(String, String)]) -> Self {
        let mode = |name: &str| {
            let found = settings.iter().find(|(key, _)| key == name);
            found.map_or("", |(_, mode)| mode)
        };
        self.never_required = mode("time.precision.mode") == "nanoseconds"
            && (self.sql == "timestamp" || self.sql.starts_with("timestamp("));
        self.values = match (mode("binary.handling.mode"), self.sql) {
            ("base64" | "base64-url-safe", "bytea") => Values::Scalar(texts::bytea_short),
            ("base64" | "base64-url-safe" | "hex", "bytea[]") => Values::Array(texts::bytea_short),
            _ => return self,
        };
        self.in_row = true;
        self
    }

    /// Whether a column of this type may be NOT NULL. Debezium has no placeholder for an unchanged value of the others that is
    /// stored out of line, and ends when it meets one in a required field.
    pub(super) fn may_be_required(&self) -> bool {
        const NO_PLACEHOLDER: [&str; 6] =
            ["numeric", "xml", "tsvector", "citext", "hstore", "ltree"];
        matches!(self.values, Values::Scalar(_))
            && !self.never_required
            && !NO_PLACEHOLDER.contains(&self.sql)
            && !self.sql.ends_with("range")
    }

    /// The type as a word that column names begin with.
    pub(super) fn word(&self) -> String {
        let letters = self.sql.chars().map(|letter| match letter {
            'a'..='z' | '0'..='9' => letter,
            '[' => 'a',
            _ => '_',
        });
        letters.collect::<String>().trim_end_matches('_').to_owned()
    }
}

/// Statements that make the types that are not built in; each may be run once per database.
pub(super) fn definitions() -> Vec<String> {
    let labels: Vec<String> = LABELS.iter().map(|label| format!("'{label}'")).collect();
    vec![
        format!("create type mood as enum ({})", labels.join(", ")),
        "create domain price as numeric(12,2)".to_owned(),
        "create domain price_of_price as price".to_owned(),
        "create domain short as varchar(10)".to_owned(),
        "create type pair as (a int, b text)".to_owned(),
    ]
}

const fn scalar(sql: &'static str, value: Value) -> ColumnType {
    ColumnType {
        sql,
        extension: None,
        wider: &[],
        in_row: false,
        never_required: false,
        values: Values::Scalar(value),
    }
}

const fn array(sql: &'static str, element: Value) -> ColumnType {
    ColumnType {
        sql,
        extension: None,
        wider: &[],
        in_row: false,
        never_required: false,
        values: Values::Array(element),
    }
}

const fn full(sql: &'static str, element: Value) -> ColumnType {
    ColumnType {
        sql,
        extension: None,
        wider: &[],
        in_row: false,
        never_required: false,
        values: Values::Full(element),
    }
}

impl ColumnType {
    const fn of(mut self, extension: &'static str) -> Self {
        self.extension = Some(extension);
        self
    }

    const fn widens_to(mut self, wider: &'static [&'static str]) -> Self {
        self.wider = wider;
        self
    }
}

/// All types, the built-in ones first.
pub(super) const TYPES: &[ColumnType] = &[
    scalar("boolean", numbers::boolean).widens_to(&["text"]),
    scalar("smallint", numbers::int2).widens_to(&["integer", "bigint", "numeric", "text"]),
    scalar("integer", numbers::int4).widens_to(&["bigint", "numeric", "text"]),
    scalar("bigint", numbers::int8).widens_to(&["numeric", "text"]),
    scalar("oid", numbers::oid).widens_to(&["bigint"]),
    scalar("real", numbers::float4).widens_to(&["double precision", "text"]),
    scalar("double precision", numbers::float8).widens_to(&["text"]),
    scalar("numeric(3,2)", numbers::numeric_3_2).widens_to(&["numeric(12,2)", "numeric"]),
    scalar("numeric(4)", numbers::numeric_4).widens_to(&["numeric(12,2)", "numeric"]),
    scalar("numeric(12,2)", numbers::numeric_12_2).widens_to(&["numeric(38,10)", "numeric"]),
    scalar("numeric(38,10)", numbers::numeric_38_10).widens_to(&["numeric", "text"]),
    scalar("numeric", numbers::numeric).widens_to(&["text"]),
    scalar("money", numbers::money).widens_to(&["text"]),
    scalar("char(4)", texts::text_2).widens_to(&["text"]),
    scalar("varchar(2)", texts::text_2).widens_to(&["varchar(10)", "text"]),
    scalar("varchar(10)", texts::text_10).widens_to(&["varchar", "text"]),
    scalar("varchar", texts::text).widens_to(&["text"]),
    scalar("text", texts::text).widens_to(&["varchar"]),
    scalar("bytea", texts::bytea),
    scalar("bit", texts::bit_1),
    scalar("bit(7)", texts::bit_7),
    scalar("bit(64)", texts::bit_64),
    scalar("varbit(24)", texts::varbit_24).widens_to(&["varbit"]),
    scalar("varbit", texts::varbit),
    scalar("date", times::date).widens_to(&["timestamp", "text"]),
    scalar("time", times::time).widens_to(&["text"]),
    scalar("time(0)", times::time).widens_to(&["time(3)", "time"]),
    scalar("time(3)", times::time).widens_to(&["time"]),
    scalar("timetz", times::timetz).widens_to(&["text"]),
    scalar("timetz(0)", times::timetz).widens_to(&["timetz"]),
    scalar("timestamp", times::timestamp).widens_to(&["text"]),
    scalar("timestamp(0)", times::timestamp).widens_to(&["timestamp(3)", "timestamp"]),
    scalar("timestamp(3)", times::timestamp).widens_to(&["timestamp"]),
    scalar("timestamptz", times::timestamptz).widens_to(&["text"]),
    scalar("timestamptz(3)", times::timestamptz).widens_to(&["timestamptz"]),
    scalar("interval", times::interval).widens_to(&["text"]),
    scalar("json", shape::json).widens_to(&["text"]),
    scalar("jsonb", shape::json).widens_to(&["text"]),
    scalar("xml", shape::xml),
    scalar("uuid", shape::uuid).widens_to(&["text"]),
    scalar("point", shape::point),
    scalar("inet", shape::inet).widens_to(&["text"]),
    scalar("cidr", shape::cidr).widens_to(&["inet", "text"]),
    scalar("macaddr", shape::macaddr).widens_to(&["text"]),
    scalar("macaddr8", shape::macaddr8).widens_to(&["text"]),
    scalar("int4range", shape::int4range),
    scalar("int8range", shape::int8range),
    scalar("numrange", shape::numrange),
    scalar("daterange", shape::daterange),
    scalar("tsrange", shape::tsrange),
    scalar("tstzrange", shape::tstzrange),
    scalar("tsvector", shape::tsvector),
    scalar("mood", texts::label),
    scalar("price", numbers::numeric_12_2),
    scalar("price_of_price", numbers::numeric_12_2),
    scalar("short", texts::text_10),
    array("smallint[]", numbers::int2),
    array("integer[]", numbers::int4),
    array("bigint[]", numbers::int8),
    array("oid[]", numbers::oid),
    array("real[]", numbers::float4),
    array("double precision[]", numbers::float8),
    array("boolean[]", numbers::boolean),
    array("numeric(12,2)[]", numbers::numeric_12_2),
    array("numeric[]", numbers::numeric),
    array("text[]", texts::text),
    array("varchar(10)[]", texts::text_10),
    array("char(4)[]", texts::text_2),
    array("bytea[]", texts::bytea),
    array("date[]", times::date),
    array("time[]", times::time_element),
    array("timetz[]", times::timetz_element),
    array("timestamp[]", times::timestamp_element),
    array("timestamptz[]", times::timestamptz_element),
    array("uuid[]", shape::uuid),
    array("json[]", shape::json),
    array("jsonb[]", shape::json),
    array("inet[]", shape::inet),
    array("cidr[]", shape::cidr),
    array("macaddr[]", shape::macaddr),
    array("macaddr8[]", shape::macaddr8),
    array("int4range[]", shape::int4range),
    array("int8range[]", shape::int8range),
    array("numrange[]", shape::numrange),
    array("daterange[]", shape::daterange),
    array("tsrange[]", shape::tsrange),
    array("tstzrange[]", shape::tstzrange),
    array("mood[]", texts::label),
    // Left out of the events by both.
    scalar("box", shape::box_corners),
    scalar("pair", shape::composite),
    scalar("int4multirange", shape::multirange),
    scalar("tsquery", shape::tsquery),
    scalar("pg_lsn", shape::pg_lsn),
    array("money[]", numbers::money),
    array("interval[]", times::interval),
    array("point[]", shape::point),
    array("short[]", texts::text_10),
    scalar("citext", texts::text).of("citext"),
    array("citext[]", texts::text).of("citext"),
    scalar("hstore", shape::hstore).of("hstore"),
    array("hstore[]", shape::hstore).of("hstore"),
    scalar("isbn", shape::isbn).of("isn"),
    scalar("ltree", shape::ltree).of("ltree"),
    full("ltree[]", shape::ltree).of("ltree"),
    scalar("geometry", shape::geometry).of("postgis"),
    scalar("geography", shape::geometry).of("postgis"),
    array("geometry[]", shape::geometry).of("postgis"),
    scalar("vector(3)", shape::vector_3).of("vector"),
    scalar("halfvec(3)", shape::vector_3).of("vector"),
    scalar("sparsevec(3000)", shape::sparsevec).of("vector"),
];

/// Types that other systems have too, with values they can hold.
pub(crate) const PLAIN: &[ColumnType] = &[
    scalar("boolean", numbers::boolean),
    scalar("smallint", numbers::int2),
    scalar("integer", numbers::int4),
    scalar("bigint", numbers::int8),
    scalar("double precision", numbers::finite_float8),
    scalar("numeric(12,2)", numbers::numeric_12_2),
    scalar("numeric(38,10)", numbers::numeric_38_10),
    scalar("varchar(10)", texts::text_10),
    scalar("text", texts::text),
    scalar("bytea", texts::bytea),
    scalar("date", times::date_element),
    scalar("time", times::time_element),
    scalar("timestamp", times::timestamp_element),
    scalar("timestamp(3)", times::timestamp_element),
    scalar("timestamptz", times::timestamptz_element),
    scalar("json", shape::json),
    scalar("jsonb", shape::json),
    scalar("uuid", shape::uuid),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_type_is_there_once_and_widens_to_types_that_are_there() {
        let names: BTreeSet<&str> = TYPES.iter().map(|one| one.sql).collect();
        assert_eq!(names.len(), TYPES.len());
        for wider in TYPES.iter().flat_map(|one| one.wider) {
            assert!(names.contains(wider), "{wider}");
        }
    }

    #[test]
    fn column_names_of_different_types_begin_differently() {
        let words: BTreeSet<String> = TYPES.iter().map(ColumnType::word).collect();
        assert_eq!(words.len(), TYPES.len());
    }
}
