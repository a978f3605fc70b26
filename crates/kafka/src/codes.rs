//! Error codes of the protocol and what each one means for us: the one table code -> [`Class`].
//!
//! In: the `error_code` of a response. Out: its protocol name and its class. Never here: decisions
//! that need to know what was asked. Source: Kafka protocol guide, "Error Codes".

use std::fmt;

use kafka_protocol::error::ResponseError;

/// What a failure asks of the connector that meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try again later: start over from the checkpoint with backoff.
    Transient,
    /// Trying again cannot help: an operator has to change something.
    Definite,
    /// Someone newer owns the transactional id, or the place in the group: leave quietly.
    Fenced,
}

/// An error code as the broker sent it, shown by its protocol name: `NOT_LEADER_OR_FOLLOWER (6)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(i16);

impl ErrorCode {
    /// `None` for code 0, which is success.
    pub fn check(code: i16) -> Option<Self> {
        (code != 0).then_some(Self(code))
    }

    /// The number on the wire.
    pub fn as_i16(self) -> i16 {
        self.0
    }

    /// True if this is `kind`.
    pub fn is(self, kind: ResponseError) -> bool {
        self.0 == kind.code()
    }

    /// What this code asks of us. Unknown codes are transient: starting over is always safe.
    pub fn class(self) -> Class {
        use ResponseError as E;
        match ResponseError::try_from_code(self.0) {
            Some(E::InvalidProducerEpoch | E::ProducerFenced | E::FencedInstanceId) => {
                Class::Fenced
            }
            Some(
                E::MessageTooLarge
                | E::RecordListTooLarge
                | E::InvalidTopicException
                | E::InvalidRequiredAcks
                | E::TopicAuthorizationFailed
                | E::GroupAuthorizationFailed
                | E::ClusterAuthorizationFailed
                | E::TransactionalIdAuthorizationFailed
                | E::InvalidTimestamp
                | E::UnsupportedSaslMechanism
                | E::IllegalSaslState
                | E::SaslAuthenticationFailed
                | E::UnsupportedVersion
                | E::UnsupportedForMessageFormat
                | E::UnsupportedCompressionType
                | E::InvalidPartitions
                | E::InvalidReplicationFactor
                | E::InvalidReplicaAssignment
                | E::InvalidConfig
                | E::InvalidRequest
                | E::PolicyViolation
                | E::InvalidTransactionTimeout
                | E::SecurityDisabled
                | E::TopicDeletionDisabled
                | E::InvalidRecord
                | E::InconsistentGroupProtocol
                | E::InvalidGroupId
                | E::InvalidSessionTimeout,
            ) => Class::Definite,
            _ => Class::Transient,
        }
    }

    /// True if the broker refused because the principal may not do this.
    pub fn is_authorization(self) -> bool {
        use ResponseError as E;
        matches!(
            ResponseError::try_from_code(self.0),
            Some(
                E::TopicAuthorizationFailed
                    | E::GroupAuthorizationFailed
                    | E::ClusterAuthorizationFailed
                    | E::TransactionalIdAuthorizationFailed
            )
        )
    }

    /// True if a fresh look at the metadata may find the right broker.
    pub fn is_stale_metadata(self) -> bool {
        use ResponseError as E;
        matches!(
            ResponseError::try_from_code(self.0),
            Some(
                E::UnknownTopicOrPartition
                    | E::LeaderNotAvailable
                    | E::NotLeaderOrFollower
                    | E::ReplicaNotAvailable
                    | E::KafkaStorageError
                    | E::FencedLeaderEpoch
                    | E::UnknownLeaderEpoch
                    | E::OffsetNotAvailable
                    | E::UnknownTopicId
            )
        )
    }

    /// True while the coordinator of a transactional id or a group is moving or loading.
    pub fn is_coordinator_moving(self) -> bool {
        use ResponseError as E;
        matches!(
            ResponseError::try_from_code(self.0),
            Some(E::CoordinatorLoadInProgress | E::CoordinatorNotAvailable | E::NotCoordinator)
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ResponseError::try_from_code(self.0) {
            Some(ResponseError::InvalidTopicException) => write!(f, "INVALID_TOPIC_EXCEPTION")?,
            Some(kind @ ResponseError::Unknown(_)) => return write!(f, "{kind}"),
            Some(kind) => f.write_str(&screaming(&kind.to_string()))?,
            None => f.write_str("NONE")?,
        }
        write!(f, " ({})", self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `NotLeaderOrFollower` -> `NOT_LEADER_OR_FOLLOWER`, the spelling of the protocol guide.
fn screaming(camel: &str) -> String {
    let mut name = String::with_capacity(camel.len() + 8);
    for (index, letter) in camel.chars().enumerate() {
        if index > 0 && letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_by_the_name_in_the_protocol_guide() {
        assert_eq!(ErrorCode(6).to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
        assert_eq!(ErrorCode(90).to_string(), "PRODUCER_FENCED (90)");
        assert_eq!(ErrorCode(999).to_string(), "Unknown error code: 999");
    }

    #[test]
    fn only_a_newer_producer_is_fenced_and_only_refusals_are_definite() {
        assert_eq!(ErrorCode(47).class(), Class::Fenced);
        assert_eq!(ErrorCode(90).class(), Class::Fenced);
        assert_eq!(ErrorCode(10).class(), Class::Definite);
        assert_eq!(ErrorCode(53).class(), Class::Definite);
        for transient in [-1, 3, 5, 6, 7, 13, 19, 48, 49, 51, 59, 120, 999] {
            assert_eq!(ErrorCode(transient).class(), Class::Transient, "code {transient}");
        }
    }
}
