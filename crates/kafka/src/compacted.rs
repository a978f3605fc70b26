//! The newest values of keys in a compacted topic, as a take-over needs them, and the records they are found in.
//!
//! In: a topic, a partition, a key or a choice of keys. Out: the newest committed value. The order is what makes it
//! right: the high watermark is taken first, and nothing is answered before every record of these keys up to there is committed
//! or aborted. Transactions of others are read past: they may be open for as long as their producers are dead.
//! Never here: a cache. Source: KIP-98, "Reading committed messages".

mod unsettled;

use std::{
    collections::HashMap,
    hash::Hash,
    ops::{ControlFlow, Range},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    Client, Isolation, KafkaError, TopicPartitionId,
    fetch::{FetchLimits, Fetched, fetch},
    hanging,
    read::{self, StoredRecord},
};

/// Offsets of the first window, counted back from the end.
const WINDOW_FIRST: i64 = 256;
/// Each window further back is so many times larger.
const WINDOW_GROWTH: i64 = 16;
/// Bytes expected of one record when the size of a fetch is chosen.
const RECORD_BYTES_EXPECTED: i64 = 512;
const FETCH_BYTES_MIN: i64 = 64 << 10;
const FETCH_WAIT: Duration = Duration::from_millis(100);
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Waiting longer than this for somebody's open transaction is worth a line in the log.
const WAIT_WORTH_TELLING: Duration = Duration::from_secs(3);

/// The newest committed value of `key`, as of now; `None` if there is none, or a tombstone.
///
/// Reads backwards from the end in growing windows: one small fetch when the key was written lately,
/// one pass over the partition when it was never written.
///
/// Errors: [`KafkaError::OpenTransaction`] if one with this key is open for longer than
/// `default.api.timeout.ms`; [`KafkaError::TopicMissing`]; those of connections.
///
/// # Panics
/// If the topic has no such partition.
pub async fn read_last(
    client: &Client,
    topic: &str,
    partition: i32,
    key: &[u8],
) -> Result<Option<Vec<u8>>, KafkaError> {
    let topic = client.known_topic(topic).await?.topic;
    let partition = topic.partition(partition);
    let Ends { stable: mut end, last } = Ends::now(client, &partition).await?;
    let select = |found: &[u8]| (found == key).then_some(());
    if let Some(newest) = unsettled::read(client, &partition, end..last, select).await?.remove(&())
    {
        return Ok(newest);
    }
    let mut window = WINDOW_FIRST;
    loop {
        let earliest = client.earliest_offset(client.control(), &partition).await?;
        if end <= earliest {
            return Ok(None);
        }
        let start = end.saturating_sub(window).max(earliest);
        match read_window(client, &partition, start..end, key).await {
            Ok(Some(newest)) => return Ok(newest),
            Ok(None) => end = start,
            // Deleted or compacted away between the two requests: look where the log begins now.
            Err(KafkaError::OffsetOutOfRange { .. }) => {}
            Err(error) => return Err(error),
        }
        window = window.saturating_mul(WINDOW_GROWTH);
    }
}

/// The newest committed value of every key that `select` gives a name, as of now, in one pass over the partition. Keys
/// whose newest value is a tombstone are left out.
///
/// Errors: as [`read_last`].
pub async fn read_newest<K: Eq + Hash>(
    client: &Client,
    partition: &TopicPartitionId,
    select: impl Fn(&[u8]) -> Option<K>,
) -> Result<HashMap<K, Vec<u8>>, KafkaError> {
    let Ends { stable, last } = Ends::now(client, partition).await?;
    let mut newest: HashMap<K, Vec<u8>> = HashMap::new();
    loop {
        let earliest = client.earliest_offset(client.control(), partition).await?;
        let visited = visit(client, partition, earliest..stable, |record| {
            if let Some(key) = record.key {
                keep(&mut newest, select(key), record.value);
            }
            ControlFlow::Continue(())
        });
        match visited.await {
            Ok(_) => break,
            // Deleted or compacted away meanwhile: look where the log begins now.
            Err(KafkaError::OffsetOutOfRange { .. }) => newest.clear(),
            Err(error) => return Err(error),
        }
    }
    for (name, value) in unsettled::read(client, partition, stable..last, &select).await? {
        keep(&mut newest, Some(name), value.as_deref());
    }
    Ok(newest)
}

fn keep<K: Eq + Hash>(newest: &mut HashMap<K, Vec<u8>>, name: Option<K>, value: Option<&[u8]>) {
    let Some(name) = name else { return };
    match value {
        Some(value) => drop(newest.insert(name, value.to_vec())),
        None => drop(newest.remove(&name)),
    }
}

/// How far a partition goes.
struct Ends {
    /// Every transaction that has records before this is over.
    stable: i64,
    /// The high watermark.
    last: i64,
}

impl Ends {
    async fn now(client: &Client, partition: &TopicPartitionId) -> Result<Self, KafkaError> {
        let pool = client.control();
        // In this order: what is committed by now lies before it.
        let last = client.latest_offset(pool, partition, Isolation::ReadUncommitted).await?;
        let stable = client.latest_offset(pool, partition, Isolation::ReadCommitted).await?;
        Ok(Self { stable: stable.min(last), last })
    }
}

/// The first offset of the partition that still exists.
///
/// Errors: those of connections.
pub async fn earliest(client: &Client, partition: &TopicPartitionId) -> Result<i64, KafkaError> {
    client.earliest_offset(client.control(), partition).await
}

/// The end of the partition now, once no open transaction hides anything before it.
///
/// Errors: [`KafkaError::OpenTransaction`] if one does for longer than `default.api.timeout.ms`; those of connections.
pub async fn stable_end(client: &Client, partition: &TopicPartitionId) -> Result<i64, KafkaError> {
    let Ends { mut stable, last: end } = Ends::now(client, partition).await?;
    let started = Instant::now();
    let mut pause = PAUSE_FIRST;
    let mut is_told = false;
    loop {
        if stable >= end {
            return Ok(end);
        }
        let waited = started.elapsed();
        if waited >= client.config().api_timeout {
            return Err(open_transaction(client, partition, stable..end, waited).await);
        }
        if waited >= WAIT_WORTH_TELLING && !is_told {
            tracing::warn!(%partition, stable, end, "an open transaction hides the end of {partition}: waiting for it to end");
            is_told = true;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        stable = Ends::now(client, partition).await?.stable;
    }
}

/// An open transaction has hidden a range for too long.
async fn open_transaction(
    client: &Client,
    partition: &TopicPartitionId,
    hidden: Range<i64>,
    waited: Duration,
) -> KafkaError {
    // It helps to know whose it is; where the leader does not say, the fault is the same.
    let holders = hanging::holders(client, partition).await.unwrap_or_default();
    let holder = holders.iter().find(|holder| holder.first_offset == hidden.start);
    KafkaError::OpenTransaction {
        holder: holder.map(|holder| (holder.producer_id, holder.epoch)),
        topic: partition.topic().name().into(),
        partition: partition.partition(),
        last_stable_offset: hidden.start,
        high_watermark: hidden.end,
        waited,
    }
}

/// The newest value of `key` in a range of offsets: `Some(None)` is a tombstone.
async fn read_window(
    client: &Client,
    partition: &TopicPartitionId,
    range: Range<i64>,
    key: &[u8],
) -> Result<Option<Option<Vec<u8>>>, KafkaError> {
    let mut newest = None;
    let visited = visit(client, partition, range, |record| {
        if record.key == Some(key) {
            newest = Some(record.value.map(<[u8]>::to_vec));
        }
        ControlFlow::Continue(())
    });
    visited.await?;
    Ok(newest)
}

/// One record, borrowed from what a broker sent.
#[derive(Clone, Copy, Debug)]
pub struct VisitedRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// `None` is Kafka's null: a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    headers: &'a [u8],
}

impl<'a> VisitedRecord<'a> {
    /// The value of a header; `None` also if it is null, or the headers are no headers.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let headers = read::headers(self.headers).ok()?;
        headers.into_iter().find(|(found, _)| *found == name)?.1
    }
}

/// Shows every committed record in a range of offsets to `show`, in order, until it breaks. Out: where to go on, which is
/// behind the record it broke at. Nothing is kept; memory holds what one fetch brings.
///
/// Errors: [`KafkaError::OffsetOutOfRange`] if records of the range were deleted before they were read;
/// [`KafkaError::CorruptBatch`]; what has kept it from reading for `default.api.timeout.ms`.
pub async fn visit(
    client: &Client,
    partition: &TopicPartitionId,
    range: Range<i64>,
    mut show: impl FnMut(VisitedRecord<'_>) -> ControlFlow<()>,
) -> Result<i64, KafkaError> {
    let mut walk = Walk::begin(client, partition, range.clone(), Isolation::ReadCommitted);
    while walk.offset < range.end {
        let Some(fetched) = walk.fetch().await? else { continue };
        let mut broke_behind = None;
        let behind = fetched.visit(|_, record| {
            if record.offset >= range.end {
                return Ok(ControlFlow::Break(()));
            }
            let StoredRecord { offset, key, value, headers, .. } = *record;
            let shown = show(VisitedRecord { offset, key, value, headers });
            if shown.is_break() {
                broke_behind = Some(offset + 1);
            }
            Ok(shown)
        })?;
        if let Some(behind) = broke_behind {
            return Ok(behind);
        }
        walk.came_to(behind);
    }
    Ok(range.end)
}

/// One fetch after the other.
struct Walk<'a> {
    client: &'a Client,
    partition: &'a TopicPartitionId,
    limits: FetchLimits,
    /// What is asked for next.
    offset: i64,
    deadline: Instant,
}

impl<'a> Walk<'a> {
    fn begin(
        client: &'a Client,
        partition: &'a TopicPartitionId,
        range: Range<i64>,
        isolation: Isolation,
    ) -> Self {
        let config = client.config();
        let expected_bytes = (range.end - range.start).saturating_mul(RECORD_BYTES_EXPECTED);
        let bytes_max = expected_bytes
            .clamp(FETCH_BYTES_MIN, i64::from(config.fetch_bytes_max).max(FETCH_BYTES_MIN));
        let limits = FetchLimits {
            isolation,
            wait: FETCH_WAIT,
            bytes_max: i32::try_from(bytes_max).unwrap_or(i32::MAX),
            request_timeout: config.request_timeout,
        };
        let deadline = Instant::now() + config.api_timeout;
        Self { client, partition, limits, offset: range.start, deadline }
    }

    /// What follows; `None`: ask again, somebody else leads the partition now.
    async fn fetch(&self) -> Result<Option<Fetched>, KafkaError> {
        let config = self.client.config();
        let fetched = match self.fetch_once().await {
            Ok(fetched) => fetched,
            Err(error) if error.is_stale_metadata() && Instant::now() < self.deadline => {
                self.client.forget_leaders([self.partition.topic().name()]);
                sleep(PAUSE_MAX).await;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if Instant::now() > self.deadline {
            let broker = config.bootstrap_text();
            let waited = config.api_timeout;
            return Err(KafkaError::RequestTimedOut { broker, api: "Fetch", waited });
        }
        Ok(Some(fetched))
    }

    async fn fetch_once(&self) -> Result<Fetched, KafkaError> {
        let (client, partition) = (self.client, self.partition);
        let leader = client.leaders(&[partition]).await?.swap_remove(0);
        let connection = client.control().get(&leader).await?;
        let from = vec![(partition.clone(), self.offset)];
        let mut fetched = fetch(connection, from, self.limits).await?;
        fetched.pop().ok_or_else(|| KafkaError::Protocol {
            broker: leader,
            api: "Fetch",
            reason: format!("the answer says nothing about {partition}"),
        })
    }

    /// There is nothing more to read by now, and that is no fault.
    fn waits(&mut self) {
        self.deadline = Instant::now() + self.client.config().api_timeout;
    }

    fn came_to(&mut self, offset: i64) {
        if offset > self.offset {
            self.offset = offset;
            self.waits();
        }
    }
}
