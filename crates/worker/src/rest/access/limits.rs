//! How often one address may ask.
//!
//! In: an address. Out: yes, or how many seconds to wait. Never: more addresses remembered than a limit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests an address may make at once, and each second after that.
const REQUESTS: Bucket = Bucket { most: 2000.0, per_second: 500.0 };
/// Wrong passwords or tokens, the same way: as people mistype, not as machines guess.
const FAILURES: Bucket = Bucket { most: 10.0, per_second: 0.1 };
const ADDRESSES_MAX: usize = 4096;

#[derive(Clone, Copy)]
struct Bucket {
    most: f64,
    per_second: f64,
}

/// What addresses have used.
#[derive(Default)]
pub(crate) struct Limits {
    requests: Mutex<HashMap<IpAddr, Level>>,
    failures: Mutex<HashMap<IpAddr, Level>>,
}

#[derive(Clone, Copy)]
struct Level {
    left: f64,
    at: Instant,
}

impl Limits {
    /// Counts a request.
    pub(super) fn request(&self, from: IpAddr) -> Result<(), u64> {
        take(&self.requests, REQUESTS, from, 1.0)
    }

    /// Whether an address may try a password at all.
    pub(super) fn may_try(&self, from: IpAddr) -> Result<(), u64> {
        take(&self.failures, FAILURES, from, 0.0)
    }

    /// Counts a wrong password.
    pub(super) fn failed(&self, from: IpAddr) {
        // The next try is the one that is refused.
        let _ = take(&self.failures, FAILURES, from, 1.0);
    }
}

fn take(
    levels: &Mutex<HashMap<IpAddr, Level>>,
    bucket: Bucket,
    from: IpAddr,
    count: f64,
) -> Result<(), u64> {
    let now = Instant::now();
    let mut levels = levels.lock().unwrap_or_else(PoisonError::into_inner);
    if levels.len() >= ADDRESSES_MAX && !levels.contains_key(&from) {
        let full_again = Duration::from_secs_f64(bucket.most / bucket.per_second);
        levels.retain(|_, level| now.duration_since(level.at) < full_again);
        if levels.len() >= ADDRESSES_MAX {
            // All of them asked within minutes; a newcomer waits until there is room to count.
            return Err(full_again.as_secs().max(1));
        }
    }
    let level = levels.entry(from).or_insert(Level { left: bucket.most, at: now });
    let refilled = now.duration_since(level.at).as_secs_f64() * bucket.per_second;
    level.left = (level.left + refilled).min(bucket.most);
    level.at = now;
    if level.left < 1.0 {
        let wait = Duration::from_secs_f64((1.0 - level.left) / bucket.per_second);
        return Err(wait.as_secs() + 1);
    }
    level.left -= count;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_passwords_close_the_door_of_one_address_only() {
        let limits = Limits::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..10 {
            assert_eq!(limits.may_try(one), Ok(()));
            limits.failed(one);
        }
        assert!(limits.may_try(one).is_err());
        assert_eq!(limits.may_try(other), Ok(()));
        assert_eq!(limits.request(one), Ok(()));
    }

    #[test]
    fn addresses_that_are_remembered_are_bounded() {
        let limits = Limits::default();
        for number in 0..10_000_u32 {
            let _ = limits.request(IpAddr::from(number.to_be_bytes()));
        }
        assert!(limits.requests.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
