//! Who has a transaction open on a partition.
//!
//! In: a partition. Out: its producers with an open transaction. Never here: an end to one (`producer/forgotten.rs`). Source:
//! KIP-664, `DescribeProducers`.

use kafka_protocol::messages::{
    DescribeProducersRequest, TopicName, describe_producers_request::TopicRequest,
};

use crate::{
    Client, KafkaError, TopicPartitionId,
    admin::text,
    answer::{self, Subject},
};

/// A producer with a transaction that is open on a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) producer_id: i64,
    /// Epoch of what it has written last.
    pub(crate) epoch: i32,
    /// Where the transaction begins.
    pub(crate) first_offset: i64,
}

/// All of them. Looks for the new leader while leadership moves.
///
/// Errors: a refusal, for which READ on the topic is missing; those of connections.
pub(crate) async fn holders(
    client: &Client,
    partition: &TopicPartitionId,
) -> Result<Vec<Holder>, KafkaError> {
    client.at_leader(partition, || ask(client, partition)).await
}

async fn ask(client: &Client, partition: &TopicPartitionId) -> Result<Vec<Holder>, KafkaError> {
    let leader = client.leaders(&[partition]).await?.swap_remove(0);
    let name = partition.topic().name();
    let topic = TopicRequest::default()
        .with_name(TopicName(text(name)))
        .with_partition_indexes(vec![partition.partition()]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let connection = client.control().get(&leader).await?;
    let response = connection.request(&request, client.config().request_timeout).await?;
    let mut found = Vec::new();
    for answer in response.topics.iter().flat_map(|topic| &topic.partitions) {
        let subject = Subject::Partition(name, partition.partition());
        let message = answer.error_message.as_ref();
        answer::check("DescribeProducers", subject, answer.error_code, message)?;
        let open = answer.active_producers.iter().filter(|it| it.current_txn_start_offset >= 0);
        found.extend(open.map(|producer| Holder {
            producer_id: producer.producer_id.0,
            epoch: producer.producer_epoch,
            first_offset: producer.current_txn_start_offset,
        }));
    }
    Ok(found)
}
