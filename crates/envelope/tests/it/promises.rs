//! What the recordings do not show: ids, refusals, names in errors, settings that were not recorded.

use std::sync::Arc;

use envelope::{
    Attribute, Column, ColumnTreatment, DataType, EncoderSettings, EnvelopeError, Notice, OldRow,
    Scratch, SnapshotMarker, SourcePosition, Table, TablePlan, TimePrecision, TypeKind,
    UnmappedTypes,
};
use pgoutput::{EventId, Lsn, Oid, ReplicaIdentity, TupleValue};

use crate::replay::OwnedRecord;

pub(crate) fn base(name: &str) -> DataType {
    DataType { oid: Oid(0), name: name.to_owned(), kind: TypeKind::Base }
}

pub(crate) fn column(name: &str, data_type: DataType, not_null: bool) -> Column {
    Column {
        name: name.to_owned(),
        data_type,
        type_modifier: -1,
        not_null,
        default: None,
        generated: false,
        captured: true,
        is_identity: false,
        treatment: ColumnTreatment::default(),
    }
}

/// A table whose first column is its key.
pub(crate) fn table(columns: Vec<Column>) -> Table {
    Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "item".to_owned(),
        replica_identity: ReplicaIdentity::Default,
        columns,
        key: vec![0],
    }
}

pub(crate) fn plain_settings() -> EncoderSettings {
    let mut settings = EncoderSettings::new("shop", "postgres", "1");
    settings.key.schemas_enable = false;
    settings.value.schemas_enable = false;
    settings
}

pub(crate) fn compile(
    columns: Vec<Column>,
    settings: EncoderSettings,
) -> Result<TablePlan, EnvelopeError> {
    TablePlan::compile(table(columns), &Arc::new(settings))
}

pub(crate) fn position() -> SourcePosition<'static> {
    SourcePosition {
        event_id: Some(EventId {
            commit_lsn: Lsn::new(0x20),
            change_lsn: Lsn::new(0x10),
            repeat: 3,
        }),
        snapshot: SnapshotMarker::False,
        committed_at_unix_us: 1_700_000_000_000_000,
        processed_at_unix_ns: 1_700_000_000_000_000_000,
        xid: Some(7),
        lsn: Some(Lsn::new(0x10)),
        last_commit_lsn: None,
        origin: None,
        origin_lsn: None,
    }
}

pub(crate) fn row<'a>(values: &[Option<&'a str>]) -> Vec<TupleValue<'a>> {
    values
        .iter()
        .map(|value| value.map_or(TupleValue::Null, |text| TupleValue::Text(text.as_bytes())))
        .collect()
}

pub(crate) fn inserted(
    plan: &TablePlan,
    values: &[Option<&str>],
) -> Result<Vec<OwnedRecord>, EnvelopeError> {
    let mut records = Vec::new();
    let mut out = |record: envelope::Record<'_>| records.push(OwnedRecord::new(record));
    plan.insert(&position(), &row(values), &mut out, &mut Scratch::default())?;
    Ok(records)
}

pub(crate) fn after(records: &[OwnedRecord]) -> serde_json::Value {
    let value: serde_json::Value =
        serde_json::from_slice(records[0].value.as_ref().unwrap()).unwrap();
    value["after"].clone()
}

/// Dropping records whose id was seen before must never drop a different record of the same change.
#[test]
fn each_record_of_a_key_change_has_its_own_id_as_the_last_header() {
    let settings = EncoderSettings { event_id_header: Some("id".to_owned()), ..plain_settings() };
    let plan = compile(vec![column("id", base("int4"), true)], settings).unwrap();
    let mut records = Vec::new();
    let (old, new) = (row(&[Some("1")]), row(&[Some("2")]));
    plan.update(
        &position(),
        OldRow::Key(&old),
        &new,
        &mut |record| records.push(OwnedRecord::new(record)),
        &mut Scratch::default(),
    )
    .unwrap();
    let ids: Vec<String> = records
        .iter()
        .map(|record| {
            let (name, value) = record.headers.last().unwrap();
            assert_eq!(name, "id");
            String::from_utf8(value.clone()).unwrap()
        })
        .collect();
    assert_eq!(ids, ["0/20:0/10:3", "0/20:0/10:3.1", "0/20:0/10:3.2"]);
    let keys: Vec<&[u8]> = records.iter().map(|record| record.key.as_deref().unwrap()).collect();
    assert_eq!(keys, [&b"{\"id\":1}"[..], b"{\"id\":1}", b"{\"id\":2}"]);
}

#[test]
fn a_key_change_header_shows_decimals_as_digits() {
    let mut key = column("id", base("numeric"), true);
    key.type_modifier = (10 << 16 | 2) + 4;
    let plan = compile(vec![key], plain_settings()).unwrap();
    let mut records = Vec::new();
    let (old, new) = (row(&[Some("1.50")]), row(&[Some("2.00")]));
    plan.update(
        &position(),
        OldRow::Full(&old),
        &new,
        &mut |record| records.push(OwnedRecord::new(record)),
        &mut Scratch::default(),
    )
    .unwrap();
    assert_eq!(records[0].headers[0], ("__debezium.newkey".to_owned(), b"{\"id\":2.00}".to_vec()));
    assert_eq!(records[2].headers[0], ("__debezium.oldkey".to_owned(), b"{\"id\":1.50}".to_vec()));
}

/// What Debezium drops in silence is dropped as well, so that its consumers see what they know, but it is told.
#[test]
fn a_column_without_debezium_form_is_left_out_and_told_by_name() {
    let money = TypeKind::Array { element: Box::new(base("money")), delimiter: b',' };
    for data_type in [
        base("pg_lsn"),
        base("box"),
        DataType { kind: TypeKind::Multirange, ..base("int4multirange") },
        DataType { kind: TypeKind::Range, ..base("floatrange") },
        DataType { kind: TypeKind::Unknown, ..base("type 99") },
        DataType { kind: money, ..base("_money") },
        pair(),
    ] {
        let type_name = data_type.name.clone();
        let columns = vec![column("id", base("int4"), true), column("odd", data_type, false)];
        let plan = compile(columns, plain_settings()).unwrap();
        let [notice] = &plan.notices()[..] else { panic!("{:?}", plan.notices()) };
        assert_eq!(notice.code(), "NT001");
        assert_eq!((&*notice.column, &*notice.type_name), ("public.item.odd", &*type_name));
        assert!(notice.to_string().contains("tributary.unmapped.types=capture"));
        let records = inserted(&plan, &[Some("1"), Some("whatever")]).unwrap();
        assert_eq!(after(&records).to_string(), r#"{"id":1}"#);
    }
}

/// A row type of a number and a text.
fn pair() -> DataType {
    let attribute = |name: &str, type_name: &str| Attribute {
        name: name.to_owned(),
        data_type: base(type_name),
        type_modifier: -1,
    };
    let attributes = vec![attribute("a", "int4"), attribute("b", "text")];
    let kind = TypeKind::Composite { schema: "public".to_owned(), attributes };
    DataType { kind, ..base("pair") }
}

fn array_of(element: DataType) -> DataType {
    let name = format!("_{}", element.name);
    let delimiter = if element.name == "box" { b';' } else { b',' };
    DataType { kind: TypeKind::Array { element: Box::new(element), delimiter }, ..base(&name) }
}

fn domain(name: &str, over: DataType) -> DataType {
    DataType { kind: TypeKind::Domain { base: Box::new(over), type_modifier: -1 }, ..base(name) }
}

/// Each value can be read back from its event. Shown are type, PostgreSQL's text, and the JSON of its event.
#[test]
fn capture_keeps_all_of_every_value_without_debezium_form() {
    let enumeration = TypeKind::Enum { labels: vec!["off".to_owned(), "on".to_owned()] };
    let switch = DataType { kind: enumeration, ..base("switch") };
    for (data_type, text, expected) in [
        (base("tsquery"), "'fat' <-> 'cat'", r#""'fat' <-> 'cat'""#),
        (base("pg_lsn"), "16/B374D848", r#""16/B374D848""#),
        (base("xid"), "77", r#""77""#),
        (base("cube"), "(1, 2),(3, 4)", r#""(1, 2),(3, 4)""#),
        (base("box"), "(1,1),(0,0)", r#""(1,1),(0,0)""#),
        (base("circle"), "<(10,4),10>", r#""<(10,4),10>""#),
        (
            DataType { kind: TypeKind::Multirange, ..base("int4multirange") },
            "{[1,3),[5,8)}",
            r#""{[1,3),[5,8)}""#,
        ),
        (pair(), r#"(1,"a ""b""")"#, r#"{"a":1,"b":"a \"b\""}"#),
        (array_of(pair()), r#"{"(1,two)","(,)"}"#, r#"[{"a":1,"b":"two"},{"a":null,"b":null}]"#),
        (array_of(base("money")), r#"{$1.00,"$2,000.00",NULL}"#, r#"["ZA==","Aw1A",null]"#),
        (array_of(base("interval")), r#"{"1 day","2 days"}"#, "[86400000000,172800000000]"),
        (array_of(base("xml")), "{<a/>}", r#"["<a/>"]"#),
        (
            array_of(base("point")),
            r#"{"(1,2)","(3,4)"}"#,
            r#"[{"x":1.0,"y":2.0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":null},{"x":3.0,"y":4.0,"wkb":"AQEAAAAAAAAAAAAIQAAAAAAAABBA","srid":null}]"#,
        ),
        (array_of(base("varbit")), "{101,1}", r#"["BQ==","AQ=="]"#),
        (array_of(base("bit")), "{1,0}", "[true,false]"),
        (array_of(base("name")), "{a,b}", r#"["a","b"]"#),
        (array_of(base("box")), "{(1,1),(0,0);(3,3),(2,2)}", r#"["(1,1),(0,0)","(3,3),(2,2)"]"#),
        (array_of(domain("nmtok", base("text"))), "{bar,baz}", r#"["bar","baz"]"#),
        (array_of(domain("days", base("date"))), "{2016-11-04,NULL}", "[17109,null]"),
        (array_of(domain("d", switch.clone())), "{on}", r#"["on"]"#),
        (domain("d", domain("e", pair())), "(1,two)", r#"{"a":1,"b":"two"}"#),
        (DataType { kind: TypeKind::Unknown, ..base("type 99") }, "gone", r#""gone""#),
    ] {
        let settings =
            EncoderSettings { unmapped_types: UnmappedTypes::Capture, ..plain_settings() };
        let name = data_type.name.clone();
        let columns = vec![column("id", base("int4"), true), column("v", data_type, false)];
        let plan = compile(columns, settings).unwrap();
        assert!(plan.notices().is_empty(), "{name}");
        let records = inserted(&plan, &[Some("1"), Some(text)]).unwrap();
        let value = String::from_utf8(records[0].value.clone().unwrap()).unwrap();
        assert!(value.contains(&format!("\"v\":{expected}}},")), "{name}: {value}");
    }
}

#[test]
fn a_domain_over_an_enum_shows_its_labels() {
    let labels = TypeKind::Enum { labels: vec!["off".to_owned(), "on".to_owned()] };
    let column = column("id", domain("d_en", DataType { kind: labels, ..base("e_d") }), true);
    let plan = compile(vec![column], EncoderSettings::new("shop", "postgres", "1")).unwrap();
    let records = inserted(&plan, &[Some("on")]).unwrap();
    let key = String::from_utf8(records[0].key.clone().unwrap()).unwrap();
    assert!(key.contains(r#""name":"io.debezium.data.Enum""#), "{key}");
    assert!(key.contains(r#""allowed":"off,on""#), "{key}");
    assert!(key.ends_with(r#""payload":{"id":"on"}}"#), "{key}");
}

/// Rows that differ in that column only must not fall together.
#[test]
fn a_key_column_without_debezium_form_stays_in_the_key() {
    let plan = compile(vec![column("id", base("pg_lsn"), true)], plain_settings()).unwrap();
    let records = inserted(&plan, &[Some("0/1")]).unwrap();
    assert_eq!(records[0].key.as_deref(), Some(&br#"{"id":"0/1"}"#[..]));
    assert_eq!(after(&records).to_string(), "{}");
}

/// `numeric(5,-2)`: the schema says how to read the bytes.
#[test]
fn a_negative_scale_is_in_the_schema() {
    let mut hundreds = column("id", base("numeric"), true);
    hundreds.type_modifier = (5 << 16 | 0x7FE) + 4;
    let plan = compile(vec![hundreds], EncoderSettings::new("shop", "postgres", "1")).unwrap();
    let records = inserted(&plan, &[Some("12300")]).unwrap();
    let key = String::from_utf8(records[0].key.clone().unwrap()).unwrap();
    assert!(
        key.contains(r#""parameters":{"scale":"-2","connect.decimal.precision":"5"}"#),
        "{key}"
    );
    assert!(key.ends_with(r#""payload":{"id":"ew=="}}"#), "{key}");
}

/// Notices of some rows, and how the last of them looks.
fn noticed(data_type: DataType, texts: &[&str]) -> (Vec<Notice>, serde_json::Value) {
    let columns = vec![column("id", base("int4"), true), column("v", data_type, false)];
    let plan = compile(columns, plain_settings()).unwrap();
    let mut scratch = Scratch::default();
    let mut records = Vec::new();
    for text in texts {
        records.clear();
        let mut out = |record: envelope::Record<'_>| records.push(OwnedRecord::new(record));
        plan.insert(&position(), &row(&[Some("1"), Some(text)]), &mut out, &mut scratch).unwrap();
    }
    (scratch.take_notices(), after(&records)["v"].clone())
}

#[test]
fn what_a_form_cannot_hold_is_told_once_per_column() {
    for (data_type, text, shown) in [
        (base("numeric"), "NaN", "null"),
        (base("numeric"), "-Infinity", "null"),
        (base("timestamp"), "294276-12-31 23:59:59.999999", "9223372036854775807"),
        (base("timetz"), "24:00:00+00", r#""00:00:00Z""#),
        (base("interval"), "178000000 years", "9223372036854775807"),
        (array_of(base("int4")), "{{1,2},{3,4}}", "[1,2,3,4]"),
        (array_of(base("numeric")), "{NaN}", "[null]"),
    ] {
        let name = data_type.name.clone();
        let (notices, value) = noticed(data_type, &[text, text]);
        assert_eq!(value.to_string(), shown, "{name}");
        let codes: Vec<&str> = notices.iter().map(Notice::code).collect();
        assert_eq!(codes, ["NT002"], "{name}");
        assert_eq!(notices[0].column, "public.item.v");
        assert!(!notices[0].to_string().contains(text), "values stay out of messages");
    }
    for (data_type, text) in [(base("date"), "infinity"), (base("time"), "24:00:00")] {
        assert_eq!(noticed(data_type, &[text]).0, []);
    }
}

/// Debezium has null there and its consumers know that; where null cannot stand, the outermost moment keeps the order.
#[test]
fn a_moment_that_nanoseconds_cannot_count_never_stops_a_connector() {
    for (not_null, shown) in [(false, "null"), (true, "9223372036854775807")] {
        let columns =
            vec![column("id", base("int4"), true), column("v", base("timestamp"), not_null)];
        let settings =
            EncoderSettings { time_precision: TimePrecision::Nanoseconds, ..plain_settings() };
        let plan = compile(columns, settings).unwrap();
        let records = inserted(&plan, &[Some("1"), Some("9999-12-31 00:00:00")]).unwrap();
        assert_eq!(after(&records)["v"].to_string(), shown);
    }
}

/// As recorded for the arrays of text, and for those of numbers.
#[test]
fn the_placeholder_of_an_array_is_an_array() {
    let text = r#"["__debezium_unavailable_value"]"#;
    let bytes = "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]";
    for (element, expected) in [
        ("text", text),
        ("varchar", text),
        ("bpchar", text),
        ("jsonb", text),
        ("int4", bytes),
        ("date", bytes),
        ("int8", bytes),
    ] {
        let columns =
            vec![column("id", base("int4"), true), column("v", array_of(base(element)), false)];
        let plan = compile(columns, plain_settings()).unwrap();
        let (mut scratch, mut records) = (Scratch::default(), Vec::new());
        let row = [TupleValue::Text(b"1"), TupleValue::UnchangedToast];
        let mut out = |record: envelope::Record<'_>| records.push(OwnedRecord::new(record));
        plan.update(&position(), OldRow::Absent, &row, &mut out, &mut scratch).unwrap();
        assert_eq!(after(&records)["v"].to_string(), expected, "{element}");
    }
}

#[test]
fn a_null_in_place_of_an_array_is_null_and_the_schema_allows_it() {
    for element in [
        "bool",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "numeric",
        "text",
        "varchar",
        "bpchar",
        "bytea",
        "date",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "uuid",
        "json",
        "jsonb",
        "oid",
        "inet",
        "cidr",
        "macaddr",
        "hstore",
        "ltree",
        "citext",
        "int4range",
        "numrange",
        "daterange",
    ] {
        let columns =
            vec![column("id", base("int4"), true), column("v", array_of(base(element)), false)];
        let mut settings = plain_settings();
        settings.value.schemas_enable = true;
        let plan = compile(columns, settings).unwrap();
        assert!(plan.notices().is_empty(), "{element}");
        let records = inserted(&plan, &[Some("1"), None]).unwrap();
        let value: serde_json::Value =
            serde_json::from_slice(records[0].value.as_ref().unwrap()).unwrap();
        assert!(value["payload"]["after"]["v"].is_null(), "{element}");
        let fields = value["schema"]["fields"].as_array().unwrap();
        let after = fields.iter().find(|field| field["field"] == "after").unwrap();
        let field = &after["fields"][1];
        assert_eq!(
            (&field["type"], &field["optional"]),
            (&"array".into(), &true.into()),
            "{element}"
        );
    }
}

/// An update that leaves a large value alone: null looks like NULL, so it is told, and a NOT NULL column has nothing to
/// show.
#[test]
fn an_unchanged_value_without_placeholder_is_told_and_never_made_up() {
    let update = |not_null: bool| {
        let floats = column("v", array_of(base("float8")), not_null);
        let plan =
            compile(vec![column("id", base("int4"), true), floats], plain_settings()).unwrap();
        let (mut scratch, mut records) = (Scratch::default(), Vec::new());
        let after = [TupleValue::Text(b"1"), TupleValue::UnchangedToast];
        let mut out = |record: envelope::Record<'_>| records.push(OwnedRecord::new(record));
        plan.update(&position(), OldRow::Absent, &after, &mut out, &mut scratch)
            .map(|()| (scratch.take_notices(), records))
    };
    let (notices, records) = update(false).unwrap();
    assert_eq!(after(&records).to_string(), r#"{"id":1,"v":null}"#);
    assert_eq!(notices[0].code(), "NT003");
    assert_eq!(update(true).err().unwrap().code(), "EN009");
}

#[test]
fn a_column_that_is_not_captured_may_be_of_any_type() {
    let odd = Column { captured: false, ..column("odd", base("pg_lsn"), false) };
    let plan = compile(vec![column("id", base("int4"), true), odd], plain_settings()).unwrap();
    let records = inserted(&plan, &[Some("1"), Some("0/1")]).unwrap();
    assert_eq!(after(&records).to_string(), r#"{"id":1}"#);
}

#[test]
fn a_key_column_that_is_not_captured_stays_in_the_key() {
    let id = Column { captured: false, ..column("id", base("int4"), true) };
    let plan = compile(vec![id, column("v", base("text"), false)], plain_settings()).unwrap();
    let records = inserted(&plan, &[Some("1"), Some("x")]).unwrap();
    assert_eq!(records[0].key.as_deref(), Some(&b"{\"id\":1}"[..]));
    assert_eq!(after(&records).to_string(), r#"{"v":"x"}"#);
}

#[test]
fn not_a_number_in_a_not_null_column_is_an_error_and_never_a_zero() {
    let columns = vec![column("id", base("int4"), true), column("n", base("numeric"), true)];
    let plan = compile(columns, plain_settings()).unwrap();
    let error = inserted(&plan, &[Some("1"), Some("NaN")]).err().unwrap();
    assert_eq!(error.code(), "EN008");
}

#[test]
fn a_row_that_does_not_fit_the_table_is_an_error() {
    let plan = compile(vec![column("id", base("int4"), true)], plain_settings()).unwrap();
    assert_eq!(inserted(&plan, &[]).err().unwrap().code(), "EN003");
    let error = inserted(&plan, &[Some("one")]).err().unwrap();
    assert_eq!(error.code(), "EN002");
    assert!(!error.to_string().contains("one"), "values stay out of messages: {error}");
}

#[test]
fn every_error_has_its_page() {
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in [
        "EN002", "EN003", "EN004", "EN005", "EN006", "EN007", "EN008", "EN009", "EN010", "EN011",
        "EN012", "EN014", "EN015", "EN016", "NT001", "NT002", "NT003",
    ] {
        let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}");
    }
}
