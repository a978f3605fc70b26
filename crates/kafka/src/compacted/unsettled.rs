//! Committed records behind the last stable offset, where somebody's open transaction hides them from `read_committed`.
//!
//! In: a partition, a range that begins at the last stable offset, which keys matter. Out: their records, in order, each once
//! the marker of its own transaction is there. Nothing is compacted behind the last stable offset, so every marker still is.
//! Never: a record without its verdict; it is waited for.
//! Source: KIP-98, "Reading committed messages", "Control messages".

use std::{collections::VecDeque, ops::ControlFlow, ops::Range};

use tokio::time::Instant;

use super::{WAIT_WORTH_TELLING, Walk, open_transaction};
use crate::{
    Client, Isolation, KafkaError, TopicPartitionId,
    read::{Batch, Verdict},
};

/// The newest that is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) key: Vec<u8>,
    /// `None` is a tombstone.
    pub(super) value: Option<Vec<u8>>,
}

/// Committed records of the range whose key is wanted.
///
/// Errors: [`KafkaError::OpenTransaction`] if the transaction of one is open for longer than `default.api.timeout.ms`; those of
/// connections.
pub(super) async fn read(
    client: &Client,
    partition: &TopicPartitionId,
    range: Range<i64>,
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Settled>, KafkaError> {
    let mut found = Found::default();
    let mut walk = Walk::begin(client, partition, range.clone(), Isolation::ReadUncommitted);
    let started = Instant::now();
    let mut is_told = false;
    while walk.offset < range.end || found.is_open() {
        if let Some(fetched) = walk.fetch().await? {
            let behind = fetched.visit_batches(|batch| {
                found.take(batch, &range, &wanted)?;
                Ok(ControlFlow::Continue(()))
            })?;
            walk.came_to(behind);
        }
        let waited = started.elapsed();
        if walk.offset < range.end || !found.is_open() {
            continue;
        }
        if waited >= client.config().api_timeout {
            return Err(open_transaction(client, partition, range, waited).await);
        }
        if waited >= WAIT_WORTH_TELLING && !is_told {
            tracing::warn!(%partition, "a transaction of the same connector is open on {partition}: waiting for it to end");
            is_told = true;
        }
        walk.waits();
    }
    Ok(found.settled())
}

/// Records in order, and what is known of their transactions.
#[derive(Debug, Default)]
struct Found {
    records: VecDeque<(Standing, Settled)>,
}

/// What is known of the transaction of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is of none, or its transaction was committed.
    Counts,
    /// The transaction of this producer is not over.
    Open(i64),
}

impl Found {
    fn take(
        &mut self,
        batch: &Batch,
        range: &Range<i64>,
        wanted: &impl Fn(&[u8]) -> bool,
    ) -> Result<(), String> {
        if batch.is_control() {
            if let (Some(producer_id), Some(verdict)) = (batch.transaction_of(), batch.verdict()?) {
                self.settle(producer_id, verdict);
            }
            return Ok(());
        }
        let standing = batch.transaction_of().map_or(Standing::Counts, Standing::Open);
        let records = batch.records()?;
        let mut cursor = records.cursor();
        while let Some(record) = cursor.next()? {
            if let Some(key) = record.key
                && range.contains(&record.offset)
                && wanted(key)
            {
                let (key, value) = (key.to_vec(), record.value.map(<[u8]>::to_vec));
                self.records.push_back((standing, Settled { key, value }));
            }
        }
        Ok(())
    }

    /// The transaction of a producer is over.
    fn settle(&mut self, producer_id: i64, verdict: Verdict) {
        let is_of = |standing: &Standing| *standing == Standing::Open(producer_id);
        match verdict {
            Verdict::Aborted => self.records.retain(|(standing, _)| !is_of(standing)),
            Verdict::Committed => {
                for (standing, _) in self.records.iter_mut().filter(|(it, _)| is_of(it)) {
                    *standing = Standing::Counts;
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        self.records.iter().any(|(standing, _)| *standing != Standing::Counts)
    }

    fn settled(self) -> Vec<Settled> {
        self.records.into_iter().map(|(_, settled)| settled).collect()
    }
}
