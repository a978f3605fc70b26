//! What is kept of a snapshot, of arbitrary bytes. For fuzzers.

use postgres::snapshot::CtidRange;

use super::done::{from_json, table_of, to_json};

/// See [`crate::fuzzing::checkpoint`].
pub(crate) fn done(bytes: &[u8]) {
    let _ = table_of(bytes, "shop", "p");
    let Ok(mut parts) = from_json(bytes) else { return };
    let again = from_json(&to_json(&parts));
    assert_eq!(again.ok().as_ref(), Some(&parts));
    let _ = parts.ranges.gaps();
    // Whatever was kept, what is read now is done.
    for gap in parts.ranges.gaps() {
        parts.ranges.add(gap);
    }
    parts.ranges.add(CtidRange::WHOLE);
    assert_eq!(parts.ranges.gaps(), []);
}
