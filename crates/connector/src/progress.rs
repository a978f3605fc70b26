//! How far the stream was read, as a position a restart can continue from. Pure.
//!
//! In: begin, change, commit and keepalive of the stream, in order. Out: whether a change is to be sent, and the
//! [`Position`] that covers everything read so far.
//! After a restart it drops what an earlier Kafka transaction already holds of a half-sent source transaction, counted in
//! raw changes, before any filter of ours.
//! Never: a position that passes a change that was not read.

use pgoutput::{Begin, Commit, Lsn, Xid};

use crate::error::ConnectorError;
use crate::position::{HalfSent, Position};

/// How far the stream was read.
#[derive(Debug)]
pub(crate) struct Progress {
    position: Position,
    /// The source transaction that is being read.
    open: Option<Open>,
    /// The source transaction an earlier run has half sent, until it is met again.
    resume: Option<HalfSent>,
}

/// A source transaction that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    commit_lsn: Lsn,
    xid: Xid,
    /// Raw changes an earlier Kafka transaction already holds.
    skip: u64,
    /// Raw changes read so far.
    changes: u64,
}

impl Progress {
    /// Starts at a position.
    pub(crate) fn starting_at(position: Position) -> Self {
        Self { resume: position.half_sent, position, open: None }
    }

    /// A source transaction begins.
    ///
    /// Errors: [`ConnectorError::HalfSentMissing`] when it lies behind the one that has to come first.
    pub(crate) fn begin(&mut self, begin: &Begin) -> Result<(), ConnectorError> {
        let skip = match self.resume {
            None => 0,
            Some(half) if half.is(begin.final_lsn, begin.xid) => half.changes,
            // Servers before 15 send empty transactions, which may lie between the checkpoint and the half-sent one.
            Some(half) if begin.final_lsn < half.commit_lsn => 0,
            Some(half) => return Err(missing(half, begin.final_lsn)),
        };
        self.open = Some(Open { commit_lsn: begin.final_lsn, xid: begin.xid, skip, changes: 0 });
        Ok(())
    }

    /// A raw change; `ordinal` counts those before it in its transaction. Says whether it is to be sent.
    ///
    /// Errors: [`ConnectorError::HalfSentMissing`] when it belongs to a transaction that should have been complete.
    pub(crate) fn change(&mut self, ordinal: u64, lsn: Lsn) -> Result<bool, ConnectorError> {
        let Some(open) = &mut self.open else {
            // A message outside any transaction. Its LSN is the end of its record: a restart there does not read it again,
            // and one byte further on could miss a commit that begins there.
            self.position.end_lsn = self.position.end_lsn.max(lsn);
            return Ok(true);
        };
        match self.resume {
            Some(half) if !half.is(open.commit_lsn, open.xid) => {
                return Err(missing(half, open.commit_lsn));
            }
            _ => {}
        }
        open.changes = ordinal + 1;
        Ok(ordinal >= open.skip)
    }

    /// The source transaction ends.
    pub(crate) fn commit(&mut self, commit: &Commit) {
        let Some(open) = self.open.take() else { return };
        if self.resume.is_some_and(|half| half.is(open.commit_lsn, open.xid)) {
            self.resume = None;
        }
        self.position.end_lsn = self.position.end_lsn.max(commit.end_lsn);
        if open.changes > 0 {
            self.position.last_commit_lsn = Some(commit.end_lsn);
        }
    }

    /// The server has sent everything before `wal_end`. Between transactions nothing before it can still come, so the
    /// position follows; otherwise an idle database would pin WAL for ever. Says whether it moved.
    pub(crate) fn keepalive(&mut self, wal_end: Lsn) -> bool {
        let between = self.open.is_none() && self.resume.is_none();
        let moves = between && wal_end > self.position.end_lsn;
        if moves {
            self.position.end_lsn = wal_end;
        }
        moves
    }

    /// The stream begins again at the last complete position, without a restart: what was read of an open source transaction is
    /// in the Kafka transactions already, the open one included.
    pub(crate) fn read_again(&mut self) {
        *self = Self::starting_at(self.checkpoint());
    }

    /// An earlier Kafka transaction holds the beginning of the open source transaction.
    pub(crate) fn resumes(&self) -> bool {
        self.open.is_some_and(|open| open.skip > 0)
    }

    /// A source transaction has begun and not ended.
    pub(crate) fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// Where a restart continues once everything read so far is committed.
    pub(crate) fn checkpoint(&self) -> Position {
        let half_sent = match self.open {
            // Inside a source transaction: what was read of it is now on its way.
            Some(Open { commit_lsn, xid, changes, skip }) if changes > 0 => {
                Some(HalfSent { commit_lsn, xid, changes: changes.max(skip) })
            }
            // Either none is half sent, or that one has not been met again yet.
            _ => self.resume,
        };
        Position { half_sent, ..self.position.clone() }
    }

    /// The last complete position.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// The same, for the snapshot that moves it along.
    pub(crate) fn position_mut(&mut self) -> &mut Position {
        &mut self.position
    }
}

fn missing(half: HalfSent, found: Lsn) -> ConnectorError {
    ConnectorError::HalfSentMissing { xid: half.xid, commit_lsn: half.commit_lsn, found }
}

#[cfg(test)]
mod tests {
    use pgoutput::PgTimestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::position::{Requests, SnapshotProgress};

    fn start() -> Position {
        Position {
            system_id: "7".to_owned(),
            timeline: 1,
            timeline_began: None,
            slot: "s".to_owned(),
            instance: "i".to_owned(),
            end_lsn: Lsn::new(100),
            last_commit_lsn: None,
            half_sent: None,
            snapshot: SnapshotProgress::Completed,
            snapshot_began: None,
            stream_options: "o".to_owned(),
            requests: Requests::default(),
            gap: None,
        }
    }

    /// A log of transactions. From PostgreSQL 17 on a commit may end where the next change begins, so nothing is left between.
    fn log(sizes: &[u64]) -> Vec<(Begin, u64, Commit)> {
        let mut at = 100;
        let time = PgTimestamp::new(0);
        let transaction = |(index, &changes): (usize, &u64)| {
            let (commit_lsn, end_lsn) = (Lsn::new(at + changes), Lsn::new(at + changes + 1));
            at += changes + 1;
            let xid = Xid(u32::try_from(index).unwrap());
            let begin = Begin { final_lsn: commit_lsn, committed_at: time, xid };
            (begin, changes, Commit { commit_lsn, end_lsn, committed_at: time })
        };
        sizes.iter().enumerate().map(transaction).collect()
    }

    /// Reads the log from a position as PostgreSQL sends it; `cuts` says after which change a Kafka transaction is committed,
    /// `die` after how many changes the process dies. Returns the last committed position and the changes Kafka holds.
    fn run(
        log: &[(Begin, u64, Commit)],
        from: &Position,
        cuts: &[bool],
        die: usize,
    ) -> (Position, Vec<(Lsn, u64)>) {
        let mut progress = Progress::starting_at(from.clone());
        let (mut committed, mut held, mut open) = (from.clone(), Vec::new(), Vec::new());
        let mut read = 0;
        for (begin, changes, commit) in
            log.iter().filter(|entry| entry.2.commit_lsn >= from.end_lsn)
        {
            progress.begin(begin).unwrap();
            for ordinal in 0..*changes {
                if read == die {
                    return (committed, held);
                }
                if progress.change(ordinal, begin.final_lsn).unwrap() {
                    open.push((begin.final_lsn, ordinal));
                    if cuts[read % cuts.len()] {
                        committed = progress.checkpoint();
                        held.append(&mut open);
                    }
                }
                read += 1;
            }
            progress.commit(commit);
            if cuts[read % cuts.len()] {
                committed = progress.checkpoint();
                held.append(&mut open);
            }
        }
        (progress.checkpoint(), [held, open].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn each_change_is_sent_exactly_once_wherever_it_is_cut_and_killed(
            sizes in prop::collection::vec(0u64..12, 1..12),
            cuts in prop::collection::vec(any::<bool>(), 1..20),
            deaths in prop::collection::vec(0usize..60, 0..6),
        ) {
            let log = log(&sizes);
            let (mut position, mut sent) = (start(), Vec::new());
            for die in deaths.into_iter().chain([usize::MAX]) {
                let (committed, held) = run(&log, &position, &cuts, die);
                prop_assert!(committed.end_lsn >= position.end_lsn);
                position = committed;
                sent.extend(held);
            }
            let all: Vec<(Lsn, u64)> = log
                .iter()
                .flat_map(|(begin, changes, _)| (0..*changes).map(|ordinal| (begin.final_lsn, ordinal)))
                .collect();
            prop_assert_eq!(sent, all);
        }
    }

    #[test]
    fn an_idle_position_never_passes_an_open_or_half_sent_transaction() {
        let (begin, _, commit) = log(&[3])[0];
        let mut progress = Progress::starting_at(start());
        progress.begin(&begin).unwrap();
        assert!(!progress.keepalive(Lsn::new(5000)));
        progress.change(0, Lsn::new(100)).unwrap();
        let half = progress.checkpoint();
        progress.commit(&commit);
        assert!(progress.keepalive(Lsn::new(5000)));
        let mut resumed = Progress::starting_at(half);
        assert!(!resumed.keepalive(Lsn::new(5000)));
    }

    #[test]
    fn a_stream_that_begins_again_brings_only_the_rest_of_a_half_read_transaction() {
        let (begin, changes, commit) = log(&[5])[0];
        let mut progress = Progress::starting_at(start());
        progress.begin(&begin).unwrap();
        assert!((0..2).all(|ordinal| progress.change(ordinal, begin.final_lsn).unwrap()));
        for read_before in [2, 4] {
            progress.read_again();
            assert!(!progress.in_transaction());
            let half = progress.checkpoint().half_sent.unwrap();
            assert_eq!((half.commit_lsn, half.changes), (begin.final_lsn, read_before));
            progress.begin(&begin).unwrap();
            for ordinal in 0..4 {
                let sent = progress.change(ordinal, begin.final_lsn).unwrap();
                assert_eq!(sent, ordinal >= read_before);
            }
        }
        assert!(progress.change(changes - 1, begin.final_lsn).unwrap());
        progress.commit(&commit);
        let end = progress.checkpoint();
        assert_eq!((end.half_sent, end.end_lsn), (None, commit.end_lsn));
    }

    #[test]
    fn another_transaction_in_place_of_the_half_sent_one_is_a_gap() {
        let transactions = log(&[3, 3]);
        let half_sent = Some(HalfSent { commit_lsn: Lsn::new(103), xid: Xid(0), changes: 2 });
        let mut progress = Progress::starting_at(Position { half_sent, ..start() });
        assert_eq!(progress.begin(&transactions[1].0).unwrap_err().code(), "CO018");
    }

    #[test]
    fn the_position_moves_to_the_end_of_a_message_outside_transactions_and_no_further() {
        let mut progress = Progress::starting_at(start());
        assert!(progress.change(0, Lsn::new(140)).unwrap());
        assert_eq!(progress.checkpoint().end_lsn, Lsn::new(140));
    }

    #[test]
    fn events_name_where_the_commit_before_them_ends() {
        let mut progress = Progress::starting_at(start());
        for (begin, changes, commit) in log(&[2, 0, 1]) {
            progress.begin(&begin).unwrap();
            (0..changes).for_each(|ordinal| {
                progress.change(ordinal, begin.final_lsn).unwrap();
            });
            let before = progress.position().last_commit_lsn;
            progress.commit(&commit);
            let expected = if changes > 0 { Some(commit.end_lsn) } else { before };
            assert_eq!(progress.position().last_commit_lsn, expected);
        }
    }
}
