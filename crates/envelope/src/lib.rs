//! Row changes to the bytes of Debezium-compatible records.
//!
//! In: rows in PostgreSQL's text form ([`pgoutput::TupleValue`]) of a [`Table`] and where they come from
//! ([`SourcePosition`]). Out: [`Record`]s: topic, key, value and headers as Debezium and Connect's `JsonConverter`, or
//! Confluent's `AvroConverter`, write them. Never: I/O, clocks, a tree of values, an allocation per field; a [`TablePlan`] is compiled once per version of a
//! table and each row goes straight from the text in the frame to the output bytes.
//! Source: Debezium documentation, "PostgreSQL connector: Data change events" and "Data type mappings"; Kafka Connect,
//! `JsonConverter`. The mapping as built is in `docs/reference/types.md`.

mod avro;
pub mod copy_text;
mod default_value;
mod era;
mod error;
mod event_id;
mod fragment;
mod frame;
mod heartbeat;
mod key;
mod message;
mod names;
mod naming;
mod notice;
mod notification;
mod plan;
mod position;
mod record;
mod rewrite;
mod room;
mod row;
mod schema;
mod settings;
mod source;
mod table;
mod transaction;
mod treatment;
mod types;
mod value;

pub use avro::{AvroSchema, AvroSchemas, SchemaId, SchemaIds};
pub use era::LostEras;
pub use error::{Class, EnvelopeError};
pub use frame::Frames;
pub use heartbeat::HeartbeatPlan;
pub use key::KeyForm;
pub use message::MessagePlan;
pub use naming::{KeyField, TopicForm, TopicNaming, TopicParts, TopicRouting};
pub use notice::{Notice, NoticeKind};
pub use notification::{Notification, NotificationPlan};
pub use plan::{TablePlan, VanishedRow};
pub use position::{SnapshotMarker, SourcePosition};
pub use record::{Header, OldRow, Record, Scratch};
pub use rewrite::{Rewrite, RewriteError};
pub use settings::{
    BinaryHandling, ContextHeaders, DecimalFormat, DecimalHandling, EncoderSettings, Encoding,
    FormatSettings, HstoreHandling, IntervalHandling, NameAdjustment, SkippedOperations,
    SnapshotDateEra, TimePrecision, UnmappedTypes,
};
pub use table::{Attribute, Column, DataType, Table, TypeKind};
pub use transaction::TransactionPlan;
pub use treatment::{ColumnTreatment, HashAlgorithm, HashInput, Mask, Salt};
