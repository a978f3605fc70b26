//! What PostgreSQL can give at most: the same WAL, decoded by the same plugin, and thrown away.
//!
//! In: our slot, of which a copy is read. Out: the time. Never: a slot that is moved and is not a copy.
//! Source: PostgreSQL manual, "`pg_recvlogical`" and "Replication Management Functions".

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::session::Session;
use crate::stack::Database;
use crate::{Failure, Result, psql};

/// On the replication protocol: pgoutput version 1, text, TCP.
pub(super) async fn pg_recvlogical(
    database: &Database,
    session: &Session,
    slot: &str,
    end: &str,
) -> Result<Duration> {
    let copy = copy(session, slot).await?;
    let publication = format!("publication_names={}", database.name());
    let port = database.port().to_string();
    let mut command = Command::new(embedded::tools::find("pg_recvlogical")?);
    command
        .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port, "-d", database.name()])
        .args(["-S", &copy, "--start", "--no-loop", "-f", "/dev/null", "-E", end])
        .args(["-o", "proto_version=1", "-o", &publication])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let started = Instant::now();
    let output = command.output().await?;
    let elapsed = started.elapsed();
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr)).during("pg_recvlogical"));
    }
    session.drop_slot(&copy).await?;
    Ok(elapsed)
}

/// By SQL, binary, in one answer.
pub(super) async fn sql_read(
    database: &Database,
    session: &Session,
    slot: &str,
    end: &str,
) -> Result<Duration> {
    let copy = copy(session, slot).await?;
    let read = format!(
        "copy (select lsn, data from pg_logical_slot_peek_binary_changes('{copy}', '{end}', null, \
         'proto_version', '1', 'publication_names', '{}')) to stdout (format binary)",
        database.name()
    );
    let elapsed = psql::discard(database, &read).await?;
    session.drop_slot(&copy).await?;
    Ok(elapsed)
}

async fn copy(session: &Session, slot: &str) -> Result<String> {
    let copy = format!("{slot}_copy");
    session.text(&format!("select pg_copy_logical_replication_slot('{slot}', '{copy}')")).await?;
    Ok(copy)
}
