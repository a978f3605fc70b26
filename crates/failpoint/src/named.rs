//! The closed sets: every point there is, every check that can be taken out, and their names.
//!
//! In: nothing. Out: [`Point`], [`Check`]. Never: a name that the code does not pass; a test kills at each.

/// A closed set of names, and all of them in order.
macro_rules! named {
    ($(#[$about:meta])* $set:ident { $($(#[$doc:meta])* $member:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $set {
            $($(#[$doc])* $member,)+
        }

        impl $set {
            /// All of them, in the order they are met.
            pub const ALL: &[Self] = &[$(Self::$member,)+];

            /// Its name in the variable.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $name,)+
                }
            }

            /// The one of this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.name() == name)
            }
        }
    };
}

named! {
    /// A step of the loop.
    Point {
        /// Take-over: nobody is fenced yet.
        BeforeFencing = "before-fencing",
        /// Take-over: the predecessor is fenced, the checkpoint not read.
        AfterFencing = "after-fencing",
        /// Take-over: the checkpoint is read, the source not looked at.
        AfterCheckpointRead = "after-checkpoint-read",
        /// Take-over: the checkpoint bears our name, a stale walsender may still hold the slot.
        AfterClaim = "after-claim",
        /// Take-over: the slot is made, no checkpoint says so.
        AfterSlotMade = "after-slot-made",
        /// Everything is ready, `START_REPLICATION` not sent.
        BeforeStreaming = "before-streaming",
        /// Kafka: a transaction is complete here, nothing of it was sent.
        BeforeBegin = "before-begin",
        /// Kafka: the broker has begun the transaction.
        AfterBegin = "after-begin",
        /// Kafka: a produce request is on its way.
        ProduceSent = "produce-sent",
        /// Kafka: a produce request was answered.
        ProduceAnswered = "produce-answered",
        /// Kafka: every record is acknowledged, the end not asked for.
        BeforeEndTxn = "before-end-txn",
        /// Kafka: the commit is on its way, its answer not read.
        EndTxnSent = "end-txn-sent",
        /// Kafka: the commit is answered, nobody was told.
        EndTxnAnswered = "end-txn-answered",
        /// Pipeline: a Kafka transaction is complete, stage 3 does not have it.
        BeforeHandOver = "before-hand-over",
        /// Pipeline: a Kafka transaction without records, for the position alone, was given to stage 3.
        CheckpointOnly = "checkpoint-only",
        /// Pipeline: a slice of a source transaction that is larger than the limit was given to stage 3.
        SliceHandedOver = "slice-handed-over",
        /// Pipeline: Kafka has committed, PostgreSQL may not forget yet.
        BeforeAcknowledgement = "before-acknowledgement",
        /// Pipeline: PostgreSQL may forget, and need not have heard it.
        AfterAcknowledgement = "after-acknowledgement",
        /// Way: batches are open, the walsender not ended.
        ToBatches = "to-batches",
        /// Way: batches have ended, the walsender is not asked for.
        ToStream = "to-stream",
        /// Snapshot: the last row of a chunk was read, its Kafka transaction is open.
        ChunkRead = "chunk-read",
        /// Snapshot: rows were given to stage 3.
        ChunkHandedOver = "chunk-handed-over",
        /// Snapshot: Kafka has committed rows.
        ChunkCommitted = "chunk-committed",
        /// Snapshot: every row was read, no checkpoint says that it is complete.
        BeforeCompletion = "before-completion",
        /// Snapshot: Kafka has committed that it is complete.
        AfterCompletion = "after-completion",
        /// Incremental snapshot: a chunk was read and waits for the stream.
        IncrementalRead = "incremental-read",
        /// Incremental snapshot: rows of a chunk are in the open Kafka transaction.
        IncrementalSent = "incremental-sent",
    }
}

named! {
    /// A check that exactly once stands on. Its name is what the program does without it.
    Check {
        /// The predecessor is fenced before the checkpoint is read.
        FenceFirst = "read-before-fencing",
        /// A position inside a source transaction counts the changes that were sent.
        Ordinal = "no-ordinal",
        /// The checkpoint is in the Kafka transaction of the records it covers.
        CheckpointInTransaction = "checkpoint-apart",
        /// A slot that is ahead of the checkpoint is a gap: seen when both are compared, and again when the stream is asked for.
        SlotAhead = "no-slot-ahead",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_name_names_one_member() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        assert!(Point::ALL.iter().all(|point| Point::named(point.name()) == Some(*point)));
        assert!(Check::ALL.iter().all(|check| Check::named(check.name()) == Some(*check)));
    }

    #[test]
    fn the_guide_lists_every_name() {
        let guide = include_str!("../../../docs/guides/faults.md");
        let points = Point::ALL.iter().map(|point| point.name());
        for name in points.chain(Check::ALL.iter().map(|check| check.name())) {
            assert!(guide.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
