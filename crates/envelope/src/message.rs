//! Logical decoding messages to records. In: prefix and content. Out: one record per message. Never: filters; `connector`
//! does. These records carry no context headers.
//!
//! Source: Debezium documentation, "PostgreSQL connector: Message events".

use std::sync::Arc;

use smallvec::SmallVec;

use crate::avro::{self, binary};
use crate::frame::Frames;
use crate::position::SourcePosition;
use crate::record::{Header, Record, Scratch};
use crate::schema::{self, Schema};
use crate::settings::{BinaryHandling, EncoderSettings};
use crate::source::{self, SourceBlock};
use crate::value::{base64, json};
use crate::{EnvelopeError, event_id, names};

/// What transaction metadata counts messages under, and the end of their topic's name.
const COLLECTION: &str = "message";

/// Between the topic prefix and that name, whatever `topic.delimiter` is.
const DELIMITER: &str = ".";

/// Encodes the messages of `pg_logical_emit_message`; compiled once for a connector.
#[derive(Debug)]
pub struct MessagePlan {
    settings: Arc<EncoderSettings>,
    frames: Frames,
    source: SourceBlock,
}

impl MessagePlan {
    /// Prepares what stays the same for all messages.
    ///
    /// Errors: [`EnvelopeError::AvroName`].
    pub fn compile(settings: &Arc<EncoderSettings>) -> Result<Self, EnvelopeError> {
        let topic = names::topic(&[&settings.topic_prefix, COLLECTION], DELIMITER);
        let value_schema = value_schema(settings.binary_handling);
        Ok(Self {
            frames: Frames::of(settings, topic, &key_schema(), &value_schema)?,
            source: SourceBlock::new(settings, "", "").counted_as(COLLECTION),
            settings: Arc::clone(settings),
        })
    }

    /// What stands around its records, which is to be registered before anything is encoded.
    pub fn frames(&mut self) -> &mut Frames {
        &mut self.frames
    }

    /// Where its records go.
    pub fn topic(&self) -> &str {
        self.frames.topic()
    }

    /// One message: one record, op `m`, keyed by its prefix.
    pub fn encode(
        &self,
        at: &SourcePosition<'_>,
        prefix: &str,
        content: &[u8],
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        let key = &mut scratch.key;
        key.clear();
        self.frames.key.begin(key);
        if self.frames.key.is_json() {
            key.extend_from_slice(b"{\"prefix\":");
            json::string(prefix.as_bytes(), key);
            key.push(b'}');
        } else {
            key.push(binary::SECOND);
            binary::bytes(prefix.as_bytes(), key);
        }
        self.frames.key.end(key);
        self.write_value(at, prefix, content, scratch);
        let has_id = event_id::write(&self.settings, at, 0, &mut scratch.event_id);
        let id = self.settings.event_id_header.as_ref().filter(|_| has_id);
        let context = scratch.context.iter().filter(|_| at.xid.is_some());
        let headers: SmallVec<[Header<'_>; 4]> = context
            .map(|(name, value)| Header { name, value })
            .chain(id.map(|name| Header { name, value: &scratch.event_id }))
            .collect();
        out(Record {
            topic: self.frames.topic(),
            key: Some(&scratch.key),
            value: Some(&scratch.value),
            headers: &headers,
        });
        Ok(())
    }

    fn write_value(
        &self,
        at: &SourcePosition<'_>,
        prefix: &str,
        content: &[u8],
        scratch: &mut Scratch,
    ) {
        let Scratch { value: out, memos, transaction, .. } = scratch;
        out.clear();
        self.frames.value.begin(out);
        if !self.frames.value.is_json() {
            binary::bytes(b"m", out);
            avro::source::present(at.processed_at_unix_ns.max(0) / 1_000_000, out);
            self.source.write(at, memos, out);
            self.source.write_transaction(at, transaction, out);
            out.push(binary::SECOND);
            binary::bytes(prefix.as_bytes(), out);
            out.push(binary::SECOND);
            content_avro(content, self.settings.binary_handling, out);
            return;
        }
        out.extend_from_slice(b"{\"op\":\"m\",\"ts_ms\":");
        source::millis(at.processed_at_unix_ns, memos, out);
        out.extend_from_slice(b",\"source\":");
        self.source.write(at, memos, out);
        out.extend_from_slice(b",\"transaction\":");
        self.source.write_transaction(at, transaction, out);
        out.extend_from_slice(b",\"message\":{\"prefix\":");
        json::string(prefix.as_bytes(), out);
        out.extend_from_slice(b",\"content\":");
        base64::bytes_json(content, self.settings.binary_handling, out);
        out.extend_from_slice(b"}}");
        self.frames.value.end(out);
    }
}

/// The content of a message in Avro: bytes, or the text that stands for them.
fn content_avro(content: &[u8], handling: BinaryHandling, out: &mut Vec<u8>) {
    if handling == BinaryHandling::Bytes {
        return binary::bytes(content, out);
    }
    let start = out.len();
    base64::bytes_json(content, handling, out);
    binary::from_json_string(start, out);
}

fn key_schema() -> Schema {
    Schema::structure(vec![Schema::plain("string").optional().field("prefix")])
        .called("io.debezium.connector.postgresql.MessageKey".to_owned(), Some(1))
}

fn value_schema(handling: BinaryHandling) -> Schema {
    let content = Schema::plain(match handling {
        BinaryHandling::Bytes => "bytes",
        BinaryHandling::Base64 | BinaryHandling::Base64UrlSafe | BinaryHandling::Hex => "string",
    });
    let message = Schema::structure(vec![
        Schema::plain("string").optional().field("prefix"),
        content.optional().field("content"),
    ])
    .called("io.debezium.connector.postgresql.Message".to_owned(), Some(1));
    Schema::structure(vec![
        Schema::plain("string").field("op"),
        Schema::plain("int64").optional().field("ts_ms"),
        schema::source().field("source"),
        schema::transaction().field("transaction"),
        message.field("message"),
    ])
    .called("io.debezium.connector.postgresql.MessageValue".to_owned(), Some(1))
}
