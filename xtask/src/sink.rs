//! `cargo xtask sink` and `cargo xtask flink`: our topics, read by programs others wrote.
//!
//! In: a seed. Out: reports on standard output; exit 1 if what they made of the topics is not the tables. Never: the work
//! itself, which is in `testkit`.

use clap::Args;
use testkit::stack::Stack;
use testkit::{Result, connector, sink};

use crate::broken_if;
use crate::output::{narrate, print};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Seed of every choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Transactions of row changes
    #[arg(long, default_value_t = 2_000)]
    transactions: u64,
}

pub(crate) async fn jdbc(arguments: Arguments) -> Result<()> {
    connector::use_binary(connector::build(false)?)?;
    let stack = Stack::start(&[("fsync", "off")]).await?;
    let report = sink::run_jdbc(&stack, arguments.seed, arguments.transactions, &narrate).await?;
    print(&report.to_string());
    stack.stop().await?;
    broken_if(!report.is_clean(), "the copied tables are not the source's")
}

pub(crate) async fn flink() -> Result<()> {
    connector::use_binary(connector::build(false)?)?;
    let stack = Stack::start(&[("fsync", "off")]).await?;
    let reports = sink::run_flink(&stack, &narrate).await?;
    for report in &reports {
        print(&report.to_string());
    }
    stack.stop().await?;
    let unclean = reports.iter().any(|report| !report.differences.is_empty());
    broken_if(unclean, "what Flink reads is not the table")
}
