//! Transaction metadata: the place of an event in its source transaction, and the records that begin and end one.
//!
//! In: begin and commit of source transactions, and each event between them. Out: the `transaction` block, and BEGIN and
//! END records with counts per table.
//! Never: an allocation per event; nothing at all unless `provide.transaction.metadata` is on.
//!
//! An id is `xid:lsn`, and the LSN is that of the message the id stands in: BEGIN, each event and END of one transaction
//! have the `xid` in common, and no more.
//! Source: Debezium documentation, "Transaction metadata", which says so, and what Debezium 3.6 sends.

use std::fmt::Write as _;
use std::sync::Arc;

use pgoutput::{Lsn, Xid};

use crate::EnvelopeError;
use crate::avro::{binary, source};
use crate::fragment;
use crate::frame::Frames;
use crate::names;
use crate::record::{Record, Scratch};
use crate::schema::Schema;
use crate::settings::EncoderSettings;
use crate::value::json;

/// Counts the events of the source transaction that is being encoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransactionOrder {
    open: bool,
    /// `xid:`, the part of their ids that stays.
    id_head: String,
    total: u64,
    /// By `schema.table`, in the order of their first events.
    collections: Vec<(String, u64)>,
}

impl TransactionOrder {
    /// Appends the block of the next event; `null` outside of transactions, as is everything that has no `lsn`.
    pub(crate) fn write_next(&mut self, collection: &str, lsn: Option<Lsn>, out: &mut Vec<u8>) {
        let Some(lsn) = lsn.filter(|_| self.open) else {
            out.extend_from_slice(b"null");
            return;
        };
        let order = self.count_next(collection);
        out.extend_from_slice(b"{\"id\":\"");
        self.write_id(lsn, out);
        out.extend_from_slice(b"\",\"total_order\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.total).as_bytes());
        out.extend_from_slice(b",\"data_collection_order\":");
        out.extend_from_slice(itoa::Buffer::new().format(order).as_bytes());
        out.push(b'}');
    }

    /// The same in Avro's binary form, as a branch of its union with null.
    pub(crate) fn write_next_avro(
        &mut self,
        collection: &str,
        lsn: Option<Lsn>,
        out: &mut Vec<u8>,
    ) {
        let Some(lsn) = lsn.filter(|_| self.open) else {
            out.push(binary::FIRST);
            return;
        };
        let order = self.count_next(collection);
        out.push(binary::SECOND);
        self.write_id_avro(lsn, out);
        binary::long(self.total.cast_signed(), out);
        binary::long(order.cast_signed(), out);
    }

    /// Counts an event; its place among those of its table.
    fn count_next(&mut self, collection: &str) -> u64 {
        self.total += 1;
        // Runs of one table are the usual case, so the newest is looked at first.
        let found = self.collections.iter_mut().rev().find(|(name, _)| name == collection);
        if let Some((_, count)) = found {
            *count += 1;
            *count
        } else {
            self.collections.push((collection.to_owned(), 1));
            1
        }
    }

    fn write_id(&self, lsn: Lsn, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id_head.as_bytes());
        fragment::append(&fragment::decimal(lsn.as_u64()), out);
    }

    fn write_id_avro(&self, lsn: Lsn, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(0);
        self.write_id(lsn, out);
        binary::put_count(start, out.len() - start - 1, out);
    }
}

impl Scratch {
    /// A source transaction begins: its events count from one.
    ///
    /// Only with `provide.transaction.metadata`; without it events carry no block.
    pub fn begin_transaction(&mut self, xid: Xid) {
        let order = &mut self.transaction;
        order.open = true;
        order.id_head.clear();
        // Writing to a String cannot fail.
        let _ = write!(order.id_head, "{}:", xid.0);
        order.total = 0;
        order.collections.clear();
    }
}

/// Encodes the records of the transaction topic; compiled once for a connector.
#[derive(Debug)]
pub struct TransactionPlan {
    frames: Frames,
}

impl TransactionPlan {
    /// Prepares what stays the same for all transactions. `topic_transaction` is the setting `topic.transaction`.
    ///
    /// Errors: [`EnvelopeError::AvroName`].
    pub fn compile(
        settings: &Arc<EncoderSettings>,
        topic_transaction: &str,
    ) -> Result<Self, EnvelopeError> {
        let parts = [settings.topic_prefix.as_str(), topic_transaction];
        let topic = names::topic(&parts, &settings.topic_delimiter);
        Ok(Self { frames: Frames::of(settings, topic, &key_schema(), &value_schema())? })
    }

    /// What stands around its records, which is to be registered before anything is encoded.
    pub fn frames(&mut self) -> &mut Frames {
        &mut self.frames
    }

    /// Where its records go.
    pub fn topic(&self) -> &str {
        self.frames.topic()
    }

    /// The record that begins the transaction `scratch` was told of. `at` is where the server's BEGIN message stands.
    pub fn begin(
        &self,
        at: Lsn,
        committed_at_unix_ms: i64,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) {
        self.write_head("BEGIN", at, scratch);
        scratch.value.extend_from_slice(if self.frames.value.is_json() {
            b",\"event_count\":null,\"data_collections\":null"
        } else {
            &[binary::FIRST, binary::FIRST]
        });
        self.finish(committed_at_unix_ms, out, scratch);
    }

    /// The record that ends it, with the counts of its events; events after it are outside of transactions. `at` is where the
    /// server's COMMIT message stands.
    pub fn end(
        &self,
        at: Lsn,
        committed_at_unix_ms: i64,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) {
        self.write_head("END", at, scratch);
        let Scratch { value, transaction, .. } = scratch;
        transaction.open = false;
        if self.frames.value.is_json() {
            Self::write_counts(transaction, value);
        } else {
            Self::write_counts_avro(transaction, value);
        }
        self.finish(committed_at_unix_ms, out, scratch);
    }

    fn write_counts(transaction: &TransactionOrder, value: &mut Vec<u8>) {
        value.extend_from_slice(b",\"event_count\":");
        value.extend_from_slice(itoa::Buffer::new().format(transaction.total).as_bytes());
        value.extend_from_slice(b",\"data_collections\":[");
        for (index, (name, count)) in transaction.collections.iter().enumerate() {
            value.extend_from_slice(if index == 0 { b"" } else { b"," });
            value.extend_from_slice(b"{\"data_collection\":");
            json::string(name.as_bytes(), value);
            value.extend_from_slice(b",\"event_count\":");
            value.extend_from_slice(itoa::Buffer::new().format(*count).as_bytes());
            value.push(b'}');
        }
        value.push(b']');
    }

    fn write_counts_avro(transaction: &TransactionOrder, value: &mut Vec<u8>) {
        source::present(transaction.total.cast_signed(), value);
        value.push(binary::SECOND);
        if !transaction.collections.is_empty() {
            binary::count(transaction.collections.len(), value);
        }
        for (name, count) in &transaction.collections {
            value.push(binary::SECOND);
            binary::bytes(name.as_bytes(), value);
            binary::long(count.cast_signed(), value);
        }
        // No further block.
        value.push(0);
    }

    fn write_head(&self, status: &str, at: Lsn, scratch: &mut Scratch) {
        let Scratch { key, value, transaction, .. } = scratch;
        key.clear();
        self.frames.key.begin(key);
        if self.frames.key.is_json() {
            key.extend_from_slice(b"{\"id\":\"");
            transaction.write_id(at, key);
            key.extend_from_slice(b"\"}");
        } else {
            transaction.write_id_avro(at, key);
        }
        self.frames.key.end(key);
        value.clear();
        self.frames.value.begin(value);
        if self.frames.value.is_json() {
            value.extend_from_slice(b"{\"status\":\"");
            value.extend_from_slice(status.as_bytes());
            value.extend_from_slice(b"\",\"id\":\"");
            transaction.write_id(at, value);
            value.push(b'"');
        } else {
            binary::bytes(status.as_bytes(), value);
            transaction.write_id_avro(at, value);
        }
    }

    fn finish(&self, unix_ms: i64, out: &mut impl FnMut(Record<'_>), scratch: &mut Scratch) {
        let value = &mut scratch.value;
        if self.frames.value.is_json() {
            value.extend_from_slice(b",\"ts_ms\":");
            value.extend_from_slice(itoa::Buffer::new().format(unix_ms).as_bytes());
            value.push(b'}');
        } else {
            binary::long(unix_ms, value);
        }
        self.frames.value.end(value);
        out(Record {
            topic: self.frames.topic(),
            key: Some(&scratch.key),
            value: Some(&scratch.value),
            headers: &[],
        });
    }
}

fn key_schema() -> Schema {
    Schema::structure(vec![Schema::plain("string").field("id")])
        .called("io.debezium.connector.common.TransactionMetadataKey".to_owned(), Some(1))
}

fn value_schema() -> Schema {
    let collection = Schema::structure(vec![
        Schema::plain("string").field("data_collection"),
        Schema::plain("int64").field("event_count"),
    ])
    .optional()
    .called("event.collection".to_owned(), Some(1));
    Schema::structure(vec![
        Schema::plain("string").field("status"),
        Schema::plain("string").field("id"),
        Schema::plain("int64").optional().field("event_count"),
        Schema::array(collection).optional().field("data_collections"),
        Schema::plain("int64").field("ts_ms"),
    ])
    .called("io.debezium.connector.common.TransactionMetadataValue".to_owned(), Some(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FormatSettings;

    fn records(
        run: impl FnOnce(&TransactionPlan, &mut Scratch, &mut dyn FnMut(Record<'_>)),
    ) -> Vec<String> {
        let mut settings = EncoderSettings::new("p", "d", "1");
        settings.value = FormatSettings { schemas_enable: false, ..FormatSettings::default() };
        let plan = TransactionPlan::compile(&Arc::new(settings), "transaction").unwrap();
        let mut found = Vec::new();
        run(&plan, &mut Scratch::default(), &mut |record| {
            found.push(String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap());
        });
        found
    }

    #[test]
    fn a_transaction_begins_and_ends_with_the_counts_of_its_events_and_each_id_has_its_own_lsn() {
        let found = records(|plan, scratch, mut out| {
            scratch.begin_transaction(Xid(571));
            plan.begin(Lsn::new(53_195_829), 1_486_500_577_125, &mut out, scratch);
            let mut block = Vec::new();
            for (collection, lsn) in [("s.a", 53_195_829), ("s.b", 53_195_830), ("s.a", 53_195_831)]
            {
                block.clear();
                scratch.transaction.write_next(collection, Some(Lsn::new(lsn)), &mut block);
            }
            assert_eq!(
                block,
                br#"{"id":"571:53195831","total_order":3,"data_collection_order":2}"#
            );
            plan.end(Lsn::new(53_195_832), 1_486_500_577_691, &mut out, scratch);
            block.clear();
            scratch.transaction.write_next("s.a", Some(Lsn::new(1)), &mut block);
            assert_eq!(block, b"null", "a message outside of transactions");
        });
        assert_eq!(
            found,
            [
                r#"{"status":"BEGIN","id":"571:53195829","event_count":null,"data_collections":null,"ts_ms":1486500577125}"#,
                r#"{"status":"END","id":"571:53195832","event_count":3,"data_collections":[{"data_collection":"s.a","event_count":2},{"data_collection":"s.b","event_count":1}],"ts_ms":1486500577691}"#,
            ]
        );
    }
}
