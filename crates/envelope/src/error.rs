//! Why a table or a row cannot be encoded. In: nothing. Out: errors with a code, each explained in `docs/errors`.
//! Never: the value itself, which may be confidential.

use thiserror::Error;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Retry.
    Transient,
    /// Stop the connector and tell the operator.
    Definite,
    /// Someone newer owns it: leave quietly.
    Fenced,
}

/// A table that cannot be planned, or a row that does not fit its plan.
#[derive(Debug, Error)]
pub enum EnvelopeError {
    /// The text of a value is not of its column's type.
    #[error(
        "[EN002] a value of column {column} is not {type_name}: {reason}\n  fix: restart the connector, so that it reads the table's definition again; if it happens again, report it"
    )]
    MalformedValue {
        /// `schema.table.column`.
        column: String,
        /// `typname`.
        type_name: String,
        /// What was expected.
        reason: &'static str,
    },
    /// The row has another number of values than the table has columns.
    #[error(
        "[EN003] a row of table {table} has {found} values, its definition {expected} columns\n  fix: restart the connector, so that it reads the table's definition again; if it happens again, report it"
    )]
    ColumnCount {
        /// `schema.table`.
        table: String,
        /// Columns of the plan.
        expected: usize,
        /// Values of the row.
        found: usize,
    },
    /// A line of `COPY` output ends inside an escape.
    #[error(
        "[EN004] a line of COPY output ends inside an escape sequence, at byte {offset}\n  fix: restart the connector; if it happens again, report it"
    )]
    CopyLine {
        /// Bytes from the beginning of the line.
        offset: usize,
    },
    /// The key names a column the table does not have.
    #[error(
        "[EN005] the key of table {table} names column number {index}, the table has {columns}\n  fix: restart the connector, so that it reads the table's definition again; if it happens again, report it"
    )]
    KeyColumn {
        /// `schema.table`.
        table: String,
        /// Index into the columns.
        index: usize,
        /// Number of columns.
        columns: usize,
    },
    /// `unavailable.value.placeholder` is not valid.
    #[error(
        "[EN006] unavailable.value.placeholder is `{placeholder}`: what follows `hex:` is not hexadecimal\n  fix: write two digits 0-9 a-f for each byte, like hex:DEADBEEF"
    )]
    Placeholder {
        /// As given.
        placeholder: String,
    },
    /// The value of a record is longer than was allowed by `Scratch::limit_values`. Who set the limit says what becomes of it.
    #[error(
        "[EN013] an event of table {table} would have {value_bytes} bytes\n  fix: raise producer.override.max.request.size, choose a tributary.oversized.policy, or exclude the large column"
    )]
    ValueTooLarge {
        /// `schema.table`.
        table: String,
        /// Without its key.
        value_bytes: usize,
    },
    /// A value came in binary form.
    #[error(
        "[EN007] a value of column {column} came in binary form, which was not asked for\n  fix: remove `binary` from slot.stream.params"
    )]
    BinaryValue {
        /// `schema.table.column`.
        column: String,
    },
    /// A value of a NOT NULL column has no form in an event.
    #[error(
        "[EN008] a value of the NOT NULL column {column} of type {type_name} has no form in an event (NaN or an infinity, or a NULL inside it)\n  fix: change decimal.handling.mode or interval.handling.mode to one that holds it, or add {column} to column.exclude.list"
    )]
    Inexpressible {
        /// `schema.table.column`.
        column: String,
        /// `typname`.
        type_name: String,
    },
    /// An unchanged value stored out of line of a NOT NULL column, for which nothing can stand.
    #[error(
        "[EN009] an update did not change the NOT NULL column {column}, so the server did not send its value, and {type_name} has no placeholder\n  fix: alter table … replica identity full, so that the server sends it, or add {column} to column.exclude.list"
    )]
    Unavailable {
        /// `schema.table.column`.
        column: String,
        /// `typname`.
        type_name: String,
    },
    /// Two columns give fields of the same name.
    #[error(
        "[EN010] columns `{one}` and `{other}` of table {table} would both be the field `{field}`\n  fix: set field.name.adjustment.mode to avro_unicode, which keeps names apart, or to none, or add one of them to column.exclude.list"
    )]
    FieldCollision {
        /// `schema.table`.
        table: String,
        /// The earlier column.
        one: String,
        /// The later column.
        other: String,
        /// What both would be called.
        field: String,
    },
    /// A rewritten topic has a name that Kafka does not take.
    #[error(
        "[EN011] topic.regex and topic.replacement lead table {table} to topic `{topic}`, which Kafka does not take\n  fix: let topic.replacement give at most 249 letters, digits, dots, underscores and hyphens"
    )]
    TopicName {
        /// `schema.table`.
        table: String,
        /// The name.
        topic: String,
    },
    /// Avro does not take the name of a schema.
    #[error(
        "[EN014] {owner}: Avro takes letters, digits and underscores for the names of schemas, and no digit in front; the schema `{name}` has others\n  fix: set schema.name.adjustment.mode=avro, which puts underscores in their places, or avro_unicode, which keeps names apart"
    )]
    AvroName {
        /// The table or the topic.
        owner: String,
        /// The name.
        name: String,
    },
    /// Avro does not take the name of a field.
    #[error(
        "[EN015] {owner}: Avro takes letters, digits and underscores for the names of fields, and no digit in front; the field `{name}` has others\n  fix: set field.name.adjustment.mode=avro, which puts underscores in their places, or avro_unicode, which keeps names apart, or leave the column out with column.exclude.list"
    )]
    AvroFieldName {
        /// The table or the topic.
        owner: String,
        /// The name.
        name: String,
    },
    /// Two types of one name that are not the same.
    #[error(
        "[EN016] {owner}: its schema has two types `{name}` that differ, and Avro takes a name only once\n  fix: take the columns of this type out of column.propagate.source.type and datatype.propagate.source.type, whose parameters make them differ"
    )]
    AvroRedefined {
        /// The table or the topic.
        owner: String,
        /// The name.
        name: String,
    },
    /// A key column is called as the field that names the table.
    #[error(
        "[EN012] the key of table {table} has a column `{field}`, and topic.key.field.name adds a field of that name\n  fix: set topic.key.field.name to a name that no key column has, or topic.key.enforce.uniqueness=false"
    )]
    KeyFieldCollision {
        /// `schema.table`.
        table: String,
        /// The name.
        field: String,
    },
}

impl EnvelopeError {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::MalformedValue { .. }
            | Self::ColumnCount { .. }
            | Self::CopyLine { .. }
            | Self::KeyColumn { .. }
            | Self::Placeholder { .. }
            | Self::BinaryValue { .. }
            | Self::Inexpressible { .. }
            | Self::Unavailable { .. }
            | Self::FieldCollision { .. }
            | Self::TopicName { .. }
            | Self::KeyFieldCollision { .. }
            | Self::AvroName { .. }
            | Self::AvroFieldName { .. }
            | Self::AvroRedefined { .. }
            | Self::ValueTooLarge { .. } => Class::Definite,
        }
    }

    /// The stable code its text begins with.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedValue { .. } => "EN002",
            Self::ColumnCount { .. } => "EN003",
            Self::CopyLine { .. } => "EN004",
            Self::KeyColumn { .. } => "EN005",
            Self::Placeholder { .. } => "EN006",
            Self::BinaryValue { .. } => "EN007",
            Self::Inexpressible { .. } => "EN008",
            Self::Unavailable { .. } => "EN009",
            Self::FieldCollision { .. } => "EN010",
            Self::TopicName { .. } => "EN011",
            Self::KeyFieldCollision { .. } => "EN012",
            Self::ValueTooLarge { .. } => "EN013",
            Self::AvroName { .. } => "EN014",
            Self::AvroFieldName { .. } => "EN015",
            Self::AvroRedefined { .. } => "EN016",
        }
    }
}
