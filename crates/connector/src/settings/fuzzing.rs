//! Expressions and files that settings lead to, of arbitrary bytes. For fuzzers.

use super::pattern::{Case, compile, split_list};
use super::references;

/// See [`crate::fuzzing::pattern`].
pub(crate) fn pattern(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for item in split_list(text) {
        assert!(!item.is_empty() && item.trim() == item);
        if let Ok(pattern) = compile(&item, Case::Ignored) {
            let _ = pattern.is_match("public.orders");
        }
    }
    if let Ok(pattern) = compile(text, Case::Matters) {
        let _ = pattern.is_match("public.orders");
    }
}

/// See [`crate::fuzzing::properties_file`].
pub(crate) fn properties_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let names = text.lines().filter_map(|line| line.split(['=', ':']).next()).map(str::trim);
    for name in names.take(8).chain(["", "password"]) {
        if let Some(value) = references::property(text, name) {
            assert!(value.len() <= text.len());
        }
    }
    let found = references::Resolved::of(&[("k".to_owned(), text.to_owned())].into(), |name| {
        (name.len() < 3).then(|| "${env:A}".to_owned())
    });
    let names_file = text.contains("${file:") || text.contains("${dir");
    assert!(names_file || found.config.contains_key("k"));
}
