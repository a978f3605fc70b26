//! The client against real brokers: Apache Kafka 4.3.1 (TV2) and 3.9.2 (TV1).

mod compacted;
mod fixture;
mod security;
mod transactions;
