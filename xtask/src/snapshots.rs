//! `cargo xtask snapshots`: proofs that a snapshot is of one moment, joins the stream, goes on where it was, and is in nobody's way.
//!
//! In: numbers and seeds. Out: a report of each run on standard output; exit 1 if a promise was broken, or if a run proves nothing.
//! Never: the work itself, which is in `testkit`.

use std::fmt::Display;

use clap::{Args, Subcommand};
use testkit::snapshots::{add_table, resume, seam, sum, transaction_age};
use testkit::stack::Stack;
use testkit::{Result, connector};

use crate::broken_if;
use crate::output::{narrate, print};

#[derive(Subcommand)]
pub(crate) enum Proof {
    /// Money moves between accounts while four read them: the sum over the rows that were read is exact
    Sum(SumArgs),
    /// Transactions open across the making of the slot: each row is in the snapshot or in the stream
    Seam(SeamArgs),
    /// SIGKILLs inside the snapshot: it goes on, and the topics are the tables
    Resume(ResumeArgs),
    /// The longest transaction an incremental snapshot keeps open on the source
    TransactionAge(TransactionAgeArgs),
    /// A table is added to a running connector: the events of the others do not wait for it
    AddTable(AddTableArgs),
}

#[derive(Args)]
pub(crate) struct Series {
    /// Seed of every choice; several runs count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs with consecutive seeds
    #[arg(long, default_value_t = 20)]
    runs: u64,
    /// Test the unoptimised binary
    #[arg(long)]
    debug: bool,
}

#[derive(Args)]
pub(crate) struct SumArgs {
    #[command(flatten)]
    series: Series,
    /// Accounts
    #[arg(long, default_value_t = 100_000)]
    accounts: u64,
    /// Bytes of a row beside its numbers
    #[arg(long, default_value_t = 1_900)]
    filler_bytes: u32,
    /// Sessions that move money
    #[arg(long, default_value_t = 4)]
    writers: u64,
    /// `snapshot.max.threads`
    #[arg(long, default_value_t = 4)]
    threads: u32,
}

#[derive(Args)]
pub(crate) struct SeamArgs {
    #[command(flatten)]
    series: Series,
    /// Sessions with a transaction open at almost every moment
    #[arg(long, default_value_t = 12)]
    writers: u64,
    /// Rows before anything else
    #[arg(long, default_value_t = 20_000)]
    rows: u64,
    /// Hold commits back by a synchronous standby that is not there, each for a random time
    #[arg(long)]
    standby: bool,
}

#[derive(Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    series: Series,
    /// Rows of each of four tables
    #[arg(long, default_value_t = 150_000)]
    rows: u64,
    /// Sessions that change them
    #[arg(long, default_value_t = 4)]
    writers: u64,
    /// SIGKILLs, as long as there is a snapshot to kill
    #[arg(long, default_value_t = 4)]
    kills: u32,
    /// `snapshot.max.threads`; runs take turns between 1 and 2 without it
    #[arg(long)]
    threads: Option<u32>,
    /// Bytes of a table that are read at a time: so much of each reader may be read again after each SIGKILL
    #[arg(long, default_value_t = 4 * 1024 * 1024)]
    chunk_bytes: u64,
    /// Bytes of tables on their way from all readers to the end of a Kafka transaction: they may be read again, too
    #[arg(long, default_value_t = 12 * 1024 * 1024)]
    ahead_bytes: u64,
    /// Connector settings, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
}

#[derive(Args)]
pub(crate) struct TransactionAgeArgs {
    /// Rows of the table
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Sessions that update it
    #[arg(long, default_value_t = 2)]
    writers: u64,
    /// Connector settings, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
}

#[derive(Args)]
pub(crate) struct AddTableArgs {
    /// Seed of every choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rows of the table that is added
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Sessions that write to each of three tables
    #[arg(long, default_value_t = 1)]
    writers: u64,
    /// Connector settings, as `key=value`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = crate::key_and_value)]
    settings: Vec<(String, String)>,
}

pub(crate) async fn run(proof: Proof) -> Result<()> {
    let (settings, release): (&[_], bool) = match &proof {
        Proof::Seam(arguments) if arguments.standby => (&seam::STANDBY, !arguments.series.debug),
        Proof::Seam(SeamArgs { series, .. })
        | Proof::Sum(SumArgs { series, .. })
        | Proof::Resume(ResumeArgs { series, .. }) => (&[], !series.debug),
        Proof::TransactionAge(_) | Proof::AddTable(_) => (&[("max_wal_size", "4GB")], true),
    };
    connector::use_binary(connector::build(release)?)?;
    let stack = Stack::start(settings).await?;
    let mut tally = Tally::default();
    match proof {
        Proof::Sum(arguments) => sums(&stack, &arguments, &mut tally).await?,
        Proof::Seam(arguments) => seams(&stack, &arguments, &mut tally).await?,
        Proof::Resume(arguments) => resumes(&stack, &arguments, &mut tally).await?,
        Proof::TransactionAge(TransactionAgeArgs { rows, writers, settings }) => {
            let plan = transaction_age::Plan { rows, writers, settings };
            let report = transaction_age::run(&stack, &plan, &narrate).await?;
            tally.add(&report, report.is_clean(), true);
        }
        Proof::AddTable(AddTableArgs { seed, rows, writers, settings }) => {
            let plan = add_table::Plan { seed, rows, writers, settings };
            let report = add_table::run(&stack, &plan, &narrate).await?;
            tally.add(&report, report.is_clean(), true);
        }
    }
    stack.stop().await?;
    tally.end()
}

async fn sums(stack: &Stack, arguments: &SumArgs, tally: &mut Tally) -> Result<()> {
    for run in 0..arguments.series.runs {
        let plan = sum::Plan {
            seed: arguments.series.seed + run,
            accounts: arguments.accounts,
            filler_bytes: arguments.filler_bytes,
            writers: arguments.writers,
            threads: arguments.threads,
        };
        let report = sum::run(stack, &plan).await?;
        tally.add(&report, report.is_clean(), report.is_telling());
    }
    Ok(())
}

async fn seams(stack: &Stack, arguments: &SeamArgs, tally: &mut Tally) -> Result<()> {
    for run in 0..arguments.series.runs {
        let plan = seam::Plan {
            seed: arguments.series.seed + run,
            writers: arguments.writers,
            rows: arguments.rows,
            standby: arguments.standby,
        };
        let report = seam::run(stack, &plan).await?;
        tally.add(&report, report.is_clean(), report.is_telling());
    }
    Ok(())
}

async fn resumes(stack: &Stack, arguments: &ResumeArgs, tally: &mut Tally) -> Result<()> {
    for (run, in_turn) in (0..arguments.series.runs).zip([1, 2].into_iter().cycle()) {
        let plan = resume::Plan {
            seed: arguments.series.seed + run,
            rows: arguments.rows,
            writers: arguments.writers,
            kills: arguments.kills,
            threads: arguments.threads.unwrap_or(in_turn),
            chunk_bytes: arguments.chunk_bytes,
            ahead_bytes: arguments.ahead_bytes,
            settings: arguments.settings.clone(),
        };
        let report = resume::run(stack, &plan, &narrate).await?;
        tally.add(&report, report.is_clean(), report.is_telling());
    }
    Ok(())
}

/// How runs came out.
#[derive(Default)]
struct Tally {
    runs: u64,
    broken: u64,
    telling: u64,
}

impl Tally {
    fn add(&mut self, report: &impl Display, is_clean: bool, is_telling: bool) {
        print(&report.to_string());
        self.runs += 1;
        self.broken += u64::from(!is_clean);
        self.telling += u64::from(is_telling);
    }

    /// Errors: a promise was broken, or no run could have shown that it is.
    fn end(&self) -> Result<()> {
        let Self { runs, broken, telling } = self;
        print(&format!("{runs} runs, {telling} of them telling, {broken} broken\n"));
        broken_if(*broken > 0, &format!("{broken} of {runs} runs broke the promise"))?;
        broken_if(*telling == 0, "no run proves anything: what it is about did not happen")
    }
}
