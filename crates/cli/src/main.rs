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
mod managed;
mod metrics;
mod output;
mod progress;
mod readback;
mod run;
mod signals;
mod snapshot;
mod specify;
mod tail;
mod traces;
mod trust;
mod verify;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Arguments, Command, CompletionsArguments};
use error::CliError;
use logging::Log;
use managed::Verb;
use output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.output);
    #[cfg(feature = "failpoints")]
    if let Err(problem) = failpoint::arm() {
        output.note(&format!("error: {problem}"));
        return ExitCode::from(2);
    }
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
    // Those that run for long; the others are over before anybody could look.
    let traces = match arguments.command {
        Command::Run(_) | Command::Worker(_) => traces::start(),
        _ => Ok(None),
    };
    let recorded = traces.as_ref().ok().and_then(Option::as_ref);
    let log = logging::start(arguments.log_format, &arguments.command, recorded)?;
    if let Err(problem) = &traces {
        tracing::warn!(code = "CL029", "{problem}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| CliError::Runtime { cause })?;
    let outcome = runtime.block_on(dispatch(arguments.command, log, output));
    // A blocking call of a library must not hold the exit back.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

async fn dispatch(command: Command, log: Log, output: Output) -> Result<ExitCode, CliError> {
    match command {
        Command::Run(arguments) => Box::pin(run::run(&arguments, output)).await,
        Command::Worker(arguments) => Box::pin(worker::run(&arguments, log, output)).await,
        Command::Create(arguments) => managed::create(&arguments, output).await,
        Command::List(arguments) => managed::list(&arguments, output).await,
        Command::Info(arguments) => managed::info(&arguments, output).await,
        Command::Wait(arguments) => managed::wait(&arguments, output).await,
        Command::Update(arguments) => managed::update(&arguments, output).await,
        Command::Plan(arguments) => managed::plan(&arguments, output).await,
        Command::Apply(arguments) => managed::apply(&arguments, output).await,
        Command::Pause(arguments) => managed::verb(Verb::Pause, &arguments, output).await,
        Command::Resume(arguments) => managed::verb(Verb::Resume, &arguments, output).await,
        Command::Stop(arguments) => managed::verb(Verb::Stop, &arguments, output).await,
        Command::Restart(arguments) => managed::verb(Verb::Restart, &arguments, output).await,
        Command::AlterKey(arguments) => Box::pin(managed::alter_key(&arguments, output)).await,
        Command::Destroy(arguments) => managed::destroy(&arguments, output).await,
        Command::Offsets(arguments) => managed::offsets(&arguments, output).await,
        Command::Logs(arguments) => managed::logs(&arguments, output).await,
        Command::Topics(arguments) => managed::topics(&arguments, output).await,
        Command::Check(arguments) => Box::pin(check::run(&arguments, output)).await,
        Command::Verify(arguments) => Box::pin(verify::run(&arguments, output)).await,
        Command::Snapshot(arguments) => Box::pin(snapshot::run(&arguments, output)).await,
        Command::Tail(arguments) => Box::pin(tail::run(&arguments, output)).await,
        Command::Dev(arguments) => Box::pin(dev::run(&arguments, output)).await,
        Command::Completions(arguments) => Ok(completions(&arguments)),
        Command::Explain(arguments) => explain::run(&arguments, output),
    }
}

/// `tributary completions`.
fn completions(arguments: &CompletionsArguments) -> ExitCode {
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "tributary", &mut std::io::stdout());
    ExitCode::SUCCESS
}
