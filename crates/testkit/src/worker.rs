//! `tributary worker` as a child process, and its API as a client that shares no code with it sees it.
//!
//! In: a broker, a group. Out: a running worker that can be killed or stopped at any moment, and what it answers.
//! Never: a process left behind.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::connector::{ConnectorProcess, settings};
use crate::stack::Database;
use crate::wait::{DEADLINE, Seen, eventually};
use crate::{Failure, Result};

/// A group of workers on one broker.
pub struct Group {
    store: String,
    name: String,
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Group {
    /// A group of that name at `HOST:PORT`.
    pub fn new(bootstrap: &str, name: &str) -> Result<Self> {
        Ok(Self {
            store: format!("kafka://{bootstrap}"),
            name: name.to_owned(),
            folder: TempDir::new()?,
            environment: Vec::new(),
        })
    }

    /// With a variable in the environment of its workers.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts a worker, and waits until it answers.
    pub async fn start(&self, id: &str) -> Result<Worker> {
        self.start_with(id, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(&self, id: &str, more: &[&str]) -> Result<Worker> {
        let binary = crate::connector::binary()?;
        let mut arguments = vec!["--output", "json", "worker", "--store", &self.store];
        arguments.extend(["--group", &self.name, "--listen", "127.0.0.1:0", "--worker-id", id]);
        arguments.extend(more);
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let folder = self.folder.path();
        let process = ConnectorProcess::start_with(&binary, &arguments, folder, &environment)?;
        let mut worker = Worker { process, url: String::new() };
        eventually("the worker answers", DEADLINE, async || {
            worker.process.expect_running()?;
            let output = worker.process.output();
            let ready = output.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(url) = ready.as_ref().and_then(|ready| ready["url"].as_str()) {
                url.clone_into(&mut worker.url);
            }
            Ok(Seen::when(!worker.url.is_empty(), || worker.process.log_end()))
        })
        .await?;
        Ok(worker)
    }
}

/// A running worker. Ends with its owner.
pub struct Worker {
    /// The process.
    pub process: ConnectorProcess,
    url: String,
}

/// What the API answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// The body as JSON; null where there is none, text where it is none.
    pub body: Value,
}

impl Worker {
    /// Where its API is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request, with a JSON body or none.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
        ask(&self.url, method, path, body).await
    }

    /// The same, and anything but success is a failure.
    pub async fn expect(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
        let answer = self.ask(method, path, body).await?;
        if answer.status >= 300 {
            let text = format!("{method} {path}: {} {}", answer.status, answer.body);
            return Err(Failure::new(text));
        }
        Ok(answer.body)
    }

    /// Makes a connector for all tables of schema `public` of `database`, named as it is, and waits for nothing.
    pub async fn create(&self, database: &Database, more: Value) -> Result<()> {
        let name = database.name();
        let config = settings(database, name, more);
        let body = json!({"name": name, "config": config});
        self.expect("POST", "/connectors", Some(body)).await.map(drop)
    }

    /// Waits until the one task of a connector is in a state, by the eyes of this worker.
    pub async fn task_is(&self, name: &str, state: &str) -> Result<()> {
        eventually(&format!("the task of {name} is {state}"), DEADLINE, async || {
            let answer = self.ask("GET", &format!("/connectors/{name}/status"), None).await?;
            let found = answer.body["tasks"][0]["state"].as_str() == Some(state);
            Ok(Seen::when(found, || format!("{answer:?}\n{}", self.process.log_end())))
        })
        .await
    }
}

/// Sends a request to an API on loopback.
pub async fn ask(url: &str, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
    let headers = body.as_ref().map(|_| ("content-type", "application/json".to_owned()));
    let headers: Vec<_> = headers.into_iter().collect();
    let sent = send_with(url, method, path, &headers, body.map(|body| body.to_string())).await?;
    Ok(Answer { status: sent.status, body: sent.body })
}

/// What was answered, with its headers.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// HTTP status code.
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// As of [`Answer`].
    pub body: Value,
}

impl Sent {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a request with these headers and this text.
pub async fn send_with(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: Option<String>,
) -> Result<Sent> {
    let mut request = ureq::http::Request::builder().method(method).uri(format!("{url}{path}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let sent = tokio::task::spawn_blocking(move || send(request, body)).await;
    sent.map_err(|panic| Failure::new(panic.to_string()))?
}

fn send(request: ureq::http::request::Builder, body: Option<String>) -> Result<Sent> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(90)))
        .proxy(None)
        .accept("")
        .allow_non_standard_methods(true)
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let mut response = match body {
        Some(body) => agent.run(request.body(body)?)?,
        None => agent.run(request.body(())?)?,
    };
    let headers = response.headers().iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let headers = headers.collect();
    let text = response.body_mut().read_to_string()?;
    let body = match text.as_str() {
        "" => Value::Null,
        _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    };
    Ok(Sent { status: response.status().as_u16(), headers, body })
}
