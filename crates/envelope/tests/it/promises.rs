//! What the recordings do not show: ids, refusals, names in errors, settings that were not recorded.

use std::sync::Arc;

use envelope::{
    Column, ColumnTreatment, DataType, EncoderSettings, EnvelopeError, OldRow, Scratch,
    SnapshotMarker, SourcePosition, Table, TablePlan, TypeKind,
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

#[test]
fn a_type_without_event_form_is_refused_by_name_with_the_way_out() {
    for (data_type, reason) in [
        (base("pg_lsn"), ""),
        (DataType { kind: TypeKind::Composite, ..base("pair") }, ": it is a composite type"),
        (
            DataType {
                kind: TypeKind::Array { element: Box::new(base("money")) },
                ..base("_money")
            },
            ": arrays of this element type have none",
        ),
    ] {
        let type_name = data_type.name.clone();
        let columns = vec![column("id", base("int4"), true), column("odd", data_type, false)];
        let error = compile(columns, plain_settings()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "[EN001] column public.item.odd has type {type_name}, which has no form in an event{reason}\n  \
                 fix: add public.item.odd to column.exclude.list"
            )
        );
    }
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
    for code in ["EN001", "EN002", "EN003", "EN004", "EN005", "EN006", "EN007", "EN008", "EN010"] {
        let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}");
    }
}
