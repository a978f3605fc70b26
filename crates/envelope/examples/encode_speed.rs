//! Nanoseconds per event for a row of nine columns, with and without schema. In: nothing. Out: one line per format.
//!
//! `cargo run --release -p envelope --example encode_speed`

use std::sync::Arc;
use std::time::Instant;

use envelope::{
    Column, ColumnTreatment, ContextHeaders, DataType, EncoderSettings, Record, Scratch,
    SnapshotMarker, SourcePosition, Table, TablePlan, TypeKind,
};
use pgoutput::{EventId, Lsn, Oid, ReplicaIdentity, TupleValue};

/// Events of one round.
const EVENTS: u64 = 1_000;
/// The fastest of so many rounds is shown: the others shared the core with something else.
const ROUNDS: u64 = 1_000;

/// Name, type, modifier and a value of each column.
const COLUMNS: [(&str, &str, i32, &str); 9] = [
    ("id", "int8", -1, "1234567"),
    ("customer_id", "int8", -1, "48213"),
    ("status", "text", -1, "shipped"),
    ("amount", "numeric", (12 << 16 | 2) + 4, "1234.56"),
    ("currency", "bpchar", 7, "EUR"),
    (
        "note",
        "text",
        -1,
        "a note of about ninety-six bytes, as an application writes it, with no quotes and no line ends",
    ),
    (
        "attributes",
        "jsonb",
        -1,
        r#"{"a": 1, "tags": ["x", "y"], "source": "web", "weight": 12.5, "gift": false, "n": 7}"#,
    ),
    ("created_at", "timestamptz", -1, "2026-08-21 10:11:12.123456+00"),
    ("updated_at", "timestamp", -1, "2026-08-21 10:11:12.123456"),
];

fn table() -> Table {
    let columns = COLUMNS.iter().map(|&(name, type_name, type_modifier, _)| Column {
        name: name.to_owned(),
        data_type: DataType { oid: Oid(0), name: type_name.to_owned(), kind: TypeKind::Base },
        type_modifier,
        not_null: true,
        default: None,
        generated: false,
        captured: true,
        is_identity: name == "id",
        treatment: ColumnTreatment::default(),
    });
    Table {
        oid: Oid(16_384),
        schema: "public".to_owned(),
        name: "orders".to_owned(),
        replica_identity: ReplicaIdentity::Default,
        columns: columns.collect(),
        key: vec![0],
    }
}

fn settings(schemas_enable: bool) -> EncoderSettings {
    let mut settings = EncoderSettings::new("shop", "postgres", "0.1.0");
    settings.key.schemas_enable = schemas_enable;
    settings.value.schemas_enable = schemas_enable;
    settings.event_id_header = Some("id".to_owned());
    settings.extended_headers = Some(ContextHeaders {
        logical_name: "shop".to_owned(),
        task_id: "0".to_owned(),
        connector_name: "postgresql".to_owned(),
        run_id: "0d3bd9a2-6b9c-4a6e-9c47-6f1d0a3e2f11".to_owned(),
    });
    settings
}

#[expect(clippy::print_stdout, reason = "its result is what it prints")]
fn main() -> Result<(), envelope::EnvelopeError> {
    let row: Vec<TupleValue<'_>> =
        COLUMNS.iter().map(|(.., value)| TupleValue::Text(value.as_bytes())).collect();
    for schemas_enable in [false, true] {
        let plan = TablePlan::compile(table(), &Arc::new(settings(schemas_enable)))?;
        let mut scratch = Scratch::default();
        let mut fastest_ns = u128::MAX;
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            bytes = round(&plan, &row, &mut scratch)?;
            fastest_ns = fastest_ns.min(started.elapsed().as_nanos());
        }
        let per_event = fastest_ns / u128::from(EVENTS);
        let size = bytes / EVENTS;
        println!("schemas.enable={schemas_enable}: {per_event} ns per event of {size} bytes");
    }
    Ok(())
}

/// Encodes `EVENTS` inserts and returns the bytes of their values.
fn round(
    plan: &TablePlan,
    row: &[TupleValue<'_>],
    scratch: &mut Scratch,
) -> Result<u64, envelope::EnvelopeError> {
    let mut bytes = 0;
    for event in 0..EVENTS {
        let lsn = Lsn::new(0x16_B374_D848 + 200 * event);
        let at = SourcePosition {
            event_id: Some(EventId { commit_lsn: lsn, change_lsn: lsn, repeat: 0 }),
            snapshot: SnapshotMarker::False,
            committed_at_unix_us: 1_787_300_000_123_456,
            processed_at_unix_ns: 1_787_300_000_223_456_789,
            xid: Some(123_456),
            lsn: Some(lsn),
            last_commit_lsn: Some(lsn),
            origin: None,
            origin_lsn: None,
        };
        let mut count = |record: Record<'_>| bytes += record.value.map_or(0, <[u8]>::len) as u64;
        plan.insert(&at, row, &mut count, scratch)?;
    }
    Ok(bytes)
}
