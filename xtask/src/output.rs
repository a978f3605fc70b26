//! The terminal: findings to standard output, the rest to standard error.

use std::io::Write as _;

/// Writes a finding.
pub(crate) fn print(text: &str) {
    // A closed pipe is the reader's wish to hear no more.
    let _ = write!(std::io::stdout(), "{text}");
}

/// Tells what is going on.
pub(crate) fn narrate(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
