//! The proofs of `cargo xtask snapshots`, on small tables: each fails if what it is about did not happen.

use testkit::Result;
use testkit::snapshots::{resume, seam, sum};
use testkit::stack::Stack;

#[tokio::test]
async fn a_snapshot_that_four_read_is_of_one_moment() -> Result<()> {
    for seed in [1, 2] {
        let plan =
            sum::Plan { seed, accounts: 20_000, filler_bytes: 1_900, writers: 3, threads: 4 };
        let report = sum::run(Stack::shared()?, &plan).await?;
        assert!(report.is_clean() && report.is_telling(), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn a_row_is_in_the_snapshot_or_in_the_stream_whenever_its_transaction_began_and_ended()
-> Result<()> {
    for seed in [1, 2] {
        let plan = seam::Plan { seed, writers: 8, rows: 2_000, standby: false };
        let report = seam::run(Stack::shared()?, &plan).await?;
        assert!(report.is_clean() && report.is_telling(), "{report}");
    }
    Ok(())
}

/// Method: rows are read slowly enough to be killed between them. What is read again is for `cargo xtask snapshots resume` to count:
/// these tables have a chunk each.
#[tokio::test]
async fn a_snapshot_that_is_killed_goes_on_and_the_topics_are_the_tables() -> Result<()> {
    for (seed, threads) in [(1, 1), (2, 2)] {
        let settings = [
            ("tributary.snapshot.max.rows.per.second", "4000"),
            ("tributary.commit.bytes.max", "65536"),
        ];
        let plan = resume::Plan {
            seed,
            rows: 4_000,
            writers: 2,
            kills: 2,
            threads,
            chunk_bytes: 4 * 1024 * 1024,
            ahead_bytes: 1024 * 1024,
            settings: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        };
        let report = resume::run(Stack::shared()?, &plan, &|_| {}).await?;
        assert!(report.is_folding() && report.is_telling(), "{report}");
    }
    Ok(())
}
