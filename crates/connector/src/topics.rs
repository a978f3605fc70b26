//! The topics of one connector: looked up once, made when they are missing.
//!
//! Source: KIP-158 (`topic.creation.*`).

use std::collections::HashMap;

use kafka::{Client, Topic};
use tracing::info;

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
        self.by_name.insert(name.to_owned(), topic.clone());
        Ok(topic)
    }
}
