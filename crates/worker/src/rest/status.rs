//! HTTP status codes: all there are in this program.
//!
//! In: what happened. Out: a status. Where Kafka Connect says 500 because its own code stumbled over a request, this says what is wrong with
//! the request: 400. Source: recorded answers of Kafka Connect 4.3.

use axum::http::StatusCode;
use connector::ConnectorError;

use super::error::ApiError;
use super::health::Health;
use super::openapi::Refusal;
use crate::error::GroupError;

/// It was done, or looked at, and there is something to say.
pub(super) const OK: StatusCode = StatusCode::OK;
/// It was made.
pub(super) const CREATED: StatusCode = StatusCode::CREATED;
/// It will be done.
pub(super) const ACCEPTED: StatusCode = StatusCode::ACCEPTED;
/// It was done, and there is nothing to say.
pub(super) const DONE: StatusCode = StatusCode::NO_CONTENT;

/// The status of a request that was not carried out.
pub(super) fn of(error: &ApiError) -> StatusCode {
    match error {
        ApiError::Group(error) => of_group(error),
        ApiError::Body { .. } | ApiError::Hidden { .. } | ApiError::OtherPlugin { .. } => {
            StatusCode::BAD_REQUEST
        }
        ApiError::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ApiError::Accept => StatusCode::NOT_ACCEPTABLE,
        ApiError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        ApiError::NotAllowed { .. } | ApiError::Forbidden { .. } | ApiError::Foreign { .. } => {
            StatusCode::FORBIDDEN
        }
        ApiError::Unauthenticated => StatusCode::UNAUTHORIZED,
        ApiError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        ApiError::NoRoute
        | ApiError::NoTask { .. }
        | ApiError::NoPlugin { .. }
        | ApiError::Logger { .. } => StatusCode::NOT_FOUND,
        ApiError::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
    }
}

fn of_group(error: &GroupError) -> StatusCode {
    match error {
        GroupError::NotFound { .. } => StatusCode::NOT_FOUND,
        // Tools of Kafka Connect try again after 409, which it says while it rebalances.
        GroupError::Exists { .. }
        | GroupError::Contended { .. }
        | GroupError::Connector(
            ConnectorError::NotCaughtUp { .. } | ConnectorError::NothingToVerify { .. },
        ) => StatusCode::CONFLICT,
        GroupError::Changed { .. } => StatusCode::PRECONDITION_FAILED,
        GroupError::Invalid(_)
        | GroupError::OtherName { .. }
        | GroupError::NotStopped { .. }
        | GroupError::OtherPartition { .. }
        | GroupError::NoSignalTopic { .. }
        | GroupError::NotCaptured { .. }
        | GroupError::Connector(ConnectorError::OffsetUnusable { .. }) => StatusCode::BAD_REQUEST,
        GroupError::Connector(_) | GroupError::Record(_) => StatusCode::INTERNAL_SERVER_ERROR,
        GroupError::Store(_) | GroupError::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The status of a refusal that the document names.
pub(super) fn of_refusal(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Wrong => StatusCode::BAD_REQUEST,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::Conflict => StatusCode::CONFLICT,
        Refusal::Changed => StatusCode::PRECONDITION_FAILED,
        Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden => StatusCode::FORBIDDEN,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::TooMany => StatusCode::TOO_MANY_REQUESTS,
    }
}

/// It is up, and not yet or not any more to be asked.
pub(super) const NOT_READY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
/// It cannot do what it is there for.
pub(super) const UNHEALTHY: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// The status of `GET /health`, as KIP-1017 has it.
pub(super) fn of_health(health: &Health) -> StatusCode {
    match health {
        Health::Healthy => StatusCode::OK,
        Health::Starting => NOT_READY,
        Health::Unhealthy { .. } => UNHEALTHY,
    }
}

/// The status of `GET /ready`: only a healthy worker takes requests.
pub(super) fn of_ready(health: &Health) -> StatusCode {
    match health {
        Health::Healthy => StatusCode::OK,
        Health::Starting | Health::Unhealthy { .. } => NOT_READY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_the_status_that_a_refusal_has() {
        let name = || "a".to_owned();
        for (refusal, error) in [
            (Refusal::Wrong, ApiError::body("a")),
            (Refusal::NotFound, GroupError::NotFound { name: name() }.into()),
            (Refusal::Conflict, GroupError::Exists { name: name() }.into()),
            (Refusal::Conflict, GroupError::Contended { attempts: 1 }.into()),
            (
                Refusal::Changed,
                GroupError::Changed { name: name(), expected: 1, revision: 2 }.into(),
            ),
            (Refusal::Unauthenticated, ApiError::Unauthenticated),
            (Refusal::Forbidden, ApiError::Foreign { origin: name() }),
            (Refusal::TooLarge, ApiError::TooLarge { limit_bytes: 1 }),
            (Refusal::NotJson, ApiError::ContentType),
            (Refusal::TooMany, ApiError::TooMany { from: name(), wait_seconds: 1 }),
        ] {
            assert_eq!(of_refusal(refusal), of(&error), "{refusal:?}");
        }
    }
}
