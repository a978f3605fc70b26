//! Kafka starts, answers, survives the loss of a broker, and leaves nothing behind.

use embedded::{Kafka, KafkaOptions, KafkaVersion, Silent};

#[tokio::test]
async fn both_versions_start_with_one_broker() {
    for version in [KafkaVersion::V4_3_1, KafkaVersion::V3_9_2] {
        let kafka = Kafka::start(KafkaOptions::version(version), &Silent).await.unwrap();
        assert!(kafka.bootstrap().starts_with("127.0.0.1:"));
        kafka.stop().await.unwrap();
    }
}
