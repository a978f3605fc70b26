//! Reads typed values out of the spec's text and collects what is wrong with them.
//!
//! In: the config map; defaults from [`super::keys`]. Out: values; problems pile up until the end.
//! Never: the first problem hides the second.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys;
use super::problem::Problem;

/// What a choice offers: the text, and what it means or why it cannot be had.
pub(super) type Choices<T> = [(&'static str, Choice<T>)];

/// One of the texts a key may have.
#[derive(Clone, Copy)]
pub(super) enum Choice<T> {
    /// It works.
    Is(T),
    /// It is a value of Debezium's that cannot be had here yet.
    NotYet,
}

/// The config map with a notebook for problems.
pub(super) struct Values<'a> {
    config: &'a BTreeMap<String, String>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Values<'a> {
    pub(super) fn new(config: &'a BTreeMap<String, String>) -> Self {
        Self { config, problems: Vec::new() }
    }

    /// The text as typed, without the table's default; empty counts as not set.
    pub(super) fn given(&self, key: &str) -> Option<&'a str> {
        self.config.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The text as typed or else the table's default; `None` if both are empty.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        let default = Some(keys::default_of(key)).filter(|text| !text.is_empty());
        self.given(key).or(default)
    }

    /// All keys with their texts.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.config.iter().map(|(key, value)| (key.as_str(), value.trim()))
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        match self.text(key).unwrap_or_default().to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            other => {
                self.invalid(
                    key,
                    &format!("`{other}` is neither true nor false"),
                    "write true or false",
                );
                false
            }
        }
    }

    /// A whole number within `least..=most`.
    pub(super) fn number(&mut self, key: &str, least: i64, most: i64) -> i64 {
        let text = self.text(key).unwrap_or_default();
        match text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => number,
            Ok(number) => {
                let why = format!("{number} is outside of {least} to {most}");
                self.invalid(key, &why, &format!("write a number from {least} to {most}"));
                least
            }
            Err(_) => {
                let why = format!("`{text}` is not a whole number");
                self.invalid(key, &why, &format!("write a number from {least} to {most}"));
                least
            }
        }
    }

    /// Milliseconds within `least..=most`.
    pub(super) fn milliseconds(&mut self, key: &str, least: u32, most: u32) -> Duration {
        let number = self.number(key, i64::from(least), i64::from(most));
        Duration::from_millis(u64::try_from(number).unwrap_or_default())
    }

    /// One of a closed set, without regard to case; the first choice stands in for an invalid one.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &Choices<T>, fallback: T) -> T {
        let text = self.text(key).unwrap_or_default();
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let usable: Vec<&str> = choices
            .iter()
            .filter(|(_, choice)| matches!(choice, Choice::Is(_)))
            .map(|&(name, _)| name)
            .collect();
        let fix = format!("write {}", one_of(&usable));
        match found {
            Some((_, Choice::Is(value))) => *value,
            Some((_, Choice::NotYet)) => {
                self.problems.push(Problem::new(
                    "CF004",
                    key,
                    format!("`{text}` is not supported yet"),
                    fix,
                ));
                fallback
            }
            None => {
                self.invalid(key, &format!("`{text}` is not one of its values"), &fix);
                fallback
            }
        }
    }

    /// A comma-separated list; empty items are dropped.
    pub(super) fn list(&self, key: &str) -> Vec<&'a str> {
        let text = self.text(key).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// Reports two keys that exclude each other.
    pub(super) fn exclusive(&mut self, one: &str, other: &str) {
        if self.given(one).is_some() && self.given(other).is_some() {
            let why = format!("`{one}` and `{other}` exclude each other");
            self.problems.push(Problem::new(
                "CF006",
                other,
                why,
                format!("keep one of them, for example `{one}`"),
            ));
        }
    }

    /// Notes a value that cannot be used.
    pub(super) fn invalid(&mut self, key: &str, why: &str, fix: &str) {
        self.problems.push(Problem::new("CF003", key, why, fix));
    }
}

/// `a`, `b` or `c`.
fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [first @ .., last] => format!("`{}` or `{last}`", first.join("`, `")),
    }
}
