//! What is known of the connectors of one worker, for whoever asks for the page.
//!
//! In: what each of them tells, and the worker's place in the group. Out: an [`Instance`].
//! Never: waiting; what is posted takes the place of what was posted before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connector::status::{self, Status};
use kafka::membership::Assignment;

use super::{Instance, MembershipObserved, Observed};
use crate::told::Phase;

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    connectors: BTreeMap<String, Observed>,
    membership: MembershipObserved,
}

impl Board {
    /// A place for one connector, until it is dropped.
    pub(crate) fn place(&self, name: &str) -> Posted {
        let observed = Observed {
            name: name.to_owned(),
            topic_prefix: String::new(),
            phase: Phase::Unassigned,
            status: status::channel().1.borrow().clone(),
        };
        self.lock().connectors.insert(name.to_owned(), observed);
        Posted { board: self.clone(), name: name.to_owned() }
    }

    /// The worker has its share.
    pub(crate) fn assigned(&self, assignment: &Assignment, now_ms: i64) {
        let membership = &mut self.lock().membership;
        membership.generation = assignment.generation;
        membership.members = assignment.members.len();
        membership.partitions = assignment.partitions.len();
        membership.assignments += 1;
        membership.assigned_at_ms = Some(now_ms);
    }

    /// The worker has lost its place.
    pub(crate) fn lost(&self) {
        let membership = &mut self.lock().membership;
        membership.partitions = 0;
        membership.losses += 1;
    }

    /// Everything, as of now.
    pub(crate) fn instance(&self, now_ms: i64) -> Instance {
        let inner = self.lock();
        Instance {
            connectors: inner.connectors.values().cloned().collect(),
            membership: Some(inner.membership),
            now_ms,
        }
    }

    // A panic while it was held leaves a map that is whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connector.
#[derive(Debug)]
pub(crate) struct Posted {
    board: Board,
    name: String,
}

impl Posted {
    /// `topic.prefix`, once the configuration is known.
    pub(crate) fn named(&self, topic_prefix: &str) {
        self.with(|observed| topic_prefix.clone_into(&mut observed.topic_prefix));
    }

    /// What it is doing. One that does not run says nothing but what its slot keeps; what it did before stays true.
    pub(crate) fn post(&self, phase: Phase, status: Option<&Status>) {
        self.with(|observed| {
            observed.phase = phase;
            match status {
                Some(status) if status.measured.takeovers == 0 => {
                    observed.status.retention.clone_from(&status.retention);
                }
                Some(status) => observed.status.clone_from(status),
                None => {}
            }
        });
    }

    fn with(&self, change: impl FnOnce(&mut Observed)) {
        if let Some(observed) = self.board.lock().connectors.get_mut(&self.name) {
            change(observed);
        }
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.board.lock().connectors.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use connector::measure::Measured;

    use super::*;

    #[test]
    fn a_connector_is_on_the_board_as_long_as_it_has_a_place() {
        let board = Board::default();
        let posted = board.place("shop");
        posted.named("prefix");
        let mut status = status::channel().1.borrow().clone();
        status.measured = Arc::new(Measured { takeovers: 1, ..Measured::default() });
        status.records_committed = 7;
        posted.post(Phase::Streaming, Some(&status));
        // At rest it only looks at its slot.
        posted.post(Phase::Paused, Some(&status::channel().1.borrow()));
        let instance = board.instance(0);
        let observed = &instance.connectors[0];
        assert_eq!((observed.topic_prefix.as_str(), observed.phase), ("prefix", Phase::Paused));
        assert_eq!(observed.status.records_committed, 7);
        drop(posted);
        assert!(board.instance(0).connectors.is_empty());
    }
}
