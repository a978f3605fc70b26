//! The parts of error texts that depend on what went wrong.
//!
//! In: codes and words of the broker. Out: text. Never here: classes.

use crate::codes::{Class, ErrorCode};

pub(super) fn nearest_hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (nearest known: `{name}`)"))
}

pub(super) fn message_suffix(message: Option<&str>) -> String {
    message.map_or_else(String::new, |text| format!(": {text}"))
}

/// What an operator can do about a code the broker sent.
pub(super) fn broker_fix(code: ErrorCode) -> &'static str {
    use kafka_protocol::error::ResponseError as E;
    match E::try_from_code(code.as_i16()) {
        Some(E::NotEnoughReplicas | E::NotEnoughReplicasAfterAppend) => {
            "bring the missing replicas back, or lower min.insync.replicas of the topic"
        }
        Some(E::InvalidReplicationFactor) => {
            "ask for a replication factor no larger than the number of brokers"
        }
        Some(E::PolicyViolation) => "ask for what the cluster's create.topic.policy allows",
        Some(E::InvalidConfig) => "correct the topic configuration named in the message",
        Some(E::InvalidTopicException) => {
            "use letters, digits, dots, underscores and hyphens, at most 249 of them"
        }
        Some(E::InvalidTransactionTimeout) => {
            "lower transaction.timeout.ms, or raise transaction.max.timeout.ms of the brokers"
        }
        Some(E::UnsupportedVersion | E::UnsupportedForMessageFormat) => {
            "use Apache Kafka 2.8 or later"
        }
        Some(E::InconsistentGroupProtocol) => {
            "name another group: consumers of another kind are members of this one"
        }
        Some(E::InvalidGroupId) => "name the group with at least one character",
        Some(E::InvalidSessionTimeout) => {
            "ask for a session between group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers"
        }
        _ => match code.class() {
            Class::Transient => {
                "nothing, it is tried again; if it repeats, look at the broker's log"
            }
            Class::Definite | Class::Fenced => "see the broker's log for the reason",
        },
    }
}
