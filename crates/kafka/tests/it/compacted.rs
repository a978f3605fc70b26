//! The newest checkpoint is found, whatever surrounds it.

use std::time::{Duration, Instant};

use kafka::{
    Client, ClientConfig, Compression, Isolation, NewTopic, Producer, ProducerSettings, Topic,
    Transaction,
    compacted::{read_last, read_newest},
};

use crate::fixture::{
    broker, client, config_of, leave_open, producer, topic, transaction, transactional, unique,
};

async fn last(client: &Client, topic: &Topic, key: &str) -> Option<String> {
    let value = read_last(client, topic.name(), 0, key.as_bytes()).await.unwrap();
    value.map(|value| String::from_utf8(value).unwrap())
}

#[tokio::test]
async fn the_newest_committed_value_wins_among_several_keys() {
    let client = client().await;
    let offsets = topic(&client, "offsets", 1, &[("cleanup.policy", "compact")]).await;
    assert_eq!(last(&client, &offsets, "a").await, None);
    let mut producer = producer(&client, &unique("offsets")).await;
    for round in 0..300 {
        let value = round.to_string();
        producer
            .commit(transaction(&offsets, &[("a", &value), ("b", "x"), ("a", &value)]))
            .await
            .unwrap();
    }
    producer.commit(transaction(&offsets, &[("old", "seldom")])).await.unwrap();
    for _ in 0..700 {
        producer.commit(transaction(&offsets, &[("b", "y")])).await.unwrap();
    }
    assert_eq!(last(&client, &offsets, "a").await.as_deref(), Some("299"));
    assert_eq!(last(&client, &offsets, "b").await.as_deref(), Some("y"));
    assert_eq!(last(&client, &offsets, "old").await.as_deref(), Some("seldom"));
    assert_eq!(last(&client, &offsets, "never").await, None);
}

#[tokio::test]
async fn a_tombstone_means_that_there_is_nothing() {
    let client = client().await;
    let offsets = topic(&client, "tombstone", 1, &[]).await;
    let mut producer = producer(&client, &unique("tombstone")).await;
    producer.commit(transaction(&offsets, &[("a", "1")])).await.unwrap();
    let mut deletion = Transaction::new(900_000);
    deletion.append(&offsets.partition(0), 0, Some(b"a"), None, &[]);
    producer.commit(deletion).await.unwrap();
    assert_eq!(last(&client, &offsets, "a").await, None);
}

#[tokio::test]
async fn an_aborted_value_is_never_the_answer() {
    let client = client().await;
    let offsets = topic(&client, "aborted", 1, &[]).await;
    let id = unique("aborted");
    let mut first = producer(&client, &id).await;
    first.commit(transaction(&offsets, &[("a", "committed")])).await.unwrap();
    leave_open(&client, &id, &offsets, ("a", "aborted")).await;
    drop(producer(&client, &id).await);
    assert_eq!(last(&client, &offsets, "a").await.as_deref(), Some("committed"));
}

/// What hides from a plain `read_committed` reader: one record before an open transaction, then a committed, an aborted and a
/// committed one, a tombstone, and another aborted one.
#[tokio::test]
async fn a_foreign_open_transaction_is_read_past() {
    let client = client().await;
    let offsets = topic(&client, "held", 1, &[]).await;
    let ours_id = unique("ours");
    let mut ours = producer(&client, &ours_id).await;
    ours.commit(transaction(&offsets, &[("a", "old"), ("b", "old"), ("c", "old")])).await.unwrap();
    let foreign = unique("foreign");
    leave_open(&client, &foreign, &offsets, ("other", "x")).await;
    let abort = async |value| {
        leave_open(&client, &ours_id, &offsets, ("a", value)).await;
        producer(&client, &ours_id).await
    };
    assert_eq!(last(&client, &offsets, "a").await.as_deref(), Some("old"));
    ours.commit(transaction(&offsets, &[("a", "1"), ("b", "1")])).await.unwrap();
    assert_eq!(last(&client, &offsets, "a").await.as_deref(), Some("1"));
    let mut ours = abort("aborted").await;
    assert_eq!(last(&client, &offsets, "a").await.as_deref(), Some("1"));
    ours.commit(transaction(&offsets, &[("a", "2")])).await.unwrap();
    let mut deletion = Transaction::new(900_000);
    deletion.append(&offsets.partition(0), 0, Some(b"b"), None, &[]);
    ours.commit(deletion).await.unwrap();
    drop(abort("aborted again").await);
    assert_eq!(last(&client, &offsets, "a").await.as_deref(), Some("2"));
    assert_eq!(last(&client, &offsets, "b").await, None);
    assert_eq!(last(&client, &offsets, "c").await.as_deref(), Some("old"));
    let partition = offsets.partition(0);
    let ours_alone = |key: &[u8]| (key != b"other").then(|| key.to_vec());
    let newest = read_newest(&client, &partition, ours_alone).await.unwrap();
    let expected = [(b"a".to_vec(), b"2".to_vec()), (b"c".to_vec(), b"old".to_vec())];
    assert_eq!(newest, expected.into());
    drop(producer(&client, &foreign).await);
    assert_eq!(last(&client, &offsets, "a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn an_open_transaction_with_the_key_is_waited_for_not_overlooked() {
    let client = client().await;
    let offsets = topic(&client, "own", 1, &[]).await;
    let id = unique("own");
    let mut first = producer(&client, &id).await;
    first.commit(transaction(&offsets, &[("a", "old")])).await.unwrap();
    leave_open(&client, &id, &offsets, ("a", "open")).await;
    let asked = last(&client, &offsets, "a");
    tokio::pin!(asked);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut asked).await;
    assert!(early.is_err(), "answered {early:?} while nobody could know");
    drop(producer(&client, &id).await);
    assert_eq!(asked.await.as_deref(), Some("old"));
}

#[tokio::test]
async fn an_open_transaction_that_does_not_end_is_reported_not_waited_for_for_ever() {
    let client = client().await;
    let offsets = topic(&client, "stuck", 1, &[]).await;
    let foreign = unique("stuck");
    leave_open(&client, &foreign, &offsets, ("a", "x")).await;
    let config = ClientConfig {
        api_timeout: Duration::from_millis(200),
        ..config_of(&broker().bootstrap())
    };
    let impatient = Client::connect(config).await.unwrap();
    let error = read_last(&impatient, offsets.name(), 0, b"a").await.unwrap_err();
    assert_eq!(error.code(), "KA033", "{error}");
    assert!(error.to_string().contains("open transaction of producer "), "{error}");
    drop(producer(&client, &foreign).await);
}

#[tokio::test]
async fn a_missing_topic_is_named() {
    let error = read_last(&client().await, "no-such-topic", 0, b"a").await.unwrap_err();
    assert_eq!(error.code(), "KA030", "{error}");
}

#[tokio::test]
async fn gaps_left_by_compaction_are_stepped_over() {
    let client = client().await;
    let new = NewTopic {
        name: unique("compacted"),
        partitions: 1,
        replication_factor: 1,
        configs: [
            ("cleanup.policy", "compact"),
            ("segment.bytes", "1048576"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("max.compaction.lag.ms", "100"),
            ("segment.ms", "100"),
            ("delete.retention.ms", "0"),
            ("min.compaction.lag.ms", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    };
    let offsets = client.create_topic(&new).await.unwrap().topic;
    let mut producer = producer(&client, &unique("compacted")).await;
    producer.commit(transaction(&offsets, &[("seldom", "found")])).await.unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        for _ in 0..50 {
            producer.commit(transaction(&offsets, &[("often", &"x".repeat(2_000))])).await.unwrap();
        }
        assert_eq!(last(&client, &offsets, "seldom").await.as_deref(), Some("found"));
        assert!(last(&client, &offsets, "often").await.is_some());
        let stored = crate::fixture::read_all(&client, &offsets, Isolation::ReadUncommitted).await;
        let ends = client.latest_offsets(&offsets, Isolation::ReadUncommitted).await.unwrap();
        // Half of the offsets are markers.
        if i64::try_from(stored.len()).unwrap() < ends[0] / 4 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the cleaner never ran: {} of {}",
            stored.len(),
            ends[0]
        );
    }
    assert_eq!(last(&client, &offsets, "seldom").await.as_deref(), Some("found"));
}

#[tokio::test]
async fn two_million_records_do_not_slow_the_usual_answer() {
    let client = client().await;
    let offsets = topic(&client, "deep", 1, &[]).await;
    let settings =
        ProducerSettings { compression: Compression::Lz4, ..transactional(&unique("deep")) };
    let mut producer = Producer::init(&client, settings).await.unwrap();
    producer.commit(transaction(&offsets, &[("first", "1")])).await.unwrap();
    for _ in 0..20 {
        let mut filler = Transaction::new(900_000);
        for number in 0..100_000_u32 {
            filler.append(
                &offsets.partition(0),
                0,
                Some(&number.to_be_bytes()),
                Some(&[b'v'; 60]),
                &[],
            );
        }
        producer.commit(filler).await.unwrap();
    }
    producer.commit(transaction(&offsets, &[("last", "2")])).await.unwrap();
    let started = Instant::now();
    assert_eq!(last(&client, &offsets, "last").await.as_deref(), Some("2"));
    let usual = started.elapsed();
    let started = Instant::now();
    assert_eq!(last(&client, &offsets, "first").await.as_deref(), Some("1"));
    let worst = started.elapsed();
    println!("read_last over 2,000,000 records: usual {usual:?}, worst {worst:?}");
    assert!(usual < Duration::from_millis(500), "{usual:?}");
    assert!(worst < Duration::from_secs(30), "{worst:?}");
}

#[tokio::test]
async fn the_newest_values_of_all_chosen_keys_are_found_in_one_pass() {
    let client = client().await;
    let offsets = topic(&client, "newest", 1, &[("cleanup.policy", "compact")]).await;
    let mut producer = producer(&client, &unique("newest")).await;
    for round in 0..50 {
        let value = round.to_string();
        producer
            .commit(transaction(&offsets, &[("t1", &value), ("x", "y"), ("t2", &value)]))
            .await
            .unwrap();
    }
    let mut deletion = Transaction::new(900_000);
    deletion.append(&offsets.partition(0), 0, Some(b"t1"), None, &[]);
    deletion.append(&offsets.partition(0), 0, Some(b"t3"), Some(b"new"), &[]);
    producer.commit(deletion).await.unwrap();
    let table = |key: &[u8]| key.strip_prefix(b"t").map(<[u8]>::to_vec);
    let found = read_newest(&client, &offsets.partition(0), table).await.unwrap();
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort();
    assert_eq!(found, [(b"2".to_vec(), b"49".to_vec()), (b"3".to_vec(), b"new".to_vec())]);
}
