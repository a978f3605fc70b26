//! The log on stderr; of a worker also what of it is of its connectors.

mod connectors;

use std::io::{self, IsTerminal};

use ::worker::rest::{LogLevels, TraceParent};
use ::worker::{LogLines, log_lines};
use connectors::ConnectorLines;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::args::{Command, Format};
use crate::error::CliError;
use crate::traces::Traces;

/// What a worker gets of the log.
pub(crate) struct Log {
    /// They can be changed.
    pub(crate) levels: LogLevels,
    /// What is of its connectors; `None` of other commands.
    pub(crate) lines: Option<LogLines>,
    /// How requests become parts of traces.
    pub(crate) trace_parent: Option<TraceParent>,
}

/// Starts logging: `RUST_LOG`, else what is useful for the command. `traces`: what else is recorded.
pub(crate) fn start(
    format: Format,
    command: &Command,
    traces: Option<&Traces>,
) -> Result<Log, CliError> {
    let default = match command {
        Command::Run(_) | Command::Worker(_) => "info",
        // Their stderr is for the one who waits in front of it.
        _ => "warn",
    };
    let wanted = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let wanted = wanted.as_deref().unwrap_or(default);
    let filter = parse(wanted).map_err(|reason| CliError::LogFilter { reason })?;
    let (filter, handle) = reload::Layer::new(filter);
    let (sender, lines) = matches!(command, Command::Worker(_)).then(log_lines).unzip();
    // Under the same filter, so that what is hidden in the log is hidden everywhere.
    let log = stderr(format).and_then(sender.map(ConnectorLines)).with_filter(filter);
    let mut layers = vec![log.boxed()];
    layers.extend(traces.map(Traces::layer));
    tracing_subscriber::registry().with(layers).init();
    let levels = LogLevels::new(wanted, move |directives| change(&handle, directives));
    Ok(Log { levels, lines, trace_parent: traces.map(Traces::trace_parent) })
}

fn stderr(format: Format) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = fmt::layer().with_writer(io::stderr);
    match format {
        Format::Text => {
            let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && io::stderr().is_terminal();
            layer.with_ansi(colour).with_target(false).boxed()
        }
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

fn parse(directives: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(directives).map_err(|error| error.to_string())
}

fn change(handle: &Handle<EnvFilter, Registry>, directives: &str) -> Result<(), String> {
    handle.reload(parse(directives)?).map_err(|error| error.to_string())
}
