//! Whether the events of a partition come once and in the order of the log. Pure.
//!
//! In: what each event of the stream says of its place. Out: how many were there before, and how many came too late.
//! With the header of event ids both are told apart, as long as an event comes again within the last [`IDS_REMEMBERED`]. Without it
//! an event that comes again behind a later one is one that comes too late, and a repetition at once is not seen.

use std::collections::{HashSet, VecDeque};

const IDS_REMEMBERED: usize = 100_000;

/// A place in the log, in the order in which events of a partition have to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place([u64; 4]);

/// What was seen of one partition.
#[derive(Debug, Default)]
pub(super) struct Order {
    newest: Option<Place>,
    remembered: VecDeque<Place>,
    known: HashSet<Place>,
    /// Events that were there before.
    pub(super) repeated: u64,
    /// Events behind later ones.
    pub(super) late: u64,
}

impl Place {
    /// Of an event id: `commit:change:repeat`, after a dot which record of the change it is.
    pub(super) fn of_id(id: &str) -> Option<Self> {
        let (id, record) = id.split_once('.').unwrap_or((id, "0"));
        let mut parts = id.split(':');
        let lsn = |text: &str| text.parse::<pgoutput::Lsn>().ok().map(pgoutput::Lsn::as_u64);
        let (commit, change) = (lsn(parts.next()?)?, lsn(parts.next()?)?);
        let repeat = parts.next()?.parse().ok()?;
        Some(Self([commit, change, repeat, record.parse().ok()?]))
    }

    /// Of `source.sequence`.
    pub(super) fn of_sequence((last_commit, lsn): (u64, u64)) -> Self {
        Self([last_commit, lsn, 0, 0])
    }
}

impl Order {
    /// The next event. `is_id` says that its place is that of no other.
    pub(super) fn push(&mut self, place: Place, is_id: bool) {
        if is_id && self.known.contains(&place) {
            self.repeated += 1;
        } else if self.newest.is_some_and(|newest| place < newest) {
            self.late += 1;
        }
        self.newest = self.newest.max(Some(place));
        if is_id && self.known.insert(place) {
            self.remembered.push_back(place);
            if self.remembered.len() > IDS_REMEMBERED
                && let Some(oldest) = self.remembered.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(ids: &[&str]) -> (u64, u64) {
        let mut order = Order::default();
        for id in ids {
            order.push(Place::of_id(id).unwrap(), true);
        }
        (order.repeated, order.late)
    }

    #[test]
    fn what_comes_again_and_what_comes_late_is_told_apart() {
        let right = ["0/10:0/1:0", "0/10:0/1:1", "0/10:0/1:1.1", "0/20:0/5:0", "1/0:0/2:0"];
        assert_eq!(order(&right), (0, 0));
        assert_eq!(order(&[right[0], right[1], right[0], right[1], right[3]]), (2, 0));
        assert_eq!(order(&[right[3], right[0]]), (0, 1));
    }

    #[test]
    fn a_place_without_id_may_be_that_of_several() {
        let mut order = Order::default();
        for place in [(1, 5), (1, 5), (1, 6), (7, 2), (1, 6)] {
            order.push(Place::of_sequence(place), false);
        }
        assert_eq!((order.repeated, order.late), (0, 1));
    }
}
