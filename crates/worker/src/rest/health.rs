//! What a worker says of itself: `GET /health` as Kafka Connect has it, and `GET /ready`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

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

impl Health {
    fn body(&self) -> Value {
        match self {
            Self::Starting => json!({
                "status": "starting",
                "message": "Worker is still starting up: it reads the group's topics and joins the group.",
            }),
            Self::Healthy => json!({
                "status": "healthy",
                "message": "Worker has completed startup and is ready to handle requests.",
            }),
            Self::Unhealthy { reason } => json!({"status": "unhealthy", "message": reason}),
        }
    }
}

pub(super) async fn health(State(api): State<Api>) -> (StatusCode, Json<Value>) {
    let health = api.0.health.borrow().clone();
    (status::of_health(&health), Json(health.body()))
}

pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<Value>) {
    let health = api.0.health.borrow().clone();
    (status::of_ready(&health), Json(health.body()))
}
