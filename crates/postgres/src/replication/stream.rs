//! The stream of one slot.
use bytes::Bytes;
use pgoutput::replication::ReplicationMessage;
use pgoutput::{DecodeError, Lsn};

use crate::PostgresError;

/// Whole CopyData messages, as they came.
#[derive(Clone, Debug)]
pub struct WalChunk(Bytes);

impl WalChunk {
    /// The messages, in order.
    pub fn messages(
        &self,
    ) -> impl Iterator<Item = Result<ReplicationMessage<'_>, DecodeError>> + '_ {
        std::iter::once(pgoutput::replication::decode(&self.0))
    }

    /// The chunk's size.
    pub fn len_bytes(&self) -> usize {
        self.0.len()
    }
}

/// The stream of one slot; owns a reader task and a feedback task. Dropping it closes the connection.
pub struct ReplicationStream(());

impl ReplicationStream {
    /// The next chunk. Cancel-safe. Errors: why the stream ended; after an error there is nothing more.
    pub async fn next(&mut self) -> Result<WalChunk, PostgresError> {
        Err(PostgresError::StreamEnded)
    }

    /// The next chunk if one is waiting.
    pub fn try_next(&mut self) -> Option<Result<WalChunk, PostgresError>> {
        None
    }

    /// Everything before `flushed` is safe and never needed again.
    ///
    /// # Panics
    /// When `flushed` lies before what was acknowledged.
    pub fn acknowledge(&self, flushed: Lsn) {
        let _ = flushed;
    }

    /// Reports the last acknowledged position, ends the stream in good order and waits for the server to let go.
    pub async fn close(self) {}
}
