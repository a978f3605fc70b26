//! Three brokers: leaders spread over all of them, and what happens when one goes.

use std::time::Instant;

use embedded::{Kafka, KafkaOptions, Silent};
use kafka::{Class, Client, Isolation, KafkaError, NewTopic, Producer, Topic, Transaction};

use crate::fixture::{
    SOON, config_of, producer, read_all, transaction, transactional, unique, values,
};

async fn spread_topic(client: &Client) -> Topic {
    let new = NewTopic {
        name: unique("spread"),
        partitions: 9,
        replication_factor: 3,
        // The records are dated 1970.
        configs: [("min.insync.replicas", "2"), ("retention.ms", "-1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    client.create_topic(&new).await.unwrap().topic
}

/// One record for every partition.
fn everywhere(topic: &Topic, value: &str) -> Transaction {
    let mut transaction = Transaction::new(900_000);
    for partition in topic.partitions() {
        transaction.append(&partition, 0, None, Some(value.as_bytes()), &[]);
    }
    transaction
}

/// Takes over and commits until it works, as a connector does. Out: the errors met on the way.
async fn commit_somehow(
    client: &Client,
    id: &str,
    topic: &Topic,
    value: &str,
) -> (Producer, Vec<KafkaError>) {
    let started = Instant::now();
    let mut met = Vec::new();
    loop {
        let attempt = async {
            let mut producer = Producer::init(client, transactional(id)).await?;
            producer.commit(everywhere(topic, value)).await?;
            Ok(producer)
        };
        match attempt.await {
            Ok(producer) => return (producer, met),
            Err(error) => {
                assert_eq!(KafkaError::class(&error), Class::Transient, "{error}");
                met.push(error);
            }
        }
        assert!(started.elapsed() < 3 * SOON, "never again: {:?}", met.last());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_transaction_over_all_brokers_survives_the_loss_of_any_by_starting_over() {
    let options = KafkaOptions { brokers: 3, ..KafkaOptions::default() };
    let mut kafka = Kafka::start(options, &Silent).await.unwrap();
    let client = Client::connect(config_of(&kafka.bootstrap())).await.unwrap();
    assert_eq!(client.cluster().await.unwrap().brokers.len(), 3);
    let topic = spread_topic(&client).await;
    let leaders: std::collections::BTreeSet<_> = client
        .topic(topic.name())
        .await
        .unwrap()
        .unwrap()
        .partitions
        .iter()
        .map(|p| p.leader)
        .collect();
    assert_eq!(leaders.len(), 3, "leaders are spread");

    let id = unique("cluster");
    let mut live = producer(&client, &id).await;
    let mut times = Vec::new();
    for round in 0..100 {
        let started = Instant::now();
        live.commit(everywhere(&topic, &format!("{round:03}"))).await.unwrap();
        times.push(started.elapsed());
    }
    times.sort();
    println!("commit over 9 partitions on 3 brokers: p50 {:?}, p99 {:?}", times[50], times[98]);

    for broker in 1..=3 {
        kafka.kill(broker).await.unwrap();
        // The producer that lived through the crash gives up at most once, and says transient.
        if let Err(error) = live.commit(everywhere(&topic, &format!("during-{broker}"))).await {
            assert_eq!(error.class(), Class::Transient, "{error}");
        }
        let (next, met) = commit_somehow(&client, &id, &topic, &format!("after-{broker}")).await;
        println!("broker {broker} killed: {} attempts failed", met.len());
        live = next;
        kafka.start_broker(broker).await.unwrap();
        let in_sync = || async {
            let found = client.topic(topic.name()).await.unwrap().unwrap();
            found.partitions.iter().all(|partition| partition.in_sync_replicas.len() == 3)
        };
        let started = Instant::now();
        while !in_sync().await {
            assert!(started.elapsed() < 3 * SOON, "broker {broker} never came back in sync");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    let records = read_all(&client, &topic, Isolation::ReadCommitted).await;
    for partition in 0..9 {
        let of_partition: Vec<_> =
            records.iter().filter(|record| record.partition == partition).cloned().collect();
        let seen = values(&of_partition);
        for broker in 1..=3 {
            let after = seen.iter().filter(|value| **value == format!("after-{broker}")).count();
            assert!(after >= 1, "partition {partition}: {seen:?}");
            let during = seen.iter().filter(|value| **value == format!("during-{broker}")).count();
            assert!(during <= 1, "partition {partition}: {seen:?}");
        }
        let rounds: Vec<_> = seen.iter().filter(|value| value.len() == 3).collect();
        assert_eq!(rounds.len(), 100);
        assert!(rounds.is_sorted());
    }
    // All partitions saw the same transactions: none was torn.
    assert!(records.len() % 9 == 0, "{} records", records.len());
    live.commit(transaction(&topic, &[("k", "end")])).await.unwrap();
    kafka.stop().await.unwrap();
}

#[tokio::test]
async fn a_restarted_broker_ends_the_producer_with_a_transient_error_and_nothing_is_doubled() {
    let mut kafka = Kafka::start(KafkaOptions::default(), &Silent).await.unwrap();
    let client = Client::connect(config_of(&kafka.bootstrap())).await.unwrap();
    let new = NewTopic {
        name: unique("restart"),
        partitions: 1,
        replication_factor: 1,
        configs: [].into(),
    };
    let topic = client.create_topic(&new).await.unwrap().topic;
    let id = unique("restart");
    let mut live = producer(&client, &id).await;
    live.commit(everywhere(&topic, "before")).await.unwrap();
    kafka.kill(1).await.unwrap();
    let error = live.commit(everywhere(&topic, "while down")).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
    kafka.start_broker(1).await.unwrap();
    let again = live.commit(everywhere(&topic, "dead producer")).await.unwrap_err();
    assert_eq!(again.code(), error.code(), "it stays dead");
    commit_somehow(&client, &id, &topic, "after").await;
    assert_eq!(
        values(&read_all(&client, &topic, Isolation::ReadCommitted).await),
        ["before", "after"]
    );
    kafka.stop().await.unwrap();
}
