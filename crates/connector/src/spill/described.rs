//! Which description of a table is the newest one the server has sent, whatever order transactions commit in. Pure.
//!
//! A transaction in progress has its own descriptions, which count for its rows. When it has committed, the server takes them as
//! known, unless it has noticed a change of the table since and described it elsewhere. Then the one elsewhere is newer although
//! it was told before: it has to be told again.
//! In: descriptions, numbered in the order they came. Out: what has to be told again.
//! Source: PostgreSQL, `src/backend/replication/pgoutput/pgoutput.c`, `maybe_send_schema` and `cleanup_rel_sync_cache`.

use std::collections::BTreeMap;

use pgoutput::Oid;

/// A Relation message as it is outside of streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// How many came before.
    pub(super) number: u64,
    /// From its tag on.
    pub(super) payload: Box<[u8]>,
}

/// The newest description of each table that counts outside of transactions in progress.
#[derive(Debug, Default)]
pub(super) struct Described {
    came: u64,
    newest: BTreeMap<Oid, Description>,
}

impl Described {
    /// The number of a description that comes now.
    pub(super) fn count(&mut self) -> u64 {
        self.came += 1;
        self.came
    }

    /// An ordinary message; it may be a description.
    #[inline]
    pub(super) fn outside(&mut self, payload: &[u8]) {
        if let Some((b'R', rest)) = payload.split_first()
            && let Some(oid) = rest.first_chunk::<4>()
        {
            let oid = Oid(u32::from_be_bytes(*oid));
            let number = self.count();
            self.newest.insert(oid, Description { number, payload: payload.into() });
        }
    }

    /// The last description of a table in a transaction that has committed. Returns the one to tell again behind it, if that
    /// one is newer and says something else.
    pub(super) fn committed(&mut self, oid: Oid, last: Description) -> Option<Box<[u8]>> {
        match self.newest.get(&oid) {
            Some(newest) if newest.number > last.number => {
                (newest.payload != last.payload).then(|| newest.payload.clone())
            }
            _ => {
                self.newest.insert(oid, last);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(version: u8) -> Vec<u8> {
        vec![b'R', 0, 0, 0, 7, version]
    }

    #[test]
    fn what_came_later_outside_is_told_again() {
        let mut described = Described::default();
        let number = described.count();
        let inside = Description { number, payload: relation(1).into() };
        described.outside(b"I\0\0\0\x07");
        described.outside(&relation(2));
        let again = described.committed(Oid(7), inside.clone());
        assert_eq!(again.as_deref(), Some(&relation(2)[..]));
        // What came later inside counts, and so does what says the same.
        let later = Description { number: described.count(), ..inside };
        assert_eq!(described.committed(Oid(7), later.clone()), None);
        described.outside(&relation(1));
        assert_eq!(described.committed(Oid(7), later), None);
    }
}
