//! The servers of this crate, started for real.
//!
//! They come through `mvn` into the cache on the first run, so that one takes longer.

mod kafka;
mod postgres;
