//! Finished batches as a produce request carries them.
//!
//! In: batches of several partitions. Out: the request's topics, the answer by partition. Never here:
//! order and waiting. Source: Kafka protocol guide, `Produce`.

use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::messages::{
    ProduceResponse, TopicName,
    produce_request::{PartitionProduceData, TopicProduceData},
    produce_response::PartitionProduceResponse,
};

use crate::{KafkaError, admin::text, record::LargestRecord, topic::TopicPartitionId};

/// One finished batch of one partition.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) id: TopicPartitionId,
    pub(super) records: Bytes,
    pub(super) largest: LargestRecord,
}

pub(super) fn too_large(piece: &Piece, limit: String, fix: String) -> KafkaError {
    KafkaError::RecordTooLarge {
        topic: piece.id.topic().name().into(),
        partition: piece.id.partition(),
        record_index: piece.largest.index,
        record_bytes: piece.largest.len_bytes,
        batch_bytes: piece.records.len(),
        limit,
        fix,
    }
}

/// The answers by topic and partition.
pub(super) fn by_partition(
    response: &ProduceResponse,
) -> HashMap<(&str, i32), &PartitionProduceResponse> {
    let topics = response.responses.iter();
    let partitions = topics.flat_map(|topic| {
        let name: &str = &topic.name;
        topic.partition_responses.iter().map(move |found| ((name, found.index), found))
    });
    partitions.collect()
}

/// `pieces` are sorted by topic.
pub(super) fn by_topic(pieces: &[Piece]) -> Vec<TopicProduceData> {
    let same_topic = |a: &Piece, b: &Piece| a.id.topic() == b.id.topic();
    let data = |piece: &Piece| {
        PartitionProduceData::default()
            .with_index(piece.id.partition())
            .with_records(Some(piece.records.clone()))
    };
    let topic = |pieces: &[Piece]| {
        TopicProduceData::default()
            .with_name(TopicName(text(pieces[0].id.topic().name())))
            .with_partition_data(pieces.iter().map(data).collect())
    };
    pieces.chunk_by(same_topic).map(topic).collect()
}
