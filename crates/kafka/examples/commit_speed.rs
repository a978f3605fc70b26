//! How fast transactions are committed: `cargo run --release -p kafka --example commit_speed -- HOST:PORT [PARTITIONS [REPLICAS]]`.
//!
//! Prints for transactions of 10 and of 10,000 records of 300 bytes: commit time (p50, p99), records
//! a second, and the CPU time of this process a record (from `/proc/self/stat`, Linux only).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kafka::{
    Client, ClientConfig, Compression, KafkaError, NewTopic, Producer, ProducerSettings, Topic,
    Transaction,
};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its figures are what it is for")]
async fn main() -> Result<(), KafkaError> {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments.next().unwrap_or_else(|| "127.0.0.1:9092".into());
    let mut number =
        |default: i32| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (partitions, replicas) = (number(1), number(1));
    let client = Client::connect(ClientConfig::plaintext([bootstrap])).await?;
    let name = format!("commit-speed-{}", std::process::id());
    let replication_factor = i16::try_from(replicas).unwrap_or(1);
    let new = NewTopic { name, partitions, replication_factor, configs: BTreeMap::new() };
    let topic = client.create_topic(&new).await?.topic;
    for (compression, record_count, rounds) in [
        (Compression::None, 10, 2_000),
        (Compression::Lz4, 10, 2_000),
        (Compression::None, 10_000, 100),
        (Compression::Lz4, 10_000, 100),
        (Compression::Zstd { level: Some(1) }, 10_000, 50),
    ] {
        let settings = ProducerSettings {
            transactional_id: Some(format!("{}-{compression}-{record_count}", topic.name())),
            compression,
            ..ProducerSettings::default()
        };
        let mut producer = Producer::init(&client, settings).await?;
        let mut fill_time = Duration::ZERO;
        let mut times = Vec::with_capacity(rounds);
        let (started, cpu_before) = (Instant::now(), cpu_time());
        for round in 0..rounds {
            let filling = Instant::now();
            let transaction = fill(&topic, round * record_count, record_count, now_ms());
            fill_time += filling.elapsed();
            let committing = Instant::now();
            producer.commit(transaction).await?;
            times.push(committing.elapsed());
        }
        let (wall, cpu) = (started.elapsed(), cpu_time().saturating_sub(cpu_before));
        times.sort_unstable();
        let records = u32::try_from(rounds * record_count).unwrap_or(1);
        println!(
            "{compression:>5} {record_count:>6} records: p50 {:>9.3?} p99 {:>9.3?} {:>8.0} records/s, cpu {:?}/record (making and appending {:?})",
            times[rounds / 2],
            times[rounds * 99 / 100],
            f64::from(records) / wall.as_secs_f64(),
            cpu / records,
            fill_time / records,
        );
    }
    client.delete_topics(&[topic.name()]).await
}

fn fill(topic: &Topic, first: usize, record_count: usize, now_ms: i64) -> Transaction {
    let mut transaction = Transaction::new(900_000);
    let partitions = topic.partitions();
    let mut value = Vec::with_capacity(300);
    for number in first..first + record_count {
        let key = number.to_be_bytes();
        let partition = topic.partition_for(Some(&key));
        value.clear();
        value.extend_from_slice(br#"{"before":null,"after":{"id":"#);
        value.extend_from_slice(number.to_string().as_bytes());
        value.extend_from_slice(br#","name":"customer","email":"someone@example.com"},"source":{"version":"1","connector":"postgresql","name":"demo","db":"d","schema":"public","table":"customers","lsn":"#);
        value.extend_from_slice((number * 131).to_string().as_bytes());
        value.resize(300, b' ');
        let partition = usize::try_from(partition).unwrap_or(0);
        transaction.append(&partitions[partition], now_ms, Some(&key), Some(&value), &[]);
    }
    transaction
}

/// The wall clock, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "brokers refuse records dated far from now")]
fn now_ms() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since_1970.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// User and system time of this process so far, in steps of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let ticks = fields.get(11).copied().unwrap_or(0) + fields.get(12).copied().unwrap_or(0);
    Duration::from_millis(ticks * 10)
}
