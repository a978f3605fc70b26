//! The oracle in short. `cargo xtask oracle` runs it in full.

use testkit::Result;
use testkit::oracle::{Plan, rehearse, run};
use testkit::stack::Stack;
use testkit::wait::unix_ms_now;

/// Each row version exactly once, in order per key, the topics folding to the tables, through SIGKILLs. The seed is another each time; it is printed, and `TRIBUTARY_ORACLE_SEED` sets it.
#[tokio::test]
async fn random_transactions_survive_sigkills_exactly_once() -> Result<()> {
    let given = std::env::var("TRIBUTARY_ORACLE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| unix_ms_now().unsigned_abs());
    let mut plan = Plan::new(seed, 12_000, 3);
    plan.kill_in_snapshot = false;
    let report = run(Stack::shared()?, &plan, &|_| {}).await?;
    assert!(report.is_clean() && report.verdict.truncates > 0, "{report}");
    Ok(())
}

/// Snapshot rows may come again, but no row is missing and none stays that was deleted meanwhile.
/// Seed 11 kills it when a reader has read its first row.
#[tokio::test]
async fn a_sigkill_inside_the_snapshot_loses_nothing() -> Result<()> {
    let report = run(Stack::shared()?, &Plan::new(11, 3_000, 0), &|_| {}).await?;
    assert!(report.is_clean(), "{report}");
    Ok(())
}

/// Events made from the journal itself pass, so what the oracle finds in a topic is the topic's fault.
#[tokio::test]
async fn the_oracle_finds_nothing_wrong_with_a_perfect_connector() -> Result<()> {
    let verdict = rehearse(Stack::shared()?, &Plan::new(3, 3_000, 0)).await?;
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.streamed_events > 3_000 && verdict.truncates > 0, "{verdict}");
    Ok(())
}
