//! The surface of `tributary`: help, errors, exit codes, pages of error codes. No servers are needed here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod codes;
mod errors;
mod help;

use std::process::{Command, Output};

/// Runs the binary with these arguments, in an environment that says nothing.
fn tributary(arguments: &[&str]) -> Output {
    tributary_with(arguments, &[])
}

/// Runs the binary with these arguments and variables.
fn tributary_with(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    for name in ["DATABASE_URL", "KAFKA_URL", "KAFKA_PREFIX", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("COLUMNS", "100").args(arguments);
    command.envs(variables.iter().copied());
    command.output().unwrap()
}

/// Exit code and stderr, as a snapshot wants them.
fn failure(output: &Output) -> String {
    assert!(output.stdout.is_empty(), "an error must leave stdout empty");
    let code = output.status.code().unwrap();
    format!("exit {code}\n{}", String::from_utf8_lossy(&output.stderr))
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
