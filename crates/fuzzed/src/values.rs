//! The text forms of types: lines of COPY, values as the stream and snapshots carry them, defaults of the catalog.

use std::sync::{Arc, OnceLock};

use envelope::{
    Attribute, BinaryHandling, Column, ColumnTreatment, ContextHeaders, DataType, DecimalFormat,
    DecimalHandling, EncoderSettings, Encoding, FormatSettings, HashAlgorithm, HashInput,
    HstoreHandling, IntervalHandling, Mask, NameAdjustment, OldRow, Record, Salt, Scratch,
    SnapshotMarker, SourcePosition, Table, TablePlan, TimePrecision, TypeKind, UnmappedTypes,
    copy_text,
};
use pgoutput::{EventId, Lsn, Oid, ReplicaIdentity, TupleValue};
use serde::de::IgnoredAny;
use smallvec::SmallVec;

/// Any line is values or an error; written anew, the values are the same line.
pub(crate) fn copy_text(bytes: &[u8]) {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (mut buffer, mut values) = (Vec::new(), SmallVec::new());
    if copy_text::split_line(line, &mut buffer, &mut values).is_err() {
        return;
    }
    assert_eq!(values.len(), line.split(|byte| *byte == b'\t').count());
    let fields: Vec<Vec<u8>> = values.iter().map(escaped).collect();
    let (written, mut buffer) = (fields.join(&b'\t'), Vec::new());
    let mut read = SmallVec::new();
    assert!(copy_text::split_line(&written, &mut buffer, &mut read).is_ok());
    assert_eq!(read[..], values[..]);
}

fn escaped(value: &TupleValue<'_>) -> Vec<u8> {
    let TupleValue::Text(text) = value else { return b"\\N".to_vec() };
    let mut out = Vec::with_capacity(text.len());
    for &byte in *text {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            byte => out.push(byte),
        }
    }
    out
}

/// Names of base types, each with the modifiers that lead to another form of it.
const BASES: &[(&str, &[i32])] = &[
    ("bool", &[-1]),
    ("int2", &[-1]),
    ("int4", &[-1]),
    ("int8", &[-1]),
    ("oid", &[-1]),
    ("float4", &[-1]),
    ("float8", &[-1]),
    ("numeric", &[-1, (20 << 16 | 2) + 4, (5 << 16 | 0x7FD) + 4, (1000 << 16 | 0x3E8) + 4]),
    ("money", &[-1]),
    ("text", &[-1]),
    ("varchar", &[14]),
    ("json", &[-1]),
    ("uuid", &[-1]),
    ("inet", &[-1]),
    ("bytea", &[-1]),
    ("date", &[-1]),
    ("time", &[-1, 3]),
    ("timetz", &[-1]),
    ("timestamp", &[-1, 0]),
    ("timestamptz", &[-1, 3]),
    ("interval", &[-1]),
    ("bit", &[1, 9]),
    ("varbit", &[-1]),
    ("hstore", &[-1]),
    ("point", &[-1]),
    ("geometry", &[-1]),
    ("vector", &[-1]),
    ("sparsevec", &[-1]),
    ("numrange", &[-1]),
    ("polygon", &[-1]),
    ("tsquery", &[-1]),
];

/// A type with its modifier.
type Typed = (DataType, i32);

/// Each base type by itself, and what can be made of it.
fn all_types() -> Vec<Typed> {
    let bases = BASES.iter().flat_map(|(name, modifiers)| {
        modifiers.iter().map(|&modifier| (named(name, TypeKind::Base), modifier))
    });
    let mut all: Vec<Typed> = bases.collect();
    let labels = vec!["a".to_owned(), "b\"".to_owned()];
    all.push((named("mood", TypeKind::Enum { labels }), -1));
    all.push((named("floatrange", TypeKind::Range), -1));
    all.push((named("int4multirange", TypeKind::Multirange), -1));
    all.push((named("gone", TypeKind::Unknown), -1));
    let plain = all.clone();
    all.extend(plain.iter().map(array));
    all.extend(plain.iter().map(composite));
    all.extend(plain.iter().map(domain));
    all.extend(plain.iter().map(composite).map(|it| array(&it)));
    all.extend(plain.iter().map(domain).map(|it| array(&it)));
    all
}

fn named(name: &str, kind: TypeKind) -> DataType {
    DataType { oid: Oid(1), name: name.to_owned(), kind }
}

fn array((element, modifier): &Typed) -> Typed {
    let delimiter = if element.name == "polygon" { b';' } else { b',' };
    let name = format!("_{}", element.name);
    (named(&name, TypeKind::Array { element: Box::new(element.clone()), delimiter }), *modifier)
}

fn domain((base, modifier): &Typed) -> Typed {
    let kind = TypeKind::Domain { base: Box::new(base.clone()), type_modifier: *modifier };
    (named("d", kind), -1)
}

fn composite((attribute, modifier): &Typed) -> Typed {
    let attribute = |name: &str| Attribute {
        name: name.to_owned(),
        data_type: attribute.clone(),
        type_modifier: *modifier,
    };
    let attributes = vec![attribute("a"), attribute("b\"")];
    (named("c", TypeKind::Composite { schema: "s".to_owned(), attributes }), -1)
}

/// Plans for each type: together they have every handling mode and every way to hide a value.
type Plans = Vec<Vec<TablePlan>>;

const MODES: usize = 12;

fn plans() -> &'static Plans {
    static PLANS: OnceLock<Plans> = OnceLock::new();
    PLANS.get_or_init(|| all_types().iter().map(plans_of).collect())
}

fn plans_of(typed: &Typed) -> Vec<TablePlan> {
    let plan = |mode: usize| {
        let treatment = ColumnTreatment { mask: mask(mode), source_type: mode.is_multiple_of(2) };
        let columns =
            vec![column("id", typed, ColumnTreatment::default()), column("v", typed, treatment)];
        let table = table(columns, vec![0]);
        TablePlan::compile(table, &Arc::new(settings(mode))).ok()
    };
    (0..MODES).filter_map(plan).collect()
}

fn table(columns: Vec<Column>, key: Vec<usize>) -> Table {
    Table {
        oid: Oid(1),
        schema: "s".to_owned(),
        name: "t".to_owned(),
        replica_identity: ReplicaIdentity::Full,
        columns,
        key,
    }
}

fn column(name: &str, (data_type, type_modifier): &Typed, treatment: ColumnTreatment) -> Column {
    Column {
        name: name.to_owned(),
        data_type: data_type.clone(),
        type_modifier: *type_modifier,
        not_null: false,
        default: None,
        generated: false,
        captured: true,
        is_identity: true,
        treatment,
    }
}

fn mask(mode: usize) -> Option<Mask> {
    Some(match mode {
        1 => Mask::Truncate { length_max: 3 },
        3 => Mask::Truncate { length_max: 0 },
        5 => Mask::Truncate { length_max: 20 },
        7 => Mask::Asterisks { length: 5 },
        9 => Mask::Hash {
            algorithm: HashAlgorithm::Sha256,
            input: HashInput::JavaSerialized,
            salt: Salt::new("s"),
        },
        11 => Mask::Hash {
            algorithm: HashAlgorithm::Md5,
            input: HashInput::Utf8,
            salt: Salt::new(""),
        },
        _ => return None,
    })
}

fn of<T: Copy>(all: &[T], mode: usize) -> T {
    all[mode % all.len()]
}

fn settings(mode: usize) -> EncoderSettings {
    use TimePrecision::{
        Adaptive, AdaptiveTimeMicroseconds, Connect, IsoString, Microseconds, Nanoseconds,
    };
    let format = FormatSettings {
        encoding: Encoding::Json,
        schemas_enable: mode % 4 == 2,
        replace_null_with_default: mode.is_multiple_of(2),
        decimal_format: of(&[DecimalFormat::Base64, DecimalFormat::Numeric], mode / 3),
    };
    let times = [Adaptive, AdaptiveTimeMicroseconds, Connect, Microseconds, Nanoseconds, IsoString];
    let binaries = [
        BinaryHandling::Bytes,
        BinaryHandling::Base64,
        BinaryHandling::Base64UrlSafe,
        BinaryHandling::Hex,
    ];
    let decimals = [DecimalHandling::Precise, DecimalHandling::Double, DecimalHandling::String];
    EncoderSettings {
        key: format,
        value: format,
        decimal_handling: of(&decimals, mode),
        time_precision: of(&times, mode),
        interval_handling: of(&[IntervalHandling::Numeric, IntervalHandling::String], mode),
        binary_handling: of(&binaries, mode),
        hstore_handling: of(&[HstoreHandling::Json, HstoreHandling::Map], mode / 2),
        money_fraction_digits: of(&[2, 0, 18], mode / 2),
        include_unknown_datatypes: mode % 5 == 1,
        unmapped_types: of(&[UnmappedTypes::Capture, UnmappedTypes::Omit], mode / 8),
        skip_unchanged_updates: mode.is_multiple_of(3),
        field_names: of(&[NameAdjustment::None, NameAdjustment::AvroUnicode], mode),
        extended_headers: mode.is_multiple_of(6).then(|| ContextHeaders {
            logical_name: "p".to_owned(),
            task_id: "0".to_owned(),
            connector_name: "postgresql".to_owned(),
            run_id: "r".to_owned(),
        }),
        event_id_header: (mode % 2 == 1).then(|| "id".to_owned()),
        ..EncoderSettings::new("p", "d", "1")
    }
}

/// Any text that the server can send is, for every type and in every mode, records whose keys and values are JSON, or an error.
///
/// Shape: `u8` type · text, for two rows if there is a zero byte, which no text of the server has.
pub(crate) fn types(bytes: &[u8]) {
    let Some((&number, text)) = bytes.split_first() else { return };
    let of_type = &plans()[usize::from(number) % plans().len()];
    let mut rows = text.splitn(2, |byte| *byte == 0);
    let old = rows.next().unwrap_or_default();
    let new = rows.next().unwrap_or(old);
    // The server converts to UTF-8, and verifies what it cannot convert.
    let is_utf8 = std::str::from_utf8(old).is_ok() && std::str::from_utf8(new).is_ok();
    let mut scratch = Scratch::default();
    for plan in of_type {
        encode(plan, [old, new], is_utf8, &mut scratch);
    }
}

fn encode(plan: &TablePlan, [old, new]: [&[u8]; 2], is_utf8: bool, scratch: &mut Scratch) {
    let at = position();
    let out = &mut |record: Record<'_>| {
        if is_utf8 {
            check(plan, &record);
        }
    };
    let row = |text| [TupleValue::Text(text), TupleValue::Text(text)];
    let (before, after) = (row(old), row(new));
    // What cannot be written is an error, each time for its own reason.
    let _ = plan.insert(&at, &after, out, scratch);
    let _ = plan.read(&at, &before, out, scratch);
    let _ = plan.update(&at, OldRow::Full(&before), &after, out, scratch);
    let unchanged = [TupleValue::Text(new), TupleValue::UnchangedToast];
    let _ = plan.update(&at, OldRow::Absent, &unchanged, out, scratch);
    let key = [TupleValue::Text(old), TupleValue::Null];
    let _ = plan.delete(&at, OldRow::Key(&key), out, scratch);
    let _ = scratch.take_notices();
}

fn check(plan: &TablePlan, record: &Record<'_>) {
    for (what, json) in [("key", record.key), ("value", record.value)] {
        let Some(json) = json else { continue };
        let read = serde_json::from_slice::<IgnoredAny>(json);
        assert!(
            read.is_ok(),
            "{what} of {:?}: {:?}: {}",
            plan.table().columns[0].data_type,
            read.err(),
            String::from_utf8_lossy(json)
        );
    }
}

fn position() -> SourcePosition<'static> {
    let id = EventId { commit_lsn: Lsn::new(9), change_lsn: Lsn::new(8), repeat: 1 };
    SourcePosition {
        event_id: Some(id),
        snapshot: SnapshotMarker::False,
        committed_at_unix_us: 1_700_000_000_000_000,
        processed_at_unix_ns: 1_700_000_000_000_000_000,
        xid: Some(7),
        lsn: Some(Lsn::new(8)),
        last_commit_lsn: None,
        origin: None,
        origin_lsn: None,
    }
}

/// Any default of a column is in the schema as JSON, or not at all, and stands for NULL.
///
/// Shape: `u8` type · expression.
pub(crate) fn defaults(bytes: &[u8]) {
    static TYPES: OnceLock<Vec<Typed>> = OnceLock::new();
    let types = TYPES.get_or_init(all_types);
    let Some((&number, expression)) = bytes.split_first() else { return };
    let Ok(expression) = std::str::from_utf8(expression) else { return };
    let typed = &types[usize::from(number) % types.len()];
    for mode in [0, 2, 6, 10] {
        let default = Some(expression.to_owned());
        let columns = vec![Column {
            default,
            ..column("v", typed, ColumnTreatment { mask: mask(mode / 2), source_type: false })
        }];
        let table = table(columns, Vec::new());
        let Ok(plan) = TablePlan::compile(table, &Arc::new(settings(mode))) else { continue };
        let out = &mut |record: Record<'_>| check(&plan, &record);
        let _ = plan.insert(&position(), &[TupleValue::Null], out, &mut Scratch::default());
    }
}
