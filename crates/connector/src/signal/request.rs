//! What signals have asked for and is not done yet; it stands in the checkpoint, so that no death forgets it.

use postgres::TableName;
use postgres::chunk::Mark;
use serde::{Deserialize, Serialize};

use super::heeded::Heeded;
use crate::incremental::First;

/// Everything that was asked for and is not done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Snapshots for which streaming stands still, in the order they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocking: Vec<BlockingRequest>,
    /// Tables to read while the stream runs, in order; the first is being read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incremental: Vec<IncrementalRequest>,
    /// They stay as they are until they are resumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incremental_paused: bool,
    /// How far signals from outside the source were heeded.
    #[serde(default, skip_serializing_if = "Heeded::is_nothing")]
    pub heeded: Heeded,
}

impl Requests {
    /// The oldest layout of a checkpoint that can hold them: a program that does not know it must not pass over them.
    pub fn layout_version(&self) -> u32 {
        if !self.heeded.is_nothing() {
            4
        } else if !self.incremental.is_empty() || self.incremental_paused {
            3
        } else if !self.blocking.is_empty() {
            2
        } else {
            1
        }
    }

    /// What has to be done before the first chunk is read after a restart.
    pub(crate) fn first(&self) -> First {
        let waits = |request: &IncrementalRequest| request.is_added && request.progress.is_none();
        match &self.incremental[..] {
            [] => First::Read,
            waiting if waiting.iter().any(waits) => First::WaitAndAnnounce,
            _ => First::Wait,
        }
    }

    /// Nothing is left to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One table to read while the stream runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncrementalRequest {
    /// The signal that asked for it.
    pub signal: String,
    /// The table.
    pub table: RequestedTable,
    /// A column to read in the order of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surrogate_key: Option<String>,
    /// The table was not captured before this was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_added: bool,
    /// How far it has come; `None` before its first rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<IncrementalProgress>,
}

/// How far the reading of a table has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncrementalProgress {
    /// The table: another one of the same name is not the one that was begun.
    pub oid: u32,
    /// Where the next chunk begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Mark>,
    /// The last key of the table when its first chunk was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Mark>,
    /// Rows read.
    pub rows: u64,
}

/// Tables to read while streaming stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockingRequest {
    /// The signal that asked for it.
    pub signal: String,
    /// The tables.
    pub tables: Vec<RequestedTable>,
}

/// One table to read, by its name at the time of the signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The filter that the signal gave for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

impl RequestedTable {
    /// The table.
    pub fn table_name(&self) -> TableName {
        TableName::new(&self.schema, &self.name)
    }
}
