//! Kept versions of tables, of arbitrary bytes. For fuzzers.

use super::record;

/// See [`crate::fuzzing::checkpoint`].
pub(crate) fn version(bytes: &[u8]) {
    let _ = record::table_of(bytes, "shop", "p");
    let Ok(version) = record::from_json(bytes) else { return };
    let columns = version.columns.len();
    assert!(version.key.columns.iter().all(|column| *column < columns), "a key of no column");
    let again = record::to_json(&version).and_then(|json| record::from_json(&json));
    assert_eq!(again.ok(), Some(version));
}
