//! From encoded records to the batches that are sent. In: 1,000 records of a row of nine columns, JSON without schemas.
//!
//! `cargo bench -p kafka --bench batch`

use std::sync::Arc;

use divan::{Bencher, black_box};
use envelope::{Record, Scratch, TablePlan};
use kafka::benching::{Finisher, topic};
use kafka::{Compression, ProducerSettings, TopicPartitionId, Transaction};
use sample::{Order, position, settings, table};

const RECORDS: u64 = 1_000;
const TIMESTAMP_MS: i64 = 1_787_300_000_223;

fn main() {
    divan::main();
}

/// Copies the records into batches.
#[divan::bench(sample_size = 1)]
fn append(bencher: Bencher<'_, '_>) {
    let (records, partition) = (records(), topic("orders", 1).partition(0));
    bencher.bench_local(|| fill(black_box(&records), &partition));
}

/// Compresses the batches and fills in their headers.
#[divan::bench(args = ["none", "lz4", "snappy", "zstd", "gzip"], sample_size = 1)]
fn finish(bencher: Bencher<'_, '_>, codec: &str) {
    let compression = match codec {
        "lz4" => Compression::Lz4,
        "snappy" => Compression::Snappy,
        "zstd" => Compression::Zstd { level: None },
        "gzip" => Compression::Gzip { level: None },
        _ => Compression::None,
    };
    let (records, partition) = (records(), topic("orders", 1).partition(0));
    let mut finisher = Finisher::new(compression).expect("the codec can be set up");
    bencher
        .with_inputs(|| fill(&records, &partition))
        .bench_local_values(|transaction| finisher.finish(transaction));
}

/// One record that owns its bytes.
struct Encoded {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl From<Record<'_>> for Encoded {
    fn from(record: Record<'_>) -> Self {
        let header =
            |header: &envelope::Header<'_>| (header.name.to_owned(), header.value.to_vec());
        Self {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(header).collect(),
        }
    }
}

fn records() -> Vec<Encoded> {
    let plan = TablePlan::compile(table(), &Arc::new(settings(false)));
    let plan = plan.expect("the table can be encoded");
    let mut scratch = Scratch::default();
    let mut records = Vec::new();
    for number in 0..RECORDS {
        let mut keep = |record: Record<'_>| records.push(Encoded::from(record));
        plan.insert(&position(number), &Order::numbered(number).values(), &mut keep, &mut scratch)
            .expect("it can be encoded");
    }
    records
}

fn fill(records: &[Encoded], partition: &TopicPartitionId) -> Transaction {
    let mut transaction = Transaction::new(ProducerSettings::default().batch_bytes_max);
    for record in records {
        let mut headers: [(&str, &[u8]); 8] = [("", &[]); 8];
        let count = record.headers.len();
        for (slot, (name, value)) in headers.iter_mut().zip(&record.headers) {
            *slot = (name, value);
        }
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        transaction.append(partition, TIMESTAMP_MS, key, value, &headers[..count]);
    }
    transaction
}
