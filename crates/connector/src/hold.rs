//! Frames that wait until it is known what they mean.
//!
//! A transaction that changes a table's definition and its rows leaves no trace of which came first, when the rows' shape is
//! the same. But the stream describes the table again before the first row that follows the change. So the frames wait: for
//! that, and then they came before it; or for the end of the transaction, and then they came after.
//! In: the frames of one source transaction, from a Relation on. Out: the same frames, and the verdict.
//! Never: more than [`HELD_BYTES_MAX`]; what is larger is taken to have come before.

use std::collections::VecDeque;
use std::sync::Arc;

use pgoutput::replication::XLogData;
use pgoutput::{DecodeError, Lsn, Message, PgTimestamp, Relation};

/// Bytes of frames that wait at most.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// One frame of the stream.
#[derive(Debug)]
pub(crate) struct Frame {
    wal_start: Lsn,
    wal_end: Lsn,
    sent_at: PgTimestamp,
    payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn of(data: &XLogData<'_>) -> Self {
        let XLogData { wal_start, wal_end, sent_at, payload } = *data;
        Self { wal_start, wal_end, sent_at, payload: payload.to_vec() }
    }

    pub(crate) fn data(&self) -> XLogData<'_> {
        let Self { wal_start, wal_end, sent_at, ref payload } = *self;
        XLogData { wal_start, wal_end, sent_at, payload }
    }
}

/// What a frame says of those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Open,
    /// They came before the transaction changed the table.
    Before,
    /// They came after.
    After,
}

/// Frames that wait, and the table they wait for.
#[derive(Debug)]
pub(crate) struct Hold {
    relation: Arc<Relation>,
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Hold {
    /// Waits from the description of a table on.
    pub(crate) fn new(relation: Arc<Relation>) -> Self {
        Self { relation, frames: VecDeque::new(), bytes: 0 }
    }

    /// The table.
    pub(crate) fn relation(&self) -> &Arc<Relation> {
        &self.relation
    }

    /// What the next frame says.
    pub(crate) fn verdict(&self, frame: &XLogData<'_>) -> Result<Verdict, DecodeError> {
        Ok(match pgoutput::decode(frame.payload, false)? {
            Message::Commit(_) => Verdict::After,
            Message::Relation(relation) if relation.oid == self.relation.oid => Verdict::Before,
            _ if self.bytes + frame.payload.len() > HELD_BYTES_MAX => Verdict::Before,
            _ => Verdict::Open,
        })
    }

    /// Lets a frame wait.
    pub(crate) fn push(&mut self, frame: Frame) {
        self.bytes += frame.payload.len();
        self.frames.push_back(frame);
    }

    /// The frames, in order.
    pub(crate) fn release(self) -> VecDeque<Frame> {
        self.frames
    }
}
