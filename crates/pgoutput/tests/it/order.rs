//! What the assembler lets pass and what it refuses.

use std::sync::Arc;

use pgoutput::message::{
    self, Insert, LogicalMessage, Relation, RelationColumn, RelationColumns, StreamStart,
    StreamStop, Type, Update,
};
use pgoutput::{
    AssembleError, Assembler, Begin, Change, ChangeKind, Class, Commit, EventId, Lsn, Message, Oid,
    OldTuple, PgTimestamp, ReplicaIdentity, Step, TupleData, TupleValue, Xid, encode,
};

const TABLE: Oid = Oid(16_384);
const BEGIN: Message<'_> = Message::Begin(Begin {
    final_lsn: Lsn::new(100),
    committed_at: PgTimestamp::new(7),
    xid: Xid(700),
});
const COMMIT: Message<'_> = Message::Commit(Commit {
    commit_lsn: Lsn::new(100),
    end_lsn: Lsn::new(110),
    committed_at: PgTimestamp::new(7),
});
const ORIGIN: Message<'_> =
    Message::Origin(message::Origin { commit_lsn: Lsn::new(9), name: "upstream" });

fn row(columns: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::tuple(&vec![TupleValue::Text(b"1"); columns], &mut bytes);
    bytes
}

fn insert(row: &[u8]) -> Message<'_> {
    let new = TupleData::parse(row).unwrap();
    Message::Insert(Insert { xid: None, relation: TABLE, new })
}

fn emitted(transactional: bool) -> Message<'static> {
    let (prefix, content, lsn) = ("audit", &b"hello"[..], Lsn::new(50));
    Message::LogicalMessage(LogicalMessage { xid: None, transactional, lsn, prefix, content })
}

fn columns(name: &str) -> Vec<u8> {
    let (is_identity, type_oid, type_modifier) = (true, Oid(23), -1);
    let mut bytes = Vec::new();
    encode::relation_columns(
        &[RelationColumn { is_identity, name, type_oid, type_modifier }],
        &mut bytes,
    );
    bytes
}

fn table(columns: &[u8]) -> Message<'_> {
    Message::Relation(Relation {
        xid: None,
        oid: TABLE,
        namespace: "public",
        name: "item",
        replica_identity: ReplicaIdentity::Default,
        columns: RelationColumns::parse(columns).unwrap(),
    })
}

/// Pushes all but the last, which must go well, and gives the result of the last.
fn last<'a>(messages: &[Message<'a>]) -> Result<Step<'a>, AssembleError> {
    let mut assembler = Assembler::new();
    let (last, before) = messages.split_last().unwrap();
    for message in before {
        assembler.push(Lsn::new(60), *message).unwrap();
    }
    assembler.push(Lsn::new(60), *last)
}

fn change<'a>(messages: &[Message<'a>]) -> Change<'a> {
    match last(messages) {
        Ok(Step::Change(change)) => change,
        other => panic!("no change: {other:?}"),
    }
}

#[test]
fn a_message_out_of_its_place_is_refused() {
    let (one, two, id) = (row(1), row(2), columns("id"));
    let other_commit = Message::Commit(Commit {
        commit_lsn: Lsn::new(101),
        end_lsn: Lsn::new(110),
        committed_at: PgTimestamp::new(7),
    });
    let [narrow, wide] = [&one, &two].map(|row| TupleData::parse(row).unwrap());
    let update = |old, new| {
        Message::Update(Update { xid: None, relation: TABLE, old: Some(OldTuple::Key(old)), new })
    };
    let stream_start = Message::StreamStart(StreamStart { xid: Xid(1), first_segment: true });
    let begin_prepare = Message::BeginPrepare(message::BeginPrepare {
        prepare_lsn: Lsn::new(1),
        end_lsn: Lsn::new(2),
        prepared_at: PgTimestamp::new(3),
        xid: Xid(4),
        gid: "g",
    });
    let cases: Vec<(&str, Vec<Message<'_>>)> = vec![
        ("WA020", vec![COMMIT]),
        ("WA020", vec![ORIGIN]),
        ("WA020", vec![BEGIN, BEGIN]),
        ("WA020", vec![BEGIN, COMMIT, COMMIT]),
        ("WA020", vec![table(&id), insert(&one)]),
        ("WA020", vec![BEGIN, table(&id), insert(&one), COMMIT, insert(&one)]),
        ("WA020", vec![emitted(true)]),
        ("WA020", vec![BEGIN, emitted(false)]),
        ("WA021", vec![BEGIN, insert(&one)]),
        ("WA022", vec![BEGIN, table(&id), insert(&two)]),
        ("WA022", vec![BEGIN, table(&id), update(narrow, wide)]),
        ("WA022", vec![BEGIN, table(&id), update(wide, narrow)]),
        ("WA023", vec![BEGIN, other_commit]),
        ("WA024", vec![stream_start]),
        ("WA024", vec![BEGIN, Message::StreamStop(StreamStop)]),
        ("WA025", vec![begin_prepare]),
    ];
    for (code, messages) in cases {
        let error = last(&messages).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(error.class(), Class::Definite);
        assert!(error.to_string().starts_with(&format!("[{code}] ")), "{error}");
        assert!(error.to_string().contains("\n  fix: "), "{error}");
    }
}

#[test]
fn an_empty_transaction_passes() {
    let mut assembler = Assembler::new();
    assert!(matches!(assembler.push(Lsn::ZERO, BEGIN), Ok(Step::Begin(_))));
    assert!(assembler.in_transaction());
    assert!(matches!(assembler.push(Lsn::ZERO, COMMIT), Ok(Step::Commit(_))));
    assert!(!assembler.in_transaction());
}

#[test]
fn a_message_outside_transactions_is_named_by_its_own_position() {
    let change = change(&[emitted(false)]);
    let (commit_lsn, change_lsn) = (Lsn::new(50), Lsn::new(50));
    assert_eq!(change.id, EventId { commit_lsn, change_lsn, repeat: 0 });
    assert_eq!((change.xid, change.committed_at, change.origin), (None, None, None));
}

#[test]
fn the_origin_holds_until_the_commit() {
    let (one, id) = (row(1), columns("id"));
    let before = change(&[BEGIN, table(&id), insert(&one)]);
    assert_eq!(before.origin, None);
    let after = change(&[BEGIN, ORIGIN, table(&id), insert(&one), insert(&one)]);
    let origin = after.origin.unwrap();
    assert_eq!((origin.name.as_str(), origin.commit_lsn), ("upstream", Lsn::new(9)));
    let next = change(&[BEGIN, ORIGIN, table(&id), COMMIT, BEGIN, insert(&one)]);
    assert_eq!(next.origin, None);
}

#[test]
fn a_table_described_again_stays_the_same_until_it_differs() {
    let mut assembler = Assembler::new();
    let mut describe = |columns: &[u8]| match assembler.push(Lsn::ZERO, table(columns)) {
        Ok(Step::Relation(relation)) => relation,
        other => panic!("no relation: {other:?}"),
    };
    let first = describe(&columns("id"));
    assert!(Arc::ptr_eq(&first, &describe(&columns("id"))));
    let renamed = describe(&columns("key"));
    assert_eq!((first.columns[0].name.as_str(), renamed.columns[0].name.as_str()), ("id", "key"));
}

#[test]
fn a_type_says_nothing_to_the_reader() {
    let type_ = Type { xid: None, oid: Oid(1), namespace: "public", name: "mood" };
    assert_eq!(last(&[BEGIN, Message::Type(type_)]), Ok(Step::Nothing));
}

#[test]
fn an_id_is_shown_as_three_parts() {
    let (commit_lsn, change_lsn) = (Lsn::new(0x16B_3748), Lsn::new(0x16B_3700));
    let id = EventId { commit_lsn, change_lsn, repeat: 0 };
    assert_eq!(id.to_string(), "0/16B3748:0/16B3700:0");
}

#[test]
fn a_truncate_lists_its_tables() {
    let id = columns("id");
    let oids = [TABLE.0.to_be_bytes()];
    let truncate = Message::Truncate(message::Truncate {
        xid: None,
        cascade: true,
        restart_identity: false,
        relations: message::RelationOids::new(&oids),
    });
    match change(&[BEGIN, table(&id), truncate]).kind {
        ChangeKind::Truncate { relations, cascade: true, restart_identity: false } => {
            assert_eq!(relations[0].oid, TABLE);
        }
        other => panic!("no truncate: {other:?}"),
    }
    assert_eq!(last(&[BEGIN, truncate]).unwrap_err().code(), "WA021");
}
