//! Parsers of what we did not write, reached with arbitrary bytes. For fuzzers, not for users.
//!
//! In: any bytes. Out: nothing; a panic when a parser breaks its promise. Never: I/O.

use crate::position::Position;
use crate::{history, settings, signal, snapshot, spill, vanished, verify};

/// Blocks of a spill file, as they are and as they would be of these bytes.
pub fn spill_blocks(bytes: &[u8]) {
    spill::fuzzing::blocks(bytes);
}

/// Records of a spill file that is whole, replayed as a transaction.
///
/// Shape: `u8` number of subtransactions that rolled back · records.
pub fn spill_records(bytes: &[u8]) {
    spill::fuzzing::records(bytes);
}

/// A regular expression in Java's dialect, and a list of them.
pub fn pattern(bytes: &[u8]) {
    settings::fuzzing::pattern(bytes);
}

/// A properties file, and the keys that `${file:…}` asks it for.
pub fn properties_file(bytes: &[u8]) {
    settings::fuzzing::properties_file(bytes);
}

/// Records of the offsets topic: positions, versions of tables, parts of snapshots. What is read is written and read the same.
pub fn checkpoint(bytes: &[u8]) {
    if let Ok(position) = Position::from_json(bytes) {
        let again = Position::from_json(&position.to_json());
        assert_eq!(again.ok().as_ref(), Some(&position));
    }
    history::fuzzing::version(bytes);
    snapshot::fuzzing::done(bytes);
}

/// Signals of a topic, of lines of a file, and of a row.
pub fn signal(bytes: &[u8]) {
    signal::fuzzing::signal(bytes);
}

/// Events as `verify` and the search for vanished rows read them back.
///
/// Shape: values of records with zero bytes between them; what stands before the first is the key of all.
pub fn event(bytes: &[u8]) {
    verify::fuzzing::events(bytes);
    vanished::fuzzing::events(bytes);
}
