//! Apache Kafka 3.9.2: transactions before KIP-890 (TV1).

use std::sync::OnceLock;

use embedded::{Kafka, KafkaOptions, KafkaVersion};
use kafka::{Class, Client, Isolation, compacted::read_last, preflight};

use crate::fixture::{
    Shared, config_of, leave_open, producer, read_all, start, topic, transaction, unique, values,
};

fn broker() -> &'static Kafka {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let options = KafkaOptions::version(KafkaVersion::V3_9_2);
    &SHARED.get_or_init(|| start(options.set("group.min.session.timeout.ms", "1000"))).kafka
}

pub(crate) async fn client() -> Client {
    Client::connect(config_of(&broker().bootstrap())).await.unwrap()
}

#[tokio::test]
async fn transactions_follow_one_another_without_tv2() {
    let client = client().await;
    let orders = topic(&client, "orders", 3, &[]).await;
    let mut producer = producer(&client, &unique("tv1")).await;
    assert!(!producer.is_transaction_v2());
    for round in 0..50 {
        let value = format!("{round:02}");
        producer
            .commit(transaction(&orders, &[("a", &value), ("b", &value), ("c", &value)]))
            .await
            .unwrap();
    }
    let records = read_all(&client, &orders, Isolation::ReadCommitted).await;
    for key in ["a", "b", "c"] {
        let of_key: Vec<_> = records
            .iter()
            .filter(|record| record.key.as_deref() == Some(key.as_bytes()))
            .cloned()
            .collect();
        let expected: Vec<String> = (0..50).map(|round| format!("{round:02}")).collect();
        assert_eq!(values(&of_key), expected);
    }
}

#[tokio::test]
async fn fencing_and_aborting_hold_without_tv2() {
    let client = client().await;
    let orders = topic(&client, "fenced", 1, &[]).await;
    let id = unique("tv1-fence");
    leave_open(&client, &id, &orders, ("k", "aborted")).await;
    let mut first = producer(&client, &id).await;
    first.commit(transaction(&orders, &[("k", "1")])).await.unwrap();
    let mut second = producer(&client, &id).await;
    let error = first.commit(transaction(&orders, &[("k", "zombie")])).await.unwrap_err();
    assert_eq!(error.class(), Class::Fenced, "{error}");
    second.commit(transaction(&orders, &[("k", "2")])).await.unwrap();
    assert_eq!(values(&read_all(&client, &orders, Isolation::ReadCommitted).await), ["1", "2"]);
    let newest = read_last(&client, orders.name(), 0, b"k").await.unwrap();
    assert_eq!(newest.as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn a_check_says_what_the_older_broker_lacks() {
    let findings = preflight::check(&client().await, &preflight::Expectations::default()).await;
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["KA040"]);
    assert!(findings[0].fix.as_deref().unwrap().contains("4.0"), "{findings:?}");
}
