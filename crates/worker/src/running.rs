//! One connector on this worker, from the moment its partition is assigned here to the moment it is taken away.
//!
//! In: what is wanted, as it changes. Out: a running [`connector::run`], or none; what it does, told.
//! Never: two of them at once. A change stops the one that runs, waits for its end, and begins with what is wanted by then.

use std::sync::Arc;
use std::time::Duration;

use connector::lifecycle::chain;
use connector::settings::{InvalidSettings, Settings};
use connector::status::{self, State, Status};
use connector::{Class, ConnectorError, Destroy, watch_at_rest};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, error_span, info, warn};

use crate::clock::now_ms;
use crate::error::GroupError;
use crate::group::Group;
use crate::metrics::Posted;
use crate::telling::Teller;
use crate::told::{self, Cause, Phase, Said, Told};
use crate::wanted::{Target, Wanted};
use crate::written::Written;

/// After somebody else took over what is ours by assignment: the group moves it in a moment, or the other one is a `tributary run`.
const FENCED_PAUSE: Duration = Duration::from_secs(5);

/// Between two looks at what a connector says of itself.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// What has not changed for so long is told once more.
const TOLD_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// After an attempt to destroy it that failed.
const DESTROY_PAUSE: Duration = Duration::from_secs(5);

/// One connector on this worker.
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) group: Group,
    /// This worker's id.
    pub(crate) worker: String,
    /// Later than that of any worker that had it before.
    pub(crate) term: i64,
    pub(crate) wanted: watch::Receiver<Arc<Wanted>>,
    /// The newest of it that is heeded.
    pub(crate) doing: Arc<Wanted>,
    pub(crate) teller: Teller,
    /// Its place on the page of metrics.
    pub(crate) posted: Posted,
    /// The phase it told last, and when that began.
    pub(crate) phase: Option<(Phase, i64)>,
    pub(crate) written: Written,
}

/// Why a run ended.
enum Ended {
    /// Something else is wanted.
    Changed,
    /// It is not ours any more.
    Taken,
    /// By itself.
    With(Result<(), ConnectorError>),
    /// A defect of ours.
    Panicked(String),
}

impl Running {
    /// Does what is wanted until the other end of `wanted` is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let wanted = Arc::clone(&self.wanted.borrow_and_update());
            self.doing = Arc::clone(&wanted);
            let goes_on = match wanted.target {
                _ if wanted.destroy.is_some() => self.destroy(&wanted).await,
                Target::Running => self.start(&wanted).await,
                Target::Paused => self.rest(&wanted, Phase::Paused, &Said::default()).await,
                Target::Stopped => self.rest(&wanted, Phase::Stopped, &Said::default()).await,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Does nothing until something else is wanted, and tells what that costs the source; false if it was taken away.
    async fn rest(&mut self, wanted: &Wanted, phase: Phase, said: &Said) -> bool {
        self.tell(phase, said.clone(), None);
        let Ok(settings) = self.group.options().settings(&self.name, &wanted.config) else {
            return self.wanted.changed().await.is_ok();
        };
        self.posted.named(&settings.encoder.topic_prefix);
        let (reporter, mut statuses) = status::channel();
        let mut watch = std::pin::pin!(watch_at_rest(&settings, &reporter));
        loop {
            tokio::select! {
                changed = self.wanted.changed() => return changed.is_ok(),
                () = &mut watch => {}
                Ok(()) = statuses.changed() => {
                    let status = statuses.borrow_and_update().clone();
                    self.tell(phase, said.clone(), Some(&status));
                }
            }
        }
    }

    /// Runs it until something else is wanted; false if it was taken away.
    async fn start(&mut self, wanted: &Arc<Wanted>) -> bool {
        let settings = match self.group.options().settings(&self.name, &wanted.config) {
            Ok(settings) => settings,
            Err(invalid) => {
                error!(connector.name = self.name, "its configuration cannot be used: {invalid}");
                let said = Said { cause: Some(invalid_cause(&invalid)), ..Said::default() };
                return self.rest_failed(wanted, Phase::Invalid, said).await;
            }
        };
        self.posted.named(&settings.encoder.topic_prefix);
        match self.run_once(wanted, settings).await {
            // By itself it only ends well when it is told to.
            Ended::Changed | Ended::With(Ok(())) => true,
            Ended::Taken => false,
            Ended::With(Err(error)) if error.class() == Class::Fenced => {
                info!(
                    connector.name = self.name,
                    "another instance has it, looks again in {FENCED_PAUSE:?}: {error}"
                );
                let cause = cause_of(error.code(), &error);
                let said = Said { cause: Some(cause), ..Said::default() };
                self.tell(Phase::Retrying, said, None);
                tokio::select! {
                    changed = self.wanted.changed() => changed.is_ok(),
                    () = tokio::time::sleep(FENCED_PAUSE) => true,
                }
            }
            Ended::With(Err(error)) => {
                let said = Said { cause: Some(cause_of(error.code(), &error)), ..Said::default() };
                self.rest_failed(wanted, Phase::Failed, said).await
            }
            Ended::Panicked(text) => {
                error!(connector.name = self.name, code = "WK015", "a defect ended it: {text}");
                let text = format!(
                    "[WK015] a defect of Tributary ended the connector, nothing is lost: restart it, and report this: {text}"
                );
                let cause = Cause { code: "WK015".to_owned(), text, attempt: None };
                let said = Said { cause: Some(cause), ..Said::default() };
                self.rest_failed(wanted, Phase::Failed, said).await
            }
        }
    }

    /// A connector that cannot go on waits for another configuration, another target, or a restart.
    async fn rest_failed(&mut self, wanted: &Wanted, phase: Phase, said: Said) -> bool {
        loop {
            if !self.rest(wanted, phase, &said).await {
                return false;
            }
            let newest = Arc::clone(&self.wanted.borrow_and_update());
            if differs(wanted, &newest, true) {
                return true;
            }
            self.doing = newest;
        }
    }

    /// Takes it away at the source, and then out of what is wanted; tries until it is done, or not wanted any more.
    async fn destroy(&mut self, wanted: &Wanted) -> bool {
        let said = Said::default();
        self.tell(Phase::Destroying, said, None);
        let Err(failure) = self.try_to_destroy(wanted).await else {
            // The end of the record ends this task.
            return self.wanted.changed().await.is_ok();
        };
        warn!(
            connector.name = self.name,
            code = failure.code(),
            "cannot be destroyed yet: {}",
            chain(&failure)
        );
        let said = Said { cause: Some(cause_of(failure.code(), &failure)), ..Said::default() };
        self.tell(Phase::Destroying, said, None);
        tokio::select! {
            changed = self.wanted.changed() => changed.is_ok(),
            () = tokio::time::sleep(DESTROY_PAUSE) => true,
        }
    }

    async fn try_to_destroy(&self, wanted: &Wanted) -> Result<(), GroupError> {
        let settings = self.group.options().settings(&self.name, &wanted.config)?;
        let keeps_publication = self.group.shares_publication(&self.name, &settings);
        let topics = wanted.destroy.is_some_and(|destroy| destroy.topics);
        connector::destroy(&settings, Destroy { topics, keeps_publication }).await?;
        self.group.delete(&self.name).await
    }

    async fn run_once(&mut self, wanted: &Arc<Wanted>, settings: Settings) -> Ended {
        let (reporter, mut statuses) = status::channel();
        let stop = CancellationToken::new();
        let mut run = JoinSet::new();
        let names = settings.clone();
        self.written.begin();
        let stopped = stop.clone();
        let of_connector = error_span!("connector", connector.name = self.name);
        let running = async move { connector::run(settings, &reporter, &stopped).await };
        run.spawn(running.instrument(of_connector));
        let mut asked = None;
        let mut last = None;
        let mut again = tokio::time::interval(TOLD_AGAIN_AFTER);
        // A busy connector says something new with each commit.
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                biased;
                ended = run.join_next() => {
                    let status = statuses.borrow_and_update().clone();
                    self.posted.post(told::phase(&status.state).0, Some(&status));
                    return match (ended, asked) {
                        (Some(Err(panic)), _) if panic.is_panic() => {
                            Ended::Panicked(panic.to_string())
                        }
                        (_, Some(ended)) => ended,
                        (Some(Ok(outcome)), None) => Ended::With(outcome),
                        _ => Ended::Changed,
                    };
                }
                changed = self.wanted.changed(), if asked.is_none() => {
                    if changed.is_err() {
                        asked = Some(Ended::Taken);
                        stop.cancel();
                        continue;
                    }
                    let newest = Arc::clone(&self.wanted.borrow_and_update());
                    if differs(wanted, &newest, false) {
                        asked = Some(Ended::Changed);
                        stop.cancel();
                        continue;
                    }
                    // What runs does that already.
                    self.doing = newest;
                    again.reset_immediately();
                }
                Ok(()) = changed_after(&mut statuses, not_before) => {
                    not_before = Instant::now() + LOOK_INTERVAL;
                    let status = statuses.borrow_and_update().clone();
                    let newest = Arc::clone(&self.wanted.borrow());
                    self.written.look(&newest, &status, &names);
                    // Its end is told by whoever knows why.
                    if !matches!(status.state, State::Stopped | State::Failed { .. }) {
                        let (phase, said) = told::phase(&status.state);
                        self.tell(phase, said, Some(&status));
                        last = Some(status);
                    }
                }
                // A worker that slept may have told something late, over what was told here.
                _ = again.tick() => if let Some(status) = &last {
                    let (phase, said) = told::phase(&status.state);
                    self.tell(phase, said, Some(status));
                }
            }
        }
    }

    fn tell(&mut self, phase: Phase, said: Said, status: Option<&Status>) {
        let now = now_ms();
        let since_ms = match self.phase {
            Some((before, since_ms)) if before == phase => since_ms,
            _ => now,
        };
        self.phase = Some((phase, since_ms));
        self.posted.post(phase, status);
        let mut told = Told {
            worker: self.worker.clone(),
            term: self.term,
            created_at_ms: self.doing.created_at_ms,
            revision: self.doing.revision,
            restarts: self.doing.restarts,
            since_ms,
            at_ms: now,
            phase,
            cause: said.cause,
            snapshot: said.snapshot,
            incremental: None,
            signals: None,
            retention: None,
            committed_lsn: None,
            records_committed: 0,
            latency_ms: None,
            notices: Vec::new(),
            topics: self.written.topics(),
        };
        if let Some(status) = status {
            told::fill(&mut told, status);
        }
        self.teller.tell(&self.name, Some(told));
    }
}

/// The next change, not before a moment. Cancel-safe.
async fn changed_after(
    statuses: &mut watch::Receiver<Status>,
    moment: Instant,
) -> Result<(), watch::error::RecvError> {
    tokio::time::sleep_until(moment).await;
    statuses.changed().await
}

/// Whether what is wanted now asks for something else than what is done.
fn differs(done: &Wanted, now: &Wanted, has_failed: bool) -> bool {
    let restarts = now.restarts != done.restarts && (has_failed || !now.restarts_only_failed);
    now.target != done.target
        || now.destroy != done.destroy
        || now.config_revision != done.config_revision
        || restarts
}

fn invalid_cause(invalid: &InvalidSettings) -> Cause {
    let code = invalid.problems.first().map_or("CF003", |problem| problem.code);
    cause_of(code, invalid)
}

fn cause_of(code: &str, failure: &dyn std::error::Error) -> Cause {
    Cause { code: code.to_owned(), text: chain(failure), attempt: None }
}
