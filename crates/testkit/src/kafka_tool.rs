//! Kafka's own programs, run against a broker of the tests.
//!
//! In: a class and its arguments. Out: that it succeeded. Never: a program of ours in its place.

use std::process::Command;

use embedded::Kafka;

use crate::{Failure, Result};

/// Runs one of Kafka's own tools, as `kafka-acls.sh` would.
///
/// Errors: what it has printed, if it fails.
pub fn kafka_tool(kafka: &Kafka, class: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(kafka.java())
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(kafka.libs_dir().join("*"))
        .arg(class)
        .args(["--bootstrap-server", &kafka.bootstrap()])
        .args(arguments)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(Failure::new(format!("{class}: {}{}", text(&output.stdout), text(&output.stderr))))
}
