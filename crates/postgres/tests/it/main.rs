//! The room against real PostgreSQL servers.

mod catalog;
mod connect;
mod preflight;
mod publication;
mod snapshot;
mod stream;
mod support;
mod tls;
