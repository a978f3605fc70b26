//! stub
use crate::*;
use std::time::Duration;
/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It works, but not as one would want.
    Warning,
    /// Good to know.
    Info,
}
/// One thing found out about the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a broker, a topic, a transactional id.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// The exact command or setting that mends it.
    pub fix: Option<String>,
}
/// What the caller is about to do with the cluster.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// The transactional id that will be used; `None`: no transactions.
    pub transactional_id: Option<String>,
    /// True: take the transactional id for a moment (fences whoever uses it). False: ask only.
    pub may_fence: bool,
    /// `transaction.timeout.ms`.
    pub transaction_timeout: Duration,
    /// `batch.size`: largest batch that will be sent, bytes.
    pub batch_bytes_max: usize,
    /// Topics that will be written to.
    pub topics: Vec<TopicExpectation>,
    /// The compacted topic of the checkpoints.
    pub offsets_topic: Option<TopicExpectation>,
}
/// A topic that will be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicExpectation {
    /// Its name.
    pub name: String,
    /// Created if it is missing, like this. `None`: it must exist.
    pub create: Option<NewTopic>,
}
/// Looks at the cluster and reports everything at once.
pub async fn check(_client: &Client, _expectations: &Expectations) -> Vec<Finding> {
    Vec::new()
}
