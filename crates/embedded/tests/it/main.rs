//! The servers of this crate, started for real.
//!
//! They come through `mvn` into the cache on the first run, so that one takes longer. What must be seen from outside of the
//! process that holds a server runs in a second copy of this binary: see `child`.

mod child;
mod fetch;
mod kafka;
mod listeners;
mod orphans;
mod postgres;
mod wait;
