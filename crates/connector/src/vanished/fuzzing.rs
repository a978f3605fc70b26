//! Last records of keys, of arbitrary bytes. For fuzzers.

use envelope::KeyForm;
use serde::de::IgnoredAny;

use super::event;
use super::fold::{Fold, Slice};

/// See [`crate::fuzzing::event`].
pub(crate) fn events(bytes: &[u8]) {
    let form = KeyForm {
        head: Vec::new(),
        close: b"",
        fields: vec![("id".to_owned(), "int32"), ("n".to_owned(), "bytes")],
    };
    let mut fold = Fold::new(Slice::WHOLE, 3, 2, 5);
    let mut values = bytes.split(|byte| *byte == 0);
    let key = values.next().unwrap_or_default();
    let _ = event::has_form(key, &form);
    for (offset, value) in (0..).zip(values) {
        let leaves_row = event::read(value).ok().flatten().inspect(|last| {
            // Both go into a new record as they are.
            for json in last.schema.into_iter().chain([last.row]) {
                assert!(serde_json::from_str::<IgnoredAny>(json).is_ok());
            }
        });
        fold.push(offset, value.get(..4).unwrap_or(key), || leaves_row.is_some());
    }
    let (offsets, _) = fold.finish();
    assert!(offsets.iter().all(|offset| *offset < 3));
}
