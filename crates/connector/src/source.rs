//! Stage 1 as the pipeline sees it, whichever way the slot is read.
//!
//! In: acknowledged positions. Out: chunks of the same messages, from the walsender, from batches, or of a large transaction that
//! has committed.
//! Never: a failure of batches that ends the run. They are over then, and [`Way`](crate::way::Way) goes on by
//! streaming.

use std::future::pending;

use pgoutput::replication::ReplicationMessage;
use pgoutput::{DecodeError, Lsn};
use postgres::{BatchChunk, BatchItem, BatchStream, BatchesEnd, PostgresError, WalChunk};

use crate::error::ConnectorError;
use crate::spill::ReplayChunk;
use crate::status::StreamedStatus;
use crate::streamed::Streamed;

/// One of the two ways to read the slot.
pub(crate) enum Source {
    /// Its walsender sends each message as it is decoded.
    Stream(Box<Streamed>),
    /// A copy of it is read in batches.
    Batches(BatchSource),
}

/// Batches, until they are over.
pub(crate) struct BatchSource {
    /// `None` once the session has ended.
    stream: Option<BatchStream>,
    over: Option<Over>,
    /// The last chunk ended a batch.
    between: bool,
}

/// Why there are no more batches.
#[derive(Debug)]
pub(crate) enum Over {
    /// It pays no longer.
    End(BatchesEnd),
    /// They cannot go on.
    Failed(PostgresError),
}

/// What was read at once.
pub(crate) enum Chunk {
    /// By the walsender.
    Wal(WalChunk),
    /// A batch, or a part of it.
    Batch(BatchChunk),
    /// A large transaction, or a part of it.
    Replay(ReplayChunk),
    /// Nothing: all of it was kept.
    Kept,
    /// Nothing: this way has come to its end.
    Over,
}

impl Source {
    pub(crate) fn batches(stream: BatchStream) -> Self {
        Self::Batches(BatchSource { stream: Some(stream), over: None, between: true })
    }

    /// Its walsender sends each message as it is decoded.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// The next chunk. Cancel-safe.
    ///
    /// Errors: why the stream ended; batches only are over.
    pub(crate) async fn next(&mut self) -> Result<Chunk, ConnectorError> {
        match self {
            Self::Stream(stream) => stream.next().await,
            Self::Batches(batches) => Ok(batches.next().await),
        }
    }

    /// Everything before `flushed` is in Kafka: PostgreSQL may forget it.
    pub(crate) fn acknowledge(&self, flushed: Lsn) {
        match self {
            Self::Stream(stream) => stream.acknowledge(flushed),
            Self::Batches(batches) => {
                if let Some(stream) = &batches.stream {
                    stream.acknowledge(flushed);
                }
            }
        }
    }

    /// Large transactions that wait, if there are any.
    pub(crate) fn streamed(&self) -> Option<StreamedStatus> {
        match self {
            Self::Stream(stream) => stream.status(),
            Self::Batches(_) => None,
        }
    }

    /// Ends reading; the slot is free then.
    pub(crate) async fn close(self) {
        match self {
            Self::Stream(mut stream) => drop(stream.close().await),
            Self::Batches(batches) => drop(batches),
        }
    }
}

impl BatchSource {
    async fn next(&mut self) -> Chunk {
        let Some(stream) = self.stream.as_mut().filter(|_| self.over.is_none()) else {
            return pending().await;
        };
        let over = match stream.next().await {
            Ok(BatchItem::Chunk(chunk)) => {
                self.between = chunk.ends_batch();
                return Chunk::Batch(chunk);
            }
            Ok(BatchItem::End(end)) => Over::End(end),
            Err(error) => Over::Failed(error),
        };
        self.over = Some(over);
        Chunk::Over
    }

    /// There will be no more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Whether the last chunk ended a batch.
    pub(crate) fn is_between(&self) -> bool {
        self.between
    }

    /// Ends the session, and says why there are no more batches, if so.
    pub(crate) fn stop(&mut self) -> Option<Over> {
        self.stream = None;
        self.over.take()
    }
}

impl Chunk {
    /// The server decodes in a new session from here on, which began when the log had come so far.
    pub(crate) fn session_began(&self) -> Option<Lsn> {
        match self {
            Self::Batch(chunk) => chunk.session_began(),
            Self::Wal(_) | Self::Replay(_) | Self::Kept | Self::Over => None,
        }
    }

    /// It is of a transaction that was sent before it committed, in which the server describes every relation anew.
    pub(crate) fn is_replay(&self) -> bool {
        matches!(self, Self::Replay(_))
    }

    /// The messages, in order.
    pub(crate) fn messages(
        &self,
    ) -> Box<dyn Iterator<Item = Result<ReplicationMessage<'_>, DecodeError>> + Send + '_> {
        match self {
            Self::Wal(chunk) => Box::new(chunk.messages()),
            Self::Batch(chunk) => Box::new(chunk.messages().map(Ok)),
            Self::Replay(chunk) => Box::new(chunk.messages().map(Ok)),
            Self::Kept | Self::Over => Box::new(std::iter::empty()),
        }
    }
}
