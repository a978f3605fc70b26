//! The `tributary` command.
//!
//! In: arguments, the environment, signals. Out: data on stdout, everything else on stderr, an exit code:
//! 0 done, 1 failed, 2 misused, 3 timed out. Never here: what a change is or when it is safe; that is `connector`'s.

mod args;
mod check;
mod clock;
mod codes;
mod dev;
mod error;
mod event;
mod explain;
mod logging;
mod output;
mod progress;
mod readback;
mod run;
mod signals;
mod specify;
mod tail;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use error::CliError;
use output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.output);
    match start(arguments, output) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    }
}

fn start(arguments: Arguments, output: Output) -> Result<ExitCode, CliError> {
    if let Command::Explain(explained) = &arguments.command {
        return explain::run(explained, output);
    }
    logging::start(arguments.log_format, &arguments.command)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| CliError::Runtime { cause })?;
    let outcome = runtime.block_on(dispatch(arguments.command, output));
    // A blocking call of a library must not hold the exit back.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

async fn dispatch(command: Command, output: Output) -> Result<ExitCode, CliError> {
    match command {
        Command::Run(arguments) => Box::pin(run::run(&arguments, output)).await,
        Command::Check(arguments) => Box::pin(check::run(&arguments, output)).await,
        Command::Tail(arguments) => Box::pin(tail::run(&arguments, output)).await,
        Command::Dev(arguments) => Box::pin(dev::run(&arguments, output)).await,
        Command::Explain(arguments) => explain::run(&arguments, output),
    }
}
