//! The pages of `docs/errors`, built into the binary.

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of a code, whatever its case.
pub(crate) fn page(code: &str) -> Option<&'static str> {
    let code = code.trim().trim_matches(['[', ']']).to_ascii_uppercase();
    PAGES.iter().find(|(known, _)| *known == code).map(|(_, text)| *text)
}

/// All codes, in order.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}
