//! The log on stderr; of a worker also what of it is of its connectors.

mod connectors;

use std::io::{self, IsTerminal};

use ::worker::rest::LogLevels;
use ::worker::{LogLines, log_lines};
use connectors::ConnectorLines;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Command, Format};
use crate::error::CliError;

/// What a worker gets of the log.
pub(crate) struct Log {
    /// They can be changed.
    pub(crate) levels: LogLevels,
    /// What is of its connectors; `None` of other commands.
    pub(crate) lines: Option<LogLines>,
}

/// Starts logging: `RUST_LOG`, else what is useful for the command.
pub(crate) fn start(format: Format, command: &Command) -> Result<Log, CliError> {
    let default = match command {
        Command::Run(_) | Command::Worker(_) => "info",
        // Their stderr is for the one who waits in front of it.
        _ => "warn",
    };
    let wanted = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let wanted = wanted.as_deref().unwrap_or(default);
    let filter = EnvFilter::builder()
        .parse(wanted)
        .map_err(|error| CliError::LogFilter { reason: error.to_string() })?;
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let (sender, lines) = matches!(command, Command::Worker(_)).then(log_lines).unzip();
    let connectors = sender.map(ConnectorLines);
    let levels = match format {
        Format::Text => {
            let builder = builder.with_ansi(colour).with_target(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.finish().with(connectors).init();
            LogLevels::new(wanted, move |directives| reload(&handle, directives))
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.finish().with(connectors).init();
            LogLevels::new(wanted, move |directives| reload(&handle, directives))
        }
    };
    Ok(Log { levels, lines })
}

fn reload<S>(handle: &Handle<EnvFilter, S>, directives: &str) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(directives).map_err(|error| error.to_string())?;
    handle.reload(filter).map_err(|error| error.to_string())
}
