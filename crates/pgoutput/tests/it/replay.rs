//! Names and numbers of changes stay what they are, wherever a session begins.

use std::collections::{HashMap, HashSet};

use pgoutput::message::{Insert, LogicalMessage, Relation, RelationColumn, RelationColumns};
use pgoutput::{
    Assembler, Begin, ChangeKind, Commit, EventId, Lsn, Message, Oid, PgTimestamp, ReplicaIdentity,
    Step, TupleData, TupleValue, Xid, encode,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// One committed transaction, or a message outside transactions.
#[derive(Clone, Debug)]
enum Unit {
    /// Each change: its table (`None`: a logical message) and how far behind the last it lies; 0 shares its position.
    Transaction(Vec<(Option<u8>, u8)>),
    Message,
}

fn log() -> impl Strategy<Value = Vec<Unit>> {
    let change = (proptest::option::weighted(0.8, 0..3_u8), 0..3_u8);
    let transaction = vec(change, 0..12).prop_map(Unit::Transaction);
    vec(prop_oneof![4 => transaction, 1 => Just(Unit::Message)], 1..8)
}

/// What is told of a change: its id, ordinal, xid and table.
type Told = (EventId, u64, Option<Xid>, Option<Oid>);

/// What a session tells that begins at unit `from`, and, beside it, what it must tell.
///
/// Each unit lies in its own range of the log, as if the transactions had run one after another. Like a server, the
/// session describes a table before its first use.
fn session(log: &[Unit], from: usize) -> (Vec<Told>, Vec<Told>) {
    let mut sender =
        Sender { assembler: Assembler::new(), known: HashSet::new(), told: Vec::new() };
    let mut expected = Vec::new();
    for (number, unit) in log.iter().enumerate().skip(from) {
        let start = 1_000 * (number as u64 + 1);
        match unit {
            Unit::Message => {
                sender.emit(false, start);
                let (commit_lsn, change_lsn) = (Lsn::new(start), Lsn::new(start));
                expected.push((EventId { commit_lsn, change_lsn, repeat: 0 }, 0, None, None));
            }
            Unit::Transaction(changes) => {
                let (xid, commit_lsn) =
                    (Xid(u32::try_from(number).unwrap()), Lsn::new(start + 900));
                sender.begin(xid, commit_lsn);
                let mut seen: HashMap<u64, u32> = HashMap::new();
                let mut lsn = start;
                for (ordinal, (table, distance)) in changes.iter().enumerate() {
                    lsn += u64::from(*distance);
                    let oid = table.map(|table| Oid(u32::from(table)));
                    sender.change(oid, lsn);
                    let count = seen.entry(lsn).or_default();
                    let id = EventId { commit_lsn, change_lsn: Lsn::new(lsn), repeat: *count };
                    *count += 1;
                    expected.push((id, ordinal as u64, Some(xid), oid));
                }
                sender.commit(commit_lsn);
            }
        }
    }
    (sender.told, expected)
}

struct Sender {
    assembler: Assembler,
    known: HashSet<Oid>,
    told: Vec<Told>,
}

impl Sender {
    fn send(&mut self, lsn: u64, message: Message<'_>) {
        if let Step::Change(change) = self.assembler.push(Lsn::new(lsn), message).unwrap() {
            let table = match &change.kind {
                ChangeKind::Insert { relation, .. } => Some(relation.oid),
                _ => None,
            };
            self.told.push((change.id, change.ordinal, change.xid, table));
        }
    }

    fn begin(&mut self, xid: Xid, final_lsn: Lsn) {
        let committed_at = PgTimestamp::new(0);
        self.send(final_lsn.as_u64(), Message::Begin(Begin { final_lsn, committed_at, xid }));
    }

    fn commit(&mut self, commit_lsn: Lsn) {
        let (end_lsn, committed_at) = (Lsn::new(commit_lsn.as_u64() + 8), PgTimestamp::new(0));
        let commit = Commit { commit_lsn, end_lsn, committed_at };
        self.send(end_lsn.as_u64(), Message::Commit(commit));
    }

    fn emit(&mut self, transactional: bool, lsn: u64) {
        let (prefix, content) = ("p", &b"c"[..]);
        let message =
            LogicalMessage { xid: None, transactional, lsn: Lsn::new(lsn), prefix, content };
        self.send(lsn, Message::LogicalMessage(message));
    }

    fn change(&mut self, table: Option<Oid>, lsn: u64) {
        let Some(relation) = table else {
            return self.emit(true, lsn);
        };
        if self.known.insert(relation) {
            self.describe(relation, lsn);
        }
        let mut row = Vec::new();
        encode::tuple(&[TupleValue::Text(b"1")], &mut row);
        let new = TupleData::parse(&row).unwrap();
        self.send(lsn, Message::Insert(Insert { xid: None, relation, new }));
    }

    fn describe(&mut self, oid: Oid, lsn: u64) {
        let (is_identity, name, type_oid, type_modifier) = (true, "id", Oid(23), -1);
        let mut columns = Vec::new();
        encode::relation_columns(
            &[RelationColumn { is_identity, name, type_oid, type_modifier }],
            &mut columns,
        );
        let relation = Relation {
            xid: None,
            oid,
            namespace: "public",
            name: "item",
            replica_identity: ReplicaIdentity::Default,
            columns: RelationColumns::parse(&columns).unwrap(),
        };
        self.send(lsn, Message::Relation(relation));
    }
}

proptest! {
    #[test]
    fn changes_are_counted_and_told_apart(log in log()) {
        let (told, expected) = session(&log, 0);
        prop_assert_eq!(&told, &expected);
        let ids: HashSet<EventId> = told.iter().map(|(id, ..)| *id).collect();
        prop_assert_eq!(ids.len(), told.len(), "an id came twice");
    }

    #[test]
    fn a_replay_from_any_transaction_tells_the_same(log in log()) {
        let (whole, _) = session(&log, 0);
        for from in 0..=log.len() {
            let (tail, _) = session(&log, from);
            prop_assert_eq!(&whole[whole.len() - tail.len()..], &tail[..], "from {}", from);
        }
    }
}
