//! From the values of a row to a Debezium-compatible record, and from a line of COPY to values and to a record. In: a row of
//! nine columns.
//!
//! `cargo bench -p envelope --bench encode`

use divan::{Bencher, black_box};
use envelope::copy_text::split_line;
use envelope::{OldRow, Record, Scratch, SourcePosition, TablePlan};
use pgoutput::TupleValue;
use sample::{Order, avro_settings, plan, position, settings};
use smallvec::SmallVec;

/// JSON with `schemas.enable` and without, and Avro.
const FORMATS: [&str; 3] = ["without_schema", "with_schema", "avro"];

/// Each sample times so many in a row: one alone is not much longer than the clock takes.
const SAMPLE_SIZE: u32 = 1_000;

fn main() {
    divan::main();
}

#[divan::bench(args = FORMATS, sample_size = SAMPLE_SIZE)]
fn insert(bencher: Bencher<'_, '_>, format: &str) {
    let order = Order::numbered(1);
    let row = order.values();
    measure(bencher, format, |plan, at, scratch| {
        plan.insert(at, black_box(&row), &mut show, scratch).expect("it can be encoded");
    });
}

#[divan::bench(args = FORMATS, sample_size = SAMPLE_SIZE)]
fn update(bencher: Bencher<'_, '_>, format: &str) {
    let order = Order::numbered(1);
    let row = order.values();
    measure(bencher, format, |plan, at, scratch| {
        plan.update(at, OldRow::Absent, black_box(&row), &mut show, scratch)
            .expect("it can be encoded");
    });
}

/// With its tombstone.
#[divan::bench(args = FORMATS, sample_size = SAMPLE_SIZE)]
fn delete(bencher: Bencher<'_, '_>, format: &str) {
    let order = Order::numbered(1);
    let key = order.key_values();
    measure(bencher, format, |plan, at, scratch| {
        plan.delete(at, OldRow::Key(black_box(&key)), &mut show, scratch)
            .expect("it can be encoded");
    });
}

/// A line with a note of several lines has escapes, and is copied.
#[divan::bench(args = ["plain", "escaped"], sample_size = SAMPLE_SIZE)]
fn split_copy_line(bencher: Bencher<'_, '_>, kind: &str) {
    let order = Order::numbered(1);
    let line = if kind == "escaped" { order.with_lines() } else { order }.copy_line();
    let mut buffer = Vec::new();
    bencher.bench_local(|| {
        let mut values = SmallVec::new();
        split_line(black_box(&line), &mut buffer, &mut values).expect("it is a line");
        values.len()
    });
}

/// What a snapshot does with each line.
#[divan::bench(args = FORMATS, sample_size = SAMPLE_SIZE)]
fn read_copy_line(bencher: Bencher<'_, '_>, format: &str) {
    let line = Order::numbered(1).copy_line();
    let mut buffer = Vec::new();
    measure(bencher, format, |plan, at, scratch| {
        let mut values: SmallVec<[TupleValue<'_>; 32]> = SmallVec::new();
        split_line(black_box(&line), &mut buffer, &mut values).expect("it is a line");
        plan.read(at, &values, &mut show, scratch).expect("it can be encoded");
    });
}

/// Encodes one change after the other, each further on in the log.
fn measure(
    bencher: Bencher<'_, '_>,
    format: &str,
    mut encode: impl FnMut(&TablePlan, &SourcePosition<'_>, &mut Scratch),
) {
    let settings = match format {
        "avro" => avro_settings(),
        format => settings(format == "with_schema"),
    };
    let plan = plan(settings).expect("the table can be encoded");
    let mut scratch = Scratch::default();
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        encode(&plan, &position(number), &mut scratch);
    });
}

/// Takes a record so that none of it can be left out.
fn show(record: Record<'_>) {
    black_box(record);
}
