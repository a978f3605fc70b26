//! Where a connector of Debezium's stopped, as a position of ours: the same slot goes on with the change after the last that was sent.
//!
//! In: the offset it stored, the slot it read. Out: a [`Position`]. Debezium says where its last event lies (`lsn`), in which transaction
//! (`txId`), and where the transaction before ended (`lsn_commit`). Ours needs to know how many changes of that transaction were sent, so the
//! slot is read from there and its changes are counted, without acknowledging anything.
//! Never: a guess. Several changes can lie at one LSN (the rows of one COPY); if only some of them may have been sent, it is refused.
//! Source: Debezium 3.6, PostgreSQL connector, offsets; PostgreSQL manual, "Logical Streaming Replication Protocol".

use std::time::Duration;

use pgoutput::replication::ReplicationMessage;
use pgoutput::{Assembler, Begin, Lsn, Oid, Step};
use postgres::{
    Connection, ReplicationConnection, ReplicationStream, SlotName, catalog, publication, slot,
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::captured;
use crate::error::ConnectorError;
use crate::history::Version;
use crate::position::{HalfSent, Position, Requests, SnapshotProgress};
use crate::settings::Settings;

/// How long the slot may take to give the transaction that was sent last.
const SEARCH_MAX: Duration = Duration::from_mins(1);

/// What Debezium has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stored {
    /// Where its last event lies.
    lsn: Lsn,
    /// The end of the last transaction that was complete.
    commit: Option<Lsn>,
    /// The transaction of its last event; `None` if that is no change of one.
    xid: Option<u32>,
}

/// How much of the transaction of the last event was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// All of it, up to its end.
    Whole(Lsn),
    /// So much.
    Part(HalfSent),
}

/// The tables that Debezium has captured, as they are now: whoever is not told of them would read them as new ones.
///
/// A table that is captured but not published was not captured before.
pub(super) async fn tables(
    settings: &Settings,
    control: &Connection,
) -> Result<Vec<(Oid, Version)>, ConnectorError> {
    let found = publication::read(control, &settings.publication.name).await?;
    let published = found.map(|found| found.published_tables).unwrap_or_default();
    let mut tables = Vec::new();
    for table in captured::select(catalog::list_tables(control).await?, settings) {
        if published.contains(&table.table_name())
            && let Some(now) = catalog::describe_table(control, table.oid).await?
        {
            tables.push((table.oid, Version::of(&now)));
        }
    }
    Ok(tables)
}

/// The position that the offset stands for.
///
/// Errors: [`ConnectorError::OffsetUnusable`]; those of the source.
pub(super) async fn position(
    settings: &Settings,
    control: &Connection,
    offset: &Map<String, Value>,
) -> Result<Position, ConnectorError> {
    let stored = Stored::read(offset)?;
    let name = &settings.slot.name;
    let state = slot::read(control, name).await?;
    let confirmed = state.as_ref().and_then(|state| state.confirmed_flush_lsn);
    let (Some(state), Some(confirmed)) = (&state, confirmed) else {
        let why = format!("there is no slot `{name}`, from which it could go on");
        return Err(unusable(why, "set slot.name to the slot that Debezium used"));
    };
    if let Some(pid) = state.active_pid {
        let why = format!("slot `{name}` is in use by process {pid}");
        return Err(unusable(why, "stop Debezium's connector first"));
    }
    let mut replication = ReplicationConnection::connect(&settings.source).await?;
    let identity = replication.identify_system().await?;
    let from = stored.commit.unwrap_or(confirmed).max(confirmed);
    let mut end_lsn = from;
    let mut half_sent = None;
    if stored.is_part_of_what_comes_after(from) {
        let options = settings.pgoutput_options();
        let feedback = settings.feedback;
        let mut stream = replication.start_replication(name, from, &options, feedback).await?;
        let found = timeout(SEARCH_MAX, search(&mut stream, stored, identity.flushed)).await;
        stream.close().await;
        match found.unwrap_or_else(|_| Err(not_found(stored, name)))? {
            Some(Sent::Whole(end)) => end_lsn = end,
            Some(Sent::Part(half)) => half_sent = Some(half),
            None => return Err(not_found(stored, name)),
        }
    }
    Ok(Position {
        system_id: identity.system_id,
        timeline: identity.timeline,
        // The first start finds it out.
        timeline_began: None,
        slot: name.to_string(),
        instance: String::new(),
        end_lsn,
        last_commit_lsn: stored.commit,
        half_sent,
        snapshot: SnapshotProgress::Completed,
        snapshot_began: None,
        stream_options: settings.stream_options_fingerprint(),
        requests: Requests::default(),
        gap: None,
    })
}

impl Stored {
    fn read(offset: &Map<String, Value>) -> Result<Self, ConnectorError> {
        let number = |key: &str| offset.get(key).and_then(Value::as_u64);
        let in_snapshot = match offset.get("snapshot") {
            None | Some(Value::Null) => false,
            Some(value) => value != &Value::Bool(false) && value.as_str() != Some("false"),
        };
        let completed = ["snapshot_completed", "last_snapshot_record"]
            .iter()
            .any(|key| offset.get(*key).is_some_and(|value| value == &Value::Bool(true)));
        if in_snapshot && !completed {
            return Err(unusable(
                "Debezium's first snapshot was not complete".to_owned(),
                "let it come to its end there, or start here without an offset, which reads the tables",
            ));
        }
        let Some(lsn) = number("lsn") else {
            return Err(unusable(
                "it has no number `lsn`".to_owned(),
                "give it as GET /connectors/NAME/offsets of Kafka Connect gives it",
            ));
        };
        let xid = number("txId").and_then(|xid| u32::try_from(xid & 0xFFFF_FFFF).ok());
        // An event of a snapshot has a transaction, too, in which nothing was written. A heartbeat, and what is told of transactions,
        // may stand at a Begin, before all changes, or at a Commit, where nothing is open.
        let message = offset.get("messageType").and_then(Value::as_str);
        let is_change = !in_snapshot && !matches!(message, Some("BEGIN" | "COMMIT"));
        let xid = xid.filter(|_| is_change);
        Ok(Self { lsn: Lsn::new(lsn), commit: number("lsn_commit").map(Lsn::new), xid })
    }

    /// Whether the last event is a change of a transaction that ends behind this place, where one before has ended. The first change of a
    /// transaction may lie exactly there, if nothing was written in between.
    fn is_part_of_what_comes_after(&self, from: Lsn) -> bool {
        self.lsn >= from && self.xid.is_some()
    }
}

/// Reads on until the transaction of the last event is over; `None` if the log has come further without it.
async fn search(
    stream: &mut ReplicationStream,
    stored: Stored,
    until: Lsn,
) -> Result<Option<Sent>, ConnectorError> {
    let mut assembler = Assembler::default();
    let mut count = Count::new(stored);
    loop {
        let chunk = stream.next().await?;
        for message in chunk.messages() {
            match message? {
                ReplicationMessage::XLogData(data) => {
                    let message = pgoutput::decode(data.payload, false)?;
                    if let Some(sent) = count.take(&assembler.push(data.wal_start, message)?)? {
                        return Ok(Some(sent));
                    }
                }
                ReplicationMessage::PrimaryKeepalive(keepalive) => {
                    if keepalive.wal_end >= until && count.open.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Counts the changes of the transaction of the last event.
#[derive(Debug)]
struct Count {
    stored: Stored,
    open: Option<Begin>,
    /// Changes up to the last event's place, and of them those at exactly that place.
    sent: u64,
    at_place: u64,
    changes: u64,
}

impl Count {
    fn new(stored: Stored) -> Self {
        Self { stored, open: None, sent: 0, at_place: 0, changes: 0 }
    }

    fn take(&mut self, step: &Step<'_>) -> Result<Option<Sent>, ConnectorError> {
        match step {
            Step::Begin(begin) if Some(begin.xid.0) == self.stored.xid => {
                self.open = Some(*begin);
            }
            Step::Change(change) if self.open.is_some() && change.xid.is_some() => {
                self.changes += 1;
                if change.id.change_lsn <= self.stored.lsn {
                    self.sent += 1;
                }
                if change.id.change_lsn == self.stored.lsn {
                    self.at_place += 1;
                }
            }
            Step::Commit(commit) => {
                if let Some(begin) = self.open.take() {
                    return self.judge(&begin, commit.end_lsn).map(Some);
                }
            }
            Step::Begin(_) | Step::Change(_) | Step::Relation(_) | Step::Nothing => {}
        }
        Ok(None)
    }

    fn judge(&self, begin: &Begin, end: Lsn) -> Result<Sent, ConnectorError> {
        if self.at_place > 1 {
            let why = format!(
                "{} changes of transaction {} lie at {}, and it does not say how many of them were sent",
                self.at_place, begin.xid, self.stored.lsn
            );
            let fix = "let Debezium's connector run until another transaction has been sent, stop it, and give its offset then";
            return Err(unusable(why, fix));
        }
        Ok(if self.sent == self.changes {
            Sent::Whole(end)
        } else {
            let (commit_lsn, xid) = (begin.final_lsn, begin.xid);
            Sent::Part(HalfSent { commit_lsn, xid, changes: self.sent })
        })
    }
}

fn not_found(stored: Stored, slot: &SlotName) -> ConnectorError {
    let why = format!(
        "slot `{slot}` has no transaction {} from {} on, in which its last event lies",
        stored.xid.unwrap_or_default(),
        stored.commit.unwrap_or(stored.lsn)
    );
    unusable(
        why,
        "give the offset of the connector that used this slot last, and the same publication",
    )
}

fn unusable(why: String, fix: &'static str) -> ConnectorError {
    ConnectorError::OffsetUnusable { why, fix }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(offset: Value) -> Result<Stored, ConnectorError> {
        let Value::Object(offset) = offset else { panic!("an object") };
        Stored::read(&offset)
    }

    #[test]
    fn an_offset_of_the_stream_says_place_transaction_and_last_commit() {
        let read = stored(json!({"lsn": 20, "lsn_proc": 10, "lsn_commit": 8, "txId": 771, "ts_usec": 1, "messageType": "INSERT"})).unwrap();
        assert_eq!(read, Stored { lsn: Lsn::new(20), commit: Some(Lsn::new(8)), xid: Some(771) });
    }

    #[test]
    fn a_change_right_behind_the_last_commit_is_part_of_what_comes_after() {
        let at = |message: &str, lsn: u64| {
            let offset = json!({"lsn": lsn, "lsn_commit": 20, "txId": 771, "messageType": message});
            stored(offset).unwrap().is_part_of_what_comes_after(Lsn::new(20))
        };
        assert!(at("INSERT", 20) && at("UPDATE", 21) && !at("DELETE", 19));
        assert!(!at("COMMIT", 20) && !at("BEGIN", 20) && !at("BEGIN", 30));
    }

    #[test]
    fn an_unfinished_snapshot_cannot_be_gone_on_from() {
        let error = stored(json!({"lsn": 20, "txId": 5, "snapshot": "INITIAL"})).unwrap_err();
        assert_eq!(error.code(), "CO031");
        let done = json!({"lsn": 20, "txId": 5, "snapshot": true, "last_snapshot_record": true});
        assert_eq!(stored(done).unwrap().xid, None);
    }

    #[test]
    fn what_is_no_offset_is_refused() {
        assert_eq!(stored(json!({"file": "x"})).unwrap_err().code(), "CO031");
    }
}
