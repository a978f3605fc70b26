//! Rows that wait for the consumer: some in memory, the others on our own disk, so that the server can decode the next batch
//! while the consumer works on this one.
//!
//! In: chunks in order, from whoever reads the socket. Out: the same chunks in the same order, by [`load`].
//! Each batch has a file of its own without a name, which ends with the last chunk in it, however the process ends.
//! Never here: a row that differs from what was put away. Without a folder that can be written to, rows wait in memory alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::BatchItem;
use super::chunk::BatchChunk;
use crate::PostgresError;

/// Rows that wait in memory at most.
const MEMORY_BYTES_MAX: usize = 512 * 1024;

/// The same where there is no disk: enough for the consumer to work while the server decodes the next batch.
const MEMORY_ALONE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Buffers that are kept, and how large one of them may be.
const BUFFERS_MAX: usize = 4;
const BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// What rows that wait are counted in.
const ROOM_UNIT_BYTES: usize = 1024;

/// What is handed to [`load`].
pub(super) enum Item {
    /// As it is.
    Ready(BatchItem),
    /// A chunk without its rows.
    OnDisk(BatchChunk, Piece),
}

/// Where rows are that wait.
pub(super) enum Place {
    Memory(Bytes, OwnedSemaphorePermit),
    Disk(Piece),
}

/// Rows on disk.
pub(super) struct Piece {
    file: Arc<File>,
    offset: u64,
    len_bytes: usize,
    check: u32,
    /// Held for its drop.
    _room: OwnedSemaphorePermit,
}

/// Puts rows where they wait.
pub(super) struct Waiting {
    memory: Room,
    disk: Option<Disk>,
}

struct Disk {
    directory: PathBuf,
    room: Room,
    /// Of the batch that is coming in, and its length.
    file: Option<(Arc<File>, u64)>,
}

impl Waiting {
    /// Two batches of `batch_bytes` have room on disk, the one that is worked on and the one that comes in.
    pub(super) fn new(directory: Option<PathBuf>, batch_bytes: usize) -> Self {
        let memory = if directory.is_some() { MEMORY_BYTES_MAX } else { MEMORY_ALONE_BYTES_MAX };
        let room = || Room::new(batch_bytes.saturating_mul(2));
        Self {
            memory: Room::new(memory.min(batch_bytes)),
            disk: directory.map(|directory| Disk { directory, room: room(), file: None }),
        }
    }

    /// Waits until a batch can come in without keeping the server waiting.
    pub(super) async fn for_batch(&mut self, batch_bytes: usize) -> Result<(), PostgresError> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        disk.file = None;
        drop(disk.room.take(batch_bytes).await?);
        Ok(())
    }

    /// Finds a place for rows, and waits until there is one.
    pub(super) async fn put(&mut self, rows: Bytes) -> Result<Place, PostgresError> {
        if let Some(room) = self.memory.try_take(rows.len()) {
            return Ok(Place::Memory(rows, room));
        }
        if let Some(disk) = &mut self.disk
            && rows.len() <= disk.room.units * ROOM_UNIT_BYTES
        {
            let room = disk.room.take(rows.len()).await?;
            match disk.write(rows.clone(), room).await {
                Ok(piece) => return Ok(Place::Disk(piece)),
                Err(error) => {
                    let directory = disk.directory.display();
                    tracing::warn!(
                        "rows wait in memory, and fewer of them, since they cannot be put into {directory}: {error}"
                    );
                    self.disk = None;
                }
            }
        }
        let room = self.memory.take(rows.len()).await?;
        Ok(Place::Memory(rows, room))
    }
}

impl Disk {
    async fn write(&mut self, rows: Bytes, room: OwnedSemaphorePermit) -> io::Result<Piece> {
        let directory = self.directory.clone();
        let begun = self.file.take();
        let written = spawn_blocking(move || {
            let (file, offset) = match begun {
                Some(begun) => begun,
                None => (Arc::new(tempfile::tempfile_in(directory)?), 0),
            };
            file.write_all_at(&rows, offset)?;
            let check = crc32c::crc32c(&rows);
            Ok(Piece { file, offset, len_bytes: rows.len(), check, _room: room })
        });
        let piece = written.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))?;
        self.file = Some((Arc::clone(&piece.file), piece.offset + piece.len_bytes as u64));
        Ok(piece)
    }
}

impl Piece {
    async fn read(self, buffers: &Buffers) -> io::Result<Bytes> {
        let mut rows = buffers.get();
        let read = spawn_blocking(move || {
            rows.bytes.resize(self.len_bytes, 0);
            self.file.read_exact_at(&mut rows.bytes, self.offset)?;
            if crc32c::crc32c(&rows.bytes) != self.check {
                let reason = "they are not as they were written";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            Ok(Bytes::from_owner(rows))
        });
        read.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
    }
}

/// Hands on what waits, a little ahead of the consumer, until one of the two ends.
pub(super) async fn load(
    mut waiting: mpsc::Receiver<Result<Item, PostgresError>>,
    to_consumer: mpsc::Sender<Result<BatchItem, PostgresError>>,
) {
    let buffers = Buffers::default();
    while let Some(item) = waiting.recv().await {
        let item = match item {
            Ok(Item::Ready(item)) => Ok(item),
            Ok(Item::OnDisk(chunk, piece)) => {
                let rows = piece.read(&buffers).await.map_err(PostgresError::Scratch);
                rows.map(|rows| BatchItem::Chunk(BatchChunk { rows, ..chunk }))
            }
            Err(error) => Err(error),
        };
        let is_last = item.is_err();
        if to_consumer.send(item).await.is_err() || is_last {
            return;
        }
    }
}

/// Buffers that come back from whoever is done with them. An allocator keeps what one thread gets and another gives back.
#[derive(Clone, Default)]
struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// One of them, on its way.
struct Lent {
    bytes: Vec<u8>,
    back_to: Buffers,
}

impl Buffers {
    fn get(&self) -> Lent {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { bytes: bytes.unwrap_or_default(), back_to: self.clone() }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.back_to.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < BUFFERS_MAX && self.bytes.capacity() <= BUFFER_BYTES_MAX {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// Bytes that may wait at one place.
struct Room {
    semaphore: Arc<Semaphore>,
    units: usize,
}

impl Room {
    fn new(bytes: usize) -> Self {
        let units = (bytes / ROOM_UNIT_BYTES).max(1);
        Self { semaphore: Arc::new(Semaphore::new(units)), units }
    }

    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.semaphore).try_acquire_many_owned(self.units_of(bytes)).ok()
    }

    /// One chunk may be as large as all of it.
    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, PostgresError> {
        let taken = Arc::clone(&self.semaphore).acquire_many_owned(self.units_of(bytes)).await;
        taken.map_err(|_| PostgresError::StreamEnded)
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES).min(self.units)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use pgoutput::{Lsn, PgTimestamp};

    use super::*;

    fn chunk(rows: Bytes) -> BatchChunk {
        BatchChunk {
            rows,
            session_began: None,
            sent_at: PgTimestamp::new(0),
            decoded_to: None,
            received: Lsn::ZERO,
            _room: None,
        }
    }

    /// Puts so many chunks away, and returns how many of them went to disk.
    async fn put_all(
        waiting: &mut Waiting,
        to: &mpsc::Sender<Result<Item, PostgresError>>,
        chunks: u8,
    ) -> usize {
        let mut on_disk = 0;
        for number in 0..chunks {
            let item = match waiting.put(Bytes::from(vec![number; 256 * 1024])).await.unwrap() {
                Place::Memory(rows, room) => {
                    Item::Ready(BatchItem::Chunk(BatchChunk { _room: Some(room), ..chunk(rows) }))
                }
                Place::Disk(piece) => {
                    on_disk += 1;
                    Item::OnDisk(chunk(Bytes::new()), piece)
                }
            };
            to.send(Ok(item)).await.unwrap();
        }
        on_disk
    }

    #[tokio::test]
    async fn what_has_no_room_in_memory_comes_back_from_disk_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut waiting = Waiting::new(Some(directory.path().to_owned()), 4 << 20);
        let (to_loader, from_reader) = mpsc::channel(64);
        assert_eq!(put_all(&mut waiting, &to_loader, 24).await, 22);
        assert_eq!(directory.path().read_dir().unwrap().count(), 0, "a name would outlive us");
        drop(to_loader);
        let (to_consumer, mut items) = mpsc::channel(1);
        let mut loader = tokio::task::JoinSet::new();
        loader.spawn(load(from_reader, to_consumer));
        for number in 0..24 {
            let Some(Ok(BatchItem::Chunk(chunk))) = items.recv().await else { panic!("a chunk") };
            assert!(chunk.rows.iter().all(|byte| *byte == number), "chunk {number}");
        }
        assert!(items.recv().await.is_none());
        loader.join_next().await.unwrap().unwrap();
        waiting.for_batch(8 << 20).await.unwrap();
    }

    #[tokio::test]
    async fn the_next_batch_waits_for_room() {
        let directory = tempfile::tempdir().unwrap();
        let mut waiting = Waiting::new(Some(directory.path().to_owned()), 4 << 20);
        let (to_loader, mut from_reader) = mpsc::channel(64);
        put_all(&mut waiting, &to_loader, 34).await;
        let asked =
            tokio::time::timeout(std::time::Duration::from_millis(50), waiting.for_batch(4 << 20));
        assert!(asked.await.is_err(), "there are 32 chunks on disk, which is two batches");
        for _ in 0..18 {
            drop(from_reader.recv().await);
        }
        waiting.for_batch(4 << 20).await.unwrap();
    }

    #[tokio::test]
    async fn without_a_folder_rows_wait_in_memory() {
        let mut waiting = Waiting::new(Some("/proc/none".into()), 4 << 20);
        let (to_loader, mut from_reader) = mpsc::channel(64);
        assert_eq!(put_all(&mut waiting, &to_loader, 2).await, 0);
        let more = put_all(&mut waiting, &to_loader, 1);
        let take = async {
            tokio::task::yield_now().await;
            drop(from_reader.recv().await);
        };
        assert_eq!(tokio::join!(more, take).0, 0);
    }

    #[tokio::test]
    async fn rows_that_changed_on_disk_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk =
            Disk { directory: directory.path().to_owned(), room: Room::new(9), file: None };
        let room = disk.room.take(4).await.unwrap();
        let piece = disk.write(Bytes::from_static(b"rows"), room).await.unwrap();
        piece.file.write_all_at(b"x", 2).unwrap();
        assert!(piece.read(&Buffers::default()).await.is_err());
    }
}
