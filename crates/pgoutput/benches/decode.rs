//! From the body of a `CopyData` to a change whose values have been walked. In: one frame of a row of nine columns.
//!
//! `cargo bench -p pgoutput --bench decode`

use divan::{Bencher, black_box};
use pgoutput::replication::{ReplicationMessage, decode as decode_body};
use pgoutput::{Assembler, Before, ChangeKind, Step, TupleData, TupleValue, decode};
use sample::{Order, frames};

/// Each sample times so many in a row: one alone is not much longer than the clock takes.
const SAMPLE_SIZE: u32 = 1_000;

fn main() {
    divan::main();
}

#[divan::bench(sample_size = SAMPLE_SIZE)]
fn insert(bencher: Bencher<'_, '_>) {
    measure(bencher, &frames::insert(1, &Order::numbered(1)).expect("it is a row"));
}

#[divan::bench(sample_size = SAMPLE_SIZE)]
fn update(bencher: Bencher<'_, '_>) {
    measure(bencher, &frames::update(1, &Order::numbered(1)).expect("it is a row"));
}

#[divan::bench(sample_size = SAMPLE_SIZE)]
fn delete(bencher: Bencher<'_, '_>) {
    measure(bencher, &frames::delete(1, &Order::numbered(1)).expect("it is a row"));
}

fn measure(bencher: Bencher<'_, '_>, frame: &[u8]) {
    let mut assembler = Assembler::new();
    for frame in [frames::begin(), frames::relation().expect("it is a table")] {
        push(&mut assembler, &frame);
    }
    assert!(push(&mut assembler, frame) > 0, "no value came out");
    bencher.bench_local(|| push(&mut assembler, black_box(frame)));
}

/// Bytes of all values of the change, if it is one.
fn push(assembler: &mut Assembler, body: &[u8]) -> usize {
    let message = decode_body(body).expect("it was written by the encoder");
    let ReplicationMessage::XLogData(data) = message else { return 0 };
    let message = decode(data.payload, false).expect("it was written by the encoder");
    match assembler.push(data.wal_start, message).expect("it may stand here") {
        Step::Change(change) => value_bytes(&change.kind),
        _ => 0,
    }
}

fn value_bytes(kind: &ChangeKind<'_>) -> usize {
    match *kind {
        ChangeKind::Insert { after, .. } => row_bytes(after),
        ChangeKind::Update { before, after, .. } => old_row_bytes(before) + row_bytes(after),
        ChangeKind::Delete { before, .. } => old_row_bytes(before),
        ChangeKind::Truncate { .. } | ChangeKind::LogicalMessage { .. } => 0,
    }
}

fn old_row_bytes(before: Before<'_>) -> usize {
    match before {
        Before::Absent => 0,
        Before::Key(row) | Before::Full(row) => row_bytes(row),
    }
}

fn row_bytes(row: TupleData<'_>) -> usize {
    let text_bytes = |value| if let TupleValue::Text(text) = value { text.len() } else { 0 };
    row.iter().map(text_bytes).sum()
}
