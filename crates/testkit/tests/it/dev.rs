//! `tributary dev`: everything with no arguments.

use std::time::Duration;

use testkit::Result;
use testkit::connector::tributary;

#[tokio::test]
async fn dev_runs_the_whole_job_and_ends_with_0_because_every_change_arrived_once() -> Result<()> {
    let finished = tributary(&["dev", "--for", "15s"], Duration::from_mins(3)).await?;
    assert_eq!(finished.exit_code, 0, "{}\n{}", finished.stdout, finished.stderr);
    Ok(())
}
