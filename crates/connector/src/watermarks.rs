//! The three positions of one running connector, and the order between them. Pure.
//!
//! Invariant, asserted on every step: acknowledged ≤ committed ≤ received. Breaking it would let PostgreSQL forget
//! changes that Kafka does not hold; losing data is worse than stopping.

use pgoutput::Lsn;

/// Positions in the write-ahead log. Each only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermarks {
    received: Lsn,
    committed: Lsn,
    acknowledged: Lsn,
}

impl Watermarks {
    /// Begins at a checkpoint. `acknowledged` is what the slot knows: the same, or earlier.
    pub(crate) fn starting_at(committed: Lsn, acknowledged: Lsn) -> Self {
        assert!(
            acknowledged <= committed,
            "the slot is at {acknowledged}, past the checkpoint {committed}"
        );
        Self { received: committed, committed, acknowledged }
    }

    /// Everything before `end` has been read from the stream.
    pub(crate) fn receive(&mut self, end: Lsn) {
        self.received = self.received.max(end);
    }

    /// Kafka now holds everything before `end` in a committed transaction.
    pub(crate) fn commit(&mut self, end: Lsn) {
        assert!(
            self.committed <= end && end <= self.received,
            "commit {end} outside {}..={}",
            self.committed,
            self.received
        );
        self.committed = end;
    }

    /// PostgreSQL is told that it may forget everything before the returned position.
    pub(crate) fn acknowledge(&mut self) -> Lsn {
        assert!(
            self.acknowledged <= self.committed,
            "acknowledged {} past committed {}",
            self.acknowledged,
            self.committed
        );
        self.acknowledged = self.committed;
        self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_acknowledged_before_it_is_committed(steps in prop::collection::vec((0u8..3, 0u64..1000), 0..200)) {
            let mut marks = Watermarks::starting_at(Lsn::new(10), Lsn::new(5));
            for (step, distance) in steps {
                match step {
                    0 => marks.receive(Lsn::new(marks.received.as_u64() + distance)),
                    1 => {
                        let room = marks.received.as_u64() - marks.committed.as_u64();
                        marks.commit(Lsn::new(marks.committed.as_u64() + distance.min(room)));
                    }
                    _ => {
                        let acknowledged = marks.acknowledge();
                        prop_assert!(acknowledged <= marks.committed);
                    }
                }
                prop_assert!(marks.committed <= marks.received);
            }
        }
    }

    #[test]
    #[should_panic(expected = "commit 0/C8 outside")]
    fn a_commit_past_what_was_received_stops_the_connector() {
        Watermarks::starting_at(Lsn::new(10), Lsn::new(10)).commit(Lsn::new(200));
    }

    #[test]
    #[should_panic(expected = "past the checkpoint")]
    fn a_slot_ahead_of_its_checkpoint_is_never_a_start() {
        let _ = Watermarks::starting_at(Lsn::new(10), Lsn::new(11));
    }
}
