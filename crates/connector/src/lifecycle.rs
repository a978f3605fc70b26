//! The life of one connector: take over, run, and after a failure that may pass, take over again.
//!
//! Crash-only: a failure, a stop and SIGKILL leave by the same door. Whatever was open is dropped, Kafka aborts what was
//! not committed, and the next take-over reads from the checkpoint what is true.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::error::{Class, ConnectorError};
use crate::settings::Settings;
use crate::status::{State, StatusReporter};
use crate::{pipeline, retention, takeover};

/// Pause after the first failure of a row.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause while a server is away: a look costs nothing, and once it is back nobody should wait for us.
const AWAY_LOOK_MAX: Duration = Duration::from_secs(2);
/// A run that lasted this long, or committed records, was a success: the next failure is the first of its row. What fails at one
/// record again and again does not come further, so its pauses grow all the same.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// Runs one connector until it is told to stop or cannot go on.
///
/// Errors: [`Class::Definite`] and [`Class::Fenced`] ones; what may pass is tried again, with a pause that grows to
/// `retriable.restart.connector.wait.ms` (to 2 s while a server is not there), for ever or `errors.max.retries` times in a row, and said in the status.
pub async fn run(
    settings: Settings,
    status: &StatusReporter,
    stop: &CancellationToken,
) -> Result<(), ConnectorError> {
    let settings = Arc::new(settings);
    for note in &settings.notes {
        info!(connector.name = %settings.name, key = %note.key, "{note}");
    }
    let too_much = tokio::select! {
        biased;
        outcome = Box::pin(again_and_again(&settings, status, stop)) => return outcome,
        too_much = Box::pin(retention::watch(&settings, status)) => too_much,
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = Box::pin(retention::drop_slot(&settings)) => {}
    }
    Err(failed(&settings, status, too_much))
}

/// Takes over, and after what may pass takes over again.
async fn again_and_again(
    settings: &Arc<Settings>,
    status: &StatusReporter,
    stop: &CancellationToken,
) -> Result<(), ConnectorError> {
    let instance = Uuid::new_v4().to_string();
    let mut claimed = false;
    let mut attempt: u32 = 0;
    loop {
        let started = Instant::now();
        let records_before = status.records_committed();
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            outcome = Box::pin(once(settings, &instance, &mut claimed, status)) => outcome,
        };
        let Err(failure) = outcome else {
            status.state(State::Stopped);
            return Ok(());
        };
        let cause = chain(&failure);
        match failure.class() {
            Class::Transient => {
                let came_further = status.records_committed() > records_before;
                let healthy = came_further || started.elapsed() >= HEALTHY_AFTER;
                attempt = if healthy { 1 } else { attempt.saturating_add(1) };
                if settings.retry.attempts_max.is_some_and(|most| attempt > most) {
                    return Err(failed(settings, status, failure));
                }
            }
            Class::Fenced if claimed && was_taken_for_dead(settings, &instance, stop).await => {
                attempt = 1;
            }
            Class::Fenced => {
                info!(connector.name = %settings.name, "another instance took over: {cause}");
                status.state(State::Stopped);
                return Err(failure);
            }
            Class::Definite => return Err(failed(settings, status, failure)),
        }
        let wait_max = settings.retry.wait_max;
        let wait_max = if failure.is_away() { wait_max.min(AWAY_LOOK_MAX) } else { wait_max };
        let after = pause(attempt, wait_max);
        warn!(connector.name = %settings.name, code = failure.code(), attempt, "takes over again in {after:?}: {cause}");
        status.state(State::Retrying { code: failure.code(), cause, attempt, after });
        tokio::select! {
            () = stop.cancelled() => {
                status.state(State::Stopped);
                return Ok(());
            }
            () = tokio::time::sleep(after) => {}
        }
    }
}

/// Whether a broker fenced this run, and nobody runs in its place. A look that cannot be had is none against it: the take-over
/// looks again.
async fn was_taken_for_dead(settings: &Settings, instance: &str, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        ours = takeover::is_still_ours(settings, instance) => ours.unwrap_or(true),
    }
}

/// The end of a connector that cannot go on.
fn failed(settings: &Settings, status: &StatusReporter, failure: ConnectorError) -> ConnectorError {
    let cause = chain(&failure);
    error!(connector.name = %settings.name, code = failure.code(), "{cause}");
    status.state(State::Failed { code: failure.code(), cause });
    failure
}

/// One take-over and everything after it, to its end.
async fn once(
    settings: &Arc<Settings>,
    instance: &str,
    claimed: &mut bool,
    status: &StatusReporter,
) -> Result<(), ConnectorError> {
    status.state(State::Starting);
    let taken = takeover::take_over(settings, instance, claimed).await?;
    Box::pin(pipeline::run(taken, settings, status)).await
}

/// Grows from [`RETRY_FIRST`] by half each time up to `wait_max`, with a quarter of jitter so that many connectors of one
/// broken server do not come back in step.
fn pause(attempt: u32, wait_max: Duration) -> Duration {
    let grown = RETRY_FIRST.mul_f64(1.5_f64.powi(attempt.min(40).cast_signed() - 1));
    grown.min(wait_max).mul_f64(rand::rng().random_range(0.75..1.25))
}

/// A failure and the causes behind it, on one line each.
pub fn chain(failure: &dyn Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(inner) = cause {
        text.push_str("\n  cause: ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit() {
        let limit = Duration::from_secs(10);
        assert!(pause(1, limit) <= Duration::from_millis(125));
        assert!(pause(100, limit) >= Duration::from_millis(7500));
        assert!(pause(100, limit) <= Duration::from_millis(12_500));
    }
}
