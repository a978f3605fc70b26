//! The client against real brokers: Apache Kafka 4.3.1 (TV2) and 3.9.2 (TV1).
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::print_stdout, reason = "figures for whoever runs with --nocapture")]

mod admin;
mod cluster;
mod compacted;
mod fixture;
mod forgotten;
mod java;
mod membership;
mod older_broker;
mod security;
mod transactions;
