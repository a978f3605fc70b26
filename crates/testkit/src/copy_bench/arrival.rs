//! When the last row of a snapshot can be read, and whether each row can be read once.
//!
//! In: a topic and how many rows belong into it. Out: the moment. Until then only the topic's end is looked at: a reader of all
//! records would take a good part of what is measured from it.

use std::time::{Duration, Instant};

use super::Table;
use crate::event::Event;
use crate::row_tally::RowTally;
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
        let mut tally = RowTally::new(self.rows)?;
        let mut tail = Tail::open(&self.bootstrap, &self.topic)?;
        tail.each_to_end(ARRIVAL_MAX, |event| {
            tally.take(&event);
            Ok(())
        })
        .await?;
        tally.expect_each_once(&self.topic)
    }
}

fn is_last(event: &Event) -> bool {
    event.payload()["source"]["snapshot"] == "last"
}
