//! What of an unfinished snapshot is in Kafka: which blocks of which files.
//!
//! In: parts of tables, as their last row goes into the open Kafka transaction. Out: one record per file in the offsets topic, in
//! the Kafka transaction of those rows; and after a death what is left to read.
//! A file that was written anew has its rows in other places: nothing of it is done.
//! Never: a part whose rows are not all in the same Kafka transaction as its record, or in one before.
//! Source: PostgreSQL manual, "System Columns" (`ctid`), `pg_relation_filenode`; `docs/adr/0014-snapshots-resume-by-chunk.md`.

use std::collections::HashMap;

use kafka::{Client, TopicPartitionId, Transaction, compacted};
use pgoutput::{Lsn, Oid};
use postgres::snapshot::CtidRange;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock;
use crate::error::ConnectorError;
use crate::position;

/// Version of the layout below. A reader refuses a newer one.
const LAYOUT_VERSION: u32 = 1;

/// The parts of one snapshot that are in Kafka.
#[derive(Debug)]
pub(crate) struct Done {
    connector: String,
    topic_prefix: String,
    partition: TopicPartitionId,
    /// Where the snapshot was first taken, which tells it from another one.
    began: Option<Lsn>,
    parts: HashMap<Oid, Parts>,
}

/// What was read of one table, which has rows: an ordinary one or a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    began: Lsn,
    filenode: u32,
    pub(super) ranges: Ranges,
}

/// Ranges of blocks, in order, none touching another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ranges(Vec<(u32, Option<u32>)>);

impl Done {
    /// Knows nothing yet.
    pub(crate) fn new(connector: &str, topic_prefix: &str, partition: TopicPartitionId) -> Self {
        Self {
            connector: connector.to_owned(),
            topic_prefix: topic_prefix.to_owned(),
            partition,
            began: None,
            parts: HashMap::new(),
        }
    }

    /// Reads what was committed.
    pub(crate) async fn load(&mut self, client: &Client) -> Result<(), ConnectorError> {
        let table = |key: &[u8]| table_of(key, &self.connector, &self.topic_prefix);
        let newest = compacted::read_newest(client, &self.partition, table).await?;
        let parts = newest.into_iter().map(|(table, value)| Ok((table, from_json(&value)?)));
        self.parts = parts.collect::<Result<_, ConnectorError>>()?;
        Ok(())
    }

    /// The snapshot that was first taken at `began` is taken, or goes on: what is known of another one means nothing.
    pub(crate) fn begin(&mut self, began: Lsn) {
        self.began = Some(began);
    }

    /// Some of the snapshot is in Kafka.
    pub(crate) fn is_begun(&self, began: Lsn) -> bool {
        self.parts.values().any(|parts| parts.began == began)
    }

    /// What is left to read of a table's file.
    pub(crate) fn rest(&self, table: Oid, filenode: u32) -> Vec<CtidRange> {
        match self.known(table, filenode) {
            Some(parts) => parts.ranges.gaps(),
            None => vec![CtidRange::WHOLE],
        }
    }

    fn known(&self, table: Oid, filenode: u32) -> Option<&Parts> {
        let parts = self.parts.get(&table)?;
        (Some(parts.began) == self.began && parts.filenode == filenode).then_some(parts)
    }

    /// A part's last row is in the Kafka transaction.
    pub(crate) fn keep(
        &mut self,
        table: Oid,
        filenode: u32,
        range: CtidRange,
        transaction: &mut Transaction,
    ) {
        let Some(began) = self.began else { return };
        let ranges = self.known(table, filenode).map(|parts| parts.ranges.clone());
        let mut parts = Parts { began, filenode, ranges: ranges.unwrap_or_default() };
        parts.ranges.add(range);
        let (key, value) = (self.key(table), to_json(&parts));
        transaction.append(&self.partition, clock::unix_ms(), Some(&key), Some(&value), &[]);
        self.parts.insert(table, parts);
    }

    /// The snapshot is complete: nobody will ask for its parts again.
    pub(crate) fn forget(&mut self, transaction: &mut Transaction) {
        self.began = None;
        let tables: Vec<Oid> = self.parts.drain().map(|(table, _)| table).collect();
        for table in tables {
            let key = self.key(table);
            transaction.append(&self.partition, clock::unix_ms(), Some(&key), None, &[]);
        }
    }

    /// `["<connector>",{"server":"<topic.prefix>","snapshot":<oid>}]`.
    fn key(&self, table: Oid) -> Vec<u8> {
        let partition = json!({ "server": self.topic_prefix, "snapshot": table.0 });
        json!([self.connector, partition]).to_string().into_bytes()
    }
}

/// The table a key speaks of, if it is one of this connector.
pub(super) fn table_of(key: &[u8], connector: &str, topic_prefix: &str) -> Option<Oid> {
    let (name, partition): (String, Partition) = serde_json::from_slice(key).ok()?;
    (name == connector && partition.server == topic_prefix).then_some(Oid(partition.snapshot))
}

impl Ranges {
    pub(super) fn add(&mut self, range: CtidRange) {
        self.0.push((range.start_block, range.end_block));
        self.0.sort_unstable_by_key(|range| range.0);
        let mut merged: Vec<(u32, Option<u32>)> = Vec::with_capacity(self.0.len());
        for (start, end) in self.0.drain(..) {
            match merged.last_mut() {
                Some((_, last)) if last.is_none_or(|last| start <= last) => {
                    *last = last.zip(end).map(|(last, end)| last.max(end));
                }
                _ => merged.push((start, end)),
            }
        }
        self.0 = merged;
    }

    pub(super) fn gaps(&self) -> Vec<CtidRange> {
        let mut gaps = Vec::new();
        let mut next = Some(0);
        for &(start, end) in &self.0 {
            if let Some(start_block) = next.filter(|next| *next < start) {
                gaps.push(CtidRange { start_block, end_block: Some(start) });
            }
            next = end;
        }
        gaps.extend(next.map(|start_block| CtidRange { start_block, end_block: None }));
        gaps
    }
}

#[derive(Deserialize)]
struct Partition {
    server: String,
    snapshot: u32,
}

#[derive(Serialize, Deserialize)]
struct Layout {
    tributary: OurLayout,
}

#[derive(Serialize, Deserialize)]
struct OurLayout {
    version: u32,
    began: String,
    filenode: u32,
    done: Ranges,
}

pub(super) fn to_json(parts: &Parts) -> Vec<u8> {
    let ours = json!({
        "version": LAYOUT_VERSION,
        "began": parts.began.to_string(),
        "filenode": parts.filenode,
        "done": parts.ranges,
    });
    json!({ "tributary": ours }).to_string().into_bytes()
}

pub(super) fn from_json(value: &[u8]) -> Result<Parts, ConnectorError> {
    let layout: Layout =
        serde_json::from_slice(value).map_err(|error| ConnectorError::unreadable(&error))?;
    let ours = layout.tributary;
    let what = "what is kept of its snapshot has layout version";
    ConnectorError::refuse_newer(what, ours.version, LAYOUT_VERSION)?;
    let began = position::lsn(&ours.began)?;
    Ok(Parts { began, filenode: ours.filenode, ranges: ours.done })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start_block: u32, end_block: Option<u32>) -> CtidRange {
        CtidRange { start_block, end_block }
    }

    proptest! {
        #[test]
        fn what_is_done_and_what_is_left_are_all_blocks_once(
            mut starts in prop::collection::btree_set(1u32..500, 0..20),
            done in prop::collection::vec(any::<bool>(), 21),
            order in any::<u64>(),
        ) {
            starts.insert(0);
            let starts: Vec<u32> = starts.into_iter().collect();
            let mut pieces: Vec<CtidRange> = starts
                .iter()
                .enumerate()
                .map(|(at, &start)| range(start, starts.get(at + 1).copied()))
                .collect();
            let mut ranges = Ranges::default();
            let turn = usize::try_from(order % 21).unwrap() % pieces.len();
            let left: Vec<CtidRange> =
                pieces.iter().zip(&done).filter(|(_, done)| !**done).map(|(piece, _)| *piece).collect();
            let mut added: Vec<CtidRange> =
                pieces.drain(..).zip(&done).filter(|(_, done)| **done).map(|(piece, _)| piece).collect();
            let turn = turn.min(added.len());
            added.rotate_left(turn);
            for piece in added {
                ranges.add(piece);
            }
            let mut expected = Ranges::default();
            for piece in left {
                expected.add(piece);
            }
            let gaps: Vec<(u32, Option<u32>)> =
                ranges.gaps().iter().map(|gap| (gap.start_block, gap.end_block)).collect();
            prop_assert_eq!(gaps, expected.0);
        }
    }

    #[test]
    fn parts_survive_their_record_and_a_newer_layout_is_refused() {
        let mut parts = Parts { began: Lsn::new(0x99), filenode: 7, ranges: Ranges::default() };
        parts.ranges.add(range(5, Some(9)));
        parts.ranges.add(range(12, None));
        let json = to_json(&parts);
        assert_eq!(from_json(&json).unwrap(), parts);
        let newer = String::from_utf8(json).unwrap().replace("\"version\":1", "\"version\":2");
        assert_eq!(from_json(newer.as_bytes()).unwrap_err().code(), "CO010");
    }

    #[test]
    fn a_record_is_of_one_connector_and_is_no_version_of_a_table() {
        let key = br#"["shop",{"server":"eu","snapshot":16401}]"#;
        assert_eq!(table_of(key, "shop", "eu"), Some(Oid(16401)));
        assert_eq!(table_of(key, "shop", "us"), None);
        assert_eq!(table_of(br#"["shop",{"server":"eu","table":16401}]"#, "shop", "eu"), None);
        assert_eq!(table_of(br#"["shop",{"server":"eu"}]"#, "shop", "eu"), None);
    }
}
