//! `tributary logs NAME`: what a connector wrote into the log last, whichever worker it ran on.
//!
//! In: a connector's name. Out: a line each; with `--follow` those that come, until it is told to end, and until the connector is gone.

use std::process::ExitCode;

use serde_json::Value;

use super::api::{Api, segment};
use super::stream::{Events, ServerEvent};
use crate::args::LogsArguments;
use crate::clock;
use crate::error::CliError;
use crate::output::{Colour, Output};
use crate::signals::Signals;

pub(crate) async fn run(arguments: &LogsArguments, output: Output) -> Result<ExitCode, CliError> {
    let (name, lines) = (&arguments.name, arguments.lines);
    let path = format!("/v1/connectors/{}/logs?lines={lines}", segment(name));
    if !arguments.follow {
        let answer = Api::patient(&arguments.worker)?.expect("GET", &path, None).await?;
        for line in answer.body["lines"].as_array().into_iter().flatten() {
            print(line, output);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let api = Api::new(&arguments.worker)?;
    let mut signals = Signals::listen()?;
    let mut events = Events::open(&api, &format!("{path}&follow=true"));
    while let Some(ServerEvent { kind, data }) = events.until_told(&mut signals).await? {
        match kind.as_str() {
            "line" => print(&data, output),
            "deleted" => {
                output.note(&format!("connector `{name}` is gone"));
                return Ok(ExitCode::SUCCESS);
            }
            _ => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(line: &Value, output: Output) {
    if output.is_json() {
        output.json(line);
        return;
    }
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    let level = text("level");
    let colour = match level {
        "ERROR" => Colour::Red,
        "WARN" => Colour::Yellow,
        "INFO" => Colour::Green,
        _ => Colour::Grey,
    };
    let at_us = line["at_ms"].as_i64().unwrap_or_default().saturating_mul(1000);
    let level = output.paint(colour, &format!("{level:<5}"));
    let worker = output.paint(Colour::Grey, text("worker"));
    output.line(&format!("{} {level} {worker}  {}", clock::date_and_time(at_us), text("text")));
}
