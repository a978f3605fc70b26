//! The REST API of a Kafka Connect worker, as far as the comparisons need it.
//!
//! In: the worker's address. Out: connectors that run, or the worker's own words why not.
//! Never: a retry of a refused request, a request without a deadline. Source: Kafka manual, "Kafka Connect", "REST API".

use std::time::Duration;

use serde_json::{Map, Value};
use ureq::Agent;

use crate::wait::{Seen, eventually};
use crate::{Failure, Result};

const ANSWER_MAX: Duration = Duration::from_secs(90);
const START_MAX: Duration = Duration::from_mins(2);

/// A client of one worker.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    agent: Agent,
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
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_MAX))
            .proxy(None);
        Self { url: url.to_owned(), agent: config.build().into() }
    }

    /// Creates a connector and waits until it and its tasks run.
    pub async fn create(&self, name: &str, config: Map<String, Value>) -> Result<()> {
        let path = format!("/connectors/{name}/config");
        self.ask(Request::Put(Value::Object(config)), path).await?;
        eventually(&format!("connector `{name}` runs"), START_MAX, async || {
            match self.status(name).await? {
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
        Ok(status(&self.ask(Request::Get, format!("/connectors/{name}/status")).await?))
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
        self.ask(Request::Delete, format!("/connectors/{name}")).await.map(drop)
    }

    async fn ask(&self, request: Request, path: String) -> Result<Value> {
        let agent = self.agent.clone();
        let url = format!("{}{path}", self.url);
        let asked = tokio::task::spawn_blocking(move || request.send(&agent, &url)).await?;
        asked.map_err(|failure| failure.during(path))
    }
}

enum Request {
    Get,
    Put(Value),
    Delete,
}

impl Request {
    fn send(self, agent: &Agent, url: &str) -> Result<Value> {
        let mut response = match self {
            Self::Get => agent.get(url).call(),
            Self::Put(body) => agent.put(url).send_json(body),
            Self::Delete => agent.delete(url).call(),
        }?;
        let text = response.body_mut().read_to_string()?;
        if !response.status().is_success() {
            return Err(Failure::new(format!("{}: {text}", response.status())));
        }
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }
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
