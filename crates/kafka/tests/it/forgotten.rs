//! A transaction that is over for its coordinator and open on a partition ends there as it did for the coordinator.
//!
//! Method: the broker lets a partition be written to that was not added to the transaction, so its markers do not reach it.

use std::sync::OnceLock;

use bytes::BytesMut;
use embedded::{Kafka, KafkaOptions};
use kafka::{Client, Isolation, Producer, Topic};
use kafka_protocol::{
    indexmap::IndexMap,
    messages::{
        ApiKey, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
        TransactionalId,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes},
    records::{
        Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions,
        TimestampType,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::fixture::{
    Shared, config_of, leave_open, producer, read_all, start, topic, transaction, transactional,
    unique, values,
};

/// Produce without the implicit addition of partitions.
const PRODUCE_VERSION: i16 = 11;

fn broker() -> &'static Kafka {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let options = KafkaOptions::default().set("transaction.partition.verification.enable", "false");
    &SHARED.get_or_init(|| start(options)).kafka
}

async fn client() -> Client {
    Client::connect(config_of(&broker().bootstrap())).await.unwrap()
}

/// One record in partition 0, as the producer with this id and epoch would write it.
async fn write_behind_the_coordinators_back(
    id: &str,
    (producer_id, producer_epoch): (i64, i16),
    topic: &Topic,
    value: &str,
) {
    let record = Record {
        transactional: true,
        control: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id,
        producer_epoch,
        delete_horizon: false,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: 0,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(value.to_owned().into()),
        headers: IndexMap::default(),
    };
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut records = BytesMut::new();
    RecordBatchEncoder::encode(&mut records, [&record], &options).unwrap();
    let partition =
        PartitionProduceData::default().with_index(0).with_records(Some(records.freeze()));
    let data = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.name().to_owned())))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_string(id.to_owned()))))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![data]);
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::Produce as i16)
        .with_request_api_version(PRODUCE_VERSION);
    let mut body = BytesMut::new();
    header.encode(&mut body, ProduceRequest::header_version(PRODUCE_VERSION)).unwrap();
    request.encode(&mut body, PRODUCE_VERSION).unwrap();
    let mut socket = TcpStream::connect(broker().bootstrap()).await.unwrap();
    socket.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes()).await.unwrap();
    socket.write_all(&body).await.unwrap();
    let mut answer = vec![0; socket.read_u32().await.unwrap() as usize];
    socket.read_exact(&mut answer).await.unwrap();
    let mut answer = bytes::Bytes::from(answer);
    ResponseHeader::decode(&mut answer, ProduceResponse::header_version(PRODUCE_VERSION)).unwrap();
    let response = ProduceResponse::decode(&mut answer, PRODUCE_VERSION).unwrap();
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0, "{response:?}");
}

async fn committed(client: &Client, topic: &Topic) -> Vec<String> {
    values(&read_all(client, topic, Isolation::ReadCommitted).await)
}

#[tokio::test]
async fn what_was_committed_is_committed_where_that_was_forgotten() {
    let client = client().await;
    let (heard, offsets, rows) = (
        topic(&client, "heard", 1, &[]).await,
        topic(&client, "offsets", 1, &[]).await,
        topic(&client, "rows", 1, &[]).await,
    );
    let id = unique("forgotten");
    let mut first = producer(&client, &id).await;
    let identity = first.identity().unwrap();
    first.commit(transaction(&heard, &[("a", "1")])).await.unwrap();
    for (topic, value) in [(&offsets, "position"), (&rows, "row")] {
        write_behind_the_coordinators_back(&id, identity, topic, value).await;
    }
    let mut second = Producer::init(&client, transactional(&id)).await.unwrap();
    let ended = second.end_forgotten(&offsets.partition(0)).await.unwrap().unwrap();
    assert!(ended.is_committed);
    assert_eq!(ended.partitions.len(), 2, "{ended:?}");
    assert_eq!(committed(&client, &offsets).await, ["position"]);
    assert_eq!(committed(&client, &rows).await, ["row"]);
    second.commit(transaction(&offsets, &[("a", "next")])).await.unwrap();
    assert_eq!(committed(&client, &offsets).await, ["position", "next"]);
}

#[tokio::test]
async fn what_was_aborted_is_aborted_where_that_was_forgotten() {
    let client = client().await;
    let (heard, offsets) =
        (topic(&client, "heard", 1, &[]).await, topic(&client, "offsets", 1, &[]).await);
    let id = unique("forgotten");
    leave_open(&client, &id, &heard, ("a", "1")).await;
    // Whoever leaves one open does not tell its epoch: it is the next.
    let (producer_id, epoch) = producer(&client, &id).await.identity().unwrap();
    leave_open(&client, &id, &heard, ("a", "2")).await;
    write_behind_the_coordinators_back(&id, (producer_id, epoch + 1), &offsets, "position").await;
    let mut second = producer(&client, &id).await;
    let ended = second.end_forgotten(&offsets.partition(0)).await.unwrap().unwrap();
    assert!(!ended.is_committed);
    assert_eq!(committed(&client, &offsets).await, [""; 0]);
    second.commit(transaction(&offsets, &[("a", "next")])).await.unwrap();
    assert_eq!(committed(&client, &offsets).await, ["next"]);
}

#[tokio::test]
async fn nothing_is_ended_where_nothing_was_forgotten_or_another_has_it_open() {
    let client = client().await;
    let offsets = topic(&client, "offsets", 1, &[]).await;
    let id = unique("forgotten");
    let mut first = producer(&client, &id).await;
    assert_eq!(first.end_forgotten(&offsets.partition(0)).await.unwrap(), None);
    first.commit(transaction(&offsets, &[("a", "1")])).await.unwrap();
    let other = unique("other");
    leave_open(&client, &other, &offsets, ("b", "1")).await;
    let mut second = producer(&client, &id).await;
    assert_eq!(second.end_forgotten(&offsets.partition(0)).await.unwrap(), None);
    drop(producer(&client, &other).await);
    assert_eq!(committed(&client, &offsets).await, ["1"]);
}
