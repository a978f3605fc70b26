//! The readers of a snapshot: each imports the exported snapshot and copies one chunk after another.
//!
//! In: chunks of tables. Out: [`Block`]s of whole lines of COPY text, through a bounded channel, so a slow Kafka slows
//! the readers down instead of filling memory.
//! Source: PostgreSQL manual, "Snapshot Synchronization Functions", `COPY`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use postgres::snapshot::SnapshotReader;
use postgres::{ConnectionConfig, PostgresError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::parts::Chunk;
use crate::error::ConnectorError;
use crate::settings::Settings;

/// What a reader has to say.
#[derive(Debug)]
pub(super) enum Block {
    /// Whole lines of COPY text.
    Rows {
        /// Which of the snapshot's chunks.
        chunk: usize,
        /// Lines, each ended by a newline.
        lines: Bytes,
    },
    /// A chunk was read to its end.
    ChunkDone {
        /// Which of the snapshot's chunks.
        chunk: usize,
    },
}

/// Blocks read and not yet encoded. One is at most what the server sends at a time, a few hundred kilobytes.
const BLOCKS_WAITING_MAX: usize = 8;

/// What the readers send, and their end.
#[derive(Debug)]
pub(super) struct Blocks {
    receiver: mpsc::Receiver<Block>,
    readers: JoinSet<Result<(), PostgresError>>,
}

/// Starts the readers. They take chunks in order, so a single reader reads table by table.
pub(super) fn start(exported: String, chunks: Arc<[Chunk]>, settings: &Settings) -> Blocks {
    let (sender, receiver) = mpsc::channel(BLOCKS_WAITING_MAX);
    let count = settings.snapshot.max_threads.min(chunks.len());
    let work = Arc::new(Work { exported, chunks, next: AtomicUsize::new(0) });
    let mut readers = JoinSet::new();
    for _ in 0..count {
        let reader = read_chunks(settings.source.clone(), Arc::clone(&work), sender.clone());
        readers.spawn(reader.in_current_span());
    }
    Blocks { receiver, readers }
}

impl Blocks {
    /// The next block, or `None` when every chunk was read to its end. Safe to cancel.
    ///
    /// Errors: what ended a reader before it was done.
    pub(super) async fn next(&mut self) -> Result<Option<Block>, ConnectorError> {
        loop {
            tokio::select! {
                biased;
                block = self.receiver.recv() => {
                    if block.is_none() {
                        while let Some(ended) = self.readers.join_next().await {
                            outcome(ended)?;
                        }
                    }
                    return Ok(block);
                }
                Some(ended) = self.readers.join_next() => outcome(ended)?,
            }
        }
    }
}

struct Work {
    exported: String,
    chunks: Arc<[Chunk]>,
    next: AtomicUsize,
}

async fn read_chunks(
    source: ConnectionConfig,
    work: Arc<Work>,
    blocks: mpsc::Sender<Block>,
) -> Result<(), PostgresError> {
    let mut reader = SnapshotReader::open(&source, &work.exported).await?;
    loop {
        let number = work.next.fetch_add(1, Ordering::Relaxed);
        let Some(chunk) = work.chunks.get(number) else { return Ok(()) };
        let query = chunk.query();
        let mut copy = reader.copy(&query).await?;
        while let Some(lines) = copy.next().await? {
            if blocks.send(Block::Rows { chunk: number, lines }).await.is_err() {
                return Ok(());
            }
        }
        let filenode = chunk.source.filenode;
        if filenode != 0 && reader.filenode(&query.table).await? != filenode {
            let action = format!("copy {}", query.table);
            return Err(PostgresError::Redefined { action, source: None });
        }
        reader.end().await?;
        if blocks.send(Block::ChunkDone { chunk: number }).await.is_err() {
            return Ok(());
        }
    }
}

fn outcome(
    ended: Result<Result<(), PostgresError>, tokio::task::JoinError>,
) -> Result<(), ConnectorError> {
    match ended {
        Ok(result) => Ok(result?),
        Err(_) => Err(ConnectorError::StageEnded { stage: "snapshot reader" }),
    }
}
