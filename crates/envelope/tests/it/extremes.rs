//! The outermost values of each type in each mode, which the recordings do not all show.

use std::sync::Arc;

use envelope::{
    BinaryHandling, Column, DataType, DecimalFormat, DecimalHandling, EncoderSettings,
    IntervalHandling, Scratch, TablePlan, TimePrecision, TypeKind,
};
use pgoutput::TupleValue;

use crate::promises::{base, column, plain_settings, position, table};

/// What stands for a value in an event, and whether a notice tells that it is not all there.
fn shown(data_type: &DataType, modifier: i32, settings: &EncoderSettings, text: &str) -> String {
    let value = Column { type_modifier: modifier, ..column("v", data_type.clone(), false) };
    let table = table(vec![column("id", base("int4"), true), value]);
    let plan = TablePlan::compile(table, &Arc::new(settings.clone())).unwrap();
    let mut scratch = Scratch::default();
    let mut json = String::new();
    let mut out = |record: envelope::Record<'_>| {
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        let start = value.find("\"v\":").unwrap() + 4;
        value[start..value.find("},\"source\"").unwrap()].clone_into(&mut json);
    };
    let row = [TupleValue::Text(b"1"), TupleValue::Text(text.as_bytes())];
    plan.insert(&position(), &row, &mut out, &mut scratch)
        .unwrap_or_else(|error| panic!("{} {text}: {error}", data_type.name));
    if scratch.take_notices().is_empty() { json } else { format!("{json} (told)") }
}

fn expect(settings: &EncoderSettings, cases: &[(&str, i32, &str, &str)]) {
    for &(type_name, modifier, text, expected) in cases {
        let found = shown(&base(type_name), modifier, settings, text);
        assert_eq!(found, expected, "{type_name} {modifier} {text}");
    }
}

fn numeric(precision: i32, scale: i32) -> i32 {
    (precision << 16 | scale & 0x7FF) + 4
}

#[test]
fn numbers_at_their_limits() {
    let largest = "179769313486231570000000000000000000000";
    expect(
        &plain_settings(),
        &[
            ("int2", -1, "-32768", "-32768"),
            ("int4", -1, "2147483647", "2147483647"),
            ("int8", -1, "-9223372036854775808", "-9223372036854775808"),
            ("oid", -1, "4294967295", "4294967295"),
            ("float4", -1, "1e-45", "1.0E-45"),
            ("float4", -1, "3.4028235e+38", "3.4028235E38"),
            ("float8", -1, "5e-324", "5.0E-324"),
            ("float8", -1, "1.7976931348623157e+308", "1.7976931348623157E308"),
            ("float8", -1, "-0", "-0.0"),
            ("float8", -1, "NaN", "\"NaN\""),
            (
                "numeric",
                numeric(38, 0),
                "99999999999999999999999999999999999999",
                "\"SztMqFqGxHoJiiI//////w==\"",
            ),
            ("numeric", numeric(3, 5), "-0.00999", "\"/Bk=\""),
            ("numeric", numeric(2, -1000), "0", "\"AA==\""),
            (
                "numeric",
                -1,
                "0.0000000000000000000000000000000000000001",
                "{\"scale\":40,\"value\":\"AQ==\"}",
            ),
            ("numeric", numeric(6, 2), "NaN", "null (told)"),
            ("money", -1, "-$92,233,720,368,547,758.08", "\"gAAAAAAAAAA=\""),
        ],
    );
    let text = EncoderSettings { decimal_handling: DecimalHandling::String, ..plain_settings() };
    expect(
        &text,
        &[
            ("numeric", -1, largest, &format!("\"{largest}\"")),
            ("numeric", numeric(5, -2), "-99900", "\"-99900\""),
            ("numeric", numeric(3, 5), "0.00123", "\"0.00123\""),
            ("numeric", -1, "-Infinity", "\"NEGATIVE_INFINITY\""),
            ("money", -1, "-$0.01", "\"-0.01\""),
        ],
    );
    let double = EncoderSettings { decimal_handling: DecimalHandling::Double, ..plain_settings() };
    expect(
        &double,
        &[
            ("numeric", -1, "1e0", "1.0"),
            ("numeric", numeric(5, -2), "12300", "12300.0"),
            ("numeric", -1, "Infinity", "\"Infinity\""),
            ("money", -1, "$92,233,720,368,547,758.07", "9.223372036854776E16"),
        ],
    );
    let mut plain = plain_settings();
    plain.value.decimal_format = DecimalFormat::Numeric;
    plain.money_fraction_digits = 0;
    expect(
        &plain,
        &[
            ("numeric", numeric(5, -2), "12300", "12300"),
            ("numeric", numeric(6, 2), "1.5", "1.50"),
            ("money", -1, "$2.50", "3"),
        ],
    );
}

/// Columns: `date`, `time(6)`, `timestamp(6)` at their limits in every `time.precision.mode`.
#[test]
fn moments_at_their_limits() {
    const FIRST: &str = "4714-11-24 00:00:00 BC";
    const LAST: &str = "294276-12-31 23:59:59.999999";
    let days = ["2145042905", "-2440588", "2147483647", "-2147483648"];
    let iso_days =
        ["\"+5874897-12-31Z\"", "\"-4713-11-24Z\"", "\"+5881580-07-11Z\"", "\"-5877641-06-23Z\""];
    let millis = ["9224318015999999", "-210866803200000"];
    let micros = ["9223372036854775807 (told)", "-210866803200000000"];
    for (time_precision, dates, midnight, moments) in [
        (TimePrecision::Adaptive, days, "86400000000", micros),
        (TimePrecision::AdaptiveTimeMicroseconds, days, "86400000000", micros),
        (TimePrecision::Microseconds, days, "86400000000", micros),
        (TimePrecision::Connect, days, "86400000", millis),
        (TimePrecision::Nanoseconds, days, "86400000000000", ["null (told)", "null (told)"]),
        (
            TimePrecision::IsoString,
            iso_days,
            "\"00:00:00Z\" (told)",
            ["\"+294276-12-31T23:59:59.999999Z\"", "\"-4713-11-24T00:00:00Z\""],
        ),
    ] {
        let settings = EncoderSettings { time_precision, ..plain_settings() };
        for (text, expected) in
            ["5874897-12-31", "4714-11-24 BC", "infinity", "-infinity"].into_iter().zip(dates)
        {
            assert_eq!(shown(&base("date"), -1, &settings, text), expected, "{time_precision:?}");
        }
        assert_eq!(shown(&base("time"), -1, &settings, "24:00:00"), midnight, "{time_precision:?}");
        for (text, expected) in [LAST, FIRST].into_iter().zip(moments) {
            let found = shown(&base("timestamp"), -1, &settings, text);
            assert_eq!(found, expected, "{time_precision:?} {text}");
        }
        let zoned = shown(&base("timestamptz"), -1, &settings, "294276-12-31 23:59:59.999999+00");
        assert_eq!(zoned, "\"+294276-12-31T23:59:59.999999Z\"");
        let zoned = shown(&base("timestamptz"), -1, &settings, "4714-11-24 00:00:00+00 BC");
        assert_eq!(zoned, "\"-4713-11-24T00:00:00.000000Z\"");
        let zoned = shown(&base("timetz"), -1, &settings, "00:00:00+15:59:59");
        assert_eq!(zoned, "\"08:00:01Z\"");
    }
    let adaptive = plain_settings();
    assert_eq!(shown(&base("time"), 3, &adaptive, "24:00:00"), "86400000");
    assert_eq!(shown(&base("timestamp"), 3, &adaptive, "294276-12-31 23:59:59.999"), millis[0]);
}

#[test]
fn intervals_bits_and_texts_at_their_limits() {
    const FIRST: &str = "-178000000 years";
    expect(
        &plain_settings(),
        &[
            ("interval", -1, FIRST, "-9223372036854775808 (told)"),
            ("interval", -1, "00:00:00", "0"),
            ("interval", -1, "-infinity", "-9223372036854775808"),
            ("bit", 1, "1", "true"),
            ("bit", 9, "100000001", "\"AQE=\""),
            ("varbit", -1, "", "\"\""),
            ("bytea", -1, "\\x", "\"\""),
            ("text", -1, "", "\"\""),
            ("text", -1, "\u{1}\u{7f}\u{10ffff}\"\\", "\"\\u0001\u{7f}\u{10ffff}\\\"\\\\\""),
            ("bpchar", 8, "a   ", "\"a   \""),
            ("jsonb", -1, "null", "\"null\""),
            ("tsvector", -1, "'a':1 'b':2", "\"'a':1 'b':2\""),
            ("tsrange", -1, "empty", "\"empty\""),
            ("int4range", -1, "(,)", "\"(,)\""),
            ("macaddr8", -1, "ff:ff:ff:ff:ff:ff:ff:ff", "\"ff:ff:ff:ff:ff:ff:ff:ff\""),
            ("inet", -1, "::/0", "\"::/0\""),
            ("sparsevec", -1, "{}/40000", "null (told)"),
            (
                "point",
                -1,
                "(Infinity,-0)",
                "{\"x\":\"Infinity\",\"y\":-0.0,\"wkb\":\"AQEAAAAAAAAAAADwfwAAAAAAAACA\",\"srid\":null}",
            ),
        ],
    );
    let iso = EncoderSettings { interval_handling: IntervalHandling::String, ..plain_settings() };
    expect(
        &iso,
        &[
            ("interval", -1, FIRST, "\"P-178000000Y0M0DT0H0M0S\""),
            ("interval", -1, "2562047788:00:54.775807", "\"P0Y0M0DT2562047788H0M54.775807S\""),
            ("interval", -1, "infinity", "null (told)"),
        ],
    );
    let hex = EncoderSettings { binary_handling: BinaryHandling::Hex, ..plain_settings() };
    expect(&hex, &[("bytea", -1, "\\x00ff", "\"00ff\"")]);
}

/// As recorded, from the text that the extensions show. `PostGIS` separates elements by a colon.
#[test]
fn geometries_and_vectors_are_as_recorded() {
    expect(
        &plain_settings(),
        &[
            (
                "geometry",
                -1,
                "0101000000000000000000F87F000000000000F87F",
                "{\"wkb\":\"AQEAAAAAAAAAAAD4fwAAAAAAAPh/\",\"srid\":null}",
            ),
            (
                "geography",
                -1,
                "0101000020E6100000000000000000F03F000000000000F03F",
                "{\"wkb\":\"AQEAACDmEAAAAAAAAAAA8D8AAAAAAADwPw==\",\"srid\":4326}",
            ),
            ("vector", -1, "[-0.5,0,1e+10]", "[-0.5,0.0,1.0E10]"),
            ("halfvec", -1, "[101,102,103]", "[101.0,102.0,103.0]"),
            (
                "sparsevec",
                -1,
                "{1:201,9:209}/3000",
                "{\"dimensions\":3000,\"vector\":[[1,201.0],[9,209.0]]}",
            ),
        ],
    );
    let element = Box::new(base("geometry"));
    let array =
        DataType { kind: TypeKind::Array { element, delimiter: b':' }, ..base("_geometry") };
    let found = shown(
        &array,
        -1,
        &plain_settings(),
        "{0101000020E6100000000000000000F03F000000000000F03F:010100000000000000000000400000000000000040}",
    );
    assert_eq!(
        found,
        "[{\"wkb\":\"AQEAACDmEAAAAAAAAAAA8D8AAAAAAADwPw==\",\"srid\":4326},{\"wkb\":\"AQEAAAAAAAAAAAAAQAAAAAAAAABA\",\"srid\":null}]"
    );
}

/// Columns of precisions between those that were recorded, in each `time.precision.mode`.
#[test]
fn moments_of_every_precision_take_the_form_of_the_mode() {
    let (one, two, six) =
        ("2019-07-09 02:28:57.1", "2019-07-09 02:28:57.12", "2019-07-09 02:28:57.123456");
    let mode = |time_precision| EncoderSettings { time_precision, ..plain_settings() };
    expect(
        &mode(TimePrecision::IsoString),
        &[
            ("date", -1, "2017-09-15", "\"2017-09-15Z\""),
            ("timestamp", 1, one, "\"2019-07-09T02:28:57.1Z\""),
            ("timestamp", 6, six, "\"2019-07-09T02:28:57.123456Z\""),
            ("time", -1, "04:05:11.789", "\"04:05:11.789Z\""),
        ],
    );
    expect(
        &mode(TimePrecision::Microseconds),
        &[("timestamp", 2, two, "1562639337120000"), ("time", -1, "04:05:11.789", "14711789000")],
    );
    expect(
        &mode(TimePrecision::Nanoseconds),
        &[
            ("timestamp", 2, two, "1562639337120000000"),
            ("time", -1, "04:05:11.789", "14711789000000"),
        ],
    );
    expect(&mode(TimePrecision::Connect), &[("timestamp", 6, six, "1562639337123")]);
}

#[test]
fn a_domain_has_the_form_of_what_it_is_over_in_every_decimal_mode() {
    let over = |name: &str, base: DataType, type_modifier| DataType {
        kind: TypeKind::Domain { base: Box::new(base), type_modifier },
        ..crate::promises::base(name)
    };
    let one = over("d_num", base("numeric"), numeric(8, 2));
    for data_type in [one.clone(), over("d_num2", one, -1)] {
        for (decimal_handling, expected) in [
            (DecimalHandling::Precise, "\"MDk=\""),
            (DecimalHandling::Double, "123.45"),
            (DecimalHandling::String, "\"123.45\""),
        ] {
            let settings = EncoderSettings { decimal_handling, ..plain_settings() };
            let found = shown(&data_type, -1, &settings, "123.45");
            assert_eq!(found, expected, "{} {decimal_handling:?}", data_type.name);
        }
    }
}

/// With `include.unknown.datatypes`, the bytes of the text.
#[test]
fn a_type_nobody_knows_is_its_text_in_every_binary_mode() {
    for (binary_handling, expected) in [
        (BinaryHandling::Bytes, "\"J2ZhdCcgPC0+ICdjYXQn\""),
        (BinaryHandling::Base64, "\"J2ZhdCcgPC0+ICdjYXQn\""),
        (BinaryHandling::Base64UrlSafe, "\"J2ZhdCcgPC0-ICdjYXQn\""),
        (BinaryHandling::Hex, "\"2766617427203c2d3e202763617427\""),
    ] {
        let settings = EncoderSettings {
            binary_handling,
            include_unknown_datatypes: true,
            ..plain_settings()
        };
        assert_eq!(shown(&base("tsquery"), -1, &settings, "'fat' <-> 'cat'"), expected);
    }
}
