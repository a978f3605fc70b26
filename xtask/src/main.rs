//! Development tasks: `cargo xtask test`, `oracle`, `chaos`, `pgbench`, `golden`, `differential`, `sink`, `flink`, `fleet`, `bench`, `snapshots`.
//!
//! In: a command line. Out: findings on standard output, what is going on on standard error; exit 1 if a promise was broken.
//! Never: the work itself, which is in `testkit`.

mod bench;
mod chaos;
mod differential;
mod fleet;
mod layers;
mod output;
mod sink;
mod snapshots;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use testkit::stack::Stack;
use testkit::{Failure, Result, connector, golden, oracle, pgbench};
use tokio::signal::unix::{SignalKind, signal};

use output::{narrate, print};

#[derive(Parser)]
#[command(about = "Development tasks", arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the binary and run every test of the workspace
    Test {
        /// Passed on to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Random transactions, SIGKILLs, and a count of what was doubled, lost or out of order
    Oracle(OracleArgs),
    /// Faults of every kind at random from a seed while writers write, and the oracle's verdict on the whole
    Chaos(chaos::Arguments),
    /// pgbench on all four of its tables with a snapshot taken while it runs
    Pgbench(PgbenchArgs),
    /// Replay recorded cases of the real Debezium connector
    Golden(GoldenArgs),
    /// The real Debezium and us on the same random changes, compared record by record
    Differential(differential::Arguments),
    /// Our topics copied into a second database by the Debezium JDBC sink connector
    Sink(sink::Arguments),
    /// Our topics read by Apache Flink's debezium-json format
    Flink,
    /// Many connectors on a few workers, one of which is killed and one stopped
    Fleet(fleet::Arguments),
    /// Measure
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Proofs that a snapshot is of one moment, joins the stream, goes on where it was, and is in nobody's way
    Snapshots {
        #[command(subcommand)]
        proof: snapshots::Proof,
    },
}

#[derive(Args)]
struct OracleArgs {
    /// Seed of every choice; several runs count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Row changes committed while the connector streams
    #[arg(long, default_value_t = 100_000)]
    changes: u64,
    /// SIGKILLs while it streams; one more comes inside the snapshot
    #[arg(long, default_value_t = 3)]
    kills: u32,
    /// Do not kill it inside its snapshot
    #[arg(long)]
    spare_snapshot: bool,
    /// Runs with consecutive seeds
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Connector settings, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    settings: Vec<(String, String)>,
    /// Test the unoptimised binary
    #[arg(long)]
    debug: bool,
}

#[derive(Args)]
struct PgbenchArgs {
    /// `pgbench -i -s`
    #[arg(long, default_value_t = 10)]
    scale: u32,
    /// `pgbench -T`
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// `pgbench -i --partitions`; 0 for none
    #[arg(long, default_value_t = 0)]
    partitions: u32,
}

#[derive(Args)]
struct GoldenArgs {
    /// Regular expression that must match a group's whole name
    #[arg(long, default_value = ".*")]
    groups: String,
    /// Regular expression that must match a case's whole id
    #[arg(long, default_value = ".*")]
    cases: String,
    /// Folder of the recordings; those of `testkit` without it
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Run the cases that are left out, too
    #[arg(long)]
    complete: bool,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run_unless_interrupted(command_line.task)),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            narrate(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

/// What a task has started ends when its future is dropped: connectors, servers, their folders.
async fn run_unless_interrupted(task: Task) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = run(task) => done,
        _ = interrupt.recv() => Err(Failure::new("ended by SIGINT")),
        _ = terminate.recv() => Err(Failure::new("ended by SIGTERM")),
    }
}

async fn run(task: Task) -> Result<()> {
    match task {
        Task::Test { arguments } => test(&arguments),
        Task::Oracle(arguments) => oracle(arguments).await,
        Task::Chaos(arguments) => chaos::run(arguments).await,
        Task::Pgbench(arguments) => pgbench(arguments).await,
        Task::Golden(arguments) => golden(arguments).await,
        Task::Differential(arguments) => differential::run(arguments).await,
        Task::Sink(arguments) => sink::jdbc(arguments).await,
        Task::Flink => sink::flink().await,
        Task::Fleet(arguments) => fleet::run(arguments).await,
        Task::Bench { bench } => bench::run(bench).await,
        Task::Snapshots { proof } => snapshots::run(proof).await,
    }
}

/// Builds the binary first, because the tests of `testkit` run it and cargo does not know that.
fn test(arguments: &[String]) -> Result<()> {
    connector::build(false)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    let status = command.args(["test", "--workspace"]).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("cargo test: {status}"))) }
}

async fn oracle(arguments: OracleArgs) -> Result<()> {
    connector::use_binary(connector::build(!arguments.debug)?)?;
    let stack = Stack::start(&[]).await?;
    let mut unclean = 0;
    for run in 0..arguments.runs {
        let mut plan = oracle::Plan::new(arguments.seed + run, arguments.changes, arguments.kills);
        plan.kill_in_snapshot = !arguments.spare_snapshot;
        plan.settings.clone_from(&arguments.settings);
        let report = oracle::run(&stack, &plan, &narrate).await?;
        print(&report.to_string());
        unclean += u64::from(!report.is_clean());
    }
    stack.stop().await?;
    broken_if(unclean > 0, &format!("{unclean} of {} runs broke the promise", arguments.runs))
}

async fn pgbench(arguments: PgbenchArgs) -> Result<()> {
    connector::use_binary(connector::build(true)?)?;
    let stack = Stack::start(&[]).await?;
    let plan = pgbench::Plan {
        scale: arguments.scale,
        seconds: arguments.seconds,
        partitions: arguments.partitions,
    };
    let report = pgbench::run(&stack, plan, &narrate).await?;
    print(&report.to_string());
    stack.stop().await?;
    broken_if(!report.is_clean(), "the topics are not the tables")
}

async fn golden(arguments: GoldenArgs) -> Result<()> {
    connector::use_binary(connector::build(false)?)?;
    let mut selection = golden::Selection::new(&arguments.groups, &arguments.cases)?;
    if let Some(folder) = arguments.folder {
        selection.folder = folder;
    }
    if arguments.complete {
        selection = selection.complete();
    }
    let stack = Stack::start(&[]).await?;
    let reports = golden::replay(&stack, &selection).await?;
    for report in &reports {
        print(&format!("{} {} {}\n", report.mark(), report.name, report.title));
    }
    print(&golden::summary(&reports));
    stack.stop().await?;
    golden::expect_all_pass(&reports)
}

/// Splits a setting of the command line.
fn key_and_value(setting: &str) -> std::result::Result<(String, String), String> {
    let pair = setting.split_once('=');
    let (key, value) = pair.ok_or_else(|| format!("`{setting}` is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn broken_if(broken: bool, text: &str) -> Result<()> {
    if broken { Err(Failure::new(text)) } else { Ok(()) }
}
