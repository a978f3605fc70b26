//! The servers of this crate, started for real.
//!
//! They come through `mvn` into the cache on the first run, so that one takes longer. What must be seen from outside of the
//! process that holds a server runs in a second copy of this binary: see `child`.

#![expect(clippy::unwrap_used, reason = "in tests a broken assumption is a failed test")]
#![expect(clippy::print_stdout, reason = "a child speaks to its parent over standard output")]

mod child;
mod connect;
mod fetch;
mod kafka;
mod listeners;
mod orphans;
mod postgres;
mod wait;
