//! What a checkpoint and a slot, put together, allow. Pure.
//!
//! In: the checkpoint read after fencing, the slot as the server shows it, the server's identity. Out: a [`Start`], or
//! the named gap that forbids one, and what a new snapshot would make of it. Invariant of every start: `confirmed_flush_lsn ≤ checkpoint`.
//! Never: going on in silence. `START_REPLICATION` itself would: it moves a position that lies before
//! `confirmed_flush_lsn` forward without a word.

use failpoint::Check;
use pgoutput::Lsn;
use postgres::TimelineSwitch;
use postgres::slot::SlotState;

use crate::error::ConnectorError;
use crate::position::{Position, SnapshotProgress};

/// The server we are connected to.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// `system_identifier` of the cluster.
    pub(crate) system_id: String,
    /// Timeline it writes.
    pub(crate) timeline: u32,
    /// The end of its flushed log; `None` of a standby, which may only be late.
    pub(crate) flushed: Option<Lsn>,
    /// Database we are connected to.
    pub(crate) database: String,
    /// Where it left earlier timelines.
    pub(crate) switches: Vec<TimelineSwitch>,
}

impl Server {
    /// Where a timeline began that it has, or had: where it left the one before.
    pub(crate) fn began(&self, timeline: u32) -> Option<Lsn> {
        let before = self.switches.iter().take_while(|switch| switch.timeline < timeline);
        before.last().map(|switch| switch.switch_lsn)
    }
}

/// What the settings say that matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Name of the connector.
    pub(crate) connector: &'a str,
    /// Name of its slot.
    pub(crate) slot: &'a str,
    /// Whether a new connector begins with a snapshot.
    pub(crate) snapshot: bool,
    /// Fingerprint of the options that decide which raw changes the server sends.
    pub(crate) stream_options: &'a str,
}

/// How a connector starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing was sent yet that counts: make the slot (dropping our own unfinished one), and take the snapshot if wanted.
    Afresh {
        /// A slot of an attempt that did not come to its end is in the way.
        drop_slot: bool,
    },
    /// Somebody made the slot for us, and no snapshot is wanted: stream from where it is.
    Adopt {
        /// `confirmed_flush_lsn` of the slot.
        from: Lsn,
    },
    /// Go on at the checkpoint. If its snapshot is [`SnapshotProgress::Running`], rows of it are in Kafka: what happened to
    /// them since is in the slot, and comes first; then the tables are read again.
    Continue(Box<Position>),
}

/// Decides how to start, or names what forbids it.
pub(crate) fn judge(
    wanted: Wanted<'_>,
    checkpoint: Option<Position>,
    slot: Option<&SlotState>,
    server: &Server,
) -> Result<Start, ConnectorError> {
    if let Some(slot) = slot
        && let Some(reason) = slot.foreign(&server.database)
    {
        return Err(ConnectorError::SlotUnusable { slot: slot.name.to_string(), reason });
    }
    let Some(checkpoint) = checkpoint else {
        return match slot {
            None => Ok(Start::Afresh { drop_slot: false }),
            Some(slot) if !wanted.snapshot => adopt(slot),
            Some(_) => Err(ConnectorError::SlotWithoutCheckpoint {
                slot: wanted.slot.to_owned(),
                connector: wanted.connector.to_owned(),
            }),
        };
    };
    same_history(&checkpoint, wanted, server)?;
    if checkpoint.snapshot == SnapshotProgress::Pending {
        return match slot {
            Some(slot) if !wanted.snapshot => adopt(slot),
            _ => Ok(Start::Afresh { drop_slot: slot.is_some() }),
        };
    }
    let at = checkpoint.end_lsn;
    let name = || wanted.slot.to_owned();
    let Some(slot) = slot else {
        return Err(ConnectorError::SlotMissing { slot: name(), checkpoint: at });
    };
    if slot.is_lost() {
        return Err(ConnectorError::SlotLost { slot: name(), checkpoint: at });
    }
    let confirmed_flush = confirmed(slot)?;
    if confirmed_flush > at && !failpoint::is_out(Check::SlotAhead) {
        return Err(ConnectorError::SlotAhead { slot: name(), confirmed_flush, checkpoint: at });
    }
    let (timeline, timeline_began) = (server.timeline, server.began(server.timeline));
    Ok(Start::Continue(Box::new(Position { timeline, timeline_began, ..checkpoint })))
}

/// The start that a new snapshot allows in spite of a gap: nothing is gone on with. `None` where it would not help, or where a
/// slot stands in the way that is not ours to drop.
pub(crate) fn start_over(gap: &ConnectorError, slot: Option<&SlotState>) -> Option<Start> {
    match gap {
        ConnectorError::SlotMissing { .. }
        | ConnectorError::SlotAhead { .. }
        | ConnectorError::SlotLost { .. }
        | ConnectorError::Unpublished { .. }
        | ConnectorError::OtherLog { .. }
        | ConnectorError::TimelineDiverged { .. } => {
            Some(Start::Afresh { drop_slot: slot.is_some() })
        }
        // A slot of that name in another cluster is not the one the checkpoint speaks of.
        ConnectorError::OtherCluster { .. } if slot.is_none() => {
            Some(Start::Afresh { drop_slot: false })
        }
        _ => None,
    }
}

/// The checkpoint speaks of this cluster, of a timeline this server comes from, of a log it has, and of the slot in the settings.
fn same_history(
    checkpoint: &Position,
    wanted: Wanted<'_>,
    server: &Server,
) -> Result<(), ConnectorError> {
    if checkpoint.system_id != server.system_id {
        return Err(ConnectorError::OtherCluster {
            checkpoint: checkpoint.system_id.clone(),
            server: server.system_id.clone(),
        });
    }
    if checkpoint.slot != wanted.slot {
        return Err(ConnectorError::SlotRenamed {
            checkpoint: checkpoint.slot.clone(),
            settings: wanted.slot.to_owned(),
        });
    }
    if checkpoint.snapshot != SnapshotProgress::Pending {
        same_log(checkpoint, server)?;
    }
    match checkpoint.half_sent {
        Some(half) if checkpoint.stream_options != wanted.stream_options => {
            Err(ConnectorError::OptionsChanged { xid: half.xid, commit_lsn: half.commit_lsn })
        }
        _ => Ok(()),
    }
}

/// What was sent is in the log of this server, at the positions it had.
fn same_log(checkpoint: &Position, server: &Server) -> Result<(), ConnectorError> {
    let (timeline, end_lsn) = (checkpoint.timeline, checkpoint.end_lsn);
    let left = server.switches.iter().find(|switch| switch.timeline == timeline);
    if let Some(switch) = left
        && switch.switch_lsn < end_lsn
    {
        let switch = switch.switch_lsn;
        return Err(ConnectorError::TimelineDiverged { timeline, switch, checkpoint: end_lsn });
    }
    // A sibling may have given its own timeline the same number.
    let is_other = checkpoint
        .timeline_began
        .zip(server.began(timeline))
        .is_some_and(|(one, other)| one != other);
    let is_ours = !is_other && (timeline == server.timeline || left.is_some());
    if is_ours && server.flushed.is_none_or(|flushed| flushed >= end_lsn) {
        return Ok(());
    }
    Err(ConnectorError::OtherLog {
        server_timeline: server.timeline,
        flushed: server.flushed.map_or_else(|| "(unknown)".to_owned(), |lsn| lsn.to_string()),
        timeline,
        checkpoint: end_lsn,
    })
}

fn adopt(slot: &SlotState) -> Result<Start, ConnectorError> {
    Ok(Start::Adopt { from: confirmed(slot)? })
}

fn confirmed(slot: &SlotState) -> Result<Lsn, ConnectorError> {
    slot.confirmed_flush_lsn.ok_or_else(|| ConnectorError::SlotUnusable {
        slot: slot.name.to_string(),
        reason: "it has no confirmed_flush_lsn".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use pgoutput::Xid;
    use postgres::SlotName;

    use postgres::slot::WalStatus;

    use super::*;
    use crate::position::{HalfSent, Requests};

    fn server() -> Server {
        Server {
            system_id: "7".to_owned(),
            timeline: 1,
            flushed: Some(Lsn::new(100)),
            database: "shop".to_owned(),
            switches: Vec::new(),
        }
    }

    fn slot(confirmed_flush: u64) -> SlotState {
        SlotState {
            name: SlotName::new("s").unwrap(),
            plugin: Some("pgoutput".to_owned()),
            database: Some("shop".to_owned()),
            temporary: false,
            active_pid: None,
            restart_lsn: Some(Lsn::new(1)),
            confirmed_flush_lsn: Some(Lsn::new(confirmed_flush)),
            wal_status: WalStatus::Reserved,
            safe_wal_size_bytes: None,
            retained_wal_bytes: None,
            two_phase: false,
            failover: false,
            invalidation_reason: None,
        }
    }

    fn checkpoint(end_lsn: u64) -> Position {
        Position {
            system_id: "7".to_owned(),
            timeline: 1,
            timeline_began: None,
            slot: "s".to_owned(),
            instance: "i".to_owned(),
            end_lsn: Lsn::new(end_lsn),
            last_commit_lsn: None,
            half_sent: None,
            snapshot: SnapshotProgress::Completed,
            snapshot_began: None,
            stream_options: "o".to_owned(),
            requests: Requests::default(),
            gap: None,
        }
    }

    fn wanted(snapshot: bool) -> Wanted<'static> {
        Wanted { connector: "c", slot: "s", snapshot, stream_options: "o" }
    }

    fn code(outcome: Result<Start, ConnectorError>) -> &'static str {
        outcome.unwrap_err().code()
    }

    #[test]
    fn a_new_connector_starts_afresh() {
        let start = judge(wanted(true), None, None, &server()).unwrap();
        assert_eq!(start, Start::Afresh { drop_slot: false });
    }

    #[test]
    fn a_slot_of_unknown_history_is_never_joined_by_a_snapshot() {
        assert_eq!(code(judge(wanted(true), None, Some(&slot(5)), &server())), "CO011");
    }

    #[test]
    fn a_slot_made_beforehand_is_adopted_when_no_snapshot_is_wanted() {
        let start = judge(wanted(false), None, Some(&slot(5)), &server()).unwrap();
        assert_eq!(start, Start::Adopt { from: Lsn::new(5) });
    }

    #[test]
    fn a_connector_that_died_before_its_first_row_begins_again_with_a_new_slot() {
        let pending = Position { snapshot: SnapshotProgress::Pending, ..checkpoint(5) };
        let start = judge(wanted(true), Some(pending), Some(&slot(5)), &server()).unwrap();
        assert_eq!(start, Start::Afresh { drop_slot: true });
    }

    #[test]
    fn a_snapshot_that_left_rows_behind_keeps_its_slot() {
        let running = Position { snapshot: SnapshotProgress::Running, ..checkpoint(5) };
        let found = slot(5);
        let go = |slot| judge(wanted(true), Some(running.clone()), slot, &server());
        assert_eq!(go(Some(&found)).unwrap(), Start::Continue(Box::new(running.clone())));
        assert_eq!(code(go(None)), "CO012");
    }

    #[test]
    fn a_slot_at_or_before_the_checkpoint_goes_on() {
        for confirmed in [4, 5] {
            let start = judge(wanted(true), Some(checkpoint(5)), Some(&slot(confirmed)), &server());
            assert_eq!(start.unwrap(), Start::Continue(Box::new(checkpoint(5))));
        }
    }

    #[test]
    fn every_gap_is_named() {
        let at = || Some(checkpoint(5));
        assert_eq!(code(judge(wanted(true), at(), None, &server())), "CO012");
        assert_eq!(code(judge(wanted(true), at(), Some(&slot(6)), &server())), "CO013");
        let lost = SlotState { wal_status: WalStatus::Lost, ..slot(5) };
        let invalidated =
            SlotState { invalidation_reason: Some("rows_removed".to_owned()), ..slot(5) };
        for dead in [lost, invalidated] {
            assert_eq!(code(judge(wanted(true), at(), Some(&dead), &server())), "CO014");
        }
        let other = Server { system_id: "8".to_owned(), ..server() };
        assert_eq!(code(judge(wanted(true), at(), Some(&slot(5)), &other)), "CO015");
    }

    #[test]
    fn a_new_snapshot_starts_over_from_a_gap_but_drops_no_slot_of_another_cluster() {
        let other = Server { system_id: "8".to_owned(), ..server() };
        let lost = SlotState { wal_status: WalStatus::Lost, ..slot(5) };
        let over = |slot: Option<&SlotState>, server: &Server| {
            let gap = judge(wanted(true), Some(checkpoint(5)), slot, server).unwrap_err();
            start_over(&gap, slot)
        };
        let afresh = |drop_slot| Some(Start::Afresh { drop_slot });
        assert_eq!(over(None, &server()), afresh(false));
        assert_eq!(over(Some(&slot(6)), &server()), afresh(true));
        assert_eq!(over(Some(&lost), &server()), afresh(true));
        assert_eq!(over(None, &other), afresh(false));
        assert_eq!(over(Some(&slot(5)), &other), None);
        let renamed = Wanted { slot: "t", ..wanted(true) };
        let mistake = judge(renamed, Some(checkpoint(5)), None, &server()).unwrap_err();
        assert_eq!(start_over(&mistake, None), None);
    }

    #[test]
    fn a_promoted_standby_that_lacks_what_we_sent_is_a_gap() {
        let promoted = |switch_lsn| Server {
            timeline: 2,
            switches: vec![TimelineSwitch { timeline: 1, switch_lsn: Lsn::new(switch_lsn) }],
            ..server()
        };
        let go =
            |switch| judge(wanted(true), Some(checkpoint(5)), Some(&slot(5)), &promoted(switch));
        assert_eq!(code(go(4)), "CO016");
        assert_eq!(
            go(5).unwrap(),
            Start::Continue(Box::new(Position {
                timeline: 2,
                timeline_began: Some(Lsn::new(5)),
                ..checkpoint(5)
            }))
        );
    }

    /// An old primary that comes back, a sibling of the new one, a copy from before: all have the cluster's id and a slot.
    #[test]
    fn a_server_whose_log_is_not_the_one_that_was_sent_is_a_gap() {
        let go = |checkpoint: Position, server: Server| {
            judge(wanted(true), Some(checkpoint), Some(&slot(4)), &server)
        };
        let of_second = || Position { timeline: 2, ..checkpoint(5) };
        assert_eq!(code(go(of_second(), server())), "CO029");
        let switches = vec![TimelineSwitch { timeline: 1, switch_lsn: Lsn::new(50) }];
        let sibling = Server { timeline: 3, switches, ..server() };
        assert_eq!(code(go(of_second(), sibling)), "CO029");
        let began = |lsn| vec![TimelineSwitch { timeline: 1, switch_lsn: Lsn::new(lsn) }];
        let of_second_from = |lsn| Position { timeline_began: Some(Lsn::new(lsn)), ..of_second() };
        let second = |lsn| Server { timeline: 2, switches: began(lsn), ..server() };
        assert_eq!(code(go(of_second_from(3), second(4))), "CO029", "both are called 2");
        assert!(go(of_second_from(4), second(4)).is_ok() && go(of_second(), second(4)).is_ok());
        let mut third = Server { timeline: 3, ..second(4) };
        third.switches.push(TimelineSwitch { timeline: 2, switch_lsn: Lsn::new(50) });
        assert_eq!(code(go(of_second_from(3), third.clone())), "CO029");
        assert!(go(of_second_from(4), third).is_ok());
        let copy = Server { flushed: Some(Lsn::new(4)), ..server() };
        assert_eq!(code(go(checkpoint(5), copy)), "CO029");
        let standby = Server { flushed: None, ..server() };
        assert!(go(checkpoint(5), standby).is_ok());
        let pending = Position { snapshot: SnapshotProgress::Pending, ..of_second() };
        assert!(go(pending, server()).is_ok());
    }

    #[test]
    fn options_may_not_change_inside_a_half_sent_transaction() {
        let half = HalfSent { commit_lsn: Lsn::new(9), xid: Xid(1), changes: 3 };
        let position = Position { half_sent: Some(half), ..checkpoint(5) };
        let other = Wanted { stream_options: "other", ..wanted(true) };
        let go = |wanted| judge(wanted, Some(position.clone()), Some(&slot(5)), &server());
        assert_eq!(code(go(other)), "CO017");
        assert_eq!(go(wanted(true)).unwrap(), Start::Continue(Box::new(position.clone())));
    }

    #[test]
    fn a_slot_that_gives_something_else_is_refused() {
        let plugin = SlotState { plugin: Some("test_decoding".to_owned()), ..slot(5) };
        let database = SlotState { database: Some("other".to_owned()), ..slot(5) };
        let two_phase = SlotState { two_phase: true, ..slot(5) };
        for unusable in [plugin, database, two_phase] {
            assert_eq!(
                code(judge(wanted(true), Some(checkpoint(5)), Some(&unusable), &server())),
                "CO020"
            );
        }
        let renamed = Wanted { slot: "t", ..wanted(true) };
        assert_eq!(code(judge(renamed, Some(checkpoint(5)), None, &server())), "CO021");
    }
}
