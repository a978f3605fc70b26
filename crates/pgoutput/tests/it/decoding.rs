//! Whatever the bytes: a message or an error, and a message says all its bytes say.

use pgoutput::message::RelationColumns;
use pgoutput::replication::{PrimaryKeepalive, ReplicationMessage, StandbyStatusUpdate, XLogData};
use pgoutput::{Class, DecodeError, Lsn, Message, OldTuple, PgTimestamp, TupleData, encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::parts::parts;

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode::message(message, &mut out);
    out
}

/// Decodes, reads every value, and writes the message again.
fn decode_wholly(payload: &[u8], in_stream: bool) {
    let Ok(message) = pgoutput::decode(payload, in_stream) else {
        return;
    };
    assert_eq!(encoded(&message), payload);
    match message {
        Message::Insert(insert) => read_wholly(insert.new),
        Message::Update(update) => {
            read_wholly(update.new);
            update.old.into_iter().for_each(read_old);
        }
        Message::Delete(delete) => read_old(delete.old),
        Message::Relation(relation) => read_columns(relation.columns),
        _ => {}
    }
}

fn read_wholly(row: TupleData<'_>) {
    assert_eq!(row.iter().len(), row.column_count());
    assert_eq!(row.iter().count(), row.column_count());
}

fn read_old(old: OldTuple<'_>) {
    match old {
        OldTuple::Key(row) | OldTuple::Full(row) => read_wholly(row),
    }
}

fn read_columns(columns: RelationColumns<'_>) {
    assert_eq!(columns.iter().count(), columns.len());
}

proptest! {
    #[test]
    fn every_message_survives_its_bytes(parts in parts()) {
        for message in parts.messages() {
            let payload = encoded(&message);
            prop_assert_eq!(pgoutput::decode(&payload, parts.in_stream), Ok(message));
        }
    }

    #[test]
    fn decoding_is_total(tag in proptest::option::of(proptest::sample::select(&b"BCORYIUDTMSEcAbPKrp"[..])),
                         bytes in vec(any::<u8>(), 0..120), in_stream: bool) {
        let payload: Vec<u8> = tag.into_iter().chain(bytes).collect();
        decode_wholly(&payload, in_stream);
    }

    #[test]
    fn damaged_messages_do_no_harm(parts in parts(), place: Index, byte: u8, more in vec(any::<u8>(), 0..4)) {
        for message in parts.messages() {
            let payload = encoded(&message);
            let place = place.index(payload.len());
            let mut changed = payload.clone();
            changed[place] = byte;
            let mut inserted = payload.clone();
            inserted.splice(place..place, more.iter().copied());
            let mut removed = payload.clone();
            removed.remove(place);
            for damaged in [changed, inserted, removed] {
                decode_wholly(&damaged, parts.in_stream);
                decode_wholly(&damaged, !parts.in_stream);
            }
        }
    }

    #[test]
    fn a_message_cut_short_is_an_error(parts in parts()) {
        for message in parts.messages() {
            let payload = encoded(&message);
            for length in 0..payload.len() {
                let result = pgoutput::decode(&payload[..length], parts.in_stream);
                // Without position and time it is the abort of protocol 2.
                let shorter_kind = matches!(message, Message::StreamAbort(_)) && length == 9;
                prop_assert_eq!(result.is_err(), !shorter_kind, "{:?} cut to {}", message, length);
            }
        }
    }

    #[test]
    fn replication_messages_survive_their_bytes(lsns: [u64; 2], sent_at: i64, reply_requested: bool,
                                                payload in vec(any::<u8>(), 0..20)) {
        let [wal_start, wal_end] = lsns.map(Lsn::new);
        let sent_at = PgTimestamp::new(sent_at);
        for message in [
            ReplicationMessage::XLogData(XLogData { wal_start, wal_end, sent_at, payload: &payload }),
            ReplicationMessage::PrimaryKeepalive(PrimaryKeepalive { wal_end, sent_at, reply_requested }),
        ] {
            let mut body = Vec::new();
            encode::replication_message(&message, &mut body);
            prop_assert_eq!(pgoutput::replication::decode(&body), Ok(message));
        }
    }

    #[test]
    fn decoding_of_replication_messages_is_total(body in vec(any::<u8>(), 0..40)) {
        if let Ok(message) = pgoutput::replication::decode(&body) {
            let mut again = Vec::new();
            encode::replication_message(&message, &mut again);
            prop_assert_eq!(again, body);
        }
    }

    #[test]
    fn status_updates_survive_their_bytes(lsns: [u64; 3], sent_at: i64, reply_requested: bool) {
        let [written, flushed, applied] = lsns.map(Lsn::new);
        let sent_at = PgTimestamp::new(sent_at);
        let update = StandbyStatusUpdate { written, flushed, applied, sent_at, reply_requested };
        prop_assert_eq!(StandbyStatusUpdate::decode(&update.encode()), Ok(update));
    }
}

#[test]
fn status_update_is_laid_out_as_in_the_manual() {
    let update = StandbyStatusUpdate {
        written: Lsn::new(1),
        flushed: Lsn::new(2),
        applied: Lsn::new(3),
        sent_at: PgTimestamp::new(4),
        reply_requested: true,
    };
    let expected = b"r\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\x01";
    assert_eq!(&update.encode(), expected);
}

#[test]
fn each_damage_has_its_code_and_says_where_it_is() {
    let cases: [(&[u8], &str, &str); 9] = [
        (b"", "WA001", "pgoutput message ends inside `tag`: 1 bytes needed at byte 0, 0 left"),
        (b"I\0\0", "WA001", "Insert ends inside `relation`: 4 bytes needed at byte 1, 2 left"),
        (b"?", "WA002", "unknown pgoutput message, tag 0x3F"),
        (b"I\0\0\0\x01X", "WA003", "Insert: `tuple kind` at byte 5 is 0x58, expected `N`"),
        (b"T\0\0\0\0\x04", "WA004", "Truncate: `options` at byte 5 has unknown flags, 0x04"),
        (
            b"I\0\0\0\x01N\0\x01t\xFF\xFF\xFF\xFF",
            "WA005",
            "Insert: `column value` at byte 9 is -1, below zero",
        ),
        (b"Y\0\0\0\x01public", "WA006", "Type: string `namespace` at byte 5 has no end"),
        (b"Y\0\0\0\x01\xFF\0x\0", "WA007", "Type: string `namespace` at byte 5 is not UTF-8"),
        (b"E!", "WA008", "Stream Stop has 1 bytes after its end at byte 1"),
    ];
    for (payload, code, text) in cases {
        let error: DecodeError = pgoutput::decode(payload, false).unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(error.class(), Class::Definite);
        let shown = error.to_string();
        let (first, fix) = shown.split_once('\n').unwrap();
        assert_eq!(first, format!("[{code}] {text}"));
        assert!(fix.starts_with("  fix: "), "{fix}");
    }
}
