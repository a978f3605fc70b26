//! `cargo xtask bench layers`: the benchmarks of each layer on this tree beside the same ones on another commit.
//!
//! In: a commit, a limit. Out: a table and JSON; a failure that names each benchmark which is slower now by more than the limit.
//! Both are built first and then run in turns, so that what else the machine does meets both.
//! Never: a time that was measured in another call; a decision about a benchmark that only one of the two has.

mod build;
mod compare;
mod printed;

use std::path::Path;

use clap::Args;
use testkit::{Failure, Result};

use crate::output::{narrate, print};
use build::{Benches, Worktree};
use compare::{Comparison, Fastest, Plan};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Commit to compare with
    #[arg(long, default_value = "HEAD")]
    base: String,
    /// How many times as long a benchmark may take now
    #[arg(long, default_value_t = 1.10)]
    limit: f64,
    /// How often each of the two is measured; twice as often if one seems slower
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let base = build::resolve(&root, &arguments.base).await?;
    let worktree = Worktree::add(&root, &base).await?;
    let base_benches = worktree.build().await?;
    if base_benches.is_empty() {
        return Err(Failure::new(format!(
            "commit {base} has no benchmarks of layers: there is nothing to compare with"
        )));
    }
    let benches = Benches::build(&root, &root.join("target")).await?;
    let plan = Plan { base, limit: arguments.limit, rounds: arguments.rounds };
    let (mut before, mut now) = (Fastest::default(), Fastest::default());
    let mut comparison = measure(&plan, &base_benches, &mut before, &benches, &mut now).await?;
    if comparison.slower().next().is_some() {
        narrate("some seem slower: measured as often once more");
        comparison = measure(&plan, &base_benches, &mut before, &benches, &mut now).await?;
    }
    narrate(&comparison.to_string());
    print(&serde_json::to_string_pretty(&comparison.to_json())?);
    let slower: Vec<&str> = comparison.slower().collect();
    let failure = || Failure::new(format!("slower than the limit: {}", slower.join(", ")));
    if slower.is_empty() { Ok(()) } else { Err(failure()) }
}

/// Measures in turns; who is first changes with every round. The fastest time of each benchmark stays.
async fn measure(
    plan: &Plan,
    base_benches: &Benches,
    before: &mut Fastest,
    benches: &Benches,
    now: &mut Fastest,
) -> Result<Comparison> {
    for round in 0..plan.rounds {
        narrate(&format!("round {} of {}", round + 1, plan.rounds));
        if round % 2 == 0 {
            before.keep(base_benches.run().await?);
            now.keep(benches.run().await?);
        } else {
            now.keep(benches.run().await?);
            before.keep(base_benches.run().await?);
        }
    }
    Ok(Comparison::of(plan, before, now))
}
