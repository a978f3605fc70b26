//! A name rewritten by a regular expression, as Java's `Matcher` does it. In: an expression in the dialect of `regex`, and a
//! replacement in Java's. Out: the new name of a name that matches as a whole. Never: an expression in Java's dialect;
//! `connector` translates it.
//!
//! Source: `java.util.regex.Matcher`, `matches`, `replaceFirst`, `appendReplacement`.

use regex::{Captures, Regex, RegexBuilder};
use thiserror::Error;

/// Bytes a compiled expression may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Why a name cannot be rewritten so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RewriteError {
    /// The expression is none.
    #[error("{0}")]
    Pattern(String),
    /// The replacement is none of this expression.
    #[error("{0}")]
    Replacement(String),
}

/// An expression with what takes the place of its match.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// Must match the name from its beginning to its end.
    whole: Regex,
    /// Finds what is replaced; a lazy expression finds less than the whole name.
    anywhere: Regex,
    replacement: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// A group by its number; nothing where it took no part in the match.
    Group(usize),
}

impl PartialEq for Rewrite {
    fn eq(&self, other: &Self) -> bool {
        self.anywhere.as_str() == other.anywhere.as_str() && self.replacement == other.replacement
    }
}

impl Eq for Rewrite {}

impl Rewrite {
    /// Prepares a rewriting. In the replacement `$1` and `${name}` stand for groups, and a backslash takes the meaning from
    /// what follows.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, RewriteError> {
        let compile = |pattern: &str| {
            let built = RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build();
            built.map_err(|error| RewriteError::Pattern(error.to_string()))
        };
        let anywhere = compile(pattern)?;
        let replacement = pieces(replacement, &anywhere).map_err(RewriteError::Replacement)?;
        Ok(Self { whole: compile(&format!("^(?:{pattern})$"))?, anywhere, replacement })
    }

    /// The new name; `None` for a name that does not match.
    pub(crate) fn apply(&self, name: &str) -> Option<String> {
        if !self.whole.is_match(name) {
            return None;
        }
        let new = self.anywhere.replacen(name, 1, |groups: &Captures<'_>| {
            let text = |piece: &Piece| match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Group(number) => {
                    groups.get(*number).map_or_else(String::new, |group| group.as_str().to_owned())
                }
            };
            self.replacement.iter().map(text).collect::<String>()
        });
        Some(new.into_owned())
    }
}

/// Takes a replacement apart.
fn pieces(replacement: &str, pattern: &Regex) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = replacement;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => {
                let escaped = rest.chars().next().ok_or("a backslash ends it")?;
                literal.push(escaped);
                rest = &rest[escaped.len_utf8()..];
            }
            '$' => {
                let (group, taken) = group(rest, pattern)?;
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                pieces.push(Piece::Group(group));
                rest = &rest[taken..];
            }
            other => literal.push(other),
        }
    }
    pieces.push(Piece::Literal(literal));
    pieces.retain(|piece| *piece != Piece::Literal(String::new()));
    Ok(pieces)
}

/// The group that `rest`, what follows a dollar sign, begins with, and how many bytes name it.
///
/// A number goes on as long as there is a group of it: with nine groups `$12` is group 1 and a `2`.
fn group(rest: &str, pattern: &Regex) -> Result<(usize, usize), String> {
    if let Some(inner) = rest.strip_prefix('{') {
        let (name, _) = inner.split_once('}').ok_or("`${` has no `}`")?;
        let number = pattern.capture_names().position(|known| known == Some(name));
        let number = number.ok_or_else(|| format!("there is no group `{name}`"))?;
        return Ok((number, name.len() + 2));
    }
    let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let number = |length: usize| rest[..length].parse::<usize>().ok();
    let known = |&length: &usize| number(length).is_some_and(|n| n < pattern.captures_len());
    match (1..=digits).take_while(known).last() {
        Some(length) => Ok((number(length).unwrap_or_default(), length)),
        None if digits == 0 => Err("`$` is not followed by a group".to_owned()),
        None => Err(format!("there is no group {}", &rest[..1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(pattern: &str, replacement: &str, name: &str) -> Option<String> {
        Rewrite::new(pattern, replacement).unwrap().apply(name)
    }

    #[test]
    fn only_a_whole_match_is_rewritten() {
        let shard = r"(.*)\.orders_s(\d+)";
        assert_eq!(rewritten(shard, "$1.orders", "p.s.orders_s12").unwrap(), "p.s.orders");
        assert_eq!(rewritten(shard, "$1.orders", "p.s.orders_s12x"), None);
    }

    #[test]
    fn groups_are_read_as_java_reads_them() {
        for (pattern, replacement, name, expected) in [
            ("(a)(b)", "$12$2_x", "ab", "a2b_x"),
            ("(a)|(b)", "<$1$2>", "b", "<b>"),
            ("(?<first>a)(b)", "${first}-$0", "ab", "a-ab"),
            ("(a)b", r"\$1\\$1", "ab", r"$1\a"),
            // `matches` takes all of the name, `replaceFirst` what it finds first.
            ("(a+?)b*?", "x", "aab", "xab"),
        ] {
            assert_eq!(rewritten(pattern, replacement, name).unwrap(), expected, "{pattern}");
        }
    }

    #[test]
    fn a_replacement_with_a_group_that_is_not_there_is_refused() {
        for (replacement, why) in [
            ("$2", "there is no group 2"),
            ("${x}", "there is no group `x`"),
            ("${x", "`${` has no `}`"),
            ("a$", "`$` is not followed by a group"),
            ("a\\", "a backslash ends it"),
        ] {
            let refused = Rewrite::new("(a)", replacement).unwrap_err();
            assert_eq!(refused, RewriteError::Replacement(why.to_owned()));
        }
    }
}
