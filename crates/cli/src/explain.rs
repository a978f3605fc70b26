//! `tributary explain CODE`: the page of an error code.

use std::process::ExitCode;

use serde_json::json;

use crate::args::ExplainArguments;
use crate::codes;
use crate::error::CliError;
use crate::output::Output;

pub(crate) fn run(arguments: &ExplainArguments, output: Output) -> Result<ExitCode, CliError> {
    let Some(page) = codes::page(&arguments.code) else {
        return Err(unknown(&arguments.code));
    };
    if output.is_json() {
        let title = page.lines().next().unwrap_or_default().trim_start_matches("# ");
        output.json(
            &json!({"code": arguments.code.to_ascii_uppercase(), "title": title, "page": page}),
        );
    } else {
        output.line(page.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(code: &str) -> CliError {
    let family: String = code.chars().take(2).collect::<String>().to_ascii_uppercase();
    let related: Vec<&str> = codes::all().filter(|known| known.starts_with(&family)).collect();
    let fix = match (related.first(), related.last()) {
        (Some(first), Some(last)) => format!("codes of this family go from {first} to {last}"),
        _ => "codes look like CF001: two letters and three digits, as in the brackets in front of an error".to_owned(),
    };
    CliError::UnknownCode { code: code.to_owned(), fix }
}
