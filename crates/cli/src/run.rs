//! `tributary run`: one connector in this process until it is told to stop.

use std::pin::pin;
use std::process::ExitCode;

use connector::settings::Settings;
use connector::status::{self, IncrementalStatus, State, Status, StatusReporter};
use connector::{Class, ConnectorError};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::args::{ConnectorArguments, RunArguments};
use crate::error::CliError;
use crate::metrics::Metrics;
use crate::output::Output;
use crate::progress::SnapshotBar;
use crate::signals::{Hangups, Signals};
use crate::specify;

pub(crate) async fn run(arguments: &RunArguments, output: Output) -> Result<ExitCode, CliError> {
    // First, since until then a SIGHUP is the end.
    let (signals, hangups) = (Signals::listen()?, Hangups::listen()?);
    let RunArguments { connector: arguments, metrics_listen } = arguments;
    let mut settings = specify::settings(arguments, output)?;
    let (reporter, statuses) = status::channel();
    let metrics = Metrics::listen(*metrics_listen, &settings, &statuses).await?;
    let screen = Screen {
        output,
        statuses,
        bar: SnapshotBar::new(),
        shown: None,
        incremental: None,
        streams: false,
        notices: 0,
    };
    let mut process = Process { arguments, output, reporter, signals, hangups, screen };
    let outcome = loop {
        match process.run(settings).await {
            Ended::With(outcome) => break outcome,
            Ended::ToReadAgain(changed) => {
                settings = *changed;
                metrics.are_of(&settings);
            }
        }
    };
    process.screen.bar.clear();
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

/// What this process is asked, and what it shows.
struct Process<'a> {
    arguments: &'a ConnectorArguments,
    output: Output,
    reporter: StatusReporter,
    signals: Signals,
    hangups: Hangups,
    screen: Screen,
}

/// Why a connector ended.
enum Ended {
    /// For good.
    With(Result<(), ConnectorError>),
    /// Its configuration is another one: it takes over from itself.
    ToReadAgain(Box<Settings>),
}

impl Process<'_> {
    /// Runs the connector until it ends, or its configuration was changed.
    async fn run(&mut self, settings: Settings) -> Ended {
        let stop = CancellationToken::new();
        let name = settings.name.to_string();
        let mut changed = None;
        let mut connector = pin!(connector::run(settings, &self.reporter, &stop));
        loop {
            tokio::select! {
                biased;
                outcome = &mut connector => return match changed.take() {
                    Some(settings) if outcome.is_ok() => Ended::ToReadAgain(settings),
                    _ => Ended::With(outcome),
                },
                signal = self.signals.next() => {
                    info!("{signal}: stopping");
                    changed = None;
                    if stop.is_cancelled() {
                        // Asked twice: a stop is only a polite death, so there is nothing to wait for.
                        return Ended::With(Ok(()));
                    }
                    stop.cancel();
                }
                () = self.hangups.next(), if !stop.is_cancelled() => {
                    changed = read_again(self.arguments, &name, self.output).map(Box::new);
                    if changed.is_some() {
                        stop.cancel();
                    }
                }
                Ok(()) = self.screen.statuses.changed() => self.screen.show(),
            }
        }
    }
}

/// What the configuration says now; `None` if it cannot be used, or there is none to read.
fn read_again(arguments: &ConnectorArguments, name: &str, output: Output) -> Option<Settings> {
    if arguments.config.is_none() {
        warn!("SIGHUP: this connector is made by flags, there is no configuration to read again");
        return None;
    }
    match specify::settings(arguments, output) {
        Ok(settings) if settings.name.as_str() == name => {
            info!(connector.name = name, "SIGHUP: goes on with the configuration as it is now");
            Some(settings)
        }
        Ok(settings) => {
            warn!(
                connector.name = name,
                "SIGHUP: the configuration is of another connector now, `{}`: it is not heeded",
                settings.name
            );
            None
        }
        Err(error) => {
            warn!(
                connector.name = name,
                "SIGHUP: the configuration cannot be used, the connector goes on with the earlier one: {error}"
            );
            None
        }
    }
}

/// What is shown of the connector's status.
struct Screen {
    output: Output,
    statuses: watch::Receiver<Status>,
    bar: SnapshotBar,
    shown: Option<State>,
    incremental: Option<IncrementalStatus>,
    /// Large transactions wait.
    streams: bool,
    notices: usize,
}

impl Screen {
    fn show(&mut self) {
        let status = self.statuses.borrow_and_update().clone();
        self.bar.show(&status.state);
        let news = self.shown.as_ref() != Some(&status.state)
            || self.incremental != status.incremental
            || self.streams != status.streamed.is_some()
            || self.notices < status.notices.len();
        if self.output.is_json() && news {
            self.output.json(&as_json(&status));
        }
        self.notices = status.notices.len();
        self.incremental = status.incremental;
        self.streams = status.streamed.is_some();
        self.shown = Some(status.state);
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
            "bytes_total": snapshot.bytes_total,
            "bytes_done": snapshot.bytes_done,
            "seconds_left": snapshot.remaining().map(|left| left.as_secs()),
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
    object["incremental_snapshot"] = json!(status.incremental);
    object["streamed_transactions"] = json!(status.streamed.map(|streamed| json!({
        "open": streamed.open,
        "spilled_bytes": streamed.spilled_bytes,
    })));
    object["committed_lsn"] = json!(status.committed.map(|lsn| lsn.to_string()));
    object
}
