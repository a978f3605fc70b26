//! Which broker coordinates a transactional id or a group.
//!
//! In: the id. Out: an address, or the code that says "not yet". Never here: what is asked of the coordinator.
//! Source: Kafka protocol guide, `FindCoordinator`; KIP-98.

use kafka_protocol::{ResponseError, messages::FindCoordinatorRequest};

use crate::{
    Client, KafkaError,
    admin::text,
    answer::{self, Subject},
    client::host_port,
    codes::{Class, ErrorCode},
    wire::Api,
};

/// What has a coordinator.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Coordinated<'a> {
    /// A group of consumers.
    Group(&'a str),
    /// A transactional id.
    Transaction(&'a str),
}

impl<'a> Coordinated<'a> {
    fn id(self) -> &'a str {
        match self {
            Self::Group(id) | Self::Transaction(id) => id,
        }
    }

    /// `key_type` on the wire.
    fn key_type(self) -> i8 {
        match self {
            Self::Group(_) => 0,
            Self::Transaction(_) => 1,
        }
    }

    fn refused(self, code: ErrorCode) -> KafkaError {
        const API: &str = FindCoordinatorRequest::NAME;
        match self {
            Self::Group(group) => answer::refused(API, Subject::Group(group), code, None),
            Self::Transaction(id) if code.class() == Class::Fenced => {
                KafkaError::Fenced { transactional_id: id.into(), api: API, code }
            }
            Self::Transaction(id) => answer::refused(API, Subject::TransactionalId(id), code, None),
        }
    }
}

/// The address of the coordinator, or why there is none yet.
pub(crate) async fn find_coordinator(
    client: &Client,
    wanted: Coordinated<'_>,
) -> Result<Result<String, ErrorCode>, KafkaError> {
    let connection = client.any_broker().await?;
    let version = connection.version::<FindCoordinatorRequest>(FindCoordinatorRequest::MAX)?;
    let request = FindCoordinatorRequest::default().with_key_type(wanted.key_type());
    // From version 4 on the request carries a list of keys.
    let request = if version >= 4 {
        request.with_coordinator_keys(vec![text(wanted.id())])
    } else {
        request.with_key(text(wanted.id()))
    };
    let patience = client.config().request_timeout;
    let response = connection.submit(&request, version, patience).await?.response().await?;
    let (error_code, host, port) = match response.coordinators.first() {
        Some(found) => (found.error_code, &found.host, found.port),
        None => (response.error_code, &response.host, response.port),
    };
    match ErrorCode::check(error_code) {
        None => Ok(Ok(host_port(host, port))),
        Some(code) if is_not_yet(code) => Ok(Err(code)),
        Some(code) => Err(wanted.refused(code)),
    }
}

/// The coordinator loads, moves, or still ends a transaction.
pub(crate) fn is_not_yet(code: ErrorCode) -> bool {
    code.is(ResponseError::ConcurrentTransactions) || code.is_coordinator_moving()
}
