//! The topics of a connector held against its tables, by a worker, for whoever asks.
//!
//! In: a connector's name. Out: how far it is, then what was found. Ends with its owner: whoever does not wait any more stops it.
//! Never: a second at the same time for the same request; nothing is changed on either side.

use std::time::Duration;

use connector::ConnectorError;
use connector::verify::{Report, VerifyProgress, verify};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::error::GroupError;
use crate::group::Group;

/// Between two words about how far it is.
const PAUSE: Duration = Duration::from_millis(250);

/// A comparison under way.
#[derive(Debug)]
pub(crate) struct Verifying {
    progress: watch::Receiver<VerifyProgress>,
    not_before: Instant,
    work: JoinSet<Result<Report, ConnectorError>>,
}

/// What there is to say of it.
#[derive(Debug)]
pub(crate) enum Verified {
    /// How far it is.
    Progress(VerifyProgress),
    /// What was found; nothing follows.
    Report(Report),
    /// Why it could not be done; nothing follows.
    Failed(GroupError),
}

impl Group {
    /// Begins to compare every captured table of a connector with its topic. Waits so long for the connector to come as far as the tables are.
    ///
    /// Errors: [`GroupError::NotFound`], those of its configuration.
    pub(crate) fn verify(&self, name: &str, wait_max: Duration) -> Result<Verifying, GroupError> {
        let settings = self.settings(name, &self.connector(name)?.wanted.config)?;
        let (reporter, progress) = watch::channel(VerifyProgress::default());
        let mut work = JoinSet::new();
        work.spawn(async move { Box::pin(verify(&settings, wait_max, &reporter)).await });
        Ok(Verifying { progress, not_before: Instant::now(), work })
    }
}

impl Verifying {
    /// What there is to say next; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Verified> {
        let Self { progress, not_before, work } = self;
        tokio::select! {
            biased;
            ended = work.join_next() => ended.map(of_end),
            Ok(()) = changed_after(progress, *not_before) => {
                *not_before = Instant::now() + PAUSE;
                Some(Verified::Progress(progress.borrow_and_update().clone()))
            }
        }
    }
}

async fn changed_after(
    progress: &mut watch::Receiver<VerifyProgress>,
    moment: Instant,
) -> Result<(), watch::error::RecvError> {
    sleep_until(moment).await;
    progress.changed().await
}

fn of_end(ended: Result<Result<Report, ConnectorError>, JoinError>) -> Verified {
    match ended {
        Ok(Ok(report)) => Verified::Report(report),
        Ok(Err(failure)) => Verified::Failed(failure.into()),
        // It is only ended from outside when nobody waits for it any more.
        Err(_panic) => Verified::Failed(ConnectorError::StageEnded { stage: "verify" }.into()),
    }
}
