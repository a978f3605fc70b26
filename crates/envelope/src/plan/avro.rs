//! Events in Avro. In: rows. Out: the envelope in Avro's binary form, field after field. Never: an event before a registry has
//! given its schemas their ids.

use super::{Event, TablePlan};
use crate::EnvelopeError;
use crate::avro::{AvroSchemas, SchemaIds, binary, source};
use crate::key::KeyPlan;
use crate::position::SourcePosition;
use crate::record::Scratch;

impl TablePlan {
    /// What is to be registered before anything is encoded.
    pub fn schemas(&self) -> AvroSchemas<'_> {
        let key = self.key.as_ref().and_then(KeyPlan::schema);
        AvroSchemas { key, value: self.frame.schema() }
    }

    /// Takes what a registry has for [`Self::schemas`].
    pub fn identify(&mut self, ids: SchemaIds) {
        if let Some(key) = &mut self.key {
            key.identify(ids.key);
        }
        self.frame.identify(ids.value);
    }

    pub(super) fn write_event_avro(
        &self,
        event: &Event<'_>,
        at: &SourcePosition<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), EnvelopeError> {
        let Scratch { value: out, room, memos, transaction, notices, .. } = scratch;
        out.clear();
        room.begin();
        self.frame.begin(out);
        self.write_row(event.before, out, room, notices)?;
        self.write_row(event.after, out, room, notices)?;
        self.source.write(at, memos, out);
        self.source.write_transaction(at, transaction, out);
        binary::bytes(&[event.operation], out);
        source::processing_times(at.processed_at_unix_ns, out);
        room.value_bytes(out).map_or(Ok(()), |value_bytes| Err(self.too_large(value_bytes)))
    }
}
