//! Frames that real servers sent: the head of each file in `../frames` says by which commands.

use std::collections::HashMap;
use std::fmt::Write as _;

use pgoutput::replication::ReplicationMessage;
use pgoutput::{
    Assembler, Before, Change, ChangeKind, Lsn, Message, Oid, OldTuple, Step, TupleData,
    TupleValue, encode,
};

const VERSION_1: &str = include_str!("../frames/version_1.hex");
const BINARY: &str = include_str!("../frames/binary.hex");
const VERSION_2_STREAMING: &str = include_str!("../frames/version_2_streaming.hex");
const VERSION_4_STREAMING: &str = include_str!("../frames/version_4_streaming.hex");
const VERSION_3_PREPARED: &str = include_str!("../frames/version_3_prepared.hex");
const VERSION_4_PREPARED: &str = include_str!("../frames/version_4_prepared.hex");

fn bodies(file: &str) -> Vec<Vec<u8>> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let bytes = line.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            bytes.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
        })
        .collect()
}

/// The pgoutput messages of a file with their positions; each is also written again, which must give its bytes.
fn messages(bodies: &[Vec<u8>]) -> Vec<(Lsn, Message<'_>)> {
    let mut messages = Vec::new();
    let mut in_stream = false;
    for body in bodies {
        let frame = pgoutput::replication::decode(body).unwrap();
        let mut again = Vec::new();
        encode::replication_message(&frame, &mut again);
        assert_eq!(&again, body);
        let ReplicationMessage::XLogData(data) = frame else {
            continue;
        };
        let message = pgoutput::decode(data.payload, in_stream).unwrap();
        again.clear();
        encode::message(&message, &mut again);
        assert_eq!(again, data.payload);
        match message {
            Message::StreamStart(_) => in_stream = true,
            Message::StreamStop(_) => in_stream = false,
            _ => {}
        }
        messages.push((data.wal_start, message));
    }
    messages
}

/// What the messages of a session without streaming come to.
fn steps<'a>(messages: &[(Lsn, Message<'a>)]) -> Vec<Step<'a>> {
    let mut assembler = Assembler::new();
    messages.iter().map(|(lsn, message)| assembler.push(*lsn, *message).unwrap()).collect()
}

fn changes<'a>(messages: &[(Lsn, Message<'a>)]) -> Vec<Change<'a>> {
    let steps = steps(messages).into_iter();
    steps
        .filter_map(|step| match step {
            Step::Change(change) => Some(change),
            _ => None,
        })
        .collect()
}

fn shown_row(row: TupleData<'_>) -> String {
    let values: Vec<String> = row
        .iter()
        .map(|value| match value {
            TupleValue::Null => "null".into(),
            TupleValue::UnchangedToast => "unchanged".into(),
            TupleValue::Text(text) if text.len() > 40 => format!("{} bytes", text.len()),
            TupleValue::Text(text) => format!("'{}'", std::str::from_utf8(text).unwrap()),
            TupleValue::Binary(bytes) if bytes.len() > 40 => format!("{} bytes", bytes.len()),
            TupleValue::Binary(bytes) => format!("{bytes:02X?}"),
        })
        .collect();
    format!("({})", values.join(", "))
}

fn shown(step: &Step<'_>) -> String {
    match step {
        Step::Nothing => "nothing".into(),
        Step::Begin(_) => "begin".into(),
        Step::Commit(_) => "commit".into(),
        Step::Relation(relation) => {
            let mut text = format!("{}.{}", relation.namespace, relation.name);
            write!(text, " {}", relation.replica_identity.letter()).unwrap();
            for column in &relation.columns {
                let mark = if column.is_identity { "*" } else { "" };
                write!(text, " {}{mark}", column.name).unwrap();
            }
            text
        }
        Step::Change(change) => shown_change(&change.kind),
    }
}

fn shown_change(kind: &ChangeKind<'_>) -> String {
    let before = |before: Before<'_>| match before {
        Before::Absent => String::new(),
        Before::Key(row) => format!(" key {}", shown_row(row)),
        Before::Full(row) => format!(" full {}", shown_row(row)),
    };
    match kind {
        ChangeKind::Insert { relation, after } => {
            format!("insert {} {}", relation.name, shown_row(*after))
        }
        ChangeKind::Update { relation, before: old, after } => {
            format!("update {}{} to {}", relation.name, before(*old), shown_row(*after))
        }
        ChangeKind::Delete { relation, before: old } => {
            format!("delete {}{}", relation.name, before(*old))
        }
        ChangeKind::Truncate { relations, cascade, restart_identity } => {
            let names: Vec<&str> =
                relations.iter().map(|relation| relation.name.as_str()).collect();
            format!("truncate {names:?} cascade {cascade} restart_identity {restart_identity}")
        }
        ChangeKind::LogicalMessage { transactional, prefix, content } => {
            format!("message {prefix} {} {transactional}", content.escape_ascii())
        }
    }
}

#[test]
fn every_replica_identity_and_kind_of_change_is_understood() {
    let bodies = bodies(VERSION_1);
    let shown: Vec<String> = steps(&messages(&bodies)).iter().map(shown).collect();
    let expected = "
begin
public.by_default d id* v
insert by_default ('1', 'ä')
insert by_default ('2', null)
update by_default to ('1', 'b')
update by_default key ('1', null) to ('3', 'b')
delete by_default key ('3', null)
commit
begin
public.by_nothing n id v
insert by_nothing ('1', 'x')
commit
begin
public.by_full f id* v*
insert by_full ('1', 'a')
update by_full full ('1', 'a') to ('1', 'b')
delete by_full full ('1', 'b')
commit
begin
public.by_index i id code* v
insert by_index ('1', 'k', 'a')
update by_index to ('1', 'k', 'b')
update by_index key (null, 'k', null) to ('1', 'l', 'b')
delete by_index key (null, 'l', null)
commit
begin
public.toasted d id* small big
insert toasted ('1', 'a', 2100 bytes)
update toasted to ('1', 'b', unchanged)
commit
begin
nothing
public.moods d id* mood price
insert moods ('1', 'wild', '-1.50')
commit
begin
insert by_default ('10', 'p')
insert by_default ('11', 'q')
insert by_default ('12', 'r')
commit
begin
public.by_default d id* v
truncate [\"by_default\"] cascade false restart_identity false
commit
begin
public.by_full f id* v*
public.by_index i id code* v
truncate [\"by_full\", \"by_index\"] cascade true restart_identity true
commit
begin
message inside hello true
public.by_default d id* v
insert by_default ('20', 'after a message')
commit
message outside \\xff\\x00 false
begin
nothing
insert by_default ('21', 'from elsewhere')
commit";
    assert_eq!(shown.join("\n"), expected.trim_start());
}

#[test]
fn rows_of_one_copy_share_their_position_and_are_told_apart() {
    let bodies = bodies(VERSION_1);
    let changes = changes(&messages(&bodies));
    let copied: Vec<_> = changes
        .iter()
        .filter(|change| shown_change(&change.kind).starts_with("insert by_default ('1"))
        .skip(1)
        .collect();
    let repeats: Vec<_> = copied.iter().map(|change| (change.id.repeat, change.ordinal)).collect();
    assert_eq!(repeats, [(0, 0), (1, 1), (2, 2)]);
    assert!(copied.iter().all(|change| change.id.change_lsn == copied[0].id.change_lsn));
}

#[test]
fn a_message_and_the_change_behind_it_may_share_a_position() {
    let bodies = bodies(VERSION_1);
    let changes = changes(&messages(&bodies));
    let at = changes
        .iter()
        .position(|change| shown_change(&change.kind).starts_with("message inside"))
        .unwrap();
    let (message, insert) = (changes[at].id, changes[at + 1].id);
    assert_eq!((message.change_lsn, insert.change_lsn), (insert.change_lsn, message.change_lsn));
    assert_eq!((message.repeat, insert.repeat), (0, 1));
}

#[test]
fn the_origin_of_a_replicated_transaction_is_told() {
    let bodies = bodies(VERSION_1);
    let changes = changes(&messages(&bodies));
    let (last, others) = changes.split_last().unwrap();
    let origin = last.origin.as_ref().unwrap();
    assert_eq!(
        (origin.name.as_str(), origin.commit_lsn.to_string().as_str()),
        ("upstream", "16/B374D848")
    );
    // 2024-01-01 00:00 UTC, the time of the commit at the origin.
    assert_eq!(last.committed_at.unwrap().unix_micros(), 1_704_067_200_000_000);
    assert!(others.iter().all(|change| change.origin.is_none()));
}

#[test]
fn changes_and_commits_have_a_position_and_descriptions_have_none() {
    for file in [VERSION_1, BINARY, VERSION_4_STREAMING, VERSION_4_PREPARED] {
        let bodies = bodies(file);
        let messages = messages(&bodies);
        let next = messages.iter().skip(1).map(|(_, message)| Some(*message)).chain([None]);
        for ((lsn, message), next) in messages.iter().zip(next) {
            let unplaced = match message {
                Message::Relation(_) | Message::Type(_) => true,
                Message::Begin(_) => matches!(next, Some(Message::Origin(_))),
                _ => false,
            };
            assert_eq!(*lsn == Lsn::ZERO, unplaced, "{} at {lsn}", message.name());
        }
    }
}

#[test]
fn no_id_comes_twice() {
    for file in [VERSION_1, BINARY] {
        let bodies = bodies(file);
        let mut ids: Vec<_> = changes(&messages(&bodies)).iter().map(|change| change.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}

#[test]
fn a_keepalive_ends_the_stream() {
    let bodies = bodies(VERSION_1);
    let last = pgoutput::replication::decode(bodies.last().unwrap()).unwrap();
    let ReplicationMessage::PrimaryKeepalive(keepalive) = last else {
        panic!("no keepalive: {last:?}")
    };
    assert!(!keepalive.reply_requested);
    assert!(keepalive.wal_end >= messages(&bodies).last().unwrap().0);
}

#[test]
fn binary_values_are_marked() {
    let bodies = bodies(BINARY);
    let changes = changes(&messages(&bodies));
    let first: Vec<String> =
        changes.iter().take(2).map(|change| shown_change(&change.kind)).collect();
    assert_eq!(first[0], "insert by_default ([00, 00, 00, 01], [C3, A4])");
    assert_eq!(first[1], "insert by_default ([00, 00, 00, 02], null)");
}

/// The messages of a file, one word or two each, with xids numbered by their first sight. Empty pieces are left out.
fn outline(messages: &[(Lsn, Message<'_>)]) -> String {
    let mut names: HashMap<Oid, String> = HashMap::new();
    let mut xids: Vec<u32> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for (_, message) in messages {
        let mut number = |xid: u32| {
            let known = xids.iter().position(|seen| *seen == xid);
            known.unwrap_or_else(|| {
                xids.push(xid);
                xids.len() - 1
            })
        };
        let line = match message {
            Message::Relation(m) => {
                names.insert(m.oid, m.name.to_owned());
                format!("{} is {}", number(m.xid.map_or(0, |xid| xid.0)), m.name)
            }
            Message::Type(m) => format!("{} type {}", number(m.xid.unwrap().0), m.name),
            Message::Insert(m) => {
                let (xid, name) = (number(m.xid.map_or(0, |xid| xid.0)), &names[&m.relation]);
                format!("{xid} insert {name} {}", shown_row(m.new))
            }
            Message::Update(m) => {
                assert_eq!(m.old, None::<OldTuple<'_>>);
                format!(
                    "{} update {} {}",
                    number(m.xid.unwrap().0),
                    names[&m.relation],
                    shown_row(m.new)
                )
            }
            Message::Truncate(m) => {
                let tables: Vec<_> = m.relations.iter().map(|oid| names[&oid].as_str()).collect();
                format!("{} truncate {tables:?}", number(m.xid.unwrap().0))
            }
            Message::LogicalMessage(m) => {
                format!("{} message {}", number(m.xid.unwrap().0), m.prefix)
            }
            Message::StreamStart(m) => format!("start {} {}", number(m.xid.0), m.first_segment),
            Message::StreamStop(_) => "stop".into(),
            Message::StreamCommit(m) => format!("commit {}", number(m.xid.0)),
            Message::StreamAbort(m) => {
                let (xid, sub_xid) = (number(m.xid.0), number(m.sub_xid.0));
                let year =
                    m.aborted.map(|aborted| aborted.at.unix_micros() / 31_556_952_000_000 + 1970);
                format!("abort {xid} {sub_xid} {}", year.is_some_and(|year| year > 2020))
            }
            Message::BeginPrepare(m) => format!("begin prepare {} {}", number(m.xid.0), m.gid),
            Message::Prepare(m) => format!("prepare {} {}", number(m.xid.0), m.gid),
            Message::StreamPrepare(m) => format!("stream prepare {} {}", number(m.xid.0), m.gid),
            Message::CommitPrepared(m) => format!("commit prepared {} {}", number(m.xid.0), m.gid),
            Message::RollbackPrepared(m) => {
                format!("rollback prepared {} {}", number(m.xid.0), m.gid)
            }
            other => panic!("not expected: {other:?}"),
        };
        let empty_piece =
            line == "stop" && lines.last().is_some_and(|last| last.starts_with("start"));
        if empty_piece {
            lines.pop();
        } else {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The two versions differ in the last word of `abort` only: position and time are told from version 4 on.
/// Transaction 0 has two parts: 1 was undone, 2 is what followed after ROLLBACK TO, which leaves its savepoint open.
fn streamed(abort_is_dated: bool) -> String {
    format!(
        "start 0 true
0 is by_default
0 insert by_default ('1', 'a')
stop
start 0 false
1 insert by_default ('2', 'undone')
stop
abort 0 1 {abort_is_dated}
start 0 false
2 is by_default
2 update by_default ('1', 'b')
stop
start 0 false
0 message inside
stop
start 0 false
2 is by_full
2 truncate [\"by_full\"]
stop
start 0 false
2 type mood
2 is moods
2 insert moods ('1', 'calm', '2.00')
stop
commit 0
start 3 true
3 is by_default
3 insert by_default ('3', 'never')
stop
abort 3 3 {abort_is_dated}"
    )
}

#[test]
fn transactions_in_progress_are_understood() {
    assert_eq!(outline(&messages(&bodies(VERSION_2_STREAMING))), streamed(false));
    assert_eq!(outline(&messages(&bodies(VERSION_4_STREAMING))), streamed(true));
}

#[test]
fn prepared_transactions_are_understood() {
    let expected = "begin prepare 0 first
1 is by_default
1 insert by_default ('30', 'p')
prepare 0 first
commit prepared 0 first
begin prepare 2 second
1 insert by_default ('31', 'q')
prepare 2 second
rollback prepared 2 second";
    assert_eq!(outline(&messages(&bodies(VERSION_3_PREPARED))), expected);
    let expected = "start 0 true
0 is by_default
0 insert by_default ('30', 'p')
stop
stream prepare 0 first
commit prepared 0 first
start 1 true
1 is by_default
1 insert by_default ('31', 'q')
stop
stream prepare 1 second
rollback prepared 1 second";
    assert_eq!(outline(&messages(&bodies(VERSION_4_PREPARED))), expected);
}

#[test]
fn a_streamed_transaction_is_refused_by_the_assembler() {
    let bodies = bodies(VERSION_4_STREAMING);
    let (lsn, first) = messages(&bodies)[0];
    let error = Assembler::new().push(lsn, first).unwrap_err();
    assert!(error.to_string().contains("streaming was not asked for"), "{error}");
}
