//! stub
use crate::*;
/// The newest committed value of one key; `None` if there is none or it is a tombstone.
pub async fn read_last(
    _client: &Client,
    _topic: &Topic,
    _partition: i32,
    _key: &[u8],
) -> Result<Option<Vec<u8>>, KafkaError> {
    Err(KafkaError::Interrupted)
}
