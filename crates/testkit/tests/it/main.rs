//! One file per capability. Each test is named for a promise and breaks for one reason.

mod blocking;
mod cases;
mod check;
mod columns;
mod context;
mod dev;
mod differences;
mod golden;
mod heartbeat;
mod idle;
mod incremental;
mod key_change;
mod keys_of_their_time;
mod messages;
mod oracle;
mod replica_identity;
mod restart;
mod run;
mod signals;
mod snapshot;
mod streaming;
mod toast;
mod transaction_metadata;
mod truncate;
mod two_copies;
mod types;
