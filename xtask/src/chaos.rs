//! `cargo xtask chaos`: faults at random from a seed, for minutes.

use std::time::Duration;

use clap::Args;
use testkit::chaos::{self, Plan, Site};
use testkit::{Failure, Result, connector};

use crate::output::{narrate, print};

#[derive(Args)]
pub(crate) struct Arguments {
    /// How long faults go on; the end takes a while longer
    #[arg(long, default_value_t = 3)]
    minutes: u64,
    /// Seed of the faults: the same gives the same faults in the same order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Concurrent writers
    #[arg(long, default_value_t = 4)]
    writers: u64,
    /// Milliseconds between two transactions of a writer
    #[arg(long, default_value_t = 4)]
    pause_ms: u64,
    /// Test the unoptimised binary
    #[arg(long)]
    debug: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let built =
        if arguments.debug { connector::build(false) } else { connector::build_for_chaos() };
    connector::use_binary(built?)?;
    let plan = Plan {
        writers: arguments.writers,
        pause: Duration::from_millis(arguments.pause_ms),
        ..Plan::minutes(arguments.seed, arguments.minutes)
    };
    narrate(&format!("seed {}, until {} minutes are over:", plan.seed, arguments.minutes));
    for (number, fault) in (1..).zip(plan.faults()) {
        narrate(&format!("{number:4}  {fault}"));
    }
    let mut site = Site::start(&[]).await?;
    let report = chaos::run(&mut site, &plan, &narrate).await?;
    print(&report.to_string());
    site.stop().await?;
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure::new(format!("seed {} broke the promise", plan.seed)))
}
