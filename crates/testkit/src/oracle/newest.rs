//! The newest event that a reader of the oracle's topics has read.
//!
//! In: topics that grow. Out: when the last event was read, and when the connector made it. Never: a judgement.

use std::time::Instant;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::schema::TABLES;
use crate::Result;
use crate::stack::Database;
use crate::tail::Tail;
use crate::wait::DEADLINE;

/// The newest event: when it was read, and when the connector made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newest {
    pub(crate) read_at: Instant,
    pub(crate) made_at_unix_ms: i64,
    pub(crate) is_snapshot: bool,
}

impl Newest {
    /// Watches all tables of the oracle. The readers end with their owner.
    pub(crate) fn watch(
        database: &Database,
    ) -> Result<(watch::Receiver<Self>, JoinSet<Result<()>>)> {
        let nothing = Self { read_at: Instant::now(), made_at_unix_ms: 0, is_snapshot: false };
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
            let made = Newest {
                read_at: event.read_at,
                made_at_unix_ms: envelope.ts_ms,
                is_snapshot: envelope.op == "r",
            };
            newest.send_replace(made);
        }
    }
}
