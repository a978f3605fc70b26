//! What a user may choose about the form of records. In: values of configuration keys. Out: plain data.
//! Never: reads configuration text; `connector` does.
//!
//! Source: Debezium documentation, "PostgreSQL connector properties"; Kafka Connect, `JsonConverterConfig`.

use crate::naming::TopicNaming;
use crate::record::Header;

/// How rows become records. [`EncoderSettings::new`] gives Debezium's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderSettings {
    /// `topic.prefix`: first part of every topic, and `source.name`.
    pub topic_prefix: String,
    /// `source.db`.
    pub database: String,
    /// `source.version`.
    pub connector_version: String,
    /// `topic.delimiter`.
    pub topic_delimiter: String,
    /// `topic.naming.strategy`.
    pub topic_naming: TopicNaming,
    /// `key.converter.*`.
    pub key: FormatSettings,
    /// `value.converter.*`.
    pub value: FormatSettings,
    /// `decimal.handling.mode`.
    pub decimal_handling: DecimalHandling,
    /// `time.precision.mode`.
    pub time_precision: TimePrecision,
    /// `interval.handling.mode`.
    pub interval_handling: IntervalHandling,
    /// `binary.handling.mode`.
    pub binary_handling: BinaryHandling,
    /// `hstore.handling.mode`.
    pub hstore_handling: HstoreHandling,
    /// `money.fraction.digits`.
    pub money_fraction_digits: u32,
    /// `unavailable.value.placeholder`; after `hex:` the bytes in hexadecimal.
    pub unavailable_value_placeholder: String,
    /// `tombstones.on.delete`.
    pub tombstones_on_delete: bool,
    /// `skipped.operations`.
    pub skipped_operations: SkippedOperations,
    /// `tributary.snapshot.date.era`.
    pub snapshot_date_era: SnapshotDateEra,
    /// `include.unknown.datatypes`.
    pub include_unknown_datatypes: bool,
    /// `tributary.unmapped.types`.
    pub unmapped_types: UnmappedTypes,
    /// `skip.messages.without.change`: an update that changes no captured column gives no record, where the old row is
    /// known in full.
    pub skip_unchanged_updates: bool,
    /// `schema.name.adjustment.mode`.
    pub schema_names: NameAdjustment,
    /// `field.name.adjustment.mode`.
    pub field_names: NameAdjustment,
    /// `extended.headers.enabled`: the `__debezium.context.*` headers; `None` leaves them out.
    pub extended_headers: Option<ContextHeaders>,
    /// Name of the header that carries the stable id of the record, always the last one; `None` leaves it out.
    pub event_id_header: Option<String>,
}

impl EncoderSettings {
    /// Debezium's defaults for one source, without context and id headers.
    pub fn new(topic_prefix: &str, database: &str, connector_version: &str) -> Self {
        Self {
            topic_prefix: topic_prefix.to_owned(),
            database: database.to_owned(),
            connector_version: connector_version.to_owned(),
            topic_delimiter: ".".to_owned(),
            topic_naming: TopicNaming::default(),
            key: FormatSettings::default(),
            value: FormatSettings::default(),
            decimal_handling: DecimalHandling::Precise,
            time_precision: TimePrecision::Adaptive,
            interval_handling: IntervalHandling::Numeric,
            binary_handling: BinaryHandling::Bytes,
            hstore_handling: HstoreHandling::Json,
            money_fraction_digits: 2,
            unavailable_value_placeholder: "__debezium_unavailable_value".to_owned(),
            tombstones_on_delete: true,
            skipped_operations: SkippedOperations::default(),
            snapshot_date_era: SnapshotDateEra::Lost,
            include_unknown_datatypes: false,
            skip_unchanged_updates: false,
            schema_names: NameAdjustment::None,
            field_names: NameAdjustment::None,
            unmapped_types: UnmappedTypes::Omit,
            extended_headers: None,
            event_id_header: None,
        }
    }

    /// Whether keys and values are JSON both.
    pub fn is_json(&self) -> bool {
        self.key.is_json() && self.value.is_json()
    }
}

/// Settings of one converter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatSettings {
    /// Which converter.
    pub encoding: Encoding,
    /// `schemas.enable` of a `JsonConverter`: each record carries its schema.
    pub schemas_enable: bool,
    /// `replace.null.with.default`, or not `ignore.default.for.nullables`: a NULL in a column with a default is shown as that
    /// default.
    pub replace_null_with_default: bool,
    /// `decimal.format` of a `JsonConverter`.
    pub decimal_format: DecimalFormat,
}

/// Which converter writes keys or values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `JsonConverter`.
    #[default]
    Json,
    /// `AvroConverter`, of Confluent or in its form.
    Avro {
        /// `connect.meta.data`: the schema has Connect's properties.
        meta_data: bool,
    },
}

impl FormatSettings {
    /// An `AvroConverter` with its defaults.
    pub fn avro() -> Self {
        Self {
            encoding: Encoding::Avro { meta_data: true },
            schemas_enable: false,
            ..Self::default()
        }
    }

    pub(crate) fn is_json(self) -> bool {
        self.encoding == Encoding::Json
    }
}

impl Default for FormatSettings {
    fn default() -> Self {
        Self {
            encoding: Encoding::Json,
            schemas_enable: true,
            replace_null_with_default: true,
            decimal_format: DecimalFormat::Base64,
        }
    }
}

/// `decimal.format` of a `JsonConverter`: how a Connect `Decimal` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalFormat {
    /// Base64 of the unscaled value, big-endian two's complement.
    #[default]
    Base64,
    /// A JSON number.
    Numeric,
}

/// `decimal.handling.mode`: what `numeric` and `money` become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalHandling {
    /// Connect `Decimal`, or `VariableScaleDecimal` for a column without scale.
    #[default]
    Precise,
    /// A 64-bit float.
    Double,
    /// The digits as text.
    String,
}

/// `time.precision.mode`: what `date`, `time` and `timestamp` become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimePrecision {
    /// Milliseconds up to three fraction digits, else microseconds.
    #[default]
    Adaptive,
    /// Like [`TimePrecision::Adaptive`], but `time` always in microseconds.
    AdaptiveTimeMicroseconds,
    /// Connect's logical types, in milliseconds.
    Connect,
    /// Always microseconds.
    Microseconds,
    /// Always nanoseconds.
    Nanoseconds,
    /// ISO 8601 text in UTC.
    IsoString,
}

/// `tributary.snapshot.date.era`: what a snapshot does with the era of a `date` before Christ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotDateEra {
    /// As Debezium's snapshot: the date is that of the same year after Christ.
    #[default]
    Lost,
    /// As in the stream.
    Kept,
}

/// `tributary.unmapped.types`: what becomes of a column whose type Debezium has no form for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnmappedTypes {
    /// As Debezium: it is left out of schema and value. A key column stays in the key.
    #[default]
    Omit,
    /// It is captured in a form that keeps all of its value.
    Capture,
}

/// `interval.handling.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalHandling {
    /// Microseconds; a month counts 30.4375 days.
    #[default]
    Numeric,
    /// ISO 8601: `P1Y2M3DT4H5M6.78S`.
    String,
}

/// `binary.handling.mode`: what `bytea` and the content of logical messages become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BinaryHandling {
    /// Connect `bytes`, which JSON shows in base64.
    #[default]
    Bytes,
    /// Text in base64.
    Base64,
    /// Text in base64 with `-` and `_`.
    Base64UrlSafe,
    /// Text in lower-case hexadecimal.
    Hex,
}

/// `hstore.handling.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HstoreHandling {
    /// A JSON object as text.
    #[default]
    Json,
    /// A Connect map.
    Map,
}

/// `schema.name.adjustment.mode`, `field.name.adjustment.mode`: what becomes of characters that Avro's names do not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameAdjustment {
    /// They stay.
    #[default]
    None,
    /// Each is an underscore; a digit in front gets one before it.
    Avro,
    /// Each is `_u` and its UTF-16 unit in hexadecimal; so is the underscore itself, and a digit in front.
    AvroUnicode,
}

/// `skipped.operations`: which changes give no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent switches, as the user writes them"
)]
pub struct SkippedOperations {
    /// `c`: inserts, and the create half of a key change.
    pub create: bool,
    /// `u`: updates, key changes included.
    pub update: bool,
    /// `d`: deletes, and the delete half of a key change.
    pub delete: bool,
    /// `t`: truncates.
    pub truncate: bool,
}

impl Default for SkippedOperations {
    fn default() -> Self {
        Self { create: false, update: false, delete: false, truncate: true }
    }
}

/// Values of the `__debezium.context.*` headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextHeaders {
    /// `connectorLogicalName`: the topic prefix.
    pub logical_name: String,
    /// `taskId`.
    pub task_id: String,
    /// `connectorName`: the kind of connector, `postgresql`.
    pub connector_name: String,
    /// `runId`: a UUID, new with every start.
    pub run_id: String,
}

impl ContextHeaders {
    /// Names and values, in Debezium's order.
    pub(crate) fn headers(&self) -> [Header<'_>; 4] {
        [
            Header {
                name: "__debezium.context.connectorLogicalName",
                value: self.logical_name.as_bytes(),
            },
            Header { name: "__debezium.context.taskId", value: self.task_id.as_bytes() },
            Header {
                name: "__debezium.context.connectorName",
                value: self.connector_name.as_bytes(),
            },
            Header { name: "__debezium.context.runId", value: self.run_id.as_bytes() },
        ]
    }
}
