//! What records look like: everything the encoder wants to know but for the converters.
//!
//! Source: Debezium documentation, "PostgreSQL connector properties".

use envelope::{
    BinaryHandling, ContextHeaders, DecimalHandling, EncoderSettings, HstoreHandling,
    IntervalHandling, NameAdjustment, SkippedOperations, SnapshotDateEra, TimePrecision,
    UnmappedTypes,
};

use super::values::{Choice, Values};

/// Name of the header with the stable id of a change.
pub const EVENT_ID_HEADER: &str = "tributary.event.id";

/// Reads the form of records. The database's name is filled in when it is known.
pub(super) fn encoder(values: &mut Values<'_>, topic_prefix: &str) -> EncoderSettings {
    let mut settings = EncoderSettings::new(topic_prefix, "", env!("CARGO_PKG_VERSION"));
    settings.topic_delimiter = values
        .choice(
            "topic.delimiter",
            &[(".", Choice::Is(".")), ("_", Choice::Is("_")), ("-", Choice::Is("-"))],
            ".",
        )
        .to_owned();
    handling(values, &mut settings);
    settings.unavailable_value_placeholder = placeholder(values);
    settings.tombstones_on_delete = values.flag("tombstones.on.delete");
    settings.skipped_operations = skipped_operations(values);
    settings.skip_unchanged_updates = values.flag("skip.messages.without.change");
    settings.schema_names = name_adjustment(values, "schema.name.adjustment.mode");
    settings.field_names = name_adjustment(values, "field.name.adjustment.mode");
    settings.extended_headers = values.flag("extended.headers.enabled").then(|| ContextHeaders {
        logical_name: topic_prefix.to_owned(),
        task_id: "0".to_owned(),
        connector_name: "postgresql".to_owned(),
        run_id: uuid::Uuid::new_v4().to_string(),
    });
    settings.event_id_header =
        values.flag("tributary.event.id.header.enabled").then(|| EVENT_ID_HEADER.to_owned());
    settings
}

/// The `*.handling.mode` family.
fn handling(values: &mut Values<'_>, settings: &mut EncoderSettings) {
    settings.decimal_handling = values.choice(
        "decimal.handling.mode",
        &[
            ("precise", Choice::Is(DecimalHandling::Precise)),
            ("double", Choice::Is(DecimalHandling::Double)),
            ("string", Choice::Is(DecimalHandling::String)),
        ],
        DecimalHandling::Precise,
    );
    settings.time_precision = values.choice(
        "time.precision.mode",
        &[
            ("adaptive", Choice::Is(TimePrecision::Adaptive)),
            ("adaptive_time_microseconds", Choice::Is(TimePrecision::AdaptiveTimeMicroseconds)),
            ("connect", Choice::Is(TimePrecision::Connect)),
            ("microseconds", Choice::Is(TimePrecision::Microseconds)),
            ("nanoseconds", Choice::Is(TimePrecision::Nanoseconds)),
            ("isostring", Choice::Is(TimePrecision::IsoString)),
            ("structured", Choice::NotYet),
        ],
        TimePrecision::Adaptive,
    );
    settings.snapshot_date_era = values.choice(
        "tributary.snapshot.date.era",
        &[("lost", Choice::Is(SnapshotDateEra::Lost)), ("kept", Choice::Is(SnapshotDateEra::Kept))],
        SnapshotDateEra::Lost,
    );
    settings.interval_handling = values.choice(
        "interval.handling.mode",
        &[
            ("numeric", Choice::Is(IntervalHandling::Numeric)),
            ("string", Choice::Is(IntervalHandling::String)),
        ],
        IntervalHandling::Numeric,
    );
    settings.binary_handling = values.choice(
        "binary.handling.mode",
        &[
            ("bytes", Choice::Is(BinaryHandling::Bytes)),
            ("base64", Choice::Is(BinaryHandling::Base64)),
            ("base64-url-safe", Choice::Is(BinaryHandling::Base64UrlSafe)),
            ("hex", Choice::Is(BinaryHandling::Hex)),
        ],
        BinaryHandling::Bytes,
    );
    settings.hstore_handling = values.choice(
        "hstore.handling.mode",
        &[("json", Choice::Is(HstoreHandling::Json)), ("map", Choice::Is(HstoreHandling::Map))],
        HstoreHandling::Json,
    );
    settings.include_unknown_datatypes = values.flag("include.unknown.datatypes");
    settings.unmapped_types = values.choice(
        "tributary.unmapped.types",
        &[
            ("omit", Choice::Is(UnmappedTypes::Omit)),
            ("capture", Choice::Is(UnmappedTypes::Capture)),
        ],
        UnmappedTypes::Omit,
    );
    settings.money_fraction_digits =
        u32::try_from(values.number("money.fraction.digits", 0, 18)).unwrap_or_default();
}

fn name_adjustment(values: &mut Values<'_>, key: &str) -> NameAdjustment {
    values.choice(
        key,
        &[
            ("none", Choice::Is(NameAdjustment::None)),
            ("avro", Choice::Is(NameAdjustment::Avro)),
            ("avro_unicode", Choice::Is(NameAdjustment::AvroUnicode)),
        ],
        NameAdjustment::None,
    )
}

fn placeholder(values: &mut Values<'_>) -> String {
    const KEY: &str = "unavailable.value.placeholder";
    let text = values.text(KEY).unwrap_or_default();
    if let Some(digits) = text.strip_prefix("hex:")
        && hex::decode(digits).is_err()
    {
        values.invalid(
            KEY,
            "what follows `hex:` is not hexadecimal",
            "write pairs of hexadecimal digits after `hex:`",
        );
    }
    text.to_owned()
}

fn skipped_operations(values: &mut Values<'_>) -> SkippedOperations {
    const KEY: &str = "skipped.operations";
    let mut skipped =
        SkippedOperations { create: false, update: false, delete: false, truncate: false };
    for item in values.list(KEY) {
        match item.to_ascii_lowercase().as_str() {
            "c" => skipped.create = true,
            "u" => skipped.update = true,
            "d" => skipped.delete = true,
            "t" => skipped.truncate = true,
            "none" => {}
            other => {
                values.invalid(
                    KEY,
                    &format!("`{other}` is not an operation"),
                    "write some of c, u, d, t, or none",
                );
            }
        }
    }
    skipped
}
