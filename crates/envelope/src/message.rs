//! Logical decoding messages to records. In: prefix and content. Out: one record per message. Never: filters; `connector`
//! does. These records carry no context headers.
//!
//! Source: Debezium documentation, "PostgreSQL connector: Message events".

use std::sync::Arc;

use smallvec::SmallVec;

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
    topic: String,
    key_head: Vec<u8>,
    key_close: &'static [u8],
    value_head: Vec<u8>,
    value_close: &'static [u8],
    source: SourceBlock,
}

impl MessagePlan {
    /// Prepares what stays the same for all messages.
    pub fn compile(settings: &Arc<EncoderSettings>) -> Self {
        let (key_head, key_close) = key_schema().framing(settings.key);
        let (value_head, value_close) =
            value_schema(settings.binary_handling).framing(settings.value);
        Self {
            topic: names::topic(&[&settings.topic_prefix, COLLECTION], DELIMITER),
            key_head,
            key_close,
            value_head,
            value_close,
            source: SourceBlock::new(settings, "", "").counted_as(COLLECTION),
            settings: Arc::clone(settings),
        }
    }

    /// Where its records go.
    pub fn topic(&self) -> &str {
        &self.topic
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
        key.extend_from_slice(&self.key_head);
        key.extend_from_slice(b"{\"prefix\":");
        json::string(prefix.as_bytes(), key);
        key.push(b'}');
        key.extend_from_slice(self.key_close);
        self.write_value(at, prefix, content, scratch);
        let has_id = event_id::write(&self.settings, at, 0, &mut scratch.event_id);
        let id = self.settings.event_id_header.as_ref().filter(|_| has_id);
        let context = scratch.context.iter().filter(|_| at.xid.is_some());
        let headers: SmallVec<[Header<'_>; 4]> = context
            .map(|(name, value)| Header { name, value })
            .chain(id.map(|name| Header { name, value: &scratch.event_id }))
            .collect();
        out(Record {
            topic: &self.topic,
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
        out.extend_from_slice(&self.value_head);
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
        out.extend_from_slice(self.value_close);
    }
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
