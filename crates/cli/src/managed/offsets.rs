//! `tributary offsets`: where a connector goes on, looked at, set or forgotten.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use super::api::{Api, segment};
use crate::args::managed::OffsetsArguments;
use crate::error::CliError;
use crate::output::Output;

pub(crate) async fn run(
    arguments: &OffsetsArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    let path = format!("/connectors/{}/offsets", segment(&arguments.name));
    let answer = match &arguments.set {
        Some(file) => api.expect("PATCH", &path, Some(read(file)?)).await?,
        None if arguments.reset => api.expect("DELETE", &path, None).await?,
        None => api.expect("GET", &path, None).await?,
    };
    match answer.body["message"].as_str() {
        Some(message) if !output.is_json() => output.line(message),
        _ => output.json(&answer.body),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Value, CliError> {
    let unreadable = |cause| CliError::OffsetsFile { path: file.to_owned(), cause };
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(unreadable)?;
    serde_json::from_str(&text).map_err(|error| unreadable(std::io::Error::other(error)))
}
