//! How often a change asks for memory on its way from a frame of the stream into the open Kafka transaction.
//!
//! In: frames. Out: counts, of this thread alone. Never: the waits of the gatherer, which need servers; what it calls between them
//! is called here in the same order.

use std::sync::Arc;

use allocation_counter::measure;
use envelope::EncoderSettings;
use kafka::ProducerSettings;
use pgoutput::replication::ReplicationMessage;
use pgoutput::{Assembler, Change, ChangeKind, Lsn, PgTimestamp, Step};
use sample::{Order, frames};

use super::*;
use crate::measure::Tally;
use crate::position::{Position, SnapshotProgress};
use crate::progress::Progress;

struct Gathering {
    assembler: Assembler,
    progress: Progress,
    table: CapturedTable,
    limits: RecordLimits,
    scratch: Scratch,
    transaction: Transaction,
}

impl Gathering {
    fn begin(settings: EncoderSettings, partition_count: i32) -> Self {
        let producer = ProducerSettings::default();
        let plan = sample::plan(settings);
        let (topic, tally) =
            (kafka::benching::topic("orders", partition_count), Arc::new(Tally::default()));
        let mut gathering = Self {
            assembler: Assembler::new(),
            progress: Progress::starting_at(position()),
            table: CapturedTable {
                plan: plan.unwrap(),
                topic,
                reselects: Vec::new(),
                lacking: None,
                tally,
            },
            limits: RecordLimits::fixed(&producer),
            scratch: Scratch::default(),
            transaction: Transaction::new(producer.batch_bytes_max),
        };
        gathering.push(&frames::begin());
        gathering.push(&frames::relation().unwrap());
        gathering
    }

    fn push(&mut self, body: &[u8]) {
        let message = pgoutput::replication::decode(body).unwrap();
        let ReplicationMessage::XLogData(data) = message else { panic!("no frame: {message:?}") };
        let message = pgoutput::decode(data.payload, false).unwrap();
        match self.assembler.push(data.wal_start, message).unwrap() {
            Step::Begin(begin) => self.progress.begin(&begin).unwrap(),
            Step::Change(change) => self.change(&change),
            Step::Relation(_) | Step::Commit(_) | Step::Nothing => {}
        }
    }

    fn change(&mut self, change: &Change<'_>) {
        let send = self.progress.change(change.ordinal, change.id.change_lsn).unwrap();
        let now_ns = clock::unix_ns();
        let at = SourcePosition {
            event_id: Some(change.id),
            snapshot: SnapshotMarker::False,
            committed_at_unix_us: change.committed_at.map_or(0, PgTimestamp::unix_micros),
            processed_at_unix_ns: now_ns,
            xid: change.xid.map(|xid| u64::from(xid.0)),
            lsn: Some(change.id.change_lsn),
            last_commit_lsn: self.progress.position().last_commit_lsn,
            origin: None,
            origin_lsn: None,
        };
        let (before, after) = match change.kind {
            ChangeKind::Insert { after, .. } => (Before::Absent, row(after)),
            ChangeKind::Update { before, after, .. } => (before, row(after)),
            ChangeKind::Delete { before, .. } => (before, Row::new()),
            _ => panic!("no change of a row: {change:?}"),
        };
        let old = old_values(&before);
        let row = match change.kind {
            ChangeKind::Insert { .. } => RowChange::Insert(&after),
            ChangeKind::Update { .. } => RowChange::Update(old_row(&before, &old), &after),
            _ => RowChange::Delete(old_row(&before, &old)),
        };
        let sent = send.then_some(&mut self.transaction);
        append_row(&self.table, &at, &row, sent, &mut self.limits, &mut self.scratch).unwrap();
    }
}

fn position() -> Position {
    Position {
        system_id: "7".into(),
        timeline: 1,
        timeline_began: None,
        slot: "shop".into(),
        instance: "a".into(),
        end_lsn: Lsn::ZERO,
        last_commit_lsn: None,
        half_sent: None,
        snapshot: SnapshotProgress::Completed,
        snapshot_began: None,
        stream_options: String::new(),
        requests: crate::signal::Requests::default(),
        gap: None,
    }
}

/// Frames of a source transaction of so many changes: inserts, updates and deletes in turns.
fn changes(count: u64) -> Vec<Vec<u8>> {
    let frame = |number: u64| {
        let order = Order::numbered(number / 3);
        match number % 3 {
            0 => frames::insert(number, &order),
            1 => frames::update(number, &order),
            _ => frames::delete(number, &order),
        }
    };
    (0..count).map(|number| frame(number).unwrap()).collect()
}

#[test]
fn a_change_costs_no_allocation_once_the_buffer_of_its_batch_is_there() {
    // Behind the last doubling, to 1 MiB, of a buffer whose batch is closed at 900,000 bytes.
    const WARM_BYTES: usize = 600_000;
    let forms = [sample::settings(false), sample::settings(true), sample::avro_settings()];
    for settings in forms {
        let encoding = settings.value;
        let mut gathering = Gathering::begin(settings, 1);
        let frames = changes(4_000);
        let mut frames = frames.iter();
        while gathering.transaction.len_bytes() < WARM_BYTES {
            gathering.push(frames.next().unwrap());
        }
        let records = gathering.transaction.record_count();
        for frame in frames.by_ref().take(40) {
            let counts = measure(|| gathering.push(frame));
            assert_eq!(counts.count_total, 0, "{counts:?} with {encoding:?}");
        }
        assert!(gathering.transaction.record_count() >= records + 40, "nothing was appended");
    }
}

#[test]
fn allocations_are_those_of_batches_however_many_changes_there_are() {
    // A buffer that doubles from 4 KB to the size of a batch, for each batch, and the lists of them.
    const FOR_EACH_BATCH_MAX: u64 = 16;
    let frames = changes(12_000);
    let mut gathering = Gathering::begin(sample::settings(false), 4);
    let counts = measure(|| {
        for frame in &frames {
            gathering.push(frame);
        }
    });
    let partitions = gathering.transaction.partition_count();
    let full = gathering.transaction.len_bytes() / ProducerSettings::default().batch_bytes_max;
    let batches_max = u64::try_from(full + partitions).unwrap();
    assert!(
        counts.count_total <= FOR_EACH_BATCH_MAX * batches_max,
        "{} allocations for {batches_max} batches",
        counts.count_total
    );
}
