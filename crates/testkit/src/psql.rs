//! One statement run by `psql`, whose output is thrown away: what PostgreSQL itself can give at most.
//!
//! In: a statement. Out: how long it took, with the start of the program. Never: a look at what came.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::stack::Database;
use crate::{Failure, Result};

/// Errors: no `psql`, and whatever it says on standard error when it fails.
pub(crate) async fn discard(database: &Database, statement: &str) -> Result<Duration> {
    let mut command = Command::new(embedded::tools::find("psql")?);
    command
        .args(["-X", "-q", "-h", "127.0.0.1", "-U", "postgres", "-c", statement])
        .args(["-p", &database.port().to_string(), "-d", database.name()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let started = Instant::now();
    let output = command.output().await?;
    let elapsed = started.elapsed();
    if output.status.success() {
        return Ok(elapsed);
    }
    Err(Failure::new(String::from_utf8_lossy(&output.stderr)).during("psql"))
}
