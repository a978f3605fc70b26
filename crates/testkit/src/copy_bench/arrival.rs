//! When the last row of a snapshot can be read, and whether each row can be read once.
//!
//! In: a topic and how many rows belong into it. Out: the moment. Until then only the topic's end is looked at: a reader of all
//! records would take a good part of what is measured from it.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Table;
use crate::event::Event;
use crate::stack::Database;
use crate::tail::{Tail, Watermark};
use crate::wait::{Seen, eventually};
use crate::{Failure, Result};

const ARRIVAL_MAX: Duration = Duration::from_mins(15);

/// How the last row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By `source.snapshot` of its record: marks that end Kafka transactions have offsets too.
    Marked,
    /// By its offset.
    Counted,
}

/// A topic, and the rows that belong into it.
pub(super) struct Arrival {
    bootstrap: String,
    topic: String,
    rows: u64,
    watermark: Watermark,
}

impl Arrival {
    pub(super) fn open(database: &Database, prefix: &str, table: Table) -> Result<Self> {
        let topic = format!("{prefix}.public.{}", table.name);
        Ok(Self {
            bootstrap: database.bootstrap().to_owned(),
            rows: table.rows,
            watermark: Watermark::open(database.bootstrap(), &topic)?,
            topic,
        })
    }

    /// Waits for the last row. `running` fails when nothing will come any more.
    pub(super) async fn wait(
        &self,
        end: End,
        mut running: impl AsyncFnMut() -> Result<()>,
    ) -> Result<Instant> {
        let rows = i64::try_from(self.rows)?;
        eventually("the topic has its length", ARRIVAL_MAX, async || {
            running().await?;
            let end = self.watermark.committed_end()?;
            Ok(Seen::when(end >= rows, || format!("{end} of {rows} rows")))
        })
        .await?;
        let counted_at = Instant::now();
        match end {
            End::Counted => Ok(counted_at),
            End::Marked => {
                let mut tail = Tail::open_at(&self.bootstrap, &self.topic, rows - 1)?;
                let events = tail.until(ARRIVAL_MAX, is_last).await?;
                let last = events.last().ok_or_else(|| Failure::new("no last row"))?;
                Ok(last.read_at)
            }
        }
    }

    /// Errors: rows that are missing, or there twice.
    pub(super) async fn expect_each_row_once(&self) -> Result<()> {
        #[derive(Deserialize)]
        struct Key {
            id: usize,
        }
        let mut times = vec![0_u8; usize::try_from(self.rows)? + 1];
        let mut strange = 0_u64;
        let mut tail = Tail::open(&self.bootstrap, &self.topic)?;
        tail.each_to_end(ARRIVAL_MAX, |event| {
            let key = event.key.as_deref().unwrap_or_default();
            let key = serde_json::from_slice::<Key>(key).ok();
            match key.and_then(|key| times.get_mut(key.id)).filter(|_| event.value.is_some()) {
                Some(count) => *count = count.saturating_add(1),
                None => strange += 1,
            }
            Ok(())
        })
        .await?;
        let (mut missing, mut repeated) = (0_u64, 0_u64);
        for count in &times[1..] {
            missing += u64::from(*count == 0);
            repeated += u64::from(*count > 1);
        }
        if missing + repeated == 0 && strange == 0 {
            return Ok(());
        }
        Err(Failure::new(format!(
            "topic `{}`: of {} rows {missing} are missing and {repeated} there more than once; {strange} other records",
            self.topic, self.rows
        )))
    }
}

fn is_last(event: &Event) -> bool {
    event.payload()["source"]["snapshot"] == "last"
}
