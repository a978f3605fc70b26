//! What we write, Java reads: every codec, keys, headers, and the same partitions as Java picks.

use std::process::{Command, Stdio};

use kafka::{Compression, Isolation, Producer, ProducerSettings, Transaction};

use crate::fixture::{
    broker, client, leave_open, producer, read_all, topic, transactional, unique,
};

/// Runs one of Kafka's own tools. Out: the lines it printed.
pub(crate) async fn java(
    class: &'static str,
    arguments: Vec<String>,
    input: Option<String>,
) -> Vec<String> {
    let (program, libs) = (broker().java().to_owned(), broker().libs_dir().join("*"));
    let run = move || {
        let mut child = Command::new(program)
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(libs)
            .arg(class)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        if let Some(input) = input {
            std::io::Write::write_all(&mut stdin, input.as_bytes()).unwrap();
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn the_java_consumer_reads_every_codec_and_only_what_is_committed() {
    let client = client().await;
    let orders = topic(&client, "codecs", 1, &[]).await;
    let codecs = [
        Compression::None,
        Compression::Gzip { level: Some(9) },
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd { level: Some(7) },
    ];
    let mut expected = Vec::new();
    for compression in codecs {
        let settings = ProducerSettings { compression, ..transactional(&unique("codec")) };
        let mut producer = Producer::init(&client, settings).await.unwrap();
        // Over a snappy block (32 KiB) and an LZ4 block (64 KiB).
        let mut transaction = Transaction::new(900_000);
        for number in 0..2_000 {
            let (key, value) =
                (format!("{compression}-{number}"), format!("value-{number}-{}", "ab".repeat(50)));
            transaction.append(
                &orders.partition(0),
                0,
                Some(key.as_bytes()),
                Some(value.as_bytes()),
                &[("codec", b"yes")],
            );
            expected.push(format!("codec:yes\t{key}\t{value}"));
        }
        let committed = producer.commit(transaction).await.unwrap();
        assert_eq!(
            committed.sent_bytes > 200_000,
            compression == Compression::None,
            "{compression}: {committed:?}"
        );
    }
    let id = unique("left-open");
    leave_open(&client, &id, &orders, ("aborted", "aborted")).await;
    drop(producer(&client, &id).await);
    let arguments = [
        "--bootstrap-server",
        &broker().bootstrap(),
        "--topic",
        orders.name(),
        "--from-beginning",
        "--isolation-level",
        "read_committed",
        "--timeout-ms",
        "5000",
        "--max-messages",
        "10000",
        "--property",
        "print.key=true",
        "--property",
        "print.headers=true",
    ];
    let lines = java(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        arguments.map(str::to_owned).to_vec(),
        None,
    )
    .await;
    let lines: Vec<String> = lines.into_iter().filter(|line| line.contains('\t')).collect();
    assert_eq!(lines.len(), expected.len());
    assert!(lines == expected, "{:?}", lines.iter().zip(&expected).find(|(a, b)| a != b));
    assert_eq!(read_all(&client, &orders, Isolation::ReadCommitted).await.len(), expected.len());
}

#[tokio::test]
async fn keys_go_where_the_java_producer_puts_them() {
    let client = client().await;
    let orders = topic(&client, "placed", 7, &[]).await;
    let keys: Vec<String> =
        (0..200).map(|number| format!("{}{number}", "k".repeat(number % 9))).collect();
    let input = format!("{}\tv\n", keys.join("\tv\n"));
    let arguments = [
        "--bootstrap-server",
        &broker().bootstrap(),
        "--topic",
        orders.name(),
        "--property",
        "parse.key=true",
        "--compression-codec",
        "lz4",
    ];
    java(
        "org.apache.kafka.tools.ConsoleProducer",
        arguments.map(str::to_owned).to_vec(),
        Some(input),
    )
    .await;
    let records = read_all(&client, &orders, Isolation::ReadCommitted).await;
    assert_eq!(records.len(), keys.len());
    for record in records {
        let key = record.key.unwrap();
        assert_eq!(record.partition, orders.partition_for(Some(&key)), "{key:?}");
    }
}
