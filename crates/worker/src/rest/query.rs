//! Parameters of a request, as Java reads them.
//!
//! In: the query of an address. Out: values, decoded. Never: a refusal; what is not known is not looked at, as with Connect.

/// The values of a parameter, which may stand there more than once.
pub(super) fn query_values(query: &str, name: &str) -> Vec<String> {
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    query
        .split('&')
        .filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key) == name).then(|| decoded(value))
        })
        .collect()
}

/// Whether a parameter is true, as Java reads it: any other word is false.
pub(super) fn query_flag(query: &str, name: &str) -> bool {
    query_values(query, name).last().is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
