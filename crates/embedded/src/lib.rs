//! A real PostgreSQL and a real Apache Kafka for people and tests that have none.
