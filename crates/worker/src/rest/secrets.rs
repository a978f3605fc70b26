//! Values that are never shown, and what becomes of them when they come back.
//!
//! In: configurations on their way out and in. Out: the same with secrets hidden, or with hidden ones put back.
//! Never: a secret in an answer. ADR 0017.

use std::collections::BTreeMap;

use connector::settings::is_secret;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use crate::wanted::Config;

/// What stands for a secret. Kafka's own word for it.
pub(super) const HIDDEN: &str = "[hidden]";

/// Keys and values. Secrets are `[hidden]` in answers; one that comes back so keeps what it was.
// Answers have no other type for a configuration, so that none can be shown that was not hidden.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Config)]
pub(super) struct Shown(BTreeMap<String, String>);

impl Shown {
    /// With a key more, which is no secret.
    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        self.0.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// A configuration to be shown.
pub(super) fn hidden(config: &Config) -> Shown {
    Shown(config.iter().map(|(key, value)| (key.clone(), shown(key, value))).collect())
}

/// A value to be shown. References are no secrets, what they lead to is.
pub(super) fn shown(key: &str, value: &str) -> String {
    if is_secret(key) {
        return if value.is_empty() || is_reference(value) { value } else { HIDDEN }.to_owned();
    }
    hide_in_url(&hide_in_words(value))
}

/// Whether an answer would not show the value as it is.
pub(crate) fn is_hidden(key: &str, value: &str) -> bool {
    shown(key, value) != value
}

/// A configuration that came back: what is hidden in it is what was shown of `stored`.
///
/// Errors: [`ApiError::Hidden`] for a value that was not shown so.
pub(super) fn restored(mut config: Config, stored: Option<&Config>) -> Result<Config, ApiError> {
    for (key, value) in &mut config {
        if let Some(kept) = kept(key, value, stored)? {
            *value = kept;
        }
    }
    Ok(config)
}

/// The stored value that a hidden one stands for; `None` if it is not hidden.
pub(super) fn kept(
    key: &str,
    value: &str,
    stored: Option<&Config>,
) -> Result<Option<String>, ApiError> {
    if !value.contains(HIDDEN) {
        return Ok(None);
    }
    match stored.and_then(|stored| stored.get(key)) {
        Some(secret) if shown(key, secret) == value => Ok(Some(secret.clone())),
        _ => Err(ApiError::Hidden { key: key.to_owned() }),
    }
}

fn is_reference(value: &str) -> bool {
    let inner = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| inner.contains(':') && !inner.contains(['{', '}']))
}

/// `scheme://user:password@host` -> `scheme://user:[hidden]@host`, and options of the URL that are secrets.
fn hide_in_url(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, password)) if !is_reference(password) => format!("{user}:{HIDDEN}@{host}"),
            _ => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{}", hide_in_query(behind))
}

fn hide_in_query(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, value)) if is_secret(key) && !is_reference(value) => format!("{key}={HIDDEN}"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// `host=h password=p` as libpq writes it; a quoted password ends with its quote.
fn hide_in_words(value: &str) -> String {
    if !value.contains("password") || value.contains("://") {
        return value.to_owned();
    }
    let mut shown = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find("password") {
        let (before, from) = rest.split_at(at + "password".len());
        shown.push_str(before);
        let equals = from.trim_start();
        let Some(secret) = equals.strip_prefix('=') else {
            rest = from;
            continue;
        };
        let secret = secret.trim_start();
        shown.push('=');
        let end = word_end(secret);
        if is_reference(&secret[..end]) {
            shown.push_str(&secret[..end]);
        } else {
            shown.push_str(HIDDEN);
        }
        rest = &secret[end..];
    }
    shown.push_str(rest);
    shown
}

/// Where a value of libpq's ends, in bytes.
fn word_end(text: &str) -> usize {
    let is_quoted = text.starts_with('\'');
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(usize::from(is_quoted)) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\'' if is_quoted => return at + 1,
            ' ' | '\t' | '\n' if !is_quoted => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn no_secret_is_shown() {
        for (key, value, expected) in [
            ("database.password", "s3cret", HIDDEN),
            ("database.password", "${env:PASSWORD}", "${env:PASSWORD}"),
            ("database.password", "${env:A}s3cret", HIDDEN),
            ("sasl.jaas.config", "x required password=\"s3cret\";", HIDDEN),
            ("tributary.source.url", "postgres://u:s3cret@h:5/d", "postgres://u:[hidden]@h:5/d"),
            ("tributary.source.url", "postgres://u:s3@cret@h/d", "postgres://u:[hidden]@h/d"),
            (
                "tributary.source.url",
                "postgres://h/d?user=u&password=s3cret",
                "postgres://h/d?user=u&password=[hidden]",
            ),
            (
                "tributary.source.url",
                "host=h password=s3cret dbname=d",
                "host=h password=[hidden] dbname=d",
            ),
            (
                "tributary.source.url",
                r"host=h password = 's3 \'cret' sslpassword=s3cret",
                "host=h password=[hidden] sslpassword=[hidden]",
            ),
            ("table.include.list", "public.password", "public.password"),
        ] {
            assert_eq!(shown(key, value), expected);
        }
    }

    #[test]
    fn what_was_shown_and_comes_back_is_what_it_was() {
        let stored = config(&[
            ("database.password", "s3cret"),
            ("tributary.source.url", "postgres://u:p@h/d"),
            ("slot.name", "a"),
        ]);
        assert_eq!(restored(hidden(&stored).0, Some(&stored)).unwrap(), stored);
    }

    #[test]
    fn a_hidden_value_beside_something_else_is_refused() {
        let stored = config(&[("tributary.source.url", "postgres://u:p@h/d")]);
        let moved = config(&[("tributary.source.url", "postgres://u:[hidden]@elsewhere/d")]);
        assert!(matches!(restored(moved, Some(&stored)), Err(ApiError::Hidden { .. })));
        let new = config(&[("database.password", HIDDEN)]);
        assert!(matches!(restored(new, None), Err(ApiError::Hidden { .. })));
    }
}
