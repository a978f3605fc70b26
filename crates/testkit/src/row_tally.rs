//! Whether rows 1 to so many are in their topics, each once.
//!
//! In: records with a key `id`. Out: a verdict. Never: an order, which is another promise.

use serde::Deserialize;

use crate::event::Event;
use crate::{Failure, Result};

/// How often each row came.
pub(crate) struct RowTally {
    times: Vec<u8>,
    /// Records that are of none of the rows, or without a value.
    others: u64,
}

impl RowTally {
    pub(crate) fn new(rows: u64) -> Result<Self> {
        Ok(Self { times: vec![0; usize::try_from(rows)? + 1], others: 0 })
    }

    /// Counts a record in.
    pub(crate) fn take(&mut self, event: &Event) {
        #[derive(Deserialize)]
        struct Key {
            id: usize,
        }
        let key = event.key.as_deref().unwrap_or_default();
        let key = serde_json::from_slice::<Key>(key).ok().filter(|key| key.id > 0);
        match key.and_then(|key| self.times.get_mut(key.id)).filter(|_| event.value.is_some()) {
            Some(count) => *count = count.saturating_add(1),
            None => self.others += 1,
        }
    }

    /// Errors: rows that are missing, or there twice.
    pub(crate) fn expect_each_once(&self, topic: &str) -> Result<()> {
        let (mut missing, mut repeated) = (0_u64, 0_u64);
        for count in &self.times[1..] {
            missing += u64::from(*count == 0);
            repeated += u64::from(*count > 1);
        }
        if missing + repeated + self.others == 0 {
            return Ok(());
        }
        Err(Failure::new(format!(
            "topic `{topic}`: of {} rows {missing} are missing and {repeated} there more than once; {} other records",
            self.times.len() - 1,
            self.others
        )))
    }
}
