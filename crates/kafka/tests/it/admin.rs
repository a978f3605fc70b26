//! Topics, readers and the check.

use std::time::Duration;

use kafka::{
    Class, Client, ClientConfig, Isolation, NewTopic, Transaction, group,
    preflight::{Expectations, Severity, TopicExpectation, check},
    reader::{PartitionReader, StartAt, TopicReader},
};

use crate::fixture::{SOON, client, producer, topic, transaction, unique, values};

fn new_topic(name: &str) -> NewTopic {
    NewTopic {
        name: unique(name),
        partitions: 2,
        replication_factor: -1,
        configs: [("cleanup.policy".to_owned(), "compact".to_owned())].into(),
    }
}

#[tokio::test]
async fn a_topic_is_created_once_described_and_deleted() {
    let client = client().await;
    let new = new_topic("life");
    assert!(client.topic(&new.name).await.unwrap().is_none());
    let first = client.create_topic(&new).await.unwrap();
    let again = client.create_topic(&new).await.unwrap();
    assert_eq!(first.topic, again.topic, "the handle stays the same");
    assert_eq!((first.partition_count(), first.replication_factor()), (2, 1));
    let configs = client.describe_topic_configs(&new.name).await.unwrap();
    assert_eq!(configs["cleanup.policy"].value.as_deref(), Some("compact"));
    assert!(!configs["cleanup.policy"].is_default && configs["retention.ms"].is_default);
    assert!(client.topics().await.unwrap().iter().any(|topic| topic.name() == new.name));
    client.delete_topics(&[&new.name, "never-was"]).await.unwrap();
    assert!(client.topic(&new.name).await.unwrap().is_none());
    let recreated = client.create_topic(&new).await.unwrap();
    assert_ne!(recreated.topic, first.topic, "another topic of the same name has another handle");
}

#[tokio::test]
async fn a_topic_that_cannot_be_made_says_why() {
    let client = client().await;
    let error = client
        .create_topic(&NewTopic { replication_factor: 3, ..new_topic("three") })
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.class()), ("KA031", Class::Definite), "{error}");
    assert!(error.to_string().contains("replication factor"), "{error}");
    let error = client
        .create_topic(&NewTopic { name: "no/slashes".into(), ..new_topic("x") })
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Definite, "{error}");
    let configs = [("cleanup.policy".to_owned(), "shred".to_owned())].into();
    let error = client.create_topic(&NewTopic { configs, ..new_topic("x") }).await.unwrap_err();
    assert!(error.to_string().contains("cleanup.policy"), "{error}");
}

#[tokio::test]
async fn a_cluster_nobody_answers_for_is_named() {
    let error = Client::connect(ClientConfig::plaintext(["127.0.0.1:1"])).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("KA017", Class::Transient), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn a_reader_follows_the_end_and_begins_where_it_is_told() {
    let client = client().await;
    let orders = topic(&client, "tail", 3, &[]).await;
    let mut producer = producer(&client, &unique("tail")).await;
    producer.commit(transaction(&orders, &[("a", "1"), ("b", "2"), ("c", "3")])).await.unwrap();
    // A commit is answered before its markers are written, and a committed end lies behind them.
    crate::fixture::read_all(&client, &orders, Isolation::ReadCommitted).await;
    let mut tail =
        TopicReader::open(&client, orders.name(), StartAt::Latest, Isolation::ReadCommitted)
            .await
            .unwrap();
    assert!(tail.poll(Duration::from_millis(50)).await.unwrap().is_empty());
    producer.commit(transaction(&orders, &[("a", "4")])).await.unwrap();
    let new = tail.poll(SOON).await.unwrap();
    assert_eq!(values(&new), ["4"]);
    let partition = new[0].partition;
    let start = StartAt::Offset(new[0].offset);
    let mut from =
        PartitionReader::open(&client, orders.name(), partition, start, Isolation::ReadCommitted)
            .await
            .unwrap();
    assert_eq!(values(&from.read_to_end().await.unwrap()), ["4"]);
    assert_eq!(from.position(), new[0].offset + 2, "behind the marker");
    let error =
        TopicReader::open(&client, "no-such-topic", StartAt::Earliest, Isolation::ReadCommitted)
            .await
            .unwrap_err();
    assert_eq!(error.code(), "KA030");
}

#[tokio::test]
async fn a_value_larger_than_a_fetch_is_read_all_the_same() {
    let client = client().await;
    let orders = topic(&client, "huge", 2, &[("max.message.bytes", "20000000")]).await;
    let mut transaction = Transaction::new(900_000);
    for partition in orders.partitions() {
        transaction.append(&partition, 0, None, Some(&vec![b'x'; 7 << 20]), &[]);
    }
    producer(&client, &unique("huge")).await.commit(transaction).await.unwrap();
    let config = ClientConfig { fetch_bytes_max: 1 << 16, ..client.config().clone() };
    let narrow = Client::connect(config).await.unwrap();
    let records = crate::fixture::read_all(&narrow, &orders, Isolation::ReadCommitted).await;
    assert_eq!(
        records.iter().map(|record| record.value.as_ref().unwrap().len()).collect::<Vec<_>>(),
        [7 << 20, 7 << 20]
    );
}

#[tokio::test]
async fn a_check_reports_everything_at_once_with_the_command_that_mends_it() {
    let client = client().await;
    let small = topic(&client, "small", 1, &[("max.message.bytes", "1000")]).await;
    let deleted = topic(&client, "deleted", 1, &[("cleanup.policy", "delete")]).await;
    let strict = topic(&client, "strict", 1, &[("min.insync.replicas", "2")]).await;
    let expect = |name: &str, create| TopicExpectation { name: name.into(), create };
    let expectations = Expectations {
        transactional_id: Some(unique("check")),
        may_fence: true,
        transaction_timeout: Duration::from_hours(1),
        batch_bytes_max: 900_000,
        topics: vec![
            expect(small.name(), None),
            expect(strict.name(), None),
            expect("absent", None),
            expect("to-be", Some(NewTopic { name: "to-be".into(), ..new_topic("x") })),
            expect("too-many", Some(NewTopic { replication_factor: 3, ..new_topic("x") })),
        ],
        offsets_topic: Some(expect(deleted.name(), None)),
    };
    let findings = check(&client, &expectations).await;
    let seen: Vec<_> = findings.iter().map(|f| (f.subject.as_str(), f.code, f.severity)).collect();
    let id = format!("transactional id `{}`", expectations.transactional_id.as_ref().unwrap());
    assert_eq!(
        seen,
        [
            (id.as_str(), "KA020", Severity::Error),
            (id.as_str(), "KA045", Severity::Error),
            (small.name(), "KA042", Severity::Warning),
            (strict.name(), "KA043", Severity::Error),
            ("absent", "KA041", Severity::Error),
            ("to-be", "KA041", Severity::Info),
            ("too-many", "KA041", Severity::Error),
            (deleted.name(), "KA044", Severity::Error),
        ],
        "{findings:#?}"
    );
    assert!(findings.iter().filter(|f| f.severity != Severity::Info).all(|f| f.fix.is_some()));
}

#[tokio::test]
async fn a_cluster_in_order_has_nothing_to_report() {
    let client = client().await;
    let offsets = topic(&client, "good", 1, &[("cleanup.policy", "compact")]).await;
    let expectations = Expectations {
        transactional_id: Some(unique("good")),
        may_fence: true,
        transaction_timeout: Duration::from_mins(1),
        batch_bytes_max: 900_000,
        offsets_topic: Some(TopicExpectation { name: offsets.name().into(), create: None }),
        ..Expectations::default()
    };
    assert_eq!(check(&client, &expectations).await, []);
}

#[tokio::test]
async fn a_group_that_nobody_knows_has_committed_nothing() {
    let client = client().await;
    let topic = topic(&client, "committed", 1, &[]).await;
    let committed = group::committed_offset(&client, &unique("group"), &topic.partition(0)).await;
    assert_eq!(committed.unwrap(), None);
}
