//! The versions of a connector's tables, in memory and in the offsets topic.
//!
//! In: versions as they become known. Out: one record per table, added to the Kafka transaction that carries the first rows
//! of that version; and the newest of each back at a take-over.
//! Never: a version that was not committed together with what it belongs to.

use std::collections::HashMap;

use kafka::{Client, TopicPartitionId, Transaction, compacted};
use pgoutput::Oid;

use super::{Version, record};
use crate::clock;
use crate::error::ConnectorError;

/// What is known of each captured table.
#[derive(Debug)]
pub(crate) struct History {
    connector: String,
    topic_prefix: String,
    partition: TopicPartitionId,
    versions: HashMap<Oid, Version>,
}

impl History {
    /// Knows nothing yet.
    pub(crate) fn empty(connector: &str, topic_prefix: &str, partition: TopicPartitionId) -> Self {
        Self {
            connector: connector.to_owned(),
            topic_prefix: topic_prefix.to_owned(),
            partition,
            versions: HashMap::new(),
        }
    }

    /// Reads the newest committed version of every table.
    pub(crate) async fn load(&mut self, client: &Client) -> Result<(), ConnectorError> {
        let table = |key: &[u8]| record::table_of(key, &self.connector, &self.topic_prefix);
        let newest = compacted::read_newest(client, &self.partition, table).await?;
        let versions = newest.into_iter().map(|(table, value)| {
            let version = record::from_json(&value)?;
            Ok((table, version))
        });
        self.versions = versions.collect::<Result<_, ConnectorError>>()?;
        Ok(())
    }

    /// The last version that is known of a table.
    pub(crate) fn get(&self, table: Oid) -> Option<&Version> {
        self.versions.get(&table)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Oid, &Version)> {
        self.versions.iter().map(|(table, version)| (*table, version))
    }

    /// Forgets a table that is not captured any more: if it is captured again, that is a new beginning.
    pub(crate) fn forget(&mut self, table: Oid, transaction: &mut Transaction) {
        let key = record::key(&self.connector, &self.topic_prefix, table);
        transaction.append(&self.partition, clock::unix_ms(), Some(&key), None, &[]);
        self.versions.remove(&table);
    }

    /// Keeps a version, and adds its record to a Kafka transaction if it is new.
    pub(crate) fn keep(
        &mut self,
        table: Oid,
        version: Version,
        transaction: &mut Transaction,
    ) -> Result<(), ConnectorError> {
        if self.versions.get(&table) == Some(&version) {
            return Ok(());
        }
        let key = record::key(&self.connector, &self.topic_prefix, table);
        let value = record::to_json(&version)?;
        transaction.append(&self.partition, clock::unix_ms(), Some(&key), Some(&value), &[]);
        self.versions.insert(table, version);
        Ok(())
    }
}
