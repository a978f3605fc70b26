//! What a committed, aborted or fenced transaction looks like from outside.

use kafka::{Class, Compression, Isolation, KafkaError, Producer, ProducerSettings, Transaction};

use crate::fixture::{
    client, leave_open, producer, read_all, topic, transaction, transactional, unique, values,
};

#[tokio::test]
async fn a_committed_transaction_is_seen_and_the_next_one_follows_it() {
    let client = client().await;
    let orders = topic(&client, "orders", 1, &[]).await;
    let mut producer = producer(&client, &unique("commit")).await;
    assert!(producer.is_transaction_v2());
    for round in 0..20 {
        let value = format!("v{round}");
        let committed = producer.commit(transaction(&orders, &[("k", &value)])).await.unwrap();
        assert_eq!((committed.record_count, committed.partition_count), (1, 1));
    }
    let seen = values(&read_all(&client, &orders, Isolation::ReadCommitted).await);
    let expected: Vec<String> = (0..20).map(|round| format!("v{round}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn keys_values_headers_and_timestamps_arrive_as_they_were_given() {
    let client = client().await;
    let orders = topic(&client, "faithful", 1, &[]).await;
    let mut transaction = Transaction::new(900_000);
    let partition = orders.partition(0);
    transaction.append(&partition, 1_700_000_000_123, Some(b"k"), None, &[("h", b"1"), ("h", b"")]);
    transaction.append(&partition, 1_600_000_000_000, None, Some(b""), &[]);
    producer(&client, &unique("faithful")).await.commit(transaction).await.unwrap();
    let records = read_all(&client, &orders, Isolation::ReadCommitted).await;
    assert_eq!(records[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!((records[0].value.as_ref(), records[0].timestamp_ms), (None, 1_700_000_000_123));
    let headers: Vec<_> =
        records[0].headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(headers, [("h", Some(&b"1"[..])), ("h", Some(&b""[..]))]);
    assert_eq!(
        (records[1].key.as_ref(), records[1].value.as_deref(), records[1].timestamp_ms),
        (None, Some(&b""[..]), 1_600_000_000_000)
    );
}

/// The broker writes a marker to each partition of the one before, and turns the next away meanwhile.
#[tokio::test]
async fn a_transaction_of_many_partitions_is_not_sent_over_and_over_behind_another() {
    let client = client().await;
    let wide = topic(&client, "wide", 500, &[]).await;
    let value = vec![b'x'; 20_000];
    let fill = || {
        let mut transaction = Transaction::new(900_000);
        for partition in &wide.partitions() {
            transaction.append(partition, 0, None, Some(&value), &[]);
        }
        transaction
    };
    let settings = ProducerSettings { compression: Compression::None, ..transactional("wide") };
    let mut producer = Producer::init(&client, settings).await.unwrap();
    for _ in 0..4 {
        let committed = producer.commit(fill()).await.unwrap();
        assert_eq!(committed.partition_count, 500);
        let once = 500 * value.len();
        // Twice all of it, if all is turned away, and what asks whether the way is free.
        assert!(committed.sent_bytes < 4 * once, "{} bytes for {once}", committed.sent_bytes);
    }
}

#[tokio::test]
async fn an_empty_transaction_commits_nothing() {
    let client = client().await;
    let orders = topic(&client, "empty", 1, &[]).await;
    let committed =
        producer(&client, &unique("empty")).await.commit(Transaction::new(1)).await.unwrap();
    assert_eq!(committed.request_count, 0);
    assert_eq!(client.latest_offsets(&orders, Isolation::ReadUncommitted).await.unwrap(), [0]);
}

#[tokio::test]
async fn what_a_crash_left_open_is_aborted_by_the_next_init_and_never_seen() {
    let client = client().await;
    let orders = topic(&client, "aborted", 1, &[]).await;
    let id = unique("crash");
    leave_open(&client, &id, &orders, ("k", "lost")).await;
    let mut next = producer(&client, &id).await;
    next.commit(transaction(&orders, &[("k", "kept")])).await.unwrap();
    assert_eq!(values(&read_all(&client, &orders, Isolation::ReadCommitted).await), ["kept"]);
    assert_eq!(
        values(&read_all(&client, &orders, Isolation::ReadUncommitted).await),
        ["lost", "kept"]
    );
}

#[tokio::test]
async fn a_second_producer_fences_the_first_which_says_so_for_ever() {
    let client = client().await;
    let orders = topic(&client, "fenced", 1, &[]).await;
    let id = unique("fence");
    let mut first = producer(&client, &id).await;
    first.commit(transaction(&orders, &[("k", "1")])).await.unwrap();
    let mut second = producer(&client, &id).await;
    let error = first.commit(transaction(&orders, &[("k", "2")])).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (Class::Fenced, "KA021"), "{error}");
    let again = first.commit(transaction(&orders, &[("k", "3")])).await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
    second.commit(transaction(&orders, &[("k", "4")])).await.unwrap();
    assert_eq!(values(&read_all(&client, &orders, Isolation::ReadCommitted).await), ["1", "4"]);
}

#[tokio::test]
async fn a_record_the_topic_does_not_take_is_named() {
    let client = client().await;
    let orders = topic(&client, "small", 1, &[("max.message.bytes", "2000")]).await;
    let mut producer = producer(&client, &unique("large")).await;
    let mut transaction = Transaction::new(900_000);
    for size in [10, 5_000, 20] {
        transaction.append(&orders.partition(0), 0, None, Some(&vec![b'x'; size]), &[]);
    }
    let error = producer.commit(transaction).await.unwrap_err();
    assert_eq!(error.class(), Class::Definite);
    let KafkaError::RecordTooLarge { topic, partition, record_index, record_bytes, .. } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((topic.as_str(), *partition, *record_index), (orders.name(), 0, 1));
    assert!((5_000..5_020).contains(record_bytes));
    assert!(error.to_string().contains("max.message.bytes=1048576"), "{error}");
}

#[tokio::test]
async fn a_record_over_our_own_request_limit_is_named_before_it_is_sent() {
    let client = client().await;
    let orders = topic(&client, "limit", 1, &[]).await;
    let settings = ProducerSettings { request_bytes_max: 3_000, ..transactional(&unique("limit")) };
    let mut producer = Producer::init(&client, settings).await.unwrap();
    let mut transaction = Transaction::new(1_000);
    transaction.append(&orders.partition(0), 0, None, Some(&[b'x'; 4_000]), &[]);
    let error = producer.commit(transaction).await.unwrap_err();
    assert!(error.to_string().contains("max.request.size"), "{error}");
}

#[tokio::test]
async fn a_commit_dropped_half_way_leaves_a_producer_that_refuses_to_go_on() {
    let client = client().await;
    let orders = topic(&client, "dropped", 1, &[]).await;
    let mut producer = producer(&client, &unique("dropped")).await;
    {
        let commit = producer.commit(transaction(&orders, &[("k", "v")]));
        tokio::select! {
            biased;
            _ = commit => panic!("a commit takes a round trip"),
            () = std::future::ready(()) => {}
        }
    }
    let error = producer.commit(transaction(&orders, &[("k", "v")])).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("KA028", Class::Transient));
}

#[tokio::test]
async fn many_batches_and_partitions_keep_their_order() {
    let client = client().await;
    let orders = topic(&client, "large", 7, &[]).await;
    let settings = ProducerSettings {
        request_bytes_max: 40_000,
        compression: Compression::Lz4,
        ..transactional(&unique("large"))
    };
    let mut producer = Producer::init(&client, settings).await.unwrap();
    for round in 0..3 {
        let mut transaction = Transaction::new(8_000);
        for number in 0..10_000 {
            let key = format!("key{}", number % 100);
            let partition = orders.partition(orders.partition_for(Some(key.as_bytes())));
            let value = format!("{round}:{number:06} {}", "x".repeat(50));
            transaction.append(&partition, 0, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        }
        let committed = producer.commit(transaction).await.unwrap();
        assert!(committed.request_count > 10, "{committed:?}");
    }
    let records = read_all(&client, &orders, Isolation::ReadCommitted).await;
    assert_eq!(records.len(), 30_000);
    for partition in 0..7 {
        let of_partition: Vec<_> =
            records.iter().filter(|record| record.partition == partition).cloned().collect();
        assert!(values(&of_partition).is_sorted(), "partition {partition}");
    }
}

#[tokio::test]
async fn without_a_transactional_id_records_are_plain() {
    let client = client().await;
    let orders = topic(&client, "plain", 3, &[]).await;
    let mut producer = Producer::init(&client, ProducerSettings::default()).await.unwrap();
    assert_eq!(producer.identity(), None);
    producer.commit(transaction(&orders, &[("a", "1"), ("b", "2"), ("a", "3")])).await.unwrap();
    let mut seen = values(&read_all(&client, &orders, Isolation::ReadUncommitted).await);
    seen.sort();
    assert_eq!(seen, ["1", "2", "3"]);
    let ends = client.latest_offsets(&orders, Isolation::ReadCommitted).await.unwrap();
    assert_eq!(ends.iter().sum::<i64>(), 3, "no markers");
}
