//! Transactional producer and readers for Apache Kafka.
