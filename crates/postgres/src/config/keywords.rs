//! libpq's keyword strings: `host=db user='a b'`. Source: PostgreSQL manual, "Keyword/Value Connection Strings".

use std::iter::Peekable;
use std::str::Chars;

use super::{ConnectionConfig, parameter};
use crate::PostgresError;

/// Reads a keyword string. Errors: [`PostgresError::Configuration`] naming the keyword.
pub(super) fn parse(text: &str) -> Result<ConnectionConfig, PostgresError> {
    let mut config = ConnectionConfig::default();
    let mut rest = text.chars().peekable();
    loop {
        skip_spaces(&mut rest);
        if rest.peek().is_none() {
            return parameter::check(config);
        }
        let name = keyword(&mut rest)?;
        let value = value(&name, &mut rest)?;
        parameter::set(&mut config, &name, &value)?;
    }
}

fn skip_spaces(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|letter| letter.is_whitespace()).is_some() {}
}

fn keyword(rest: &mut Peekable<Chars<'_>>) -> Result<String, PostgresError> {
    let mut name = String::new();
    while let Some(letter) = rest.next_if(|letter| *letter != '=' && !letter.is_whitespace()) {
        name.push(letter);
    }
    skip_spaces(rest);
    if rest.next_if_eq(&'=').is_none() {
        let reason = "a connection string needs `keyword=value` pairs".to_owned();
        return Err(parameter::invalid(
            &name,
            reason,
            "write host=… user=… or postgres://user@host/db",
        ));
    }
    skip_spaces(rest);
    Ok(name)
}

/// A value ends at the next space, or at the closing quote; a backslash takes the next letter as it is.
fn value(name: &str, rest: &mut Peekable<Chars<'_>>) -> Result<String, PostgresError> {
    let quoted = rest.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match rest.peek() {
            None if quoted => {
                let reason = "the closing quote is missing".to_owned();
                return Err(parameter::invalid(name, reason, "close it with '"));
            }
            None => return Ok(value),
            Some('\'') if quoted => {
                rest.next();
                return Ok(value);
            }
            Some(letter) if !quoted && letter.is_whitespace() => return Ok(value),
            Some('\\') => {
                rest.next();
                value.extend(rest.next());
            }
            Some(_) => value.extend(rest.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Host, SslMode};
    use super::*;

    #[test]
    fn quoted_values_keep_spaces_and_escapes() {
        let config = parse("host = db port=5433 user=u password='a \\'b\\\\' dbname = d").unwrap();
        assert_eq!(config.hosts, [(Host::Tcp("db".to_owned()), 5433)]);
        assert_eq!(config.password.unwrap().0, "a 'b\\");
        assert_eq!(config.dbname.as_deref(), Some("d"));
    }

    #[test]
    fn several_hosts_and_ports_pair_up_in_any_order() {
        for text in ["host=a,b port=1,2 user=u", "port=1,2 host=a,b user=u"] {
            let config = parse(text).unwrap();
            let tcp = |name: &str| Host::Tcp(name.to_owned());
            assert_eq!(config.hosts, [(tcp("a"), 1), (tcp("b"), 2)], "{text}");
        }
    }

    #[test]
    fn errors_name_the_keyword() {
        for (text, name) in [
            ("host=a user='u", "user"),
            ("host", "host"),
            ("user=u sslmode=strong", "sslmode"),
            ("user=u port=x", "port"),
            ("user=u passwrd=x", "passwrd"),
            ("host=a", "user"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().starts_with(&format!("[PG009] {name}:")), "{text}: {error}");
        }
    }

    #[test]
    fn system_roots_imply_verify_full() {
        let config = parse("user=u sslmode=require sslrootcert=system").unwrap();
        assert_eq!(config.ssl_mode, SslMode::VerifyFull);
    }
}
