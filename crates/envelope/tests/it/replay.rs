//! Encodes a captured case the way a connector would. In: the group's configuration and the steps. Out: its records.

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{
    AvroSchema, AvroSchemas, BinaryHandling, ContextHeaders, DecimalFormat, DecimalHandling,
    EncoderSettings, Encoding, EnvelopeError, FormatSettings, HstoreHandling, IntervalHandling,
    MessagePlan, OldRow, Record, SchemaId, SchemaIds, Scratch, SkippedOperations, SnapshotMarker,
    SourcePosition, Table, TablePlan, TimePrecision, copy_text,
};
use pgoutput::{
    Assembler, Before, Change, ChangeKind, Lsn, Oid, Step as StreamStep, TupleData, TupleValue,
};
use serde_json::Value;
use smallvec::SmallVec;

use crate::fixture::Step;

pub(crate) struct OwnedRecord {
    pub(crate) topic: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl OwnedRecord {
    pub(crate) fn new(record: Record<'_>) -> Self {
        Self {
            topic: record.topic.to_owned(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), header.value.to_vec()))
                .collect(),
        }
    }
}

fn settings(group: &Value) -> EncoderSettings {
    let config = |key: &str| group["config"][key].as_str();
    let format = |side: &str| FormatSettings {
        encoding: Encoding::Json,
        schemas_enable: config(&format!("{side}.converter.schemas.enable")) != Some("false"),
        replace_null_with_default: config(&format!("{side}.converter.replace.null.with.default"))
            != Some("false"),
        decimal_format: match config(&format!("{side}.converter.decimal.format")) {
            Some("NUMERIC") => DecimalFormat::Numeric,
            _ => DecimalFormat::Base64,
        },
    };
    let skipped = config("skipped.operations").unwrap_or("t");
    let skips = |letter: &str| skipped.split(',').any(|skipped| skipped == letter);
    EncoderSettings {
        topic_delimiter: config("topic.delimiter").unwrap_or(".").to_owned(),
        key: format("key"),
        value: format("value"),
        decimal_handling: match config("decimal.handling.mode") {
            Some("double") => DecimalHandling::Double,
            Some("string") => DecimalHandling::String,
            _ => DecimalHandling::Precise,
        },
        time_precision: match config("time.precision.mode") {
            Some("adaptive_time_microseconds") => TimePrecision::AdaptiveTimeMicroseconds,
            Some("connect") => TimePrecision::Connect,
            Some("microseconds") => TimePrecision::Microseconds,
            Some("nanoseconds") => TimePrecision::Nanoseconds,
            Some("isostring") => TimePrecision::IsoString,
            _ => TimePrecision::Adaptive,
        },
        interval_handling: match config("interval.handling.mode") {
            Some("string") => IntervalHandling::String,
            _ => IntervalHandling::Numeric,
        },
        binary_handling: match config("binary.handling.mode") {
            Some("base64") => BinaryHandling::Base64,
            Some("base64-url-safe") => BinaryHandling::Base64UrlSafe,
            Some("hex") => BinaryHandling::Hex,
            _ => BinaryHandling::Bytes,
        },
        hstore_handling: match config("hstore.handling.mode") {
            Some("map") => HstoreHandling::Map,
            _ => HstoreHandling::Json,
        },
        unavailable_value_placeholder: config("unavailable.value.placeholder")
            .unwrap_or("__debezium_unavailable_value")
            .to_owned(),
        tombstones_on_delete: config("tombstones.on.delete") != Some("false"),
        skipped_operations: SkippedOperations {
            create: skips("c"),
            update: skips("u"),
            delete: skips("d"),
            truncate: skips("t"),
        },
        include_unknown_datatypes: config("include.unknown.datatypes") == Some("true"),
        extended_headers: (config("extended.headers.enabled") != Some("false")).then(context),
        ..EncoderSettings::new("test_server", "postgres", "1.0")
    }
}

fn context() -> ContextHeaders {
    ContextHeaders {
        logical_name: "test_server".to_owned(),
        task_id: "0".to_owned(),
        connector_name: "postgresql".to_owned(),
        run_id: "0d3bd9a2-6b9c-4a6e-9c47-6f1d0a3e2f11".to_owned(),
    }
}

/// Encodes everything the steps hold.
pub(crate) fn records(group: &Value, steps: &[Step]) -> Result<Vec<OwnedRecord>, EnvelopeError> {
    records_in(settings(group), steps, &mut Vec::new())
}

/// Records of one work in both forms.
pub(crate) struct BothForms {
    /// Without schemas.
    pub(crate) json: Vec<OwnedRecord>,
    pub(crate) avro: Vec<OwnedRecord>,
    /// Those of Avro; their ids count from 1.
    pub(crate) schemas: Vec<String>,
}

/// The same with JSON that has no schemas, and in Avro.
pub(crate) fn in_both_forms(group: &Value, steps: &[Step]) -> Result<BothForms, EnvelopeError> {
    let settings = settings(group);
    let as_json = |format: FormatSettings| FormatSettings {
        schemas_enable: false,
        decimal_format: DecimalFormat::Base64,
        ..format
    };
    let as_avro = |format: FormatSettings| FormatSettings {
        replace_null_with_default: format.replace_null_with_default,
        ..FormatSettings::avro()
    };
    let json = EncoderSettings {
        key: as_json(settings.key),
        value: as_json(settings.value),
        ..settings.clone()
    };
    let avro =
        EncoderSettings { key: as_avro(settings.key), value: as_avro(settings.value), ..settings };
    let mut schemas = Vec::new();
    let json = records_in(json, steps, &mut Vec::new())?;
    let avro = records_in(avro, steps, &mut schemas)?;
    Ok(BothForms { json, avro, schemas })
}

/// Registers schemas: the same one has the same id.
fn register(found: AvroSchemas<'_>, schemas: &mut Vec<String>) -> SchemaIds {
    let mut id = |schema: Option<&AvroSchema>| {
        let text = &schema?.text;
        let known = schemas.iter().position(|known| known == text).unwrap_or_else(|| {
            schemas.push(text.clone());
            schemas.len() - 1
        });
        Some(SchemaId(u32::try_from(known).unwrap() + 1))
    };
    SchemaIds { key: id(found.key), value: id(found.value) }
}

fn plan(
    table: Table,
    settings: &Arc<EncoderSettings>,
    schemas: &mut Vec<String>,
) -> Result<TablePlan, EnvelopeError> {
    let mut plan = TablePlan::compile(table, settings)?;
    let ids = register(plan.schemas(), schemas);
    plan.identify(ids);
    Ok(plan)
}

fn records_in(
    settings: EncoderSettings,
    steps: &[Step],
    schemas: &mut Vec<String>,
) -> Result<Vec<OwnedRecord>, EnvelopeError> {
    let settings = Arc::new(settings);
    let mut messages = MessagePlan::compile(&settings)?;
    let ids = register(messages.frames().schemas(), schemas);
    messages.frames().identify(ids);
    let mut encoder = Encoder {
        messages,
        settings,
        plans: HashMap::new(),
        last_commit_lsn: None,
        records: Vec::new(),
        scratch: Scratch::default(),
    };
    let mut assembler = Assembler::new();
    for step in steps {
        for (oid, lines) in &step.snapshot {
            let plan = plan(step.catalog.table(*oid), &encoder.settings, schemas)?;
            encoder.snapshot(&plan, lines)?;
        }
        for (lsn, frame) in &step.frames {
            let message = pgoutput::decode(frame, false).unwrap();
            match assembler.push(*lsn, message).unwrap() {
                StreamStep::Relation(relation) => {
                    let table = step.catalog.streamed(&relation);
                    let plan = plan(table, &encoder.settings, schemas)?;
                    encoder.plans.insert(relation.oid, plan);
                }
                StreamStep::Change(change) => encoder.change(&change)?,
                StreamStep::Commit(commit) => encoder.last_commit_lsn = Some(commit.end_lsn),
                StreamStep::Begin(_) | StreamStep::Nothing => {}
            }
        }
    }
    Ok(encoder.records)
}

struct Encoder {
    settings: Arc<EncoderSettings>,
    plans: HashMap<Oid, TablePlan>,
    messages: MessagePlan,
    last_commit_lsn: Option<Lsn>,
    records: Vec<OwnedRecord>,
    scratch: Scratch,
}

fn values(tuple: TupleData<'_>) -> Vec<TupleValue<'_>> {
    tuple.iter().collect()
}

impl Encoder {
    fn change(&mut self, change: &Change<'_>) -> Result<(), EnvelopeError> {
        let Self { plans, messages, records, scratch, .. } = self;
        let mut out = |record: Record<'_>| records.push(OwnedRecord::new(record));
        let at = SourcePosition {
            event_id: Some(change.id),
            snapshot: SnapshotMarker::False,
            committed_at_unix_us: change
                .committed_at
                .map_or(1_700_000_000_000_000, pgoutput::PgTimestamp::unix_micros),
            processed_at_unix_ns: 1_700_000_000_000_000_000,
            xid: change.xid.map(|xid| u64::from(xid.0)),
            lsn: Some(change.id.change_lsn),
            last_commit_lsn: self.last_commit_lsn,
            origin: change.origin.as_ref().map(|origin| origin.name.as_str()),
            origin_lsn: change.origin.as_ref().map(|origin| origin.commit_lsn),
        };
        match &change.kind {
            ChangeKind::Insert { relation, after } => {
                plans[&relation.oid].insert(&at, &values(*after), &mut out, scratch)
            }
            ChangeKind::Update { relation, before, after } => {
                let old = old_values(before);
                let new = values(*after);
                plans[&relation.oid].update(&at, old_row(before, &old), &new, &mut out, scratch)
            }
            ChangeKind::Delete { relation, before } => {
                let old = old_values(before);
                plans[&relation.oid].delete(&at, old_row(before, &old), &mut out, scratch)
            }
            ChangeKind::Truncate { relations, .. } => relations
                .iter()
                .try_for_each(|relation| plans[&relation.oid].truncate(&at, &mut out, scratch)),
            ChangeKind::LogicalMessage { prefix, content, .. } => {
                messages.encode(&at, prefix, content, &mut out, scratch)
            }
        }
    }

    fn snapshot(&mut self, plan: &TablePlan, lines: &[String]) -> Result<(), EnvelopeError> {
        let at = SourcePosition {
            event_id: None,
            snapshot: SnapshotMarker::True,
            committed_at_unix_us: 1_700_000_000_000_000,
            processed_at_unix_ns: 1_700_000_000_000_000_000,
            xid: Some(1),
            lsn: Some(Lsn::new(1)),
            last_commit_lsn: None,
            origin: None,
            origin_lsn: None,
        };
        for line in lines {
            let (mut buffer, mut values) = (Vec::new(), SmallVec::new());
            copy_text::split_line(line.as_bytes(), &mut buffer, &mut values)?;
            let records = &mut self.records;
            plan.read(
                &at,
                &values,
                &mut |record| records.push(OwnedRecord::new(record)),
                &mut self.scratch,
            )?;
        }
        Ok(())
    }
}

fn old_values<'a>(before: &Before<'a>) -> Vec<TupleValue<'a>> {
    match before {
        Before::Absent => Vec::new(),
        Before::Key(tuple) | Before::Full(tuple) => values(*tuple),
    }
}

fn old_row<'a>(before: &Before<'_>, old: &'a [TupleValue<'a>]) -> OldRow<'a> {
    match before {
        Before::Absent => OldRow::Absent,
        Before::Key(_) => OldRow::Key(old),
        Before::Full(_) => OldRow::Full(old),
    }
}
