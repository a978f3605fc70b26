//! Proofs about snapshots: of one moment, joined to the stream, going on where they were interrupted, in nobody's way.
//!
//! In: plans with a seed. Out: reports that say what was done, what was found, and whether the promise was kept.
//! Never: a look at the connector's own state. The truth is PostgreSQL's, the evidence what a `read_committed` consumer finds.

pub mod add_table;
mod counted;
mod load;
mod notices;
pub mod resume;
pub mod seam;
pub mod sum;
pub mod transaction_age;

use std::time::Duration;

pub use counted::{Begin, Counted};

use crate::connector::{Connector, ConnectorProcess};
use crate::session::Session;
use crate::stack::{Database, Stack};
use crate::wait::DEADLINE;
use crate::{Failure, Result};

/// How long the events of all that was written may take. Long, because it is only reached by a failure.
const ARRIVAL_MAX: Duration = Duration::from_mins(5);

/// Removes the slot of a connector that has ended, and its database: what was found is found, and neither WAL nor tables are kept
/// for it.
async fn remove(stack: &Stack, database: &Database, connector: &Connector) -> Result<()> {
    let session = Session::connect(&stack.existing_database("postgres").url()).await?;
    connector.wait_until_slot_free(&session).await?;
    let slot = connector.slot();
    session.text(&format!("select pg_drop_replication_slot('{slot}')")).await?;
    session.run(&format!("drop database \"{}\" with (force)", database.name())).await
}

/// Waits until everything committed so far is in Kafka, and ends the connector in order.
async fn finish(database: &Database, process: &mut ConnectorProcess) -> Result<()> {
    let synced = database.sync_within(DEADLINE * 3).await;
    synced.map_err(|failure| failure.during(process.log_end()))?;
    match process.terminate().await? {
        0 => Ok(()),
        code => Err(Failure::new(format!("SIGTERM ended it with {code}:\n{}", process.log_end()))),
    }
}
