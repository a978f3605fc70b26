//! What one Kafka transaction will hold, laid out as the batches that will be sent.
//!
//! In: records, from whoever encodes them. Out: per partition a row of batches, closed at
//! `batch_bytes_max`, and compressed then, so that what waits is small. Never here: I/O, producer ids;
//! those are the producer's.

use std::collections::HashMap;
use std::mem::take;

use crate::{
    Compression,
    buffers::Buffers,
    compression::Compressor,
    record::{BatchBuilder, ClosedBatch, LargestRecord, RecordRef, record_bytes_max},
    topic::TopicPartitionId,
};

/// The records of one transaction, in order per partition. Filled by one stage of a pipeline while
/// the producer commits the transaction before.
///
/// All its partitions must come from one [`crate::Client`].
#[derive(Debug)]
pub struct Transaction {
    batch_bytes_max: usize,
    partitions: Vec<PartitionBatches>,
    /// `slots[topic index][partition]` is 1 + the index in `partitions`; 0: not there yet.
    slots: Vec<Vec<u32>>,
    /// Partitions of topic handles of large index, which would make `slots` sparse.
    rare: HashMap<(usize, i32), u32>,
    len_bytes: usize,
    record_count: usize,
    /// `None`: the producer compresses.
    compressor: Option<Compressor>,
    /// Of batches that were compressed into others.
    spare: Buffers,
}

/// What is larger is compressed when a transaction ends, and its buffer is kept.
const OPEN_BYTES_MAX: usize = 64 * 1024;

/// Topic handles with an index below this are found without hashing.
const SLOT_TOPICS_MAX: usize = 1 << 14;

/// The batches of one partition.
#[derive(Debug)]
pub(crate) struct PartitionBatches {
    pub(crate) id: TopicPartitionId,
    closed: Vec<ClosedBatch>,
    open: Option<BatchBuilder>,
}

impl PartitionBatches {
    /// Closes the open batch, if there is one, and compresses it.
    fn close(&mut self, compressor: Option<&mut Compressor>, spare: &Buffers) {
        let Some(open) = self.open.take() else { return };
        let mut batch = open.close();
        if let Some(compressor) = compressor
            && let Some(buffer) = batch.compress(compressor)
        {
            spare.keep(buffer);
        }
        self.closed.push(batch);
    }

    /// All batches, the open one last.
    pub(crate) fn into_batches(self) -> (TopicPartitionId, Vec<ClosedBatch>) {
        let Self { id, mut closed, open } = self;
        closed.extend(open.map(BatchBuilder::close));
        (id, closed)
    }
}

impl Transaction {
    /// An empty transaction whose batches are closed before they exceed `batch_bytes_max` bytes,
    /// uncompressed. A single record larger than that gets a batch of its own.
    pub fn new(batch_bytes_max: usize) -> Self {
        Self {
            batch_bytes_max,
            partitions: Vec::new(),
            slots: Vec::new(),
            rare: HashMap::new(),
            len_bytes: 0,
            record_count: 0,
            compressor: None,
            spare: Buffers::default(),
        }
    }

    /// The same, for one after the other: batches are compressed as they are closed. With a codec
    /// that cannot be had the producer compresses, which says so.
    pub fn compressed(batch_bytes_max: usize, compression: Compression) -> Self {
        Self { compressor: Compressor::new(compression).ok(), ..Self::new(batch_bytes_max) }
    }

    /// Takes what is in it. The codec and its buffers stay, for what comes next.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let Self { partitions, compressor, spare, .. } = self;
        for batches in partitions {
            if batches.open.as_ref().is_some_and(|batch| batch.len_bytes() > OPEN_BYTES_MAX) {
                batches.close(compressor.as_mut(), spare);
            }
        }
        Self {
            partitions: take(&mut self.partitions),
            slots: take(&mut self.slots),
            rare: take(&mut self.rare),
            len_bytes: take(&mut self.len_bytes),
            record_count: take(&mut self.record_count),
            ..Self::new(self.batch_bytes_max)
        }
    }

    /// Adds a record behind the others of its partition.
    ///
    /// `key` or `value` `None` is Kafka's null (a null value is a tombstone in a compacted topic).
    ///
    /// # Panics
    /// If the partition's topic handle comes from another client than those before it.
    pub fn append(
        &mut self,
        partition: &TopicPartitionId,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) {
        let record = RecordRef { timestamp_ms, key, value, headers };
        // A topic that takes smaller batches than are sent gets smaller ones.
        let batch_bytes_max = self.batch_bytes_max.min(partition.topic().batch_bytes_limit());
        let index = self.partition(partition);
        let Self { partitions, compressor, spare, .. } = self;
        let batches = &mut partitions[index];
        let is_full = batches.open.as_ref().is_some_and(|batch| {
            batch.record_count() > 0
                && batch.len_bytes() + record_bytes_max(&record) > batch_bytes_max
        });
        if is_full {
            batches.close(compressor.as_mut(), spare);
        }
        let batch = batches.open.get_or_insert_with(|| BatchBuilder::within(spare.get()));
        let before = batch.len_bytes();
        batch.append(&record);
        let added = batch.len_bytes() - before;
        if key.is_none() && (is_full || batch.len_bytes() > batch_bytes_max - batch_bytes_max / 8) {
            partition.topic().leave_sticky(partition.partition());
        }
        self.len_bytes += added;
        self.record_count += 1;
    }

    /// Uncompressed bytes of all records.
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Number of records.
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// True if there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Number of partitions it writes to.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// The partitions it writes to, in the order they were first written to.
    pub fn partition_ids(&self) -> impl Iterator<Item = &TopicPartitionId> {
        self.partitions.iter().map(|batches| &batches.id)
    }

    pub(crate) fn into_partitions(self) -> Vec<PartitionBatches> {
        for batches in &self.partitions {
            batches.id.topic().leave_sticky(batches.id.partition());
        }
        self.partitions
    }

    /// Its index in `partitions`.
    fn partition(&mut self, id: &TopicPartitionId) -> usize {
        let next = u32::try_from(self.partitions.len() + 1).unwrap_or(u32::MAX);
        let slot = self.slot(id);
        if *slot == 0 {
            *slot = next;
            let batches = PartitionBatches { id: id.clone(), closed: Vec::new(), open: None };
            self.partitions.push(batches);
            return next as usize - 1;
        }
        let index = *slot as usize - 1;
        let batches = &self.partitions[index];
        assert!(
            batches.id.topic() == id.topic(),
            "topic handles of two clients in one transaction: {} and {id}",
            batches.id
        );
        index
    }

    fn slot(&mut self, id: &TopicPartitionId) -> &mut u32 {
        let topic = id.topic().index();
        if topic >= SLOT_TOPICS_MAX {
            return self.rare.entry((topic, id.partition())).or_default();
        }
        if topic >= self.slots.len() {
            self.slots.resize_with(topic + 1, Vec::new);
        }
        let slots = &mut self.slots[topic];
        let partition = usize::try_from(id.partition()).unwrap_or(0);
        if slots.len() <= partition {
            slots.resize(partition + 1, 0);
        }
        &mut slots[partition]
    }
}

/// The record of `batches` that is largest, by its index among all records of the partition.
pub(crate) fn largest_before(records_before: usize, largest: LargestRecord) -> LargestRecord {
    LargestRecord { index: records_before + largest.index, len_bytes: largest.len_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stamp;
    use crate::topic::Topic;

    fn topic(index: usize, partition_count: i32) -> Topic {
        Topic::new(index, format!("t{index}"), [0; 16], partition_count)
    }

    fn bytes(batch: ClosedBatch) -> usize {
        let stamp =
            Stamp { producer_id: 1, producer_epoch: 1, base_sequence: 0, transactional: true };
        batch.finish(stamp).len()
    }

    #[test]
    fn what_is_full_is_compressed_and_its_buffer_used_again() {
        let orders = topic(0, 1).partition(0);
        let mut transaction = Transaction::compressed(100_000, Compression::Lz4);
        for _ in 0..2 {
            for _ in 0..1_280 {
                transaction.append(&orders, 0, Some(b"k"), Some(&[b'x'; 300]), &[]);
            }
            assert_eq!(transaction.spare.len(), 0, "the open batch has it");
            let taken = transaction.take();
            assert_eq!((taken.record_count(), transaction.record_count()), (1_280, 0));
            assert!(taken.len_bytes() > 300_000 && transaction.is_empty());
            let (_, batches) = taken.into_partitions().remove(0).into_batches();
            let counts = batches.iter().map(ClosedBatch::record_count);
            assert_eq!(counts.sum::<i32>(), 1_280);
            assert!(batches.into_iter().map(bytes).sum::<usize>() < 30_000);
            assert_eq!(transaction.spare.len(), 1);
        }
    }

    #[test]
    fn a_batch_is_closed_before_it_exceeds_its_limit() {
        let orders = topic(0, 1).partition(0);
        let mut transaction = Transaction::new(1_000);
        for _ in 0..10 {
            transaction.append(&orders, 0, Some(b"k"), Some(&[b'x'; 300]), &[]);
        }
        let (_, batches) = transaction.into_partitions().remove(0).into_batches();
        assert!(batches.len() >= 4);
        assert_eq!(batches.iter().map(ClosedBatch::record_count).sum::<i32>(), 10);
        assert!(batches.into_iter().all(|batch| bytes(batch) <= 1_000));
    }

    #[test]
    fn a_record_over_the_limit_has_a_batch_of_its_own() {
        let orders = topic(0, 1).partition(0);
        let mut transaction = Transaction::new(1_000);
        for size in [10, 5_000, 10] {
            transaction.append(&orders, 0, None, Some(&vec![b'x'; size]), &[]);
        }
        let (_, batches) = transaction.into_partitions().remove(0).into_batches();
        let counts: Vec<_> = batches.iter().map(ClosedBatch::record_count).collect();
        assert_eq!(counts, [1, 1, 1]);
    }

    #[test]
    fn a_topic_of_small_batches_gets_small_batches() {
        let orders = topic(0, 1);
        orders.limit_batches(500);
        let mut transaction = Transaction::new(100_000);
        for _ in 0..10 {
            transaction.append(&orders.partition(0), 0, Some(b"k"), Some(&[b'x'; 100]), &[]);
        }
        let (_, batches) = transaction.into_partitions().remove(0).into_batches();
        assert!(batches.len() > 1);
        assert!(batches.into_iter().all(|batch| bytes(batch) <= 500));
    }

    #[test]
    fn partitions_of_dense_and_sparse_handles_stay_apart() {
        let (near, far) = (topic(3, 2), topic(SLOT_TOPICS_MAX + 9, 2));
        let mut transaction = Transaction::new(1_000);
        for partition in [near.partition(1), far.partition(0), far.partition(1), near.partition(1)]
        {
            transaction.append(&partition, 0, None, None, &[("h", b"v")]);
        }
        let ids: Vec<_> = transaction.partition_ids().map(ToString::to_string).collect();
        assert_eq!(ids, ["t3-1", "t16393-0", "t16393-1"]);
        assert_eq!(transaction.record_count(), 4);
    }

    #[test]
    fn records_without_a_key_move_on_with_every_batch() {
        let orders = topic(0, 4);
        let mut transaction = Transaction::new(1_000);
        let mut seen = Vec::new();
        for _ in 0..20 {
            let partition = orders.partition_for(None);
            seen.push(partition);
            transaction.append(&orders.partition(partition), 0, None, Some(&[0; 300]), &[]);
        }
        seen.dedup();
        assert!(seen.len() >= 4, "{seen:?}");
        assert_eq!(transaction.partition_count(), 4);
    }
}
