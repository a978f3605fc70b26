//! The REST API of a Kafka Connect worker, as far as the comparisons need it.
//!
//! In: the worker's address. Out: connectors that run, or the worker's own words why not.
//! Never: a retry of a refused request, a request without a deadline. Source: Kafka manual, "Kafka Connect", "REST API".

use std::time::Duration;

use serde_json::{Map, Value};

use crate::wait::{Seen, eventually};
use crate::worker;
use crate::{Failure, Result};

const START_MAX: Duration = Duration::from_mins(2);

/// A client of one worker.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
}

/// What a worker says of a connector and its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The connector and at least one task run, and none failed.
    Running,
    /// Neither running nor failed: being assigned, paused or stopped.
    NotRunning(String),
    /// With the stack trace of the first failure.
    Failed(String),
}

impl Client {
    /// A client of the worker at `url`, as in `http://127.0.0.1:8083`.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// Creates a connector and waits until it and its tasks run.
    pub async fn create(&self, name: &str, config: Map<String, Value>) -> Result<()> {
        let path = format!("/connectors/{name}/config");
        self.ask("PUT", path, Some(Value::Object(config))).await?;
        eventually(&format!("connector `{name}` runs"), START_MAX, async || {
            let path = format!("/connectors/{name}/status");
            let answer = worker::ask(&self.url, "GET", &path, None).await?;
            // A worker knows a connector before it knows how it is.
            if answer.status == 404 {
                return Ok(Seen::NotYet(answer.body.to_string()));
            }
            match status(&succeeded(&path, answer)?) {
                Status::Running => Ok(Seen::Yes(())),
                Status::NotRunning(state) => Ok(Seen::NotYet(state)),
                Status::Failed(trace) => {
                    Err(Failure::new(trace).during(format!("connector `{name}` failed")))
                }
            }
        })
        .await
    }

    /// How a connector is.
    pub async fn status(&self, name: &str) -> Result<Status> {
        Ok(status(&self.ask("GET", format!("/connectors/{name}/status"), None).await?))
    }

    /// Fails with the stack trace if a connector has failed.
    pub async fn expect_not_failed(&self, name: &str) -> Result<()> {
        match self.status(name).await? {
            Status::Failed(trace) => {
                Err(Failure::new(trace).during(format!("connector `{name}` failed")))
            }
            Status::Running | Status::NotRunning(_) => Ok(()),
        }
    }

    /// Ends a connector. Its tasks have ended, and what they had sent is in Kafka, when this returns.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.ask("DELETE", format!("/connectors/{name}"), None).await.map(drop)
    }

    /// Asks, and takes success only.
    async fn ask(&self, method: &str, path: String, body: Option<Value>) -> Result<Value> {
        succeeded(&path, worker::ask(&self.url, method, &path, body).await?)
    }
}

fn succeeded(path: &str, answer: worker::Answer) -> Result<Value> {
    if answer.status >= 300 {
        return Err(Failure::new(format!("{path}: {}: {}", answer.status, answer.body)));
    }
    Ok(answer.body)
}

fn status(answer: &Value) -> Status {
    let tasks = answer["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    let parts = || std::iter::once(&answer["connector"]).chain(tasks);
    if let Some(failed) = parts().find(|part| part["state"] == "FAILED") {
        return Status::Failed(failed["trace"].as_str().unwrap_or_default().to_owned());
    }
    if !tasks.is_empty() && parts().all(|part| part["state"] == "RUNNING") {
        return Status::Running;
    }
    Status::NotRunning(answer.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_connector_runs_only_with_a_running_task() {
        let running = json!({"state": "RUNNING"});
        assert_eq!(status(&json!({"connector": running, "tasks": [running]})), Status::Running);
        let without = status(&json!({"connector": running, "tasks": []}));
        assert!(matches!(without, Status::NotRunning(_)), "{without:?}");
    }

    #[test]
    fn a_failed_task_is_told_with_its_trace() {
        let answer = json!({
            "connector": {"state": "RUNNING"},
            "tasks": [{"state": "FAILED", "trace": "why"}],
        });
        assert_eq!(status(&answer), Status::Failed("why".to_owned()));
    }
}
