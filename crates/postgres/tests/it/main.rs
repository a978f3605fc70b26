//! The room against real PostgreSQL servers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here, helpers included")]

mod batches;
mod catalog;
mod connect;
mod preflight;
mod publication;
mod snapshot;
mod stream;
mod support;
mod tls;
