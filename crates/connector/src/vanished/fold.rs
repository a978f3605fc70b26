//! From the records of a partition to the places of those that may be the last trace of a row that vanished. Pure.
//!
//! In: offset and key of every record, in order, and whether it leaves a row behind. Out: offsets of records that lie before
//! the gap's snapshot, leave a row behind, and are the last of their key in the whole partition.
//! A key is known by a fingerprint of 128 bits, and only while its newest record is such a one. Where those are more than
//! fit, the fold keeps half of all keys and leaves the other half to a pass of its own, as often as it takes.
//! Two keys of one fingerprint could only hide a vanished row, never name a living one: its record behind the snapshot's
//! beginning takes the fingerprint away for good.
//! Never: a key, a value.
//! Source: docs/adr/0013-deletes-after-a-gap.md.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// The keys one pass may remember: with 24 bytes for each and room for the table to be sparse, 26 MB.
pub(super) const KEYS_MAX: usize = (1 << 20) / 8 * 7;

/// One bit less than a fingerprint has, so that there is a mask for them.
const ENDING_BITS_MAX: u32 = 127;

/// Keys are told apart by this.
pub(crate) type Fingerprint = [u8; 16];

/// A part of all keys: those whose fingerprints end with certain bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    bits: u32,
    ending: u128,
}

/// What one pass remembers.
#[derive(Debug)]
pub(super) struct Fold {
    slice: Slice,
    /// Where the snapshot's records begin.
    before: i64,
    keys_max: usize,
    /// Where the newest record of a key is, as bytes: an aligned number would make each entry larger.
    newest: HashMap<Fingerprint, [u8; 8]>,
    /// What did not fit.
    left: Vec<Slice>,
}

impl Slice {
    /// All keys.
    pub(super) const WHOLE: Self = Self { bits: 0, ending: 0 };

    fn holds(&self, fingerprint: &Fingerprint) -> bool {
        let mask = (1_u128 << self.bits) - 1;
        u128::from_le_bytes(*fingerprint) & mask == self.ending
    }

    /// Two halves.
    fn split(self) -> (Self, Self) {
        let bits = self.bits + 1;
        let other = self.ending | 1 << self.bits;
        (Self { bits, ..self }, Self { bits, ending: other })
    }
}

impl Fold {
    /// Begins a pass over at most `records` records.
    pub(super) fn new(slice: Slice, before: i64, keys_max: usize, records: i64) -> Self {
        let records = usize::try_from(records).unwrap_or_default();
        // At its full size at once: a table that grows is there twice for a moment.
        let newest = HashMap::with_capacity(keys_max.min(records));
        Self { slice, before, keys_max, newest, left: Vec::new() }
    }

    /// The next record. `leaves_row` is asked only where it matters.
    pub(super) fn push(&mut self, offset: i64, key: &[u8], leaves_row: impl FnOnce() -> bool) {
        let fingerprint = fingerprint(key);
        if !self.slice.holds(&fingerprint) {
            return;
        }
        if offset >= self.before || !leaves_row() {
            self.newest.remove(&fingerprint);
            return;
        }
        if self.newest.len() == self.keys_max && !self.newest.contains_key(&fingerprint) {
            self.make_room();
            if !self.slice.holds(&fingerprint) {
                return;
            }
        }
        self.newest.insert(fingerprint, offset.to_le_bytes());
    }

    /// The offsets found, in order, and the keys that are left to other passes.
    pub(super) fn finish(self) -> (Vec<i64>, Vec<Slice>) {
        let mut offsets: Vec<i64> = self.newest.into_values().map(i64::from_le_bytes).collect();
        offsets.sort_unstable();
        (offsets, self.left)
    }

    /// Leaves keys to another pass until there is room for one more.
    fn make_room(&mut self) {
        while self.newest.len() >= self.keys_max && self.slice.bits < ENDING_BITS_MAX {
            let (kept, left) = self.slice.split();
            self.newest.retain(|fingerprint, _| kept.holds(fingerprint));
            self.slice = kept;
            self.left.push(left);
        }
    }
}

/// That of a key.
pub(crate) fn fingerprint(key: &[u8]) -> Fingerprint {
    let digest = Sha256::digest(key);
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(&digest[..16]);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Passes over the same records until nothing is left; the offsets found, and the number of passes.
    fn folded(records: &[(u8, bool)], before: i64, keys_max: usize) -> (Vec<i64>, usize) {
        let mut slices = vec![Slice::WHOLE];
        let (mut found, mut passes) = (Vec::new(), 0);
        while let Some(slice) = slices.pop() {
            let mut fold = Fold::new(slice, before, keys_max, 1000);
            for (offset, (key, leaves_row)) in (0..).zip(records) {
                fold.push(offset, &[*key], || *leaves_row);
                assert!(fold.newest.len() <= keys_max);
            }
            let (offsets, left) = fold.finish();
            found.extend(offsets);
            slices.extend(left);
            passes += 1;
        }
        found.sort_unstable();
        (found, passes)
    }

    fn naive(records: &[(u8, bool)], before: i64) -> Vec<i64> {
        let mut newest = BTreeMap::new();
        for (offset, (key, leaves_row)) in (0..).zip(records) {
            newest.insert(*key, (offset, *leaves_row));
        }
        let lost = newest.into_values().filter(|(offset, row)| *row && *offset < before);
        let mut offsets: Vec<i64> = lost.map(|(offset, _)| offset).collect();
        offsets.sort_unstable();
        offsets
    }

    proptest! {
        #[test]
        fn every_key_is_found_that_was_last_alive_before_the_snapshot_whatever_fits(
            records in prop::collection::vec((any::<u8>(), prop::bool::weighted(0.8)), 0..600),
            before in 0_i64..600,
            keys_max in 1_usize..40,
        ) {
            let (found, _) = folded(&records, before, keys_max);
            prop_assert_eq!(found, naive(&records, before));
        }
    }

    #[test]
    fn keys_that_do_not_fit_take_further_passes() {
        let records: Vec<(u8, bool)> = (0..=255).map(|key| (key, true)).collect();
        assert_eq!(folded(&records, 256, 300).1, 1);
        let (found, passes) = folded(&records, 256, 10);
        assert!(passes > 20, "{passes}");
        assert_eq!(found.len(), 256);
    }
}
