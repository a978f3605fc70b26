//! The checks that exactly once stands on, taken out one at a time: the oracle must notice.

use failpoint::Check;
use testkit::failpoints::{Outcome, scenario};
use testkit::oracle::Verdict;
use testkit::stack::Stack;
use testkit::{Failure, Result};

/// Duplicates, invented, lost of seven changes that were sent twice: the second delete of a key by one transaction is one that no
/// transaction made.
const REPEATED: (usize, usize, usize) = (6, 1, 0);

fn repeated(verdict: &Verdict) -> (usize, usize, usize) {
    (verdict.duplicates, verdict.invented, verdict.lost)
}

/// Plays the scenario with the check, where nothing may be wrong, and without; what the oracle says then.
async fn without(check: Check) -> Result<Verdict> {
    let stack = Stack::shared()?;
    let (with, without) = tokio::join!(scenario(stack, check, false), scenario(stack, check, true));
    match with? {
        Outcome::Judged(verdict) => assert!(verdict.is_clean(), "with the check: {verdict}"),
        Outcome::Refused { log } => assert!(log.contains("CO013"), "{log}"),
    }
    match without? {
        Outcome::Judged(verdict) => Ok(verdict),
        Outcome::Refused { log } => Err(Failure::new(format!("without the check: {log}"))),
    }
}

#[tokio::test]
async fn a_checkpoint_read_before_fencing_doubles_what_the_predecessor_committed_meanwhile()
-> Result<()> {
    let verdict = without(Check::FenceFirst).await?;
    assert_eq!(repeated(&verdict), REPEATED, "{verdict}");
    Ok(())
}

#[tokio::test]
async fn a_position_without_an_ordinal_doubles_the_slices_of_a_half_sent_transaction() -> Result<()>
{
    let verdict = without(Check::Ordinal).await?;
    assert!(verdict.duplicates > 0 && verdict.duplicates < 2000, "{verdict}");
    assert_eq!((verdict.lost, verdict.invented), (0, 0), "{verdict}");
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_outside_the_transaction_doubles_what_was_committed_before_a_death()
-> Result<()> {
    let verdict = without(Check::CheckpointInTransaction).await?;
    assert_eq!(repeated(&verdict), REPEATED, "{verdict}");
    Ok(())
}

#[tokio::test]
async fn a_slot_that_was_moved_loses_changes_if_nobody_compares_it_with_the_checkpoint()
-> Result<()> {
    let verdict = without(Check::SlotAhead).await?;
    assert_eq!(verdict.duplicates, 0, "{verdict}");
    assert!(verdict.lost > 0 && verdict.not_folding > 0, "{verdict}");
    Ok(())
}
