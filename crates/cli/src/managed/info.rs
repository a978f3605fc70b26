//! `tributary info`: all a worker knows of a connector, readably.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::api::{Api, segment};
use crate::args::managed::InfoArguments;
use crate::error::CliError;
use crate::output::{Colour, Output};
use crate::signals::Signals;

const LOOK: Duration = Duration::from_secs(1);
/// Clears the screen and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";
const MB: u64 = 1 << 20;

pub(crate) async fn run(arguments: &InfoArguments, output: Output) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    let path = format!("/v1/connectors/{}", segment(&arguments.name));
    let mut signals = Signals::listen()?;
    loop {
        let answer = api.expect("GET", &path, None).await?;
        if output.is_json() {
            output.json(&answer.body);
        } else {
            if arguments.watch && output.is_terminal() {
                output.line(CLEAR);
            }
            details(&answer.body, output);
        }
        if !arguments.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::select! {
            _ = signals.next() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// One connector in a line.
pub(super) fn summary(connector: &Value, output: Output) {
    let name = connector["name"].as_str().unwrap_or_default();
    let phase = phase(connector);
    let source = connector["source"].as_str().unwrap_or_default();
    let lag = lag(connector);
    output.line(&format!(
        "{name:<32} {} {lag:<10} {source}",
        output.paint(colour(phase), &format!("{phase:<13}"))
    ));
}

/// Everything about one connector.
pub(super) fn details(connector: &Value, output: Output) {
    let text = |key: &str| connector[key].as_str().unwrap_or_default();
    let state = &connector["state"];
    let phase = phase(connector);
    output.line(&format!("=== {}", text("name")));
    output.line(&format!("Status:       {}", output.paint(colour(phase), phase)));
    if let Some(cause) = state["cause"]["text"].as_str() {
        for (index, line) in cause.lines().enumerate() {
            let head = if index == 0 { "Cause:        " } else { "              " };
            output.line(&format!("{head}{}", line.trim_start()));
        }
    }
    output.line(&format!("Lag:          {}", lag(connector)));
    snapshot(&state["snapshot"], output);
    incremental(&state["incremental"], output);
    retention(&state["retention"], output);
    output.line(&format!("Source:       {}", text("source")));
    output.line(&format!("Worker:       {}", text("worker")));
    output.line(&format!("Revision:     {}", connector["revision"]));
    tables(connector, output);
    for notice in state["notices"].as_array().into_iter().flatten() {
        let (code, text) = (notice["code"].as_str(), notice["text"].as_str());
        output.line(&format!("\n{}: {}", code.unwrap_or_default(), text.unwrap_or_default()));
    }
}

fn tables(connector: &Value, output: Output) {
    let tables = connector["tables"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !tables.is_empty() {
        output.line("\n=== Tables");
    }
    for table in tables {
        let (name, topic) = (table["table"].as_str(), table["topic"].as_str());
        output.line(&format!("{:<32} {}", name.unwrap_or_default(), topic.unwrap_or_default()));
    }
    let excluded = connector["config"]["column.exclude.list"].as_str().unwrap_or_default();
    if !excluded.is_empty() {
        output.line("\n=== Excluded columns");
        for column in excluded.split(',') {
            output.line(&column.replace('\\', ""));
        }
    }
}

fn phase(connector: &Value) -> &str {
    connector["state"]["phase"].as_str().unwrap_or("unassigned")
}

fn colour(phase: &str) -> Colour {
    match phase {
        "streaming" => Colour::Green,
        "failed" | "invalid" => Colour::Red,
        "retrying" | "unassigned" => Colour::Yellow,
        "paused" | "stopped" => Colour::Grey,
        _ => Colour::Blue,
    }
}

/// What the slot has that Kafka has not, as Heroku says it where it is little.
fn lag(connector: &Value) -> String {
    match connector["state"]["retention"]["unacknowledged_bytes"].as_u64() {
        None => "unknown".to_owned(),
        Some(bytes) if bytes < MB => "< 1 MB".to_owned(),
        Some(bytes) => format!("{} MB", bytes / MB),
    }
}

fn snapshot(snapshot: &Value, output: Output) {
    let Some(rows) = snapshot["rows_read"].as_u64() else { return };
    let number = |key: &str| snapshot[key].as_u64().unwrap_or_default();
    let left = snapshot["seconds_left"].as_u64();
    let left = left.map_or_else(String::new, |left| format!(", {left} s left"));
    output.line(&format!(
        "Snapshot:     {rows} rows read, {} of {} tables, {} of {} MB{left}",
        number("tables_done"),
        number("tables_total"),
        number("bytes_done") / MB,
        number("bytes_total") / MB
    ));
}

fn incremental(incremental: &Value, output: Output) {
    let Some(table) = incremental["table"].as_str() else { return };
    let rests = if incremental["paused"] == true { ", paused" } else { "" };
    output.line(&format!(
        "Reading:      {table}, {} rows read, {} tables wait{rests}",
        incremental["rows_read"], incremental["tables_waiting"]
    ));
}

fn retention(retention: &Value, output: Output) {
    let Some(bytes) = retention["retained_bytes"].as_u64() else { return };
    let mut line = format!("Slot keeps:   {} MB of the source's log", bytes / MB);
    // Writing to a String cannot fail.
    if let Some(limit) = retention["limit_bytes"].as_u64() {
        let _ = write!(line, " of the {} MB it may", limit / MB);
    }
    if let Some(seconds) = retention["seconds_until_limit"].as_u64() {
        let _ = write!(line, ", all of it in {seconds} s at this pace");
    }
    output.line(&line);
    if let Some(cause) = retention["cause"].as_str().filter(|_| bytes >= MB) {
        output.line(&format!("Because:      {cause}"));
    }
}
