//! Records on their way out. In: key, value and id in a [`Scratch`]. Out: a [`Record`] with its headers, in order.

use smallvec::SmallVec;

use super::TablePlan;
use crate::event_id;
use crate::position::SourcePosition;
use crate::record::{Emission, Header, Record, Scratch};

impl TablePlan {
    /// Hands out what `scratch` holds.
    pub(super) fn emit(
        &self,
        at: &SourcePosition<'_>,
        emission: Emission,
        out: &mut impl FnMut(Record<'_>),
        scratch: &mut Scratch,
    ) {
        let has_id = event_id::write(&self.settings, at, emission.number, &mut scratch.event_id);
        self.hand_out(emission, has_id, out, scratch);
    }

    /// The same, with the id that is in `scratch`, if it has one.
    pub(super) fn hand_out(
        &self,
        emission: Emission,
        has_id: bool,
        out: &mut impl FnMut(Record<'_>),
        scratch: &Scratch,
    ) {
        let mut headers: SmallVec<[Header<'_>; 10]> = SmallVec::new();
        if let Some(name) = emission.key_header {
            headers.push(Header { name, value: &scratch.key_header });
        }
        if let Some(context) = &self.settings.extended_headers {
            headers.extend(context.headers());
        }
        headers.extend(scratch.context.iter().map(|(name, value)| Header { name, value }));
        if has_id && let Some(name) = &self.settings.event_id_header {
            headers.push(Header { name, value: &scratch.event_id });
        }
        let keyed = emission.keyed && self.key.is_some();
        out(Record {
            topic: &self.topic,
            key: keyed.then_some(&scratch.key[..]),
            value: emission.valued.then_some(&scratch.value[..]),
            headers: &headers,
        });
    }
}
