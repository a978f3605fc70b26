//! Which source transactions the stream has delivered lately: a snapshot that does not see one of them yet is older than the
//! stream. Pure.

use std::collections::VecDeque;

use pgoutput::Xid;
use postgres::catalog::CatalogHorizon;

/// A transaction that is in the log and cannot be seen holds its session. No server has more sessions than this in such a
/// wait, and they are let go in the order of the log.
const TRANSACTIONS_MAX: usize = 16 * 1024;

/// The newest transactions of the stream.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    newest: VecDeque<Xid>,
}

impl Delivered {
    /// One more begins.
    #[inline]
    pub(super) fn add(&mut self, xid: Xid) {
        if self.newest.len() == TRANSACTIONS_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(xid);
    }

    /// Takes all, and begins anew.
    pub(super) fn take(&mut self) -> VecDeque<Xid> {
        std::mem::take(&mut self.newest)
    }

    /// Puts back earlier ones.
    pub(super) fn put_back(&mut self, earlier: VecDeque<Xid>) {
        let room = TRANSACTIONS_MAX.saturating_sub(self.newest.len());
        let skipped = earlier.len().saturating_sub(room);
        for xid in earlier.into_iter().skip(skipped).rev() {
            self.newest.push_front(xid);
        }
    }

    /// Those that a snapshot does not see. What one sees, every later one sees.
    pub(super) fn unseen(mut delivered: VecDeque<Xid>, seen: &CatalogHorizon) -> VecDeque<Xid> {
        delivered.retain(|xid| !seen.shows(*xid));
        delivered
    }
}

#[cfg(test)]
mod tests {
    use pgoutput::Lsn;

    use super::*;

    #[test]
    fn what_was_seen_once_is_not_asked_for_again() {
        let mut delivered = Delivered::default();
        (1..=5).for_each(|xid| delivered.add(Xid(1000 + xid)));
        let seen = CatalogHorizon {
            settled_before: None,
            next_xid: 1005,
            in_progress: vec![1002],
            read_at: Lsn::new(1),
        };
        let unseen = Delivered::unseen(delivered.take(), &seen);
        assert_eq!(unseen, [Xid(1002), Xid(1005)]);
        delivered.add(Xid(1006));
        delivered.put_back(unseen);
        assert_eq!(delivered.take(), [Xid(1002), Xid(1005), Xid(1006)]);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut delivered = Delivered::default();
        for xid in 0..u32::try_from(TRANSACTIONS_MAX).unwrap() + 3 {
            delivered.add(Xid(xid));
        }
        let taken = delivered.take();
        assert_eq!((taken.len(), taken[0]), (TRANSACTIONS_MAX, Xid(3)));
        delivered.add(Xid(1));
        delivered.put_back(taken);
        let all = delivered.take();
        assert_eq!(
            (all.len(), all[0], all[TRANSACTIONS_MAX - 1]),
            (TRANSACTIONS_MAX, Xid(4), Xid(1))
        );
    }
}
