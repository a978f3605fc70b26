//! Regular expressions as users of a Java program write them.
//!
//! In: one expression, or a comma-separated list. Out: compiled expressions that match a whole name, or a problem that
//! names what differs. What Java and `regex` spell differently and mean alike is translated; what `regex` cannot do is refused.
//! Source: `java.util.regex.Pattern`, "Summary of regular-expression constructs".

use regex::{Regex, RegexBuilder};

/// Why an expression cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PatternError {
    /// It is not a valid expression in any dialect.
    Invalid(String),
    /// It is valid Java, and this is the construct we do not have.
    JavaOnly(String),
}

/// Whether upper and lower case count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// As Debezium's lists.
    Ignored,
    /// As Connect's `topic.creation.<group>.include`.
    Matters,
}

/// Splits at commas that no backslash protects; `\,` is a literal comma. Spaces around an item do not belong to it.
pub(super) fn split_list(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut characters = list.chars();
    while let Some(character) = characters.next() {
        let last = items.len() - 1;
        match character {
            ',' => items.push(String::new()),
            '\\' => match characters.next() {
                Some(',') => items[last].push(','),
                Some(escaped) => items[last].extend(['\\', escaped]),
                None => items[last].push('\\'),
            },
            other => items[last].push(other),
        }
    }
    items.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// Compiles one expression, anchored at both ends.
pub(super) fn compile(java: &str, case: Case) -> Result<Regex, PatternError> {
    let translated = translate(java)?;
    RegexBuilder::new(&format!("^(?:{translated})$"))
        .case_insensitive(case == Case::Ignored)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| PatternError::Invalid(last_line(&error.to_string())))
}

/// The parser's message ends with the line that says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message).trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn java_only(construct: &str) -> PatternError {
    PatternError::JavaOnly(construct.to_owned())
}

/// The same expression in the dialect of `regex`.
pub(super) fn translate(java: &str) -> Result<String, PatternError> {
    let mut output = String::with_capacity(java.len() + 8);
    let mut rest = java;
    let mut in_class = 0_usize;
    let mut after_quantifier = false;
    while let Some(character) = rest.chars().next() {
        let mut taken = character.len_utf8();
        let mut quantifier = false;
        match character {
            '\\' => {
                let (translated, length) = escape(&rest[1..])?;
                output.push_str(&translated);
                taken += length;
            }
            '[' => {
                in_class += 1;
                output.push('[');
            }
            ']' => {
                in_class = in_class.saturating_sub(1);
                output.push(']');
            }
            '(' if in_class == 0 => {
                group(rest)?;
                output.push('(');
            }
            '+' if in_class == 0 && after_quantifier => {
                return Err(java_only("a possessive quantifier (`*+`, `++`, `?+`)"));
            }
            '*' | '+' | '?' | '}' if in_class == 0 => {
                // `*?` is lazy; a quantifier may not follow it.
                quantifier = !after_quantifier;
                output.push(character);
            }
            other => output.push(other),
        }
        after_quantifier = quantifier;
        rest = &rest[taken..];
    }
    Ok(output)
}

/// Refuses the groups that look around.
fn group(rest: &str) -> Result<(), PatternError> {
    const LOOK: [(&str, &str); 5] = [
        ("(?=", "a lookahead `(?=…)`"),
        ("(?!", "a negative lookahead `(?!…)`"),
        ("(?<=", "a lookbehind `(?<=…)`"),
        ("(?<!", "a negative lookbehind `(?<!…)`"),
        ("(?>", "an independent group `(?>…)`"),
    ];
    match LOOK.iter().find(|(prefix, _)| rest.starts_with(prefix)) {
        Some((_, name)) => Err(java_only(name)),
        None => Ok(()),
    }
}

/// Translates what follows a backslash; returns the translation and how many bytes it took.
fn escape(rest: &str) -> Result<(String, usize), PatternError> {
    let Some(character) = rest.chars().next() else {
        return Err(PatternError::Invalid("a backslash ends the expression".to_owned()));
    };
    let length = character.len_utf8();
    let translated = match character {
        // Java's classes are of ASCII unless asked otherwise.
        'd' => "[0-9]".to_owned(),
        'D' => "[^0-9]".to_owned(),
        'w' => "[a-zA-Z0-9_]".to_owned(),
        'W' => "[^a-zA-Z0-9_]".to_owned(),
        's' => r"[ \t\n\x0B\f\r]".to_owned(),
        'S' => r"[^ \t\n\x0B\f\r]".to_owned(),
        'h' => r"[ \t\u{A0}\u{1680}\u{180E}\u{2000}-\u{200A}\u{202F}\u{205F}\u{3000}]".to_owned(),
        'e' => r"\x1B".to_owned(),
        'Q' => {
            let quoted = &rest[length..];
            let end = quoted.find(r"\E").unwrap_or(quoted.len());
            let after = (end + 2).min(quoted.len());
            return Ok((regex::escape(&quoted[..end]), length + after));
        }
        '1'..='9' => return Err(java_only("a back reference")),
        'k' => return Err(java_only("a named back reference `\\k<…>`")),
        'G' | 'R' | 'X' | 'Z' | 'N' | 'c' | '0' | 'H' | 'V' | 'v' => {
            return Err(java_only(&format!("`\\{character}`")));
        }
        'p' | 'P' => return property(rest),
        letter if letter.is_ascii_alphabetic() => format!("\\{letter}"),
        other => regex::escape(&other.to_string()),
    };
    Ok((translated, length))
}

/// `\p{Alpha}` and its kin are ASCII in Java; Unicode categories and scripts have the same names in both.
fn property(rest: &str) -> Result<(String, usize), PatternError> {
    const POSIX: [(&str, &str); 13] = [
        ("Lower", "a-z"),
        ("Upper", "A-Z"),
        ("ASCII", r"\x00-\x7F"),
        ("Alpha", "a-zA-Z"),
        ("Digit", "0-9"),
        ("Alnum", "a-zA-Z0-9"),
        ("Punct", r"!-/:-@\[-`{-~"),
        ("Graph", "!-~"),
        ("Print", " -~"),
        ("Blank", r" \t"),
        ("Cntrl", r"\x00-\x1F\x7F"),
        ("XDigit", "0-9a-fA-F"),
        ("Space", r" \t\n\x0B\f\r"),
    ];
    let negated = rest.starts_with('P');
    let Some(name) = rest[1..].strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
        return Ok((rest[..1].replace('p', r"\p").replace('P', r"\P"), 1));
    };
    let (name, length) = (name.0, 1 + 1 + name.0.len() + 1);
    if let Some((_, set)) = POSIX.iter().find(|(posix, _)| *posix == name) {
        return Ok((format!("[{}{set}]", if negated { "^" } else { "" }), length));
    }
    if name.starts_with("java") || name.starts_with("In") || name.contains('=') {
        return Err(java_only(&format!("`\\p{{{name}}}`")));
    }
    let name = name.strip_prefix("Is").unwrap_or(name);
    Ok((format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern, Case::Ignored).unwrap().is_match(text)
    }

    #[test]
    fn lists_split_at_unescaped_commas_and_lose_spaces() {
        assert_eq!(split_list(r" a.b , c\,d,,e{1\,2} "), ["a.b", "c,d", "e{1,2}"]);
    }

    #[test]
    fn expressions_match_whole_names_without_case() {
        assert!(matches("public.orders", "Public.ORDERS"));
        assert!(matches("public[.]o.*", "public.orders"));
        assert!(!matches("public.order", "public.orders"));
        assert!(matches("a|bc", "bc"));
        assert!(!matches("a|bc", "abc"));
    }

    #[test]
    fn what_java_spells_differently_is_translated() {
        assert!(matches(r"a\-b\ c\<\_", "a-b c<_"));
        assert!(matches(r"\Qa.b\E[.]\d+", "a.b.12"));
        assert!(!matches(r"\Qa.b\E", "axb"));
        assert!(matches(r"\p{Alpha}[\w&&[^b]]", "xa"));
        assert!(!matches(r"\p{Alpha}[\w&&[^b]]", "xb"));
        assert!(!matches(r"\d", "٣"), "Java's \\d is ASCII");
    }

    #[test]
    fn what_only_java_can_do_is_named() {
        for pattern in
            ["(?!a).*", "a(?=b)", "(?<!a)b", "(a)\\1", "a*+b", "(?>a)", r"\p{javaLowerCase}"]
        {
            assert!(
                matches!(compile(pattern, Case::Ignored), Err(PatternError::JavaOnly(_))),
                "{pattern}"
            );
        }
    }

    #[test]
    fn an_unclosed_group_is_invalid_everywhere() {
        assert_eq!(
            compile("g_x[.](a", Case::Ignored).unwrap_err(),
            PatternError::Invalid("unclosed group".to_owned())
        );
    }
}
