//! `tributary check NAME` and `tributary plan NAME`: a worker looks at both sides of a connector, as it is or as an update would make it.
//!
//! In: a name, for a plan the changes. Out: what the worker found, as `tributary check` shows it. Never: a change.

use std::process::ExitCode;

use connector::check::Report;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::{Api, segment};
use super::apply::{Difference, show_differences};
use super::update::patch;
use crate::args::managed::{UpdateArguments, WorkerUrl};
use crate::check::show;
use crate::error::CliError;
use crate::output::Output;

pub(crate) async fn run(
    name: &str,
    worker: &WorkerUrl,
    output: Output,
) -> Result<ExitCode, CliError> {
    let api = Api::patient(worker)?;
    let answer = api.expect("GET", &path(name), None).await?;
    Ok(show(&report(&api, &answer.body)?, output))
}

/// `tributary plan`.
pub(crate) async fn plan(
    arguments: &UpdateArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let api = Api::patient(&arguments.worker)?;
    let known = format!("/v1/connectors/{}", segment(&arguments.name));
    let known = api.expect("GET", &known, None).await?;
    let body = json!({"config": patch(&known.body["config"], arguments)?});
    let answer = api.expect("POST", &path(&arguments.name), Some(body)).await?.body;
    let report = report(&api, &answer)?;
    if output.is_json() {
        output.json(&answer);
        return Ok(if report.is_ready() { ExitCode::SUCCESS } else { ExitCode::from(1) });
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let changes = answer["changes"].as_object().into_iter().flat_map(Map::iter);
    let changes: Vec<Difference> = changes
        .map(|(key, change)| Difference {
            key: key.clone(),
            from: text(&change["from"]),
            to: text(&change["to"]),
        })
        .collect();
    let head = if changes.is_empty() { "as it should be" } else { "would change" };
    output.line(&format!("{}: {head}", arguments.name));
    show_differences(&changes, output);
    output.line("");
    Ok(show(&report, output))
}

fn path(name: &str) -> String {
    format!("/v1/connectors/{}/check", segment(name))
}

fn report(api: &Api, body: &Value) -> Result<Report, CliError> {
    Report::deserialize(body).map_err(|error| api.strange(&error.to_string()))
}
