//! Waiting for a condition, with a deadline. The only place where anything here sleeps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Failure, Result};

/// How long one wait may take where the caller has no better idea. Long, because it is only reached by a failure.
pub const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Looks again and again until `condition` gives a value, and returns it.
///
/// Errors: `what` with the last state `condition` described, when `deadline` has passed; an error of `condition` at once.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Result<Seen<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        match condition().await? {
            Seen::Yes(value) => return Ok(value),
            Seen::NotYet(state) if started.elapsed() > deadline => {
                return Err(Failure::new(format!(
                    "waited {deadline:?} for: {what}; last seen: {state}"
                )));
            }
            Seen::NotYet(_) => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
        }
    }
}

/// What one look at a condition found.
#[derive(Debug)]
pub enum Seen<T> {
    /// It holds.
    Yes(T),
    /// It does not hold yet; this is the state in words, for the error message.
    NotYet(String),
}

impl Seen<()> {
    /// `Yes` if `holds`, else the state in words.
    pub fn when(holds: bool, state: impl FnOnce() -> String) -> Self {
        if holds { Self::Yes(()) } else { Self::NotYet(state()) }
    }
}

/// Milliseconds since 1970 by this machine's clock, the clock a connector on it stamps its events with.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where wall time enters: to tell events made before a restart from those made after it"
)]
pub fn unix_ms_now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
