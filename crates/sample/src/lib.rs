//! The row of nine columns that the benchmarks of all layers measure with, in each of the forms it passes through.
//!
//! In: a number. Out: the row as values, as frames of the stream, as a line of COPY; its table, and how it is encoded.
//! Never: a random value, a server; the same number makes the same bytes everywhere.

pub mod frames;

use std::sync::Arc;

use envelope::{
    Column, ColumnTreatment, ContextHeaders, DataType, EncoderSettings, EnvelopeError,
    FormatSettings, SchemaId, SchemaIds, SnapshotMarker, SourcePosition, Table, TablePlan,
    TypeKind,
};
use pgoutput::{EventId, Lsn, Oid, ReplicaIdentity, TupleValue};

/// The table's `pg_class.oid`.
pub const RELATION: Oid = Oid(16_384);
/// Its schema.
pub const SCHEMA: &str = "public";
/// Its name.
pub const TABLE: &str = "orders";

const NUMERIC_12_2: i32 = (12 << 16 | 2) + 4;
const CHAR_3: i32 = 3 + 4;

/// Name, type, type oid and modifier of each column; the first is the primary key.
const COLUMNS: [(&str, &str, Oid, i32); 9] = [
    ("id", "int8", Oid(20), -1),
    ("customer_id", "int8", Oid(20), -1),
    ("status", "text", Oid(25), -1),
    ("amount", "numeric", Oid(1700), NUMERIC_12_2),
    ("currency", "bpchar", Oid(1042), CHAR_3),
    ("note", "text", Oid(25), -1),
    ("attributes", "jsonb", Oid(3802), -1),
    ("created_at", "timestamptz", Oid(1184), -1),
    ("updated_at", "timestamp", Oid(1114), -1),
];
const NOTE: usize = 5;

/// One row, as text.
#[derive(Clone, Debug)]
pub struct Order([String; COLUMNS.len()]);

impl Order {
    /// Its identifier counts up from seven digits; its note of 96 bytes is one that hardly compresses.
    pub fn numbered(number: u64) -> Self {
        let (minute, second, cents) = (number / 60 % 60, number % 60, number % 100);
        let part = |part: u64| format!("{:016x}", mixed(6 * number + part));
        let note = [0, 1, 2, 3, 4, 5].map(part).concat();
        Self([
            (1_000_000 + number).to_string(),
            (10_000 + number % 9_973).to_string(),
            "shipped".to_owned(),
            format!("{}.{cents:02}", 1_000 + number % 9_000),
            "EUR".to_owned(),
            note,
            format!(
                r#"{{"a": {}, "tags": ["x", "y"], "source": "web", "weight": 12.5, "gift": false, "n": 7}}"#,
                number % 10
            ),
            format!("2026-08-21 10:{minute:02}:{second:02}.123456+00"),
            format!("2026-08-21 10:{minute:02}:{second:02}.123456"),
        ])
    }

    /// The same with a note of several lines, which formats with escapes have to write in another way.
    #[must_use]
    pub fn with_lines(mut self) -> Self {
        for end in [24, 48, 72] {
            self.0[NOTE].replace_range(end..=end, "\n");
        }
        self
    }

    /// Its values.
    pub fn values(&self) -> Vec<TupleValue<'_>> {
        self.0.iter().map(|value| TupleValue::Text(value.as_bytes())).collect()
    }

    /// What REPLICA IDENTITY DEFAULT logs of it: the primary key.
    pub fn key_values(&self) -> Vec<TupleValue<'_>> {
        let mut values = vec![TupleValue::Null; COLUMNS.len()];
        values[0] = TupleValue::Text(self.0[0].as_bytes());
        values
    }

    /// Its line of `COPY … TO STDOUT`.
    pub fn copy_line(&self) -> Vec<u8> {
        let escaped = |value: &String| value.replace('\\', r"\\").replace('\n', r"\n");
        let mut line = self.0.iter().map(escaped).collect::<Vec<_>>().join("\t").into_bytes();
        line.push(b'\n');
        line
    }
}

/// What looks random and is not: splitmix64.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The table, with its primary key as replica identity.
pub fn table() -> Table {
    let columns = COLUMNS.iter().map(|&(name, type_name, oid, type_modifier)| Column {
        name: name.to_owned(),
        data_type: DataType { oid, name: type_name.to_owned(), kind: TypeKind::Base },
        type_modifier,
        not_null: true,
        default: None,
        generated: false,
        captured: true,
        is_identity: name == COLUMNS[0].0,
        treatment: ColumnTreatment::default(),
    });
    Table {
        oid: RELATION,
        schema: SCHEMA.to_owned(),
        name: TABLE.to_owned(),
        replica_identity: ReplicaIdentity::Default,
        columns: columns.collect(),
        key: vec![0],
    }
}

/// JSON with the header of the event's name and four of its context, as a connector encodes by default.
pub fn settings(schemas_enable: bool) -> EncoderSettings {
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

/// The same in Avro.
pub fn avro_settings() -> EncoderSettings {
    let (key, value) = (FormatSettings::avro(), FormatSettings::avro());
    EncoderSettings { key, value, ..settings(false) }
}

/// The table's plan. A registry has given its schemas their ids, if they need some.
///
/// Errors: none for these settings.
pub fn plan(settings: EncoderSettings) -> Result<TablePlan, EnvelopeError> {
    let mut plan = TablePlan::compile(table(), &Arc::new(settings))?;
    plan.identify(SchemaIds { key: Some(SchemaId(1)), value: Some(SchemaId(2)) });
    Ok(plan)
}

/// Where change `number` of a transaction stood.
pub fn position(number: u64) -> SourcePosition<'static> {
    let (change_lsn, commit_lsn) = (frames::change_lsn(number), frames::COMMIT_LSN);
    SourcePosition {
        event_id: Some(EventId { commit_lsn, change_lsn, repeat: 0 }),
        snapshot: SnapshotMarker::False,
        committed_at_unix_us: 1_787_300_000_123_456,
        processed_at_unix_ns: 1_787_300_000_223_456_789,
        xid: Some(u64::from(frames::XID.0)),
        lsn: Some(change_lsn),
        last_commit_lsn: Some(Lsn::new(commit_lsn.as_u64() - 400)),
        origin: None,
        origin_lsn: None,
    }
}
