//! Any bytes: a message or an error, and a message says all its bytes say.
//!
//! In: a first byte whose lowest bit says whether the message is inside a stream, then the message.
//! Run: `cargo +nightly fuzz run decode`, from the folder above `fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgoutput::{Message, OldTuple, TupleData, encode};

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, payload)) = bytes.split_first() else { return };
    if let Ok(frame) = pgoutput::replication::decode(payload) {
        let mut again = Vec::new();
        encode::replication_message(&frame, &mut again);
        assert_eq!(again, payload);
    }
    if let Ok(message) = pgoutput::decode(payload, mode & 1 == 1) {
        let mut again = Vec::new();
        encode::message(&message, &mut again);
        assert_eq!(again, payload);
        read_values(&message);
    }
});

fn read_values(message: &Message<'_>) {
    match *message {
        Message::Insert(insert) => read_row(insert.new),
        Message::Update(update) => {
            read_row(update.new);
            update.old.into_iter().for_each(read_old);
        }
        Message::Delete(delete) => read_old(delete.old),
        Message::Relation(relation) => {
            assert_eq!(relation.columns.iter().count(), relation.columns.len());
        }
        _ => {}
    }
}

fn read_old(old: OldTuple<'_>) {
    match old {
        OldTuple::Key(row) | OldTuple::Full(row) => read_row(row),
    }
}

fn read_row(row: TupleData<'_>) {
    assert_eq!(row.iter().count(), row.column_count());
}
