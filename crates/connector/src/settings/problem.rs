//! Everything that is wrong with a configuration, said at once.
//!
//! In: findings of the parsers beside this file. Out: one error that holds them all.
//! Never: values of secret keys.

use std::fmt;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable code with a page of its own (`CF001`).
    pub code: &'static str,
    /// The key it is about; empty when it is about the whole.
    pub key: String,
    /// What is wrong.
    pub why: String,
    /// What to write instead.
    pub fix: String,
    /// The known key that looks most like an unknown one.
    pub nearest: Option<String>,
}

impl Problem {
    /// A problem without a look-alike.
    pub fn new(
        code: &'static str,
        key: &str,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { code, key: key.to_owned(), why: why.into(), fix: fix.into(), nearest: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, key, why, fix, .. } = self;
        let key = if key.is_empty() { String::new() } else { format!("`{key}`: ") };
        write!(formatter, "[{code}] {key}{why}\n  fix: {fix}")
    }
}

/// A configuration that cannot be run, with all of its problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings {
    /// At least one; in the order of the keys.
    pub problems: Vec<Problem>,
}

impl InvalidSettings {
    /// `Ok` when there is nothing to complain about.
    pub fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// The code of the first problem.
    pub fn code(&self) -> &'static str {
        self.problems.first().map_or("CF009", |problem| problem.code)
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            problem.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidSettings {}
