//! `tributary tail NAME`: the events of a connector, as a worker tells them from now on.
//!
//! In: a connector's name, tables or all. Out: a line each, as of a topic. Ends when it is told to, and when the connector is gone.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::api::{Api, segment};
use super::stream::{Events, ServerEvent};
use crate::args::TailArguments;
use crate::args::managed::WorkerUrl;
use crate::error::CliError;
use crate::output::Output;
use crate::signals::Signals;
use crate::tail::{Printed, Shown};

pub(crate) async fn run(arguments: &TailArguments, output: Output) -> Result<ExitCode, CliError> {
    let name = &arguments.of;
    let api = Api::new(&WorkerUrl::or_local(arguments.url.as_deref()))?;
    let mut path = format!("/v1/connectors/{}/records", segment(name));
    for (index, table) in arguments.tables.iter().enumerate() {
        let before = if index == 0 { '?' } else { '&' };
        // Writing to a String cannot fail.
        let _ = write!(path, "{before}table={}", segment(table));
    }
    let mut signals = Signals::listen()?;
    let mut events = Events::open(&api, &path);
    let mut printed = Printed::new(arguments.count, output);
    let with_table = arguments.tables.len() != 1;
    while let Some(ServerEvent { kind, data }) = events.until_told(&mut signals).await? {
        match kind.as_str() {
            "reading" => show_topics(&data, output),
            "record" if !print(&mut printed, &data, with_table) => return Ok(ExitCode::SUCCESS),
            "deleted" => {
                output.note(&format!("connector `{name}` is gone"));
                return Ok(ExitCode::SUCCESS);
            }
            _ => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_topics(data: &Value, output: Output) {
    let topics = data["topics"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for topic in topics {
        output.note(&format!("reading `{topic}`"));
    }
}

/// Whether more are wanted.
fn print(printed: &mut Printed, record: &Value, with_table: bool) -> bool {
    let (key, value) = (bytes(&record["key"]), bytes(&record["value"]));
    let shown = Shown {
        key: key.as_deref(),
        value: value.as_deref(),
        timestamp_ms: record["timestamp_ms"].as_i64().unwrap_or_default(),
        with_table,
    };
    printed.print(&shown, || record.clone())
}

/// What was in the record; text that was no JSON came as a JSON string.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        other => Some(other.to_string().into_bytes()),
    }
}
