//! The end of a predecessor's transaction that a coordinator has forgotten on some partitions.
//!
//! A coordinator that resumes the end of a transaction while a partition has no leader takes the partition for deleted and leaves
//! its marker out (Kafka 4, `TransactionMarkerChannelManager`; seen when a broker was killed and started again between a commit and
//! its markers). For the coordinator the transaction is over, and nothing but its owner ends it on the partition: readers stand
//! still there, and the next transaction of this producer on the partition would end it with its own verdict.
//!
//! In: the coordinator's last word before it was taken over, and a partition that every transaction writes to. Out: the same verdict
//! on all partitions that lack it. Never here: a verdict that is guessed.
//! Source: KIP-664 (`DescribeTransactions`, `DescribeProducers`), KIP-890 (epochs).

use std::time::Duration;

use kafka_protocol::messages::{DescribeTransactionsRequest, TransactionalId};

use super::Producer;
use crate::{
    Client, KafkaError, TopicPartitionId,
    admin::text,
    codes::Class,
    connection::Connection,
    hanging::{Holder, holders},
};

/// A predecessor's transaction that was ended where it had been forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Whether it was committed; aborted otherwise.
    pub is_committed: bool,
    /// Where it was still open.
    pub partitions: Vec<TopicPartitionId>,
}

/// How the last transaction of a transactional id ended, or ends with the next `InitProducerId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastWord {
    producer_id: i64,
    /// Of the last transaction, or one more where its end has raised it.
    epoch: i16,
    is_committed: bool,
}

impl LastWord {
    /// Asks the coordinator; `None` if it has nothing to say, or a broker is too old to be asked.
    pub(super) async fn ask(
        coordinator: &Connection,
        transactional_id: &str,
        patience: Duration,
    ) -> Result<Option<Self>, KafkaError> {
        if coordinator.version::<DescribeTransactionsRequest>(i16::MAX).is_err() {
            return Ok(None);
        }
        let ids = vec![TransactionalId(text(transactional_id))];
        let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
        let response = coordinator.request(&request, patience).await?;
        let known = response.transaction_states.first().filter(|state| state.error_code == 0);
        Ok(known.and_then(|state| {
            let is_committed = match &*state.transaction_state {
                "PrepareCommit" | "CompleteCommit" => true,
                "Ongoing" | "PrepareAbort" | "PrepareEpochFence" | "CompleteAbort" => false,
                _ => return None,
            };
            let (producer_id, epoch) = (state.producer_id.0, state.producer_epoch);
            Some(Self { producer_id, epoch, is_committed })
        }))
    }

    /// Whether this is an open transaction of which it tells: not one of another producer, nor an older one.
    fn is_about(&self, holder: &Holder) -> bool {
        let age = i32::from(self.epoch) - holder.epoch;
        holder.producer_id == self.producer_id && (0..=1).contains(&age)
    }
}

impl Producer {
    /// Ends the predecessor's last transaction on all partitions that do not know of its end, as the coordinator ended it. To be
    /// called right after [`Producer::init`]; `partition` is one that every transaction of this producer writes to. `None` if
    /// nothing was to be ended, or if nobody knows how.
    ///
    /// Errors: as of [`Producer::commit`].
    pub async fn end_forgotten(
        &mut self,
        partition: &TopicPartitionId,
    ) -> Result<Option<Forgotten>, KafkaError> {
        let Some(session) = &mut self.session else { return Ok(None) };
        let Some(last_word) = session.last_word.take() else { return Ok(None) };
        // Another id is another producer, whose transactions end nothing of this one.
        if session.identity().0 != last_word.producer_id
            || !is_open(&self.client, partition, &last_word).await?
        {
            return Ok(None);
        }
        let partitions = open_partitions(&self.client, &last_word).await?;
        let open: Vec<&TopicPartitionId> = partitions.iter().collect();
        session.add_partitions(&self.pool, &open, &self.settings).await?;
        let is_committed = last_word.is_committed;
        session.end(&self.pool, &self.settings, is_committed).await?;
        Ok(Some(Forgotten { is_committed, partitions }))
    }
}

async fn is_open(
    client: &Client,
    partition: &TopicPartitionId,
    last_word: &LastWord,
) -> Result<bool, KafkaError> {
    let holders = holders(client, partition).await?;
    Ok(holders.iter().any(|holder| last_word.is_about(holder)))
}

/// Of all topics that may be read: nobody knows any more where the transaction wrote to.
async fn open_partitions(
    client: &Client,
    last_word: &LastWord,
) -> Result<Vec<TopicPartitionId>, KafkaError> {
    let mut open = Vec::new();
    for description in client.topics().await? {
        for partition in description.topic.partitions() {
            match is_open(client, &partition, last_word).await {
                Ok(true) => open.push(partition),
                Ok(false) => {}
                // What may not be read was not written by us either, or its readers have to ask for help.
                Err(error) if error.class() == Class::Definite => {
                    tracing::warn!(%partition, "{partition} cannot be searched for an open transaction: {error}");
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_about_the_last_transaction_of_the_same_producer_alone() {
        let last_word = LastWord { producer_id: 7, epoch: 5, is_committed: true };
        let holder = |producer_id, epoch| Holder { producer_id, epoch, first_offset: 0 };
        assert!(last_word.is_about(&holder(7, 5)), "its end raises no epoch without TV2");
        assert!(last_word.is_about(&holder(7, 4)), "its end has raised the epoch");
        assert!(!last_word.is_about(&holder(7, 3)), "an older one");
        assert!(!last_word.is_about(&holder(7, 6)), "a later one");
        assert!(!last_word.is_about(&holder(8, 5)), "another producer");
    }
}
