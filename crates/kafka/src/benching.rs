//! Topics and batches without a broker. For benchmarks and for tests of other rooms, not for users.
//!
//! In: a name; a [`Transaction`]. Out: a handle of a topic that no cluster has; how many bytes would be sent. Never: I/O.

use crate::{Compression, Topic, Transaction, compression::Compressor, record::Stamp};

/// A handle of a topic that no cluster has, the only one of its client.
pub fn topic(name: &str, partition_count: i32) -> Topic {
    Topic::new(0, name.to_owned(), [0; 16], partition_count)
}

/// What makes batches ready to be sent, one transaction after the other.
#[derive(Debug)]
pub struct Finisher(Compressor);

impl Finisher {
    /// # Errors
    /// The compression cannot be set up.
    pub fn new(compression: Compression) -> std::io::Result<Self> {
        Compressor::new(compression).map(Self)
    }

    /// Bytes of all batches, as they would be sent.
    pub fn finish(&mut self, transaction: Transaction) -> usize {
        let stamp =
            Stamp { producer_id: 1, producer_epoch: 0, base_sequence: 0, transactional: true };
        let batches = transaction.into_partitions().into_iter();
        let batches = batches.flat_map(|partition| partition.into_batches().1);
        batches
            .map(|mut batch| {
                batch.compress(&mut self.0);
                batch.finish(stamp).len()
            })
            .sum()
    }
}
