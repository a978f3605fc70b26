//! The topics of one connector: looked up once, made when they are missing.
//!
//! Source: KIP-158 (`topic.creation.*`).

use std::collections::HashMap;

use kafka::{Client, Topic};
use tracing::{debug, info};

use crate::error::ConnectorError;
use crate::settings::TopicCreation;

/// Handles of the topics in use, by name.
pub(crate) struct Topics {
    client: Client,
    creation: TopicCreation,
    by_name: HashMap<String, Topic>,
}

impl Topics {
    /// Starts with none looked up.
    pub(crate) fn new(client: Client, creation: TopicCreation) -> Self {
        Self { client, creation, by_name: HashMap::new() }
    }

    /// The cluster they are in.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The handle of a topic, made first if the cluster does not have it.
    pub(crate) async fn ensure(&mut self, name: &str) -> Result<Topic, ConnectorError> {
        if let Some(topic) = self.by_name.get(name) {
            return Ok(topic.clone());
        }
        let topic = if let Some(found) = self.client.topic(name).await? {
            found.topic
        } else {
            let made = self.client.create_topic(&self.creation.for_topic(name)).await?;
            info!(topic = name, partitions = made.partition_count(), "created topic `{name}`");
            made.topic
        };
        if let Some(limit_bytes) = self.batch_bytes_limit(name).await? {
            topic.limit_batches(limit_bytes);
        }
        self.by_name.insert(name.to_owned(), topic.clone());
        Ok(topic)
    }

    /// `max.message.bytes` of a topic; `None` where we may not see it, and then the broker says what is too large.
    async fn batch_bytes_limit(&self, name: &str) -> Result<Option<usize>, ConnectorError> {
        match self.client.describe_topic_configs(name).await {
            Ok(configs) => {
                let limit = configs.get("max.message.bytes");
                Ok(limit.and_then(|limit| limit.value.as_deref()?.parse().ok()))
            }
            Err(error) if error.class() == kafka::Class::Definite => {
                debug!(topic = name, "cannot see what the topic takes: {error}");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
