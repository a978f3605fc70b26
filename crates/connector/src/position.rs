//! Where a connector continues: the value of its checkpoint record.
//!
//! In: what the pipeline has sent. Out: the JSON of one record in the offsets topic, and back.
//! Never: an event's LSN as a position. Rows of one COPY share an LSN, and from PostgreSQL 17 on a commit may end
//! where the next change begins, so only the end of a complete transaction, or a transaction with a count of its raw
//! changes, says where to go on.
//! Source: Kafka Connect's layout of source offsets; KIP-618.

use std::str::FromStr;

use pgoutput::{Lsn, Xid};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::ConnectorError;
pub use crate::signal::{
    BlockingRequest, Heeded, HeededFile, HeededTopic, IncrementalProgress, IncrementalRequest,
    RequestedTable, Requests,
};
pub use crate::vanished::{Gap, GapTable, GapTopic};

/// Version of the layout below. A reader refuses a newer one.
const LAYOUT_VERSION: u32 = 4;

/// Where a restart continues. Written in the Kafka transaction that carries the records it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// `system_identifier` of the PostgreSQL cluster: another cluster's LSNs mean something else.
    pub system_id: String,
    /// Timeline the positions below belong to: a promoted standby reuses LSNs.
    pub timeline: u32,
    /// Where that timeline began: two standbys that were promoted apart may both have given theirs the same number. `None` of the first
    /// timeline, and where the server could not tell.
    pub timeline_began: Option<Lsn>,
    /// Replication slot the positions belong to.
    pub slot: String,
    /// The run that wrote this: a run that was taken over from finds another here, and leaves.
    pub instance: String,
    /// Everything that was committed before this position is in Kafka.
    pub end_lsn: Lsn,
    /// Where the commit record of the last transaction that carried a change ends; part of the events' `sequence`.
    pub last_commit_lsn: Option<Lsn>,
    /// Set while a Kafka transaction had to end inside a source transaction.
    pub half_sent: Option<HalfSent>,
    /// How far the initial snapshot has come.
    pub snapshot: SnapshotProgress,
    /// Where the snapshot that is not complete was first taken: what is done of it is kept under this position.
    pub snapshot_began: Option<Lsn>,
    /// Fingerprint of the options that decide which raw changes the server sends.
    pub stream_options: String,
    /// What signals have asked for and is not done yet.
    pub requests: Requests,
    /// A gap that the snapshot closes, until the rows that vanished in it are told of.
    pub gap: Option<Gap>,
}

/// A source transaction of which the first `changes` raw pgoutput changes are in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfSent {
    /// `final_lsn` of its Begin message.
    pub commit_lsn: Lsn,
    /// Its transaction id.
    pub xid: Xid,
    /// Raw changes already sent, counted before any filter of ours, so that a changed filter cannot shift it.
    pub changes: u64,
}

impl HalfSent {
    /// Whether this is the transaction that committed there under this id.
    pub fn is(&self, commit_lsn: Lsn, xid: Xid) -> bool {
        self.commit_lsn == commit_lsn && self.xid == xid
    }
}

/// How far the initial snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotProgress {
    /// The connector exists; its slot may not, and no row was read.
    Pending,
    /// Some rows are in Kafka. The exported snapshot they come from dies with its session.
    Running,
    /// Every row is in Kafka, or no snapshot was asked for.
    Completed,
}

impl Position {
    /// Rows of the tables are in the topics: a start that does not go on here leaves a gap.
    pub(crate) fn has_sent_rows(&self) -> bool {
        self.snapshot != SnapshotProgress::Pending || self.gap.is_some()
    }

    /// Encodes the value of a checkpoint record.
    ///
    /// Shape: a JSON object. `lsn`, `lsn_proc` and `lsn_commit` are decimal numbers, for readers of Debezium's offsets;
    /// everything under `tributary` is ours.
    pub fn to_json(&self) -> Vec<u8> {
        let half_sent = self.half_sent.map(|half| {
            json!({
                "commit_lsn": half.commit_lsn.to_string(),
                "xid": half.xid.0,
                "changes": half.changes,
            })
        });
        let mut layout = json!({
            "lsn": self.end_lsn.as_u64(),
            "lsn_proc": self.end_lsn.as_u64(),
            "tributary": {
                "version": self.layout_version(),
                "system_id": self.system_id,
                "timeline": self.timeline,
                "slot": self.slot,
                "instance": self.instance,
                "end_lsn": self.end_lsn.to_string(),
                "half_sent": half_sent,
                "snapshot": self.snapshot,
                "stream_options": self.stream_options,
            },
        });
        if !self.requests.is_empty() {
            layout["tributary"]["requests"] = json!(self.requests);
        }
        if let Some(began) = self.timeline_began {
            layout["tributary"]["timeline_began"] = began.to_string().into();
        }
        if let Some(began) = self.snapshot_began {
            layout["tributary"]["snapshot_began"] = began.to_string().into();
        }
        if let Some(gap) = &self.gap {
            layout["tributary"]["gap"] = json!(gap);
        }
        if let Some(lsn) = self.last_commit_lsn {
            layout["lsn_commit"] = lsn.as_u64().into();
        }
        layout.to_string().into_bytes()
    }

    /// The oldest layout that can hold it: a program that does not know what is in it must not pass over it.
    fn layout_version(&self) -> u32 {
        if self.snapshot_began.is_some() || self.gap.is_some() {
            return 4;
        }
        self.requests.layout_version()
    }

    /// Reads the value of a checkpoint record.
    ///
    /// Errors: [`ConnectorError::CheckpointUnreadable`] for anything this version did not write.
    pub fn from_json(value: &[u8]) -> Result<Self, ConnectorError> {
        let layout: Layout =
            serde_json::from_slice(value).map_err(|error| ConnectorError::unreadable(&error))?;
        let ours = layout.tributary;
        ConnectorError::refuse_newer("its layout version is", ours.version, LAYOUT_VERSION)?;
        Ok(Self {
            system_id: ours.system_id,
            timeline: ours.timeline,
            timeline_began: ours.timeline_began.as_deref().map(lsn).transpose()?,
            slot: ours.slot,
            instance: ours.instance,
            end_lsn: lsn(&ours.end_lsn)?,
            last_commit_lsn: layout.lsn_commit.map(Lsn::new),
            half_sent: match ours.half_sent {
                None => None,
                Some(half) => Some(HalfSent {
                    commit_lsn: lsn(&half.commit_lsn)?,
                    xid: Xid(half.xid),
                    changes: half.changes,
                }),
            },
            snapshot: ours.snapshot,
            snapshot_began: ours.snapshot_began.as_deref().map(lsn).transpose()?,
            stream_options: ours.stream_options,
            requests: ours.requests,
            gap: ours.gap,
        })
    }
}

/// A log position as a record of ours has it.
pub(crate) fn lsn(text: &str) -> Result<Lsn, ConnectorError> {
    let unreadable =
        |_| ConnectorError::unreadable(&format_args!("`{text}` is not a log position"));
    Lsn::from_str(text).map_err(unreadable)
}

/// Key of a connector's checkpoint record: `["<connector>",{"server":"<topic.prefix>"}]`.
///
/// Source: Kafka Connect, `OffsetStorageWriter`: the connector's name and its source partition.
pub fn checkpoint_key(connector: &str, topic_prefix: &str) -> Vec<u8> {
    json!([connector, { "server": topic_prefix }]).to_string().into_bytes()
}

#[derive(Deserialize)]
struct Layout {
    #[serde(default)]
    lsn_commit: Option<u64>,
    tributary: OurLayout,
}

#[derive(Deserialize)]
struct OurLayout {
    version: u32,
    system_id: String,
    timeline: u32,
    #[serde(default)]
    timeline_began: Option<String>,
    slot: String,
    instance: String,
    end_lsn: String,
    #[serde(default)]
    half_sent: Option<HalfSentLayout>,
    snapshot: SnapshotProgress,
    #[serde(default)]
    snapshot_began: Option<String>,
    stream_options: String,
    #[serde(default)]
    requests: Requests,
    #[serde(default)]
    gap: Option<Gap>,
}

#[derive(Deserialize)]
struct HalfSentLayout {
    commit_lsn: String,
    xid: u32,
    changes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        Position {
            system_id: "7301234567890123456".to_owned(),
            timeline: 3,
            timeline_began: Some(Lsn::new(0x15_0000_0000)),
            slot: "debezium".to_owned(),
            instance: "i".to_owned(),
            end_lsn: Lsn::new(0x16_B374_D848),
            last_commit_lsn: Some(Lsn::new(0x16_B374_D800)),
            half_sent: Some(HalfSent { commit_lsn: Lsn::new(7), xid: Xid(42), changes: 9 }),
            snapshot: SnapshotProgress::Completed,
            snapshot_began: None,
            stream_options: "abc".to_owned(),
            requests: Requests::default(),
            gap: None,
        }
    }

    #[test]
    fn a_gap_is_not_forgotten_and_an_older_program_does_not_pass_over_it() {
        let table =
            GapTable { schema: "s".into(), name: "t".into(), read_whole: true, files: "1".into() };
        let topic = GapTopic {
            name: "p.s.t".into(),
            id: "00".into(),
            ends: vec![5, 0],
            tables: vec![table],
        };
        let over = Position { gap: Some(Gap { topics: vec![topic] }), ..position() };
        let json: serde_json::Value = serde_json::from_slice(&over.to_json()).unwrap();
        assert_eq!(json["tributary"]["version"], 4);
        assert_eq!(Position::from_json(&over.to_json()).unwrap(), over);
    }

    #[test]
    fn what_signals_asked_for_is_not_forgotten_and_an_older_program_does_not_pass_over_it() {
        let version = |position: &Position| {
            let json: serde_json::Value = serde_json::from_slice(&position.to_json()).unwrap();
            json["tributary"]["version"].as_u64()
        };
        let mut asked = position();
        assert_eq!(version(&asked), Some(1));
        let table =
            RequestedTable { schema: "s".into(), name: "t".into(), filter: Some("f".into()) };
        asked.requests.blocking.push(BlockingRequest { signal: "1".into(), tables: vec![table] });
        assert_eq!(version(&asked), Some(2));
        assert_eq!(Position::from_json(&asked.to_json()).unwrap(), asked);
        asked.snapshot_began = Some(Lsn::new(0x77));
        asked.requests.heeded.topic =
            Some(HeededTopic { topic: "p-signal".into(), topic_id: None, next_offset: 7 });
        asked.requests.heeded.file = Some(HeededFile { taken: "u".into(), bytes: 9 });
        assert_eq!(version(&asked), Some(4));
        assert_eq!(Position::from_json(&asked.to_json()).unwrap(), asked);
    }

    #[test]
    fn a_position_survives_its_checkpoint_record() {
        let written = position();
        assert_eq!(Position::from_json(&written.to_json()).unwrap(), written);
    }

    #[test]
    fn readers_of_debezium_offsets_find_their_numbers() {
        let json: serde_json::Value = serde_json::from_slice(&position().to_json()).unwrap();
        assert_eq!(json["lsn"], 0x16_B374_D848_u64);
        assert_eq!(json["lsn_commit"], 0x16_B374_D800_u64);
    }

    #[test]
    fn a_checkpoint_of_a_newer_layout_is_refused() {
        let mut json: serde_json::Value = serde_json::from_slice(&position().to_json()).unwrap();
        json["tributary"]["version"] = (LAYOUT_VERSION + 1).into();
        let error = Position::from_json(json.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.code(), "CO010");
    }

    #[test]
    fn the_key_is_laid_out_as_kafka_connect_does() {
        assert_eq!(checkpoint_key("shop", "eu"), br#"["shop",{"server":"eu"}]"#);
    }
}
