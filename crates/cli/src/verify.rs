//! `tributary verify`: holds the topics of a connector against its tables.
//!
//! In: a connector's configuration, or its name on a worker, which compares then. Out: per table what is repeated, out of order, missing, different or too much, on stdout; exit code 0 if
//! nothing is, 1 if something is, 3 if the connector does not come as far as the tables are. Nothing is changed on either side.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use connector::ConnectorError;
use connector::verify::{Report, TableReport, VerifyProgress, verify};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args::VerifyArguments;
use crate::error::CliError;
use crate::managed;
use crate::output::{Colour, Output};
use crate::specify;

pub(crate) async fn run(arguments: &VerifyArguments, output: Output) -> Result<ExitCode, CliError> {
    if let Some(name) = &arguments.managed {
        return Box::pin(managed::verify(name, arguments, output)).await;
    }
    let settings = specify::settings(&arguments.connector, output)?;
    let wait_max = arguments.wait_max;
    let outcome =
        watched(async |progress| Box::pin(verify(&settings, wait_max, &progress)).await).await;
    let report = match outcome {
        Err(error @ ConnectorError::NotCaughtUp { .. }) => {
            return Err(CliError::NotCaughtUp { error });
        }
        outcome => outcome?,
    };
    Ok(finish(&report, output))
}

/// Shows how far the work is while it lasts.
pub(crate) async fn watched<T>(work: impl AsyncFnOnce(watch::Sender<VerifyProgress>) -> T) -> T {
    let (progress, watched) = watch::channel(VerifyProgress::default());
    let mut shown = JoinSet::new();
    shown.spawn(show(watched));
    let outcome = work(progress).await;
    // The bar goes before anything else is written.
    while shown.join_next().await.is_some() {}
    outcome
}

/// Prints what was found; 1 if something differs.
pub(crate) fn finish(report: &Report, output: Output) -> ExitCode {
    if output.is_json() {
        output.json(&report.to_json());
    } else {
        for table in &report.tables {
            print(table, output);
        }
        output.note(&last_line(report));
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// How far it is, where a person looks on.
async fn show(mut progress: watch::Receiver<VerifyProgress>) {
    if !io::stderr().is_terminal() {
        return;
    }
    let style = ProgressStyle::with_template("{bar:28} {pos:>10}/{len:<10} {msg}");
    let bar =
        ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    while progress.changed().await.is_ok() {
        let VerifyProgress { what, total, done } = progress.borrow_and_update().clone();
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(what);
    }
    bar.finish_and_clear();
}

fn print(table: &TableReport, output: Output) {
    let name = &table.table;
    if let Some(reason) = &table.not_compared {
        let word = output.paint(Colour::Yellow, "not compared");
        output.line(&format!("{word}  {name}: {reason}"));
        return;
    }
    let counts = [
        (table.missing, "rows missing"),
        (table.different, "rows different"),
        (table.phantom, "rows too many"),
        (table.repeated, "events repeated"),
        (table.out_of_order, "events out of order"),
        (table.unreadable, "records unreadable"),
    ];
    let wrong: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let found = format!("{} rows, {} events in {}", table.rows, table.events, table.topic);
    if wrong.is_empty() {
        output.line(&format!("{}  {name}: {found}", output.paint(Colour::Green, "equal")));
    } else {
        let word = output.paint(Colour::Red, "WRONG");
        output.line(&format!("{word}  {name}: {}; {found}", wrong.join(", ")));
    }
    for example in &table.examples {
        output.line(&format!("       {example}"));
    }
    if table.unknown_values > 0 {
        output.line(&format!(
            "       {} values could not be compared: no event has told them",
            table.unknown_values
        ));
    }
}

fn last_line(report: &Report) -> String {
    let lsn = report.lsn;
    let wrong = report.tables.iter().filter(|table| !table.is_clean()).count();
    let skipped = report.tables.iter().filter(|table| table.not_compared.is_some()).count();
    let skipped = if skipped > 0 { format!(", {skipped} not compared") } else { String::new() };
    match wrong {
        0 => format!("topics and tables are equal as of {lsn}{skipped}"),
        wrong => format!("{wrong} of {} tables differ as of {lsn}{skipped}", report.tables.len()),
    }
}
