//! Signals of topics and files, of arbitrary bytes. For fuzzers.

use super::file::Lines;
use super::record;
use crate::signal::Signal;

/// Those of a record with this value, and those of a file with these lines.
pub(crate) fn signals(bytes: &[u8]) -> Vec<Signal> {
    let mut signals: Vec<Signal> = record::read(bytes, "t@7").into_iter().collect();
    let lines = Lines::of(bytes);
    let _ = lines.is_cut();
    let mut length = 0;
    for line in lines {
        length += line.len();
        match record::read(line, "f@0") {
            Ok(signal) => signals.push(signal),
            Err(refused) => assert!(!refused.reason.is_empty()),
        }
    }
    assert_eq!(length, bytes.len());
    signals
}
