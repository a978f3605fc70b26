//! `tributary alter-key`: a change of a primary key with nobody writing meanwhile, for those who want it so.
//!
//! A connector needs no such ritual: each event has the key its table had at that point of the log. Consumers may: they see the old key and
//! the new one, and between the two nothing.
//! In: a connector, a statement, a role that may alter the table and the database. Out: the statement run between two events.
//! Never: a database left read-only, a connector left stopped. Whatever ends it, but SIGKILL, puts both back first; `--undo` does it after that.

mod source;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pgoutput::Lsn;
use postgres::ConnectionConfig;
use serde_json::{Value, json};

use super::api::{Api, segment};
use crate::args::managed::AlterKeyArguments;
use crate::error::CliError;
use crate::output::Output;
use crate::signals::Signals;
use source::Source;

const LOOK: Duration = Duration::from_millis(200);
const STEPS: usize = 6;

pub(crate) async fn run(
    arguments: &AlterKeyArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let url = arguments.source.clone().or_else(|| std::env::var("DATABASE_URL").ok());
    let url = url.filter(|url| !url.is_empty()).ok_or(CliError::NoSource)?;
    let config = ConnectionConfig::parse(&url)?.with_application_name(source::APPLICATION);
    let api = Api::new(&arguments.worker)?;
    let mut ritual = Ritual {
        api,
        name: arguments.name.clone(),
        source: Source::connect(config).await?,
        wait_max: arguments.wait_max,
        output,
        is_read_only: arguments.undo,
        is_stopped: arguments.undo,
    };
    let mut signals = Signals::listen()?;
    let outcome = match &arguments.sql {
        None => Ok(()),
        Some(sql) => tokio::select! {
            outcome = ritual.perform(sql) => outcome,
            signal = signals.next() => Err(CliError::Interrupted { signal }),
        },
    };
    let back = ritual.put_back().await;
    outcome.and(back)?;
    if output.is_json() {
        output.json(&json!({"name": arguments.name, "status": if arguments.undo { "undone" } else { "done" }}));
    } else {
        output.line(if arguments.undo { "Everything is as it was." } else { "Done." });
    }
    Ok(ExitCode::SUCCESS)
}

/// The steps, and what has to be put back of them.
struct Ritual {
    api: Api,
    name: String,
    source: Source,
    wait_max: Duration,
    output: Output,
    is_read_only: bool,
    is_stopped: bool,
}

impl Ritual {
    async fn perform(&mut self, sql: &str) -> Result<(), CliError> {
        self.expect_streaming().await?;
        self.source.check().await?;
        self.step(1, "the database becomes read-only for new transactions");
        // Said before it is done: what is put back must not depend on an answer.
        self.is_read_only = true;
        self.source.set_read_only().await?;
        self.step(
            2,
            "sessions of applications are ended; what they had not committed is rolled back",
        );
        let position = self.source.quiesce().await?;
        self.step(3, &format!("the connector reads on to {position}"));
        self.until("committed_lsn", |connector| reached(connector, position)).await?;
        self.step(4, "the connector stops");
        self.is_stopped = true;
        self.verb("stop").await?;
        self.until("stopped", |connector| connector["state"]["phase"] == "stopped").await?;
        self.step(5, &format!("runs {sql}"));
        self.source.run(sql).await
    }

    /// Writable database, running connector, whatever was done before.
    async fn put_back(&mut self) -> Result<(), CliError> {
        if !self.is_read_only && !self.is_stopped {
            return Ok(());
        }
        self.step(STEPS, "the database becomes writable, the connector goes on");
        // One that fails must not keep the other from being done.
        let writable = if self.is_read_only { self.source.set_writable().await } else { Ok(()) };
        let resumed = if self.is_stopped { self.resume().await } else { Ok(()) };
        writable.and(resumed)
    }

    async fn resume(&self) -> Result<(), CliError> {
        self.verb("resume").await?;
        self.until("streaming", |connector| connector["state"]["phase"] == "streaming").await
    }

    async fn expect_streaming(&self) -> Result<(), CliError> {
        let connector = self.look().await?;
        let phase = connector["state"]["phase"].as_str().unwrap_or_default();
        if phase == "streaming" {
            return Ok(());
        }
        let cause = connector["state"]["cause"]["text"].as_str().unwrap_or_default();
        Err(CliError::NotRunning {
            name: self.name.clone(),
            phase: phase.to_owned(),
            cause: cause.to_owned(),
        })
    }

    async fn verb(&self, verb: &str) -> Result<(), CliError> {
        let path = format!("/connectors/{}/{verb}", segment(&self.name));
        self.api.expect("PUT", &path, None).await.map(drop)
    }

    async fn look(&self) -> Result<Value, CliError> {
        let path = format!("/v1/connectors/{}", segment(&self.name));
        Ok(self.api.expect("GET", &path, None).await?.body)
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<(), CliError> {
        let started = Instant::now();
        loop {
            let connector = self.look().await?;
            // What was told of an earlier wish is not about this one.
            if connector["applied_revision"] == connector["revision"] && is_so(&connector) {
                return Ok(());
            }
            if started.elapsed() >= self.wait_max {
                return Err(CliError::StillWaiting {
                    name: self.name.clone(),
                    goal: "has not come so far",
                    waited: self.wait_max,
                    state: format!("not {what}: {}", connector["state"]),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn step(&self, number: usize, what: &str) {
        self.output.note(&format!("{number}/{STEPS} {what}"));
    }
}

/// Kafka holds everything before the position.
fn reached(connector: &Value, position: Lsn) -> bool {
    let committed = connector["state"]["committed_lsn"].as_str();
    committed.and_then(|lsn| lsn.parse::<Lsn>().ok()).is_some_and(|lsn| lsn >= position)
}
