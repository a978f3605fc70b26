//! The log on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::args::{Command, Format};
use crate::error::CliError;

/// Starts logging: `RUST_LOG`, else what is useful for the command.
pub(crate) fn start(format: Format, command: &Command) -> Result<(), CliError> {
    let default = match command {
        Command::Run(_) => "info",
        // Their stderr is for the one who waits in front of it.
        Command::Check(_) | Command::Tail(_) | Command::Dev(_) | Command::Explain(_) => "warn",
    };
    let wanted = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let filter = EnvFilter::builder()
        .parse(wanted.as_deref().unwrap_or(default))
        .map_err(|error| CliError::LogFilter { reason: error.to_string() })?;
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        Format::Text => builder.with_ansi(colour).with_target(false).init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
