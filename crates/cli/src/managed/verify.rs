//! `tributary verify NAME`: a worker holds the topics of a connector against its tables.
//!
//! In: a connector's name. Out: the report and the exit code that `tributary verify` has. Interrupted, the worker stops, too.

use std::process::ExitCode;

use connector::verify::{Report, VerifyProgress};
use serde_json::Value;
use tokio::sync::watch;

use super::api::{Api, segment};
use super::stream::{Events, ServerEvent};
use crate::args::VerifyArguments;
use crate::error::CliError;
use crate::output::Output;
use crate::verify::{finish, watched};

pub(crate) async fn run(
    name: &str,
    arguments: &VerifyArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    let wait_max = arguments.wait_max.as_secs();
    let path = format!("/v1/connectors/{}/verify?wait_max={wait_max}", segment(name));
    let report = watched(async |progress| report(&api, &path, &progress).await).await?;
    Ok(finish(&report, output))
}

async fn report(
    api: &Api,
    path: &str,
    progress: &watch::Sender<VerifyProgress>,
) -> Result<Report, CliError> {
    let mut events = Events::open(api, path);
    while let Some(ServerEvent { kind, data }) = events.next().await? {
        match kind.as_str() {
            "progress" => drop(progress.send_replace(of_json(&data))),
            "report" => {
                let report = Report::from_json(&data);
                return report.ok_or_else(|| api.strange("the report has another form"));
            }
            _ => {}
        }
    }
    Err(api.ended())
}

fn of_json(data: &Value) -> VerifyProgress {
    VerifyProgress {
        what: data["what"].as_str().unwrap_or_default().to_owned(),
        total: data["total"].as_u64().unwrap_or_default(),
        done: data["done"].as_u64().unwrap_or_default(),
    }
}
