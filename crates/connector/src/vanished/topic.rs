//! One topic after a gap: which of its keys are left over, and the delete events that end them.
//!
//! In: where each partition ended before the snapshot began, and the tables whose records count. Out: records in the open
//! Kafka transaction, each in the partition of the record it answers.
//! A partition is read twice: once to know which records are the last of their keys ([`Fold`]), once to fetch those that are
//! the last trace of a row. What is unclear about a record is said, and the record is left as it is.
//! Never: a delete for a key that may be of a living row: one of another form than those of now, or in a partition where its
//! records no longer go.
//! Source: docs/adr/0013-deletes-after-a-gap.md.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::ControlFlow;

use envelope::{SnapshotMarker, SourcePosition, VanishedRow};
use kafka::{Client, KafkaError, TopicPartitionId, compacted};
use tracing::{info, warn};

use super::GapTopic;
use super::event::{self, LastRow, Source};
use super::fold::{Fold, KEYS_MAX, Slice};
use crate::clock;
use crate::error::ConnectorError;
use crate::gather::Gatherer;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::snapshot::hand_over;
use crate::status::{Notice, StatusReporter};
use crate::tables::CapturedTable;

/// Bytes of records kept at a time, but for the last of them. A batch that is cut here is fetched and unpacked again, and it
/// may be as large as this.
const FETCHED_BYTES_MAX: usize = 8 << 20;
/// Offsets between the first and the last record that are fetched at a time, so that little is fetched where few are wanted.
const FETCHED_OFFSETS_MAX: i64 = 1 << 15;
/// Lines in the log about records of one topic that are unclear.
const WARNINGS_MAX: u64 = 10;

/// Tells of the rows that vanished from one topic after the other.
pub(super) struct Teller<'a> {
    pub(super) settings: &'a Settings,
    pub(super) gatherer: &'a mut Gatherer,
    pub(super) sink: &'a mut Sink,
    pub(super) status: &'a StatusReporter,
    /// The transaction id that came next when this began.
    pub(super) xid: u64,
    /// Rows told of.
    pub(super) rows: u64,
}

/// The last record of a key.
struct Kept {
    offset: i64,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Whose records count.
struct Ours<'a> {
    name: &'a str,
    database: String,
    tables: &'a [&'a CapturedTable],
}

/// Why nothing is done about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unclear {
    Unreadable,
    OtherKey,
    NoSchema,
    Misplaced,
}

impl fmt::Display for Unclear {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreadable => "is no JSON event",
            Self::OtherKey => "has a key of another form than the table's keys have now",
            Self::NoSchema => "has no schema, and value.converter.schemas.enable asks for one",
            Self::Misplaced => {
                "is in a partition where records of its key no longer go, since the topic was given more"
            }
        })
    }
}

impl<'a> Ours<'a> {
    fn table(&self, source: &Source<'_>) -> Option<&'a CapturedTable> {
        if source.name != self.name || source.db != self.database {
            return None;
        }
        let is_it = |table: &&&CapturedTable| {
            let table = table.plan.table();
            source.schema == table.schema && source.table == table.name
        };
        self.tables.iter().find(is_it).copied()
    }

    /// Whether a value may be a row of ours. What cannot be read may be one; that is said when its turn comes.
    fn may_be_row(&self, value: Option<&[u8]>) -> bool {
        value.is_some_and(|value| match event::read(value) {
            Ok(row) => row.is_some_and(|row| self.table(&row.source).is_some()),
            Err(_) => true,
        })
    }
}

impl Teller<'_> {
    /// All partitions of one topic.
    pub(super) async fn topic(
        &mut self,
        gap: &GapTopic,
        tables: &[&CapturedTable],
    ) -> Result<(), ConnectorError> {
        let Some(table) = tables.first() else { return Ok(()) };
        let topic = table.topic.clone();
        if hex::encode(topic.id()) != gap.id {
            info!(connector.name = %self.settings.name, topic = topic.name(), "topic `{}` was made anew since the snapshot began: nothing in it is from before the gap", topic.name());
            return Ok(());
        }
        let database = self.gatherer.tables().database().to_owned();
        let ours = Ours { name: &self.settings.encoder.topic_prefix, database, tables };
        let mut unclear = BTreeMap::new();
        for (partition, &before) in topic.partitions().iter().zip(&gap.ends) {
            if before > 0 {
                self.partition(partition, before, &ours, &mut unclear).await?;
            }
        }
        if !unclear.is_empty() {
            self.status.notice(left_as_they_are(topic.name(), &unclear));
        }
        Ok(())
    }

    async fn partition(
        &mut self,
        partition: &TopicPartitionId,
        before: i64,
        ours: &Ours<'_>,
        unclear: &mut BTreeMap<Unclear, u64>,
    ) -> Result<(), ConnectorError> {
        let client = self.gatherer.tables().topics().client().clone();
        let end = compacted::stable_end(&client, partition).await?;
        let mut slices = vec![Slice::WHOLE];
        while let Some(slice) = slices.pop() {
            let (offsets, left) = fold(&client, partition, before, end, slice, ours).await?;
            slices.extend(left);
            let mut wanted = &offsets[..];
            while !wanted.is_empty() {
                let kept;
                (kept, wanted) = fetch(&client, partition, wanted).await?;
                for record in kept {
                    match judge(&record, partition, ours, self.settings) {
                        Ok(None) => {}
                        Ok(Some((table, row))) => self.row(partition, &record, table, &row).await?,
                        Err(reason) => self.leave(partition, &record, reason, unclear),
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the key of a row that is gone.
    async fn row(
        &mut self,
        partition: &TopicPartitionId,
        record: &Kept,
        table: &CapturedTable,
        row: &LastRow<'_>,
    ) -> Result<(), ConnectorError> {
        let now_ns = clock::unix_ns();
        let lsn = self.gatherer.position().end_lsn;
        let at = SourcePosition {
            event_id: None,
            // It is a change, not a row of the snapshot: who passes over those must see it.
            snapshot: SnapshotMarker::False,
            committed_at_unix_us: now_ns / 1000,
            processed_at_unix_ns: now_ns,
            xid: Some(self.xid),
            lsn: Some(lsn),
            last_commit_lsn: None,
            origin: None,
            origin_lsn: None,
        };
        let event_id = format!(
            "gap:{lsn}:{}:{}:{}",
            partition.topic().name(),
            partition.partition(),
            record.offset
        );
        let schema = row.schema.filter(|_| self.settings.encoder.value.schemas_enable);
        let vanished = VanishedRow {
            key: &record.key,
            schema: schema.map(str::as_bytes),
            row: row.row.as_bytes(),
            event_id: &event_id,
        };
        self.gatherer.vanished(table, &at, &vanished)?;
        self.rows += 1;
        if self.gatherer.filled().bytes >= self.settings.commit.bytes_max {
            hand_over(self.gatherer, self.sink, self.status).await?;
        }
        Ok(())
    }

    fn leave(
        &self,
        partition: &TopicPartitionId,
        record: &Kept,
        reason: Unclear,
        unclear: &mut BTreeMap<Unclear, u64>,
    ) {
        let told: u64 = unclear.values().sum();
        if told < WARNINGS_MAX {
            warn!(connector.name = %self.settings.name, code = "NT007", topic = partition.topic().name(), partition = partition.partition(), offset = record.offset, "the record at offset {} of {partition} {reason}: whether its row vanished in the gap is not known, and it stays", record.offset);
        }
        *unclear.entry(reason).or_default() += 1;
    }
}

/// One pass over a partition: what may be the last trace of a row that vanished, in order.
async fn fold(
    client: &Client,
    partition: &TopicPartitionId,
    before: i64,
    end: i64,
    slice: Slice,
    ours: &Ours<'_>,
) -> Result<(Vec<i64>, Vec<Slice>), ConnectorError> {
    let mut earliest = compacted::earliest(client, partition).await?;
    loop {
        let mut fold = Fold::new(slice, before, KEYS_MAX, before - earliest);
        let visited = compacted::visit(client, partition, earliest..end, |record| {
            if let Some(key) = record.key {
                fold.push(record.offset, key, || ours.may_be_row(record.value));
            }
            ControlFlow::Continue(())
        });
        match visited.await {
            Ok(_) => return Ok(fold.finish()),
            Err(error @ KafkaError::OffsetOutOfRange { .. }) => {
                // Deleted meanwhile: the log begins further on.
                let begins = compacted::earliest(client, partition).await?;
                if begins <= earliest {
                    return Err(error.into());
                }
                earliest = begins;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The next of the wanted records, and what is still wanted behind them.
async fn fetch<'w>(
    client: &Client,
    partition: &TopicPartitionId,
    wanted: &'w [i64],
) -> Result<(Vec<Kept>, &'w [i64]), ConnectorError> {
    let Some(&from) = wanted.first() else { return Ok((Vec::new(), wanted)) };
    let near = wanted.partition_point(|offset| *offset < from + FETCHED_OFFSETS_MAX);
    let (near, far) = wanted.split_at(near);
    let end = near.last().map_or(from, |last| last + 1);
    let mut kept = Vec::new();
    let mut kept_bytes = 0;
    let mut done = 0;
    let visited = compacted::visit(client, partition, from..end, |record| {
        // What is not there any more is passed over.
        done += near[done..].iter().take_while(|offset| **offset < record.offset).count();
        if near.get(done) == Some(&record.offset) {
            done += 1;
            if let (Some(key), Some(value)) = (record.key, record.value) {
                kept_bytes += key.len() + value.len();
                let (key, value) = (key.to_vec(), value.to_vec());
                kept.push(Kept { offset: record.offset, key, value });
            }
        }
        let is_full = kept_bytes >= FETCHED_BYTES_MAX;
        if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match visited.await {
        Ok(_) if kept_bytes >= FETCHED_BYTES_MAX => Ok((kept, &wanted[done..])),
        Ok(_) => Ok((kept, far)),
        Err(error @ KafkaError::OffsetOutOfRange { .. }) => {
            let earliest = compacted::earliest(client, partition).await?;
            let deleted = wanted.partition_point(|offset| *offset < earliest);
            if deleted <= done { Err(error.into()) } else { Ok((kept, &wanted[deleted..])) }
        }
        Err(error) => Err(error.into()),
    }
}

/// The row that a record leaves behind; `None` if it is not ours.
fn judge<'r, 'a>(
    record: &'r Kept,
    partition: &TopicPartitionId,
    ours: &Ours<'a>,
    settings: &Settings,
) -> Result<Option<(&'a CapturedTable, LastRow<'r>)>, Unclear> {
    let row = event::read(&record.value).map_err(|_| Unclear::Unreadable)?;
    let Some(row) = row else { return Ok(None) };
    let Some(table) = ours.table(&row.source) else { return Ok(None) };
    if !table.plan.key_form().is_some_and(|form| event::has_form(&record.key, form)) {
        return Err(Unclear::OtherKey);
    }
    if partition.topic().partition_for(Some(&record.key)) != partition.partition() {
        return Err(Unclear::Misplaced);
    }
    if settings.encoder.value.schemas_enable && row.schema.is_none() {
        return Err(Unclear::NoSchema);
    }
    Ok(Some((table, row)))
}

fn left_as_they_are(topic: &str, unclear: &BTreeMap<Unclear, u64>) -> Notice {
    let mut counts = String::new();
    for (reason, count) in unclear {
        let separator = if counts.is_empty() { "" } else { "; " };
        // Writing to a String cannot fail.
        let _ = write!(counts, "{separator}{count} each of which {reason}");
    }
    Notice {
        code: "NT007",
        subject: topic.to_owned(),
        text: format!(
            "[NT007] records of {topic} from before the gap stay, and rows that they are of may have vanished: {counts}\n  fix: compare the topic with the table, and write what is missing, or have consumers load the table anew"
        ),
    }
}
