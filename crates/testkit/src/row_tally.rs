//! Whether rows 1 to so many are in their topics, each once.
//!
//! In: records with a key `id`. Out: a verdict. Never: an order, which is another promise.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::event::Event;
use crate::tail::Together;
use crate::{Failure, Result};

/// How long a row may take that is missing: the marks that end a Kafka transaction reach its partitions one after the other.
const MISSING_MAX: Duration = Duration::from_mins(1);
/// How long records are waited for that should not be there.
const SURPLUS_WAIT: Duration = Duration::from_secs(2);

/// Reads topics that nobody writes to any more. Errors: rows that are missing, or there twice.
pub(crate) async fn expect_each_row_once(
    bootstrap: &str,
    topics: &[String],
    rows: u64,
) -> Result<()> {
    let mut tally = RowTally::new(rows)?;
    let mut together = Together::open(bootstrap, topics).await?;
    loop {
        let wait = if tally.records < rows { MISSING_MAX } else { SURPLUS_WAIT };
        match together.next(Instant::now() + wait).await? {
            Some(event) => tally.take(&event),
            None => return tally.expect_each_once(&topics.join(", ")),
        }
    }
}

/// How often each row came.
pub(crate) struct RowTally {
    times: Vec<u8>,
    records: u64,
    /// Records that are of none of the rows, or without a value.
    others: u64,
}

impl RowTally {
    pub(crate) fn new(rows: u64) -> Result<Self> {
        Ok(Self { times: vec![0; usize::try_from(rows)? + 1], records: 0, others: 0 })
    }

    /// Counts a record in.
    pub(crate) fn take(&mut self, event: &Event) {
        #[derive(Deserialize)]
        struct Key {
            id: usize,
        }
        self.records += 1;
        let key = event.key.as_deref().unwrap_or_default();
        let key = serde_json::from_slice::<Key>(key).ok().filter(|key| key.id > 0);
        match key.and_then(|key| self.times.get_mut(key.id)).filter(|_| event.value.is_some()) {
            Some(count) => *count = count.saturating_add(1),
            None => self.others += 1,
        }
    }

    /// Errors: rows that are missing, or there twice.
    pub(crate) fn expect_each_once(&self, topics: &str) -> Result<()> {
        let (mut missing, mut repeated) = (0_u64, 0_u64);
        for count in &self.times[1..] {
            missing += u64::from(*count == 0);
            repeated += u64::from(*count > 1);
        }
        if missing + repeated + self.others == 0 {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{topics}: of {} rows {missing} are missing and {repeated} there more than once; {} other records",
            self.times.len() - 1,
            self.others
        )))
    }
}
