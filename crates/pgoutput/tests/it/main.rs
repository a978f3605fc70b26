//! Tests through the public face of the crate. The frames in `../frames` came from real servers.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod decoding;
mod frames;
mod order;
mod parts;
mod replay;
