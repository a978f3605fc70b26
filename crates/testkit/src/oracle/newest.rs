//! The newest event that a reader of the oracle's topics has read.
//!
//! In: topics that grow. Out: when the last event was read, when the connector made it, and how late. Never: a judgement.

use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::schema::TABLES;
use crate::Result;
use crate::stack::Database;
use crate::tail::Tail;
use crate::wait::DEADLINE;

/// The newest event: when it was read, when the connector made it, and how long after its change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newest {
    pub(crate) read_at: Instant,
    pub(crate) made_at_unix_ms: i64,
    pub(crate) lag: Duration,
    pub(crate) is_snapshot: bool,
}

impl Newest {
    /// Watches all tables of the oracle. The readers end with their owner.
    pub(crate) fn watch(
        database: &Database,
    ) -> Result<(watch::Receiver<Self>, JoinSet<Result<()>>)> {
        let (read_at, lag) = (Instant::now(), Duration::ZERO);
        let nothing = Self { read_at, made_at_unix_ms: 0, lag, is_snapshot: false };
        let (sender, newest) = watch::channel(nothing);
        let mut readers = JoinSet::new();
        for table in &TABLES {
            let tail = database.tail(&format!("public.{}", table.name))?;
            readers.spawn(follow(tail, sender.clone()));
        }
        Ok((newest, readers))
    }
}

/// Reads a topic as it grows and tells of its newest event.
async fn follow(mut tail: Tail, newest: watch::Sender<Newest>) -> Result<()> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        ts_ms: i64,
        op: &'a str,
        source: Source,
    }
    #[derive(Deserialize)]
    struct Source {
        ts_ms: i64,
    }
    loop {
        let Some(event) = tail.next(Instant::now() + DEADLINE).await? else {
            continue;
        };
        let envelope = event
            .value
            .as_deref()
            .and_then(|value| serde_json::from_slice::<Envelope<'_>>(value).ok());
        if let Some(envelope) = envelope {
            let lag_ms = envelope.ts_ms.saturating_sub(envelope.source.ts_ms);
            let made = Newest {
                read_at: event.read_at,
                made_at_unix_ms: envelope.ts_ms,
                lag: Duration::from_millis(lag_ms.try_into().unwrap_or_default()),
                is_snapshot: envelope.op == "r",
            };
            newest.send_replace(made);
        }
    }
}
