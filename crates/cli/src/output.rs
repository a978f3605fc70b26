//! Where things are written: data on stdout, everything else on stderr.

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::args::Format;
use crate::error::CliError;

/// The two streams, and the form the user asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    colour: bool,
}

/// Colours of the eight that every terminal has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
    Grey,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { format, colour: wanted && format == Format::Text && io::stdout().is_terminal() }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Somebody looks at the data.
    #[expect(clippy::unused_self, reason = "whoever writes must have been given the streams")]
    pub(crate) fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// One line of data. A reader that has gone away, as `head` does, is no error.
    #[expect(clippy::unused_self, reason = "whoever writes must have been given the streams")]
    pub(crate) fn line(self, text: &str) {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// One line of data as JSON.
    pub(crate) fn json(self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            self.line(&text);
        }
    }

    /// One line beside the data.
    #[expect(clippy::unused_self, reason = "whoever writes must have been given the streams")]
    pub(crate) fn note(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// An error with the causes behind it.
    pub(crate) fn error(self, error: &CliError) {
        let text = error.to_string();
        for problem in split_problems(&text) {
            self.note(&format!("error: {problem}"));
        }
        let mut cause = error.source();
        while let Some(inner) = cause {
            self.note(&format!("  cause: {inner}"));
            cause = inner.source();
        }
    }

    /// The text in a colour, if stdout is a terminal that may show one.
    pub(crate) fn paint(self, colour: Colour, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Blue => 34,
            Colour::Grey => 90,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Several problems come as one text; each begins with its code in brackets at the start of a line.
fn split_problems(text: &str) -> Vec<String> {
    let mut problems: Vec<String> = Vec::new();
    for line in text.lines() {
        match problems.last_mut() {
            Some(last) if !line.starts_with('[') => {
                last.push('\n');
                last.push_str(line);
            }
            _ => problems.push(line.to_owned()),
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_an_error_of_its_own() {
        let problems = split_problems("[CF001] a\n  fix: b\n[CF002] c\n  fix: d");
        assert_eq!(problems, ["[CF001] a\n  fix: b", "[CF002] c\n  fix: d"]);
    }
}
