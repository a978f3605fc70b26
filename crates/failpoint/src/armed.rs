//! Points that act. Only with the feature `armed`.
//!
//! In: the environment, once. Out: what it says, at the hit it says, and a line on standard error that tells so.
//! Never: anything between the line and SIGKILL; no destructor, no flush, no farewell to a peer.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::action::{self, Action, Armed};
use crate::{Check, FAILPOINT, MUTATION, Point};

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

static STATE: OnceLock<State> = OnceLock::new();

struct State {
    points: Vec<Armed>,
    out: Option<Check>,
}

/// A failure made on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Injected {
    point: Point,
}

impl Injected {
    /// Where.
    pub fn point(self) -> Point {
        self.point
    }
}

/// Reads both variables. Called once, before anything passes a point.
///
/// Errors: what of them is not understood, and what there is.
pub fn arm() -> Result<(), String> {
    let read = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let points = match read(FAILPOINT) {
        Some(text) => action::read(&text).map_err(|problem| format!("{FAILPOINT}: {problem}"))?,
        None => Vec::new(),
    };
    let out = match read(MUTATION) {
        Some(name) => Some(Check::named(&name).ok_or_else(|| {
            let known: Vec<&str> = Check::ALL.iter().map(|check| check.name()).collect();
            format!("{MUTATION}: no mutation `{name}`; there are {}", known.join(", "))
        })?),
        None => None,
    };
    let _ = STATE.set(State { points, out });
    Ok(())
}

/// Passes a point.
///
/// Errors: the failure that is to be made here.
pub async fn pass(point: Point) -> Result<(), Injected> {
    let Some(state) = STATE.get() else { return Ok(()) };
    for armed in state.points.iter().filter(|armed| armed.point == point) {
        if armed.hits.fetch_add(1, Ordering::Relaxed) + 1 == armed.at_hit {
            act(armed).await?;
        }
    }
    Ok(())
}

/// Whether a check is taken out.
pub fn is_out(check: Check) -> bool {
    STATE.get().is_some_and(|state| state.out == Some(check))
}

async fn act(armed: &Armed) -> Result<(), Injected> {
    let point = armed.point;
    tell(armed);
    match &armed.action {
        Action::Kill { after } => {
            if !after.is_zero() {
                tokio::time::sleep(*after).await;
            }
            // It cannot fail, and if it did, the test that waits for the death would.
            let _ = kill_process(getpid(), Signal::KILL);
        }
        Action::Stall { time } => tokio::time::sleep(*time).await,
        Action::Hold { until } => {
            while !until.exists() {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
        }
        Action::Fail => return Err(Injected { point }),
    }
    Ok(())
}

/// For the test that waits for it; the log of the process may go elsewhere, and is not flushed.
fn tell(armed: &Armed) {
    let (name, hit) = (armed.point.name(), armed.at_hit);
    let line = format!("failpoint {name}, hit {hit}: {:?}\n", armed.action);
    let _ = std::io::stderr().write_all(line.as_bytes());
}
