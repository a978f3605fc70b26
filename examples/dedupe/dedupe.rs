//! Passes over events that were seen before. Used by the project's own tests; copy it.

use std::collections::HashMap;

/// An event id, as ids are compared: commit, change, repeat, record.
pub type Id = (u64, u64, u64, u64);

/// The newest id of each topic and partition. Keep it with the results of your work.
#[derive(Debug, Default)]
pub struct Seen(HashMap<(String, i32), Id>);

impl Seen {
    /// Whether an event is new, and if it is, remembers it. `id` is the header `tributary.event.id`; rows of snapshots have none, and
    /// are always taken: they are states.
    pub fn is_new(&mut self, topic: &str, partition: i32, id: Option<&str>) -> bool {
        let Some(id) = id.and_then(parse) else { return true };
        let newest = self.0.entry((topic.to_owned(), partition)).or_default();
        let is_new = id > *newest;
        *newest = id.max(*newest);
        is_new
    }
}

/// Reads `0/16B3748:0/16B3700:0`, or the same with `.1` behind it.
pub fn parse(id: &str) -> Option<Id> {
    let (id, record) = id.split_once('.').unwrap_or((id, "0"));
    let mut parts = id.split(':');
    let (commit, change) = (lsn(parts.next()?)?, lsn(parts.next()?)?);
    Some((commit, change, parts.next()?.parse().ok()?, record.parse().ok()?))
}

fn lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some((u64::from_str_radix(high, 16).ok()? << 32) | u64::from_str_radix(low, 16).ok()?)
}
