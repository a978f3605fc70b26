//! What is wanted of a connector: one record of the config topic.
//!
//! In: a record's value. Out: [`Wanted`], and back. Never: an older record over a newer one; each has a revision, and whoever writes one
//! has fenced all other writers and read the partition to its end before.
//! Source: Kafka Connect, `config.storage.topic`, whose `connector-NAME` and `target-state-NAME` records are one here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Keys and values as the user gave them.
pub type Config = BTreeMap<String, String>;

/// Keys with their new values; `None` removes one.
pub type Patch = BTreeMap<String, Option<String>>;

/// The configuration after a change of some keys.
pub(crate) fn patched(config: &Config, patch: &Patch) -> Config {
    let mut config = config.clone();
    for (key, value) in patch {
        match value {
            Some(value) => drop(config.insert(key.clone(), value.clone())),
            None => drop(config.remove(key)),
        }
    }
    config
}

/// What a connector shall be doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Target {
    /// Following the log.
    #[default]
    Running,
    /// Nothing, soon to go on. Its slot keeps the log.
    Paused,
    /// Nothing; its offsets may be changed. Its slot keeps the log.
    Stopped,
}

impl Target {
    /// As Kafka Connect writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
        }
    }
}

/// What is to be taken away with a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestroyWanted {
    /// Its topics, too.
    pub topics: bool,
}

/// One connector's record in the config topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// As the user gave it, `name` included.
    pub config: Config,
    /// What it shall be doing.
    #[serde(default)]
    pub target: Target,
    /// Counts every change of this record.
    pub revision: u64,
    /// The revision that changed `config` last: what runs an earlier one starts again.
    pub config_revision: u64,
    /// Counts the restarts that were asked for.
    #[serde(default)]
    pub restarts: u64,
    /// The next of them leaves what has not failed alone.
    #[serde(default)]
    pub restarts_only_failed: bool,
    /// It shall be taken away, at the source too; with its topics if `topics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroy: Option<DestroyWanted>,
    /// Topics it wrote to before are not told any more; milliseconds since 1970.
    #[serde(default)]
    pub topics_reset_at_ms: i64,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
    /// Milliseconds since 1970.
    pub updated_at_ms: i64,
}

impl Wanted {
    /// The first record of a connector.
    pub fn new(config: Config, target: Target, now_ms: i64) -> Self {
        Self {
            config,
            target,
            revision: 1,
            config_revision: 1,
            restarts: 0,
            restarts_only_failed: false,
            destroy: None,
            topics_reset_at_ms: 0,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        }
    }

    /// The next record, the same but for its revision.
    #[must_use]
    pub fn next(&self, now_ms: i64) -> Self {
        Self { revision: self.revision + 1, updated_at_ms: now_ms, ..self.clone() }
    }

    /// The next record with another configuration.
    #[must_use]
    pub fn with_config(&self, config: Config, now_ms: i64) -> Self {
        let next = self.next(now_ms);
        Self { config, config_revision: next.revision, ..next }
    }
}
