//! `sasl.jaas.config`: `org.apache…ScramLoginModule required username="alice" password="…";`
//!
//! In: the text. Out: the login module's class and its options. Never here: their meaning. Source:
//! `java.security` JAAS login configuration, the part of it that Kafka clients use.

use std::collections::BTreeMap;

/// One login module entry.
#[derive(Debug)]
pub(super) struct JaasEntry {
    pub(super) module: String,
    pub(super) options: BTreeMap<String, String>,
}

/// Reads one entry. The error says what was expected, without the text: it holds a password.
pub(super) fn parse(text: &str) -> Result<JaasEntry, String> {
    let mut words = Words { rest: text.trim() };
    let module = words.bare().ok_or("it is empty")?.to_owned();
    match words.bare() {
        Some("required" | "requisite" | "sufficient" | "optional") => {}
        _ => return Err("the control flag `required` must follow the login module".into()),
    }
    let mut options = BTreeMap::new();
    loop {
        words.skip_space();
        if let Some(after) = words.rest.strip_prefix(';') {
            return if after.trim().is_empty() {
                Ok(JaasEntry { module, options })
            } else {
                Err("only one login module is understood".into())
            };
        }
        let Some((name, rest)) = words.rest.split_once('=') else {
            return Err("it must end in a semicolon".into());
        };
        words.rest = rest.trim_start();
        let value = words.value()?;
        options.insert(name.trim().to_owned(), value);
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn bare(&mut self) -> Option<&'a str> {
        self.skip_space();
        let end =
            self.rest.find(|c: char| c.is_whitespace() || c == ';').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// A word, or text in quotes with backslash escapes.
    fn value(&mut self) -> Result<String, String> {
        let Some(quote @ ('"' | '\'')) = self.rest.chars().next() else {
            return Ok(self.bare().unwrap_or_default().to_owned());
        };
        let mut value = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((index, letter)) = letters.next() {
            match letter {
                '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
                _ if letter == quote => {
                    self.rest = &self.rest[index + 1..];
                    return Ok(value);
                }
                _ => value.push(letter),
            }
        }
        Err("a quotation mark is not closed".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_users_write_it() {
        let entry = parse(
            "org.apache.kafka.common.security.scram.ScramLoginModule required\n  username=\"al\\\"ice\" password='p;w=1'\n unquoted=7 ;",
        )
        .unwrap();
        assert!(entry.module.ends_with("ScramLoginModule"));
        assert_eq!(entry.options["username"], "al\"ice");
        assert_eq!(entry.options["password"], "p;w=1");
        assert_eq!(entry.options["unquoted"], "7");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for text in [
            "",
            "M username=\"a\";",
            "M required password=\"hunter2\"",
            "M required password=\"hunter2;",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
