//! `tributary run`: one connector in this process until it is told to stop.

use std::pin::pin;
use std::process::ExitCode;

use connector::Class;
use connector::status::{self, State, Status};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::args::ConnectorArguments;
use crate::error::CliError;
use crate::output::Output;
use crate::progress::SnapshotBar;
use crate::signals::Signals;
use crate::specify;

pub(crate) async fn run(
    arguments: &ConnectorArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let settings = specify::settings(arguments, output)?;
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let (reporter, mut statuses) = status::channel();
    let mut connector = pin!(connector::run(settings, &reporter, &stop));
    let mut bar = SnapshotBar::new();
    let mut shown = None;
    let mut notices_shown = 0;
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut connector => break outcome,
            signal = signals.next() => {
                info!("{signal}: stopping");
                if stop.is_cancelled() {
                    // Asked twice: a stop is only a polite death, so there is nothing to wait for.
                    break Ok(());
                }
                stop.cancel();
            }
            Ok(()) = statuses.changed() => {
                let status = statuses.borrow_and_update().clone();
                bar.show(&status.state);
                let news = shown.as_ref() != Some(&status.state) || notices_shown < status.notices.len();
                if output.is_json() && news {
                    output.json(&as_json(&status));
                }
                notices_shown = status.notices.len();
                shown = Some(status.state);
            }
        }
    };
    bar.clear();
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // A newer copy does the work now; failing would only make a supervisor start a fight between the two.
        Err(error) if error.class() == Class::Fenced => {
            output.note(&format!("leaving: {error}"));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error.into()),
    }
}

/// A status for programs.
fn as_json(status: &Status) -> Value {
    let mut object = match &status.state {
        State::Starting => json!({"state": "starting"}),
        State::Snapshotting(snapshot) => json!({
            "state": "snapshotting",
            "tables_total": snapshot.tables_total,
            "tables_done": snapshot.tables_done,
            "rows_read": snapshot.rows_read,
            "rows_estimated": snapshot.rows_estimated,
        }),
        State::Streaming => json!({"state": "streaming"}),
        State::Retrying { code, cause, attempt, after } => json!({
            "state": "retrying", "code": code, "cause": cause, "attempt": attempt,
            "after_ms": u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        }),
        State::Stopped => json!({"state": "stopped"}),
        State::Failed { code, cause } => json!({"state": "failed", "code": code, "cause": cause}),
    };
    object["records_committed"] = json!(status.records_committed);
    let notices = status
        .notices
        .iter()
        .map(|notice| json!({"code": notice.code, "subject": notice.subject, "text": notice.text}));
    object["notices"] = notices.collect();
    object["committed_lsn"] = json!(status.committed.map(|lsn| lsn.to_string()));
    object
}
