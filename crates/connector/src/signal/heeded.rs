//! How far signals from outside the source were heeded; it stands in the checkpoint beside what they asked for, so that no death
//! forgets one or heeds one twice.

use serde::{Deserialize, Serialize};

/// How far the channels outside the source were heeded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heeded {
    /// Channel `kafka`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<HeededTopic>,
    /// Channel `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<HeededFile>,
}

impl Heeded {
    /// No signal came from outside yet.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Everything before an offset was heeded, or was not for this connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeededTopic {
    /// The topic's name.
    pub topic: String,
    /// Its id, in hexadecimal digits: another topic of the same name begins anew. `None` if it did not exist, or the brokers
    /// give no ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// The record to read next.
    pub next_offset: i64,
}

/// The beginning of a file was heeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeededFile {
    /// What the file was called when it was taken: each that is taken has another name.
    pub taken: String,
    /// Bytes of its lines that were heeded.
    pub bytes: u64,
}
