//! Reads topics back from their beginning to their end as it is now, without holding them in memory.

use std::time::Duration;

use kafka::reader::{ConsumedRecord, PartitionReader, StartAt};
use kafka::{Client, Isolation, KafkaError, Topic};

/// How long one request waits for more.
const WAIT: Duration = Duration::from_millis(500);

/// Hands every committed record of a topic to `take`, each partition in order, up to the ends as they are now.
/// `take` answers whether it wants more.
pub(crate) async fn read_through(
    client: &Client,
    topic: &Topic,
    start: StartAt,
    mut take: impl FnMut(ConsumedRecord) -> bool,
) -> Result<(), KafkaError> {
    let ends = client.latest_offsets(topic, Isolation::ReadCommitted).await?;
    for (partition, end) in (0..topic.partition_count()).zip(ends) {
        let mut reader =
            PartitionReader::open(client, topic.name(), partition, start, Isolation::ReadCommitted)
                .await?;
        while reader.position() < end {
            for record in reader.poll(WAIT).await? {
                if record.offset < end && !take(record) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
