//! The end of a server's log, for error texts.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

const TAIL_LINES_MAX: usize = 25;
const TAIL_BYTES_MAX: usize = 6_000;

/// The last lines of a log file, each indented by two spaces; says so if there are none.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = match fs::read(log) {
        Ok(bytes) => bytes,
        Err(error) => return format!("  (no log: {error})"),
    };
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..]);
    let mut lines: Vec<&str> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(TAIL_LINES_MAX).collect();
    lines.reverse();
    if lines.is_empty() {
        return "  (the log is empty)".to_owned();
    }
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Length of a log file, 0 if there is none yet.
pub(crate) fn length_bytes(log: &Path) -> u64 {
    fs::metadata(log).map(|metadata| metadata.len()).unwrap_or_default()
}

/// Whether a log says, after the first `offset_bytes`, that a port was taken.
pub(crate) fn names_a_taken_port(log: &Path, offset_bytes: u64) -> bool {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset_bytes))?;
        file.read_to_end(&mut text)
    });
    let text = String::from_utf8_lossy(&text);
    read.is_ok() && (text.contains("Address already in use") || text.contains("could not bind"))
}
