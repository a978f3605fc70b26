//! What a group of consumers has committed, without joining it.
//!
//! In: a group, a partition. Out: the offset it reads next. Never here: membership, commits.
//! Source: Kafka protocol guide, `OffsetFetch`.

use std::time::Duration;

use kafka_protocol::messages::{
    GroupId, OffsetFetchRequest, TopicName, offset_fetch_request::OffsetFetchRequestTopic,
};
use tokio::time::{Instant, sleep};

use crate::{
    Client, KafkaError, TopicPartitionId,
    admin::text,
    answer::{self, Subject},
    codes::ErrorCode,
    coordinator::{Coordinated, find_coordinator, is_not_yet},
    wire::Api,
};

const PAUSE: Duration = Duration::from_millis(50);

/// The offset that `group` has committed for a partition: that of the record it reads next. `None` if it has none.
///
/// Errors: [`KafkaError::NotAuthorized`] if we may not describe the group; [`KafkaError::Broker`] if it has no coordinator
/// within `default.api.timeout.ms`; those of connections.
pub async fn committed_offset(
    client: &Client,
    group: &str,
    partition: &TopicPartitionId,
) -> Result<Option<i64>, KafkaError> {
    let deadline = Instant::now() + client.config().api_timeout;
    loop {
        let code = match ask(client, group, partition).await? {
            Ok(offset) => return Ok(offset),
            Err(code) => code,
        };
        if Instant::now() >= deadline {
            return Err(answer::refused(
                OffsetFetchRequest::NAME,
                Subject::Group(group),
                code,
                None,
            ));
        }
        sleep(PAUSE).await;
    }
}

/// One attempt; an inner error says that the coordinator is not there yet.
async fn ask(
    client: &Client,
    group: &str,
    partition: &TopicPartitionId,
) -> Result<Result<Option<i64>, ErrorCode>, KafkaError> {
    let coordinator = match find_coordinator(client, Coordinated::Group(group)).await? {
        Ok(address) => address,
        Err(code) => return Ok(Err(code)),
    };
    let topic = OffsetFetchRequestTopic::default()
        .with_name(TopicName(text(partition.topic().name())))
        .with_partition_indexes(vec![partition.partition()]);
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(Some(vec![topic]));
    let connection = client.control().get(&coordinator).await?;
    let response = connection.request(&request, client.config().request_timeout).await?;
    let found = response.topics.first().and_then(|topic| topic.partitions.first());
    let codes = [response.error_code, found.map_or(0, |found| found.error_code)];
    match codes.into_iter().find_map(ErrorCode::check) {
        None => {}
        Some(code) if is_not_yet(code) => return Ok(Err(code)),
        Some(code) => {
            return Err(answer::refused(
                OffsetFetchRequest::NAME,
                Subject::Group(group),
                code,
                None,
            ));
        }
    }
    // -1: nothing was committed.
    Ok(Ok(found.map(|found| found.committed_offset).filter(|offset| *offset >= 0)))
}
