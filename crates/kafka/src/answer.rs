//! An error code in an answer -> a [`KafkaError`] that says what it was about and what mends it.
//!
//! In: the request's name, its subject, the code. Out: the error. Never here: the meaning of a code
//! for a transaction; that is the producer's.

use std::fmt;

use kafka_protocol::protocol::StrBytes;

use crate::{KafkaError, codes::ErrorCode};

/// What a request was about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    Topic(&'a str),
    Partition(&'a str, i32),
    TransactionalId(&'a str),
    Group(&'a str),
    Broker(&'a str),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(topic) => write!(f, "topic `{topic}`"),
            Self::Partition(topic, partition) => write!(f, "{topic}-{partition}"),
            Self::TransactionalId(id) => write!(f, "transactional id `{id}`"),
            Self::Group(group) => write!(f, "group `{group}`"),
            Self::Broker(broker) => write!(f, "broker {broker}"),
        }
    }
}

/// Code 0 is fine, every other is the error [`refused`] makes of it.
pub(crate) fn check(
    api: &'static str,
    subject: Subject<'_>,
    code: i16,
    message: Option<&StrBytes>,
) -> Result<(), KafkaError> {
    match ErrorCode::check(code) {
        None => Ok(()),
        Some(code) => Err(refused(api, subject, code, message)),
    }
}

/// The error of an answer that carries `code`.
pub(crate) fn refused(
    api: &'static str,
    subject: Subject<'_>,
    code: ErrorCode,
    message: Option<&StrBytes>,
) -> KafkaError {
    if code.is_authorization() {
        let fix = grant(api, subject);
        return KafkaError::NotAuthorized { api, subject: subject.to_string(), code, fix };
    }
    let message = message.map(ToString::to_string).filter(|text| !text.is_empty());
    KafkaError::Broker { api, subject: subject.to_string(), code, message }
}

/// The command that grants what `api` needs on `subject`.
fn grant(api: &str, subject: Subject<'_>) -> String {
    let operations = match api {
        "Produce" | "AddPartitionsToTxn" | "InitProducerId" | "EndTxn" => {
            "Write --operation Describe"
        }
        "Fetch" | "ListOffsets" => "Read --operation Describe",
        "CreateTopics" => "Create",
        "DeleteTopics" => "Delete",
        "DescribeConfigs" => "DescribeConfigs",
        "JoinGroup" | "SyncGroup" | "Heartbeat" | "LeaveGroup" => "Read",
        _ => "Describe",
    };
    let resource = match subject {
        Subject::Broker(_) => "--cluster".into(),
        Subject::Topic(topic) | Subject::Partition(topic, _) => format!("--topic '{topic}'"),
        Subject::TransactionalId(id) => format!("--transactional-id '{id}'"),
        Subject::Group(group) => format!("--group '{group}'"),
    };
    format!(
        "kafka-acls.sh --bootstrap-server … --add --allow-principal User:… --operation {operations} {resource}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_comes_with_the_command_that_grants_it() {
        let error = check("Produce", Subject::Partition("orders", 3), 29, None).unwrap_err();
        assert_eq!(error.code(), "KA024");
        let text = error.to_string();
        assert!(text.contains("--operation Write --operation Describe --topic 'orders'"), "{text}");
    }
}
