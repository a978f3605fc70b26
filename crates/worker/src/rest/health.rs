//! What a worker says of itself: `GET /health` as Kafka Connect has it, and `GET /ready`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::{Answer, Doc, one};
use super::{Api, status};

/// How a worker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It has not read the group's topics to their end, or has no place in the group yet.
    #[default]
    Starting,
    /// It takes requests.
    Healthy,
    /// It cannot do what it is there for.
    Unhealthy {
        /// Why.
        reason: String,
    },
}

/// How a worker is.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthBody {
    status: HealthStatus,
    /// The same for people.
    message: String,
}

/// How a worker is, in a word.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Starting,
    Healthy,
    Unhealthy,
}

impl Health {
    fn body(&self) -> HealthBody {
        let (status, message) = match self {
            Self::Starting => (
                HealthStatus::Starting,
                "Worker is still starting up: it reads the group's topics and joins the group.",
            ),
            Self::Healthy => (
                HealthStatus::Healthy,
                "Worker has completed startup and is ready to handle requests.",
            ),
            Self::Unhealthy { reason } => (HealthStatus::Unhealthy, reason.as_str()),
        };
        HealthBody { status, message: message.to_owned() }
    }
}

pub(super) const HEALTH: Doc = Doc {
    answers: &[
        Answer::json("healthy", one::<HealthBody>),
        Answer::json("unhealthy", one::<HealthBody>).with(status::UNHEALTHY),
        Answer::json("starting", one::<HealthBody>).with(status::NOT_READY),
    ],
    ..Doc::of("Whether the worker is alive, as Kafka Connect has it")
};

pub(super) async fn health(State(api): State<Api>) -> (StatusCode, Json<HealthBody>) {
    let health = api.0.health.borrow().clone();
    (status::of_health(&health), Json(health.body()))
}

pub(super) const READY: Doc = Doc {
    answers: &[
        Answer::json("ready", one::<HealthBody>),
        Answer::json("not yet, or not any more", one::<HealthBody>).with(status::NOT_READY),
    ],
    ..Doc::of("Whether the worker takes requests")
};

pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<HealthBody>) {
    let health = api.0.health.borrow().clone();
    (status::of_ready(&health), Json(health.body()))
}

#[cfg(test)]
mod tests {
    use super::super::openapi::expect_fit;
    use super::*;

    #[test]
    fn health_is_what_the_document_says() {
        let unhealthy = Health::Unhealthy { reason: "a".to_owned() };
        for health in [Health::Starting, Health::Healthy, unhealthy] {
            expect_fit(&health.body());
        }
    }
}
