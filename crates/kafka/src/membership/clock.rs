//! A clock that goes on while the process is stopped and while the machine sleeps.
//!
//! In: nothing. Out: [`Moment`]s. `std::time::Instant` stands still on Linux while the machine is
//! suspended, and a session does not. Never here: the time of day, which may jump.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
/// Elsewhere this one counts sleep as well, or there is none that does.
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// A time of this machine since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    pub(super) fn now() -> Self {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(CLOCK);
        let seconds = u64::try_from(tv_sec).unwrap_or(0);
        Self(Duration::new(seconds, u32::try_from(tv_nsec).unwrap_or(0)))
    }

    /// How long ago it was; zero if it is to come.
    pub(super) fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }

    /// How long it is to come; zero if it was.
    pub(super) fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    pub(super) fn is_past(self) -> bool {
        self.left().is_zero()
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}
