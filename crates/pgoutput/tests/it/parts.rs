//! Material for messages: every field at random, and one message of each kind from it.

use pgoutput::message::{
    Aborted, BeginPrepare, CommitPrepared, Delete, Insert, LogicalMessage, Origin, Prepare,
    Relation, RelationColumn, RelationColumns, RelationOids, RollbackPrepared, StreamAbort,
    StreamCommit, StreamPrepare, StreamStart, StreamStop, Truncate, Type, Update,
};
use pgoutput::{
    Begin, Commit, Lsn, Message, Oid, OldTuple, PgTimestamp, ReplicaIdentity, TupleData,
    TupleValue, Xid, encode,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What messages are made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) in_stream: bool,
    lsns: [u64; 2],
    times: [i64; 2],
    xids: [u32; 2],
    oid: u32,
    texts: [String; 2],
    flags: [bool; 2],
    tuples: [Vec<u8>; 2],
    identity: ReplicaIdentity,
    columns: Vec<u8>,
    oids: Vec<[u8; 4]>,
    content: Vec<u8>,
}

/// Any parts; strings are any that the protocol can carry.
pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let numbers = (any::<[u64; 2]>(), any::<[i64; 2]>(), any::<[u32; 2]>(), any::<u32>());
    let bytes =
        ([tuple(), tuple()], columns(), vec(any::<[u8; 4]>(), 0..5), vec(any::<u8>(), 0..9));
    let choices = (any::<bool>(), any::<[bool; 2]>(), select(&IDENTITIES[..]));
    (numbers, [text(), text()], bytes, choices).prop_map(|(numbers, texts, bytes, choices)| Parts {
        in_stream: choices.0,
        lsns: numbers.0,
        times: numbers.1,
        xids: numbers.2,
        oid: numbers.3,
        texts,
        flags: choices.1,
        tuples: bytes.0,
        identity: choices.2,
        columns: bytes.1,
        oids: bytes.2,
        content: bytes.3,
    })
}

const IDENTITIES: [ReplicaIdentity; 4] = [
    ReplicaIdentity::Default,
    ReplicaIdentity::Nothing,
    ReplicaIdentity::Full,
    ReplicaIdentity::Index,
];

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,12}"
}

fn tuple() -> impl Strategy<Value = Vec<u8>> {
    vec((0..4_u8, vec(any::<u8>(), 0..6)), 0..6).prop_map(|columns| {
        let values: Vec<_> = columns
            .iter()
            .map(|(kind, bytes)| match kind {
                0 => TupleValue::Null,
                1 => TupleValue::UnchangedToast,
                2 => TupleValue::Text(bytes),
                _ => TupleValue::Binary(bytes),
            })
            .collect();
        let mut out = Vec::new();
        encode::tuple(&values, &mut out);
        assert!(TupleData::parse(&out).unwrap().iter().eq(values));
        out
    })
}

fn columns() -> impl Strategy<Value = Vec<u8>> {
    vec((any::<bool>(), text(), any::<u32>(), any::<i32>()), 0..5).prop_map(|columns| {
        let columns: Vec<_> = columns
            .iter()
            .map(|(is_identity, name, type_oid, type_modifier)| RelationColumn {
                is_identity: *is_identity,
                name,
                type_oid: Oid(*type_oid),
                type_modifier: *type_modifier,
            })
            .collect();
        let mut out = Vec::new();
        encode::relation_columns(&columns, &mut out);
        assert!(RelationColumns::parse(&out).unwrap().iter().eq(columns));
        out
    })
}

impl Parts {
    /// At least one message of every kind.
    pub(crate) fn messages(&self) -> Vec<Message<'_>> {
        let mut messages = self.of_rows();
        messages.extend(self.of_transactions());
        messages.extend(self.of_prepared_transactions());
        messages
    }

    fn of_rows(&self) -> Vec<Message<'_>> {
        let xid = self.in_stream.then_some(Xid(self.xids[0]));
        let (oid, relation) = (Oid(self.oid), Oid(self.oid));
        let [namespace, name] = self.texts.each_ref().map(String::as_str);
        let [old, new] = self.tuples.each_ref().map(|bytes| TupleData::parse(bytes).unwrap());
        let [first_flag, second_flag] = self.flags;
        vec![
            Message::Relation(Relation {
                xid,
                oid,
                namespace,
                name,
                replica_identity: self.identity,
                columns: RelationColumns::parse(&self.columns).unwrap(),
            }),
            Message::Type(Type { xid, oid, namespace, name }),
            Message::Insert(Insert { xid, relation, new }),
            Message::Update(Update { xid, relation, old: None, new }),
            Message::Update(Update { xid, relation, old: Some(OldTuple::Key(old)), new }),
            Message::Update(Update { xid, relation, old: Some(OldTuple::Full(old)), new }),
            Message::Delete(Delete { xid, relation, old: OldTuple::Key(old) }),
            Message::Delete(Delete { xid, relation, old: OldTuple::Full(old) }),
            Message::Truncate(Truncate {
                xid,
                cascade: first_flag,
                restart_identity: second_flag,
                relations: RelationOids::new(&self.oids),
            }),
            Message::LogicalMessage(LogicalMessage {
                xid,
                transactional: first_flag,
                lsn: Lsn::new(self.lsns[0]),
                prefix: name,
                content: &self.content,
            }),
        ]
    }

    fn of_transactions(&self) -> Vec<Message<'_>> {
        let [commit_lsn, end_lsn] = self.lsns.map(Lsn::new);
        let [committed_at, at] = self.times.map(PgTimestamp::new);
        let [xid, sub_xid] = self.xids.map(Xid);
        let first_segment = self.flags[0];
        let aborted = Some(Aborted { lsn: commit_lsn, at });
        vec![
            Message::Begin(Begin { final_lsn: commit_lsn, committed_at, xid }),
            Message::Commit(Commit { commit_lsn, end_lsn, committed_at }),
            Message::Origin(Origin { commit_lsn, name: &self.texts[0] }),
            Message::StreamStart(StreamStart { xid, first_segment }),
            Message::StreamStop(StreamStop),
            Message::StreamCommit(StreamCommit { xid, commit_lsn, end_lsn, committed_at }),
            Message::StreamAbort(StreamAbort { xid, sub_xid, aborted: None }),
            Message::StreamAbort(StreamAbort { xid, sub_xid, aborted }),
        ]
    }

    fn of_prepared_transactions(&self) -> Vec<Message<'_>> {
        let [prepare_lsn, end_lsn] = self.lsns.map(Lsn::new);
        let [prepared_at, rolled_back_at] = self.times.map(PgTimestamp::new);
        let (xid, gid) = (Xid(self.xids[0]), self.texts[1].as_str());
        let committed_at = prepared_at;
        vec![
            Message::BeginPrepare(BeginPrepare { prepare_lsn, end_lsn, prepared_at, xid, gid }),
            Message::Prepare(Prepare { prepare_lsn, end_lsn, prepared_at, xid, gid }),
            Message::CommitPrepared(CommitPrepared {
                commit_lsn: prepare_lsn,
                end_lsn,
                committed_at,
                xid,
                gid,
            }),
            Message::RollbackPrepared(RollbackPrepared {
                prepare_end_lsn: prepare_lsn,
                rollback_end_lsn: end_lsn,
                prepared_at,
                rolled_back_at,
                xid,
                gid,
            }),
            Message::StreamPrepare(StreamPrepare { prepare_lsn, end_lsn, prepared_at, xid, gid }),
        ]
    }
}
