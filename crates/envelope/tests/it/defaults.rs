//! Which default values the schema shows, beyond the recordings. Expected is what the converter of Debezium 3.6 makes of
//! the same expression, but where the comment at a case says otherwise.

use std::sync::Arc;

use envelope::{
    Column, DataType, DecimalHandling, EncoderSettings, IntervalHandling, Scratch, TablePlan,
    TimePrecision, TypeKind,
};
use pgoutput::TupleValue;
use serde_json::{Value, json};

use crate::promises::{base, column, plain_settings, position, table};

/// The default in the schema of a column; `None` without one.
fn shown(
    settings: &EncoderSettings,
    data_type: DataType,
    modifier: i32,
    expression: &str,
) -> Option<Value> {
    let value = Column {
        type_modifier: modifier,
        default: Some(expression.to_owned()),
        ..column("v", data_type, false)
    };
    let mut settings = settings.clone();
    settings.value.schemas_enable = true;
    let table = table(vec![column("id", base("int4"), true), value]);
    let plan = TablePlan::compile(table, &Arc::new(settings)).unwrap();
    let mut event = Value::Null;
    let row = [TupleValue::Text(b"1"), TupleValue::Null];
    let mut out = |record: envelope::Record<'_>| {
        event = serde_json::from_slice(record.value.unwrap()).unwrap();
    };
    plan.insert(&position(), &row, &mut out, &mut Scratch::default()).unwrap();
    let field = &event["schema"]["fields"][1]["fields"][1];
    assert_eq!(field["field"], "v");
    field.get("default").cloned()
}

fn expect(settings: &EncoderSettings, cases: &[(&str, i32, &str, Value)]) {
    for (type_name, modifier, expression, expected) in cases {
        let found = shown(settings, base(type_name), *modifier, expression);
        assert_eq!(found.unwrap_or_default(), *expected, "{type_name}({modifier}) {expression}");
    }
}

fn with_times(time_precision: TimePrecision) -> EncoderSettings {
    EncoderSettings { time_precision, ..plain_settings() }
}

const NUMERIC_12_2: i32 = (12 << 16 | 2) + 4;

#[test]
fn a_function_shows_as_the_zero_of_its_type() {
    expect(
        &plain_settings(),
        &[
            ("timestamptz", -1, "CURRENT_TIMESTAMP", json!("1970-01-01T00:00:00.000000Z")),
            ("timestamptz", 3, "now()", json!("1970-01-01T00:00:00.000Z")),
            ("timestamp", -1, "LOCALTIMESTAMP", json!(0)),
            ("timestamp", -1, "timezone('utc'::text, now())", json!(0)),
            ("date", -1, "CURRENT_DATE", json!(0)),
            ("time", -1, "LOCALTIME", json!(0)),
            ("text", -1, "CURRENT_TIMESTAMP", json!("")),
            ("numeric", NUMERIC_12_2, "random()", json!("AA==")),
            ("float8", -1, "random()", json!(0.0)),
            ("bit", 7, "f()", json!("")),
            ("varbit", 24, "f()", json!("")),
            ("uuid", -1, "gen_random_uuid()", json!("00000000-0000-0000-0000-000000000000")),
            ("interval", -1, "make_interval(1)", json!(0)),
        ],
    );
    let mut settings = plain_settings();
    settings.decimal_handling = DecimalHandling::String;
    settings.interval_handling = IntervalHandling::String;
    expect(
        &settings,
        &[
            ("numeric", -1, "random()", json!("0.0")),
            ("numeric", NUMERIC_12_2, "random()", json!("0.00")),
            ("interval", -1, "make_interval(1)", json!("P0Y0M0DT0H0M0S")),
        ],
    );
}

#[test]
fn types_that_debezium_reads_no_default_of_show_none() {
    for name in ["char", "name", "citext", "money", "oid", "bytea", "timetz", "inet", "hstore"] {
        let found = shown(&plain_settings(), base(name), -1, "'1'::text");
        assert_eq!(found, None, "{name}");
    }
    let price = DataType {
        kind: TypeKind::Domain { base: Box::new(base("numeric")), type_modifier: NUMERIC_12_2 },
        ..base("price")
    };
    let of_price = DataType {
        kind: TypeKind::Domain { base: Box::new(price.clone()), type_modifier: -1 },
        ..base("price_of_price")
    };
    for domain in [price, of_price] {
        assert_eq!(shown(&plain_settings(), domain, -1, "1.50"), None);
    }
}

#[test]
fn infinite_moments_and_the_end_of_the_day_are_as_the_driver_of_debezium_has_them() {
    let (infinity, negative) = ("'infinity'::timestamp", "'-infinity'::timestamp");
    let none = Value::Null;
    expect(
        &with_times(TimePrecision::Adaptive),
        &[
            // Debezium: -9223372036853775810, a number that has wrapped around.
            ("timestamp", -1, infinity, json!(9_223_372_036_825_200_000_i64)),
            ("timestamp", -1, negative, json!(i64::MIN)),
            ("timestamp", 3, infinity, none.clone()),
            ("timestamp", 0, negative, none.clone()),
            ("timestamptz", -1, infinity, none.clone()),
            ("timestamptz", -1, negative, none.clone()),
            // Debezium: 169560311 and -170999002, numbers that have wrapped around.
            ("date", -1, "'infinity'::date", json!(i32::MAX)),
            ("date", -1, "'-infinity'::date", json!(i32::MIN)),
            ("date", -1, "'0044-03-15 BC'::date", json!(-735_160)),
            ("time", -1, "'24:00:00'::time without time zone", json!(86_399_999_999_i64)),
            ("time", 3, "'24:00:00'::time without time zone", json!(86_399_999)),
        ],
    );
    expect(
        &with_times(TimePrecision::Nanoseconds),
        &[
            ("timestamp", -1, infinity, none.clone()),
            ("timestamp", -1, negative, none.clone()),
            ("timestamp", -1, "'0001-01-31 00:00:00'::timestamp", none.clone()),
            ("time", -1, "'24:00:00'::time without time zone", json!(86_399_999_999_999_i64)),
        ],
    );
    expect(
        &with_times(TimePrecision::Connect),
        &[("timestamp", -1, infinity, none), ("time", -1, "'24:00:00'::time", json!(86_399_999))],
    );
    expect(
        &with_times(TimePrecision::IsoString),
        &[
            ("timestamp", -1, infinity, json!("+999999999-12-31T23:59:59.999999999Z")),
            ("timestamp", -1, negative, json!("-999999999-01-01T00:00:00Z")),
            ("date", -1, "'infinity'::date", json!("+999999999-12-31Z")),
            ("date", -1, "'-infinity'::date", json!("-999999999-01-01Z")),
            ("time", -1, "'24:00:00'::time", json!("23:59:59.999999999Z")),
        ],
    );
}

#[test]
fn a_constant_of_another_type_is_shown_as_one_of_the_column() {
    let day_and_time = "'2020-02-03 10:11:12.5'::timestamp without time zone";
    expect(
        &plain_settings(),
        &[
            ("timestamp", -1, "'2020-02-03'::date", json!(1_580_688_000_000_000_i64)),
            ("timestamp", -1, "'0044-03-15 BC'::date", json!(-63_517_824_000_000_000_i64)),
            ("timestamptz", -1, "'12020-02-03'::date", json!("+12020-02-03T00:00:00.000000Z")),
            ("timestamptz", -1, "'0044-03-15 BC'::date", json!("-0043-03-15T00:00:00.000000Z")),
            ("timestamptz", -1, day_and_time, json!("2020-02-03T10:11:12.500000Z")),
            ("date", -1, day_and_time, json!(18_295)),
            ("date", -1, "'0044-03-15 10:11:12 BC'::timestamp", json!(-735_160)),
            ("interval", -1, "'10:11:12.25'::time", json!(36_672_250_000_i64)),
            ("text", -1, "'2020-02-03'::date", json!("2020-02-03")),
        ],
    );
}

#[test]
fn a_constant_that_the_type_cannot_hold_shows_none() {
    expect(
        &plain_settings(),
        &[
            ("numeric", NUMERIC_12_2, "1.005", Value::Null),
            ("numeric", NUMERIC_12_2, "'NaN'::numeric", Value::Null),
            ("timestamp", -1, "('now'::text)::timestamp without time zone", Value::Null),
        ],
    );
}
