//! Brokers shared by all tests of this binary, and small helpers around them.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use embedded::{Kafka, KafkaOptions, Silent};
use kafka::{
    Client, ClientConfig, Isolation, NewTopic, Producer, ProducerSettings, Topic, Transaction,
    reader::{ConsumedRecord, StartAt, TopicReader},
};
use tokio::runtime::Runtime;

/// A started broker with the runtime its processes belong to. Ends with this process.
pub(crate) struct Shared {
    pub(crate) kafka: Kafka,
    _runtime: Runtime,
}

/// Starts a broker on a runtime of its own: the runtime of the first test would end with that test.
pub(crate) fn start(options: KafkaOptions) -> Shared {
    std::thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        let kafka = runtime.block_on(Kafka::start(options, &Silent)).unwrap();
        Shared { kafka, _runtime: runtime }
    })
    .join()
    .unwrap()
}

/// One broker of 4.3.1 without security, for whoever does no harm to it.
pub(crate) fn broker() -> &'static Kafka {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    // Members of groups may be missed sooner than others would bear.
    let options = KafkaOptions::default().set("group.min.session.timeout.ms", "1000");
    &SHARED.get_or_init(|| start(options)).kafka
}

pub(crate) fn config_of(bootstrap: &str) -> ClientConfig {
    ClientConfig::plaintext(bootstrap.split(','))
}

pub(crate) async fn client() -> Client {
    Client::connect(config_of(&broker().bootstrap())).await.unwrap()
}

/// A name no other test uses.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) async fn topic(
    client: &Client,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Topic {
    let new = NewTopic {
        name: unique(name),
        partitions,
        replication_factor: -1,
        // Records of tests may be dated 1970.
        configs: [("retention.ms", "-1")]
            .iter()
            .chain(configs)
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect::<BTreeMap<_, _>>(),
    };
    client.create_topic(&new).await.unwrap().topic
}

pub(crate) fn transactional(id: &str) -> ProducerSettings {
    ProducerSettings { transactional_id: Some(id.into()), ..ProducerSettings::default() }
}

pub(crate) async fn producer(client: &Client, id: &str) -> Producer {
    Producer::init(client, transactional(id)).await.unwrap()
}

/// A transaction of keyed records.
pub(crate) fn transaction(topic: &Topic, records: &[(&str, &str)]) -> Transaction {
    let mut transaction = Transaction::new(900_000);
    for (key, value) in records {
        let partition = topic.partition(topic.partition_for(Some(key.as_bytes())));
        transaction.append(
            &partition,
            1_700_000_000_000,
            Some(key.as_bytes()),
            Some(value.as_bytes()),
            &[],
        );
    }
    transaction
}

pub(crate) async fn read_all(
    client: &Client,
    topic: &Topic,
    isolation: Isolation,
) -> Vec<ConsumedRecord> {
    let mut reader =
        TopicReader::open(client, topic.name(), StartAt::Earliest, isolation).await.unwrap();
    reader.read_to_end().await.unwrap()
}

pub(crate) fn values(records: &[ConsumedRecord]) -> Vec<String> {
    let value = |record: &ConsumedRecord| {
        String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap()
    };
    records.iter().map(value).collect()
}

/// A transaction whose first record is written and whose second one the broker refuses: it is left
/// open, as a crash would leave it, until its transactional id is taken over.
pub(crate) async fn leave_open(client: &Client, id: &str, topic: &Topic, record: (&str, &str)) {
    let mut producer = producer(client, id).await;
    let mut transaction = Transaction::new(1_000);
    let partition = topic.partition(topic.partition_for(Some(record.0.as_bytes())));
    let too_large = vec![b'x'; 2 << 20];
    transaction.append(&partition, 0, Some(record.0.as_bytes()), Some(record.1.as_bytes()), &[]);
    transaction.append(&partition, 0, Some(record.0.as_bytes()), Some(&too_large), &[]);
    let error = producer.commit(transaction).await.unwrap_err();
    assert_eq!(error.code(), "KA023", "{error}");
}

pub(crate) const SOON: Duration = Duration::from_secs(20);
