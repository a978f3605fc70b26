//! `tributary` typed as a command, in an environment that says nothing of its own.
//!
//! In: arguments, a folder, variables. Out: exit code and both outputs. Never: what a developer's shell has set.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::binary::binary;
use crate::{Failure, Result};

/// What a command that ended by itself left.
#[derive(Debug)]
pub struct Finished {
    /// Exit code, or -1 if a signal ended it.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `tributary` with `arguments` to its end.
pub async fn tributary(arguments: &[&str], within: Duration) -> Result<Finished> {
    finish(command(&binary()?), arguments, within).await
}

/// The same in a folder, with these environment variables.
pub(crate) async fn tributary_in(
    folder: &Path,
    arguments: &[&str],
    variables: &[(String, String)],
    within: Duration,
) -> Result<Finished> {
    let mut command = command(&binary()?);
    command.current_dir(folder);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    finish(command, arguments, within).await
}

async fn finish(mut command: Command, arguments: &[&str], within: Duration) -> Result<Finished> {
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let finished = tokio::time::timeout(within, command.output()).await;
    let Ok(output) = finished else {
        return Err(Failure::new(format!(
            "`tributary {}` did not end within {within:?}",
            arguments.join(" ")
        )));
    };
    let output = output?;
    Ok(Finished {
        exit_code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A command without the environment variables that configure `tributary`, so that a developer's shell changes no test.
pub(crate) fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for variable in [
        "DATABASE_URL",
        "KAFKA_URL",
        "KAFKA_CLIENT_CERT",
        "KAFKA_CLIENT_CERT_KEY",
        "KAFKA_TRUSTED_CERT",
        "KAFKA_PREFIX",
        "TRIBUTARY_CA",
        "TRIBUTARY_TOKEN",
        "TRIBUTARY_URL",
        "RUST_LOG",
        failpoint::FAILPOINT,
        failpoint::MUTATION,
    ] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1");
    command
}
