//! What signals have asked for and is not done yet; it stands in the checkpoint, so that no death forgets it.

use postgres::TableName;
use serde::{Deserialize, Serialize};

/// Everything that was asked for and is not done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Snapshots for which streaming stands still, in the order they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocking: Vec<BlockingRequest>,
}

impl Requests {
    /// Nothing is left to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
