//! `tributary check`: looks at both sides and reports every problem at once, each with the statement that mends it.
//!
//! In: a connector's configuration, or what a worker has found of one by its name. Out: the report; exit code 1 if something does not work.

mod grants;

use std::process::ExitCode;

use connector::check::{Report, Severity, check};

use crate::args::CheckArguments;
use crate::error::CliError;
use crate::managed;
use crate::output::{Colour, Output};
use crate::specify;

pub(crate) async fn run(arguments: &CheckArguments, output: Output) -> Result<ExitCode, CliError> {
    if let Some(name) = &arguments.managed {
        return managed::check(name, &arguments.worker, output).await;
    }
    match specify::settings(&arguments.connector, output) {
        Ok(settings) if arguments.sql => {
            Box::pin(grants::run(&settings, arguments.role.as_deref(), output)).await
        }
        Ok(settings) => Ok(show(&Box::pin(check(&settings)).await, output)),
        Err(CliError::Settings(invalid)) => Ok(show(&Report::of_invalid(&invalid), output)),
        Err(error) => Err(error),
    }
}

/// Prints the report; 1 when something does not work.
pub(crate) fn show(report: &Report, output: Output) -> ExitCode {
    if output.is_json() {
        output.json(report);
    } else {
        for line in lines(report, output) {
            output.line(&line);
        }
    }
    if report.is_ready() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn lines(report: &Report, output: Output) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.connector.is_empty() {
        lines.push(format!("=== {}", report.connector));
        lines.push(format!("Source:  {}", report.source));
        lines.push(format!("Store:   {}", report.store));
    }
    let width = report.tables.iter().map(|table| table.table.len()).max().unwrap_or_default();
    for (index, table) in report.tables.iter().enumerate() {
        let label = if index == 0 { "Tables:  " } else { "         " };
        lines.push(format!("{label}{:width$}  →  {}", table.table, table.topic));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    for finding in &report.findings {
        let (colour, word) = match finding.severity {
            Severity::Error => (Colour::Red, "error"),
            Severity::Warning => (Colour::Yellow, "warning"),
            Severity::Info => (Colour::Grey, "info"),
        };
        let word = output.paint(colour, &format!("{word:<8}"));
        let code =
            if finding.code.is_empty() { String::new() } else { format!("[{}] ", finding.code) };
        let subject = if finding.subject.is_empty() {
            String::new()
        } else {
            format!("{}: ", finding.subject)
        };
        lines.push(format!("{word}{code}{subject}{}", finding.message));
        if let Some(fix) = &finding.fix {
            lines.extend(fix.lines().enumerate().map(|(index, line)| {
                if index == 0 {
                    format!("        fix: {line}")
                } else {
                    format!("             {line}")
                }
            }));
        }
    }
    let count =
        |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    lines.push(match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => output.paint(Colour::Green, "ready"),
        (0, warnings) => {
            output.paint(Colour::Yellow, &format!("ready, with {warnings} warning(s)"))
        }
        (errors, warnings) => output
            .paint(Colour::Red, &format!("not ready: {errors} error(s), {warnings} warning(s)")),
    });
    lines
}
