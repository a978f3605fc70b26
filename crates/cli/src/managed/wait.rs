//! `tributary wait`: until a connector follows the log, or cannot.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::api::{Api, segment};
use super::info;
use crate::args::managed::WaitArguments;
use crate::error::CliError;
use crate::output::Output;

const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn run(arguments: &WaitArguments, output: Output) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    until_running(&api, &arguments.name, arguments.wait_max, output).await
}

/// Waits until it follows the log.
///
/// Errors: [`CliError::NotRunning`] with the cause once it has failed, or is paused or stopped; [`CliError::StillWaiting`].
pub(super) async fn until_running(
    api: &Api,
    name: &str,
    wait_max: Duration,
    output: Output,
) -> Result<ExitCode, CliError> {
    let started = Instant::now();
    let bar = bar(output);
    loop {
        let answer = api.expect("GET", &format!("/v1/connectors/{}", segment(name)), None).await?;
        let connector = &answer.body;
        let phase = connector["state"]["phase"].as_str().unwrap_or_default();
        // What was told of an earlier wish is not about this one.
        let is_of_now = connector["applied_revision"] == connector["revision"];
        match phase {
            "streaming" if is_of_now => {
                bar.finish_and_clear();
                if output.is_json() {
                    output.json(connector);
                } else {
                    info::details(connector, output);
                    output.note("Your connector follows the log now.");
                }
                return Ok(ExitCode::SUCCESS);
            }
            "failed" | "invalid" | "paused" | "stopped" | "destroying" if is_of_now => {
                bar.finish_and_clear();
                return Err(CliError::NotRunning {
                    name: name.to_owned(),
                    phase: phase.to_owned(),
                    cause: cause(connector),
                });
            }
            _ => bar.set_message(progress(connector)),
        }
        if started.elapsed() >= wait_max {
            bar.finish_and_clear();
            return Err(CliError::StillWaiting {
                name: name.to_owned(),
                goal: "does not follow the log",
                waited: wait_max,
                state: progress(connector),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Turns while something is waited for, where a person looks on.
pub(super) fn bar(output: Output) -> ProgressBar {
    if output.is_json() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// What it is doing, in one line.
fn progress(connector: &Value) -> String {
    let state = &connector["state"];
    let phase = state["phase"].as_str().unwrap_or("unassigned");
    let snapshot = &state["snapshot"];
    if let Some(rows) = snapshot["rows_read"].as_u64() {
        let left = snapshot["seconds_left"].as_u64();
        let left = left.map_or_else(String::new, |left| format!(", {left} s left"));
        return format!("{phase}: {rows} rows read{left}");
    }
    match cause(connector) {
        cause if cause.is_empty() => phase.to_owned(),
        cause => format!("{phase}: {}", cause.lines().next().unwrap_or_default()),
    }
}

pub(super) fn cause(connector: &Value) -> String {
    connector["state"]["cause"]["text"].as_str().unwrap_or_default().to_owned()
}
