//! `postgres://` URLs, as libpq and `DATABASE_URL` write them: several hosts, percent-encoding, parameters.
//!
//! Source: PostgreSQL manual, "Connection URIs".

use percent_encoding::percent_decode_str;

use super::{ConnectionConfig, PORT_DEFAULT, Secret, parameter};
use crate::PostgresError;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Whether the text is a URL of ours rather than keywords.
pub(super) fn is_url(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// Reads a URL. Errors: [`PostgresError::Configuration`] naming the part; never with the password in it.
pub(super) fn parse(text: &str) -> Result<ConnectionConfig, PostgresError> {
    let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or_else(|| {
        let reason = "a PostgreSQL URL begins with postgres:// or postgresql://".to_owned();
        parameter::invalid("URL", reason, "write postgres://user:password@host:5432/dbname")
    })?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // The last `@` ends the user's part: an unescaped one inside a password is common and cannot mean anything else.
    let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (hosts, dbname) = place.split_once('/').unwrap_or((place, ""));

    let mut config = ConnectionConfig::default();
    set_login(&mut config, login)?;
    if !hosts.is_empty() {
        config.hosts = hosts.split(',').map(host_and_port).collect::<Result<_, _>>()?;
    }
    if !dbname.is_empty() {
        config.dbname = Some(decode("dbname", dbname)?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameter::set(&mut config, &decode("URL", name)?, &decode(name, value)?)?;
    }
    parameter::check(config)
}

fn set_login(config: &mut ConnectionConfig, login: &str) -> Result<(), PostgresError> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    config.user = decode("user", user)?;
    if let Some(password) = password {
        config.password = Some(Secret(decode("password", password)?));
    }
    Ok(())
}

fn host_and_port(text: &str) -> Result<(super::Host, u16), PostgresError> {
    let (name, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address are inside its brackets.
        Some((name, port)) if !port.contains(']') => (name, parameter::port(port)?),
        _ => (text, PORT_DEFAULT),
    };
    Ok((parameter::host(&decode("host", name)?), port))
}

fn decode(part: &str, text: &str) -> Result<String, PostgresError> {
    percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| {
        let reason = "the percent-encoding is not valid UTF-8".to_owned();
        parameter::invalid(part, reason, "encode special characters as %XX of their UTF-8 bytes")
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Host, RootCertificates, SslMode};
    use super::*;

    fn tcp(name: &str) -> Host {
        Host::Tcp(name.to_owned())
    }

    #[test]
    fn every_part_is_decoded() {
        let config =
            parse("postgres://us%40er:p%2Fa%3As@db:5433/my%20db?application_name=a%26b").unwrap();
        assert_eq!(config.user, "us@er");
        assert_eq!(config.password.unwrap().0, "p/a:s");
        assert_eq!(config.dbname.as_deref(), Some("my db"));
        assert_eq!(config.hosts, [(tcp("db"), 5433)]);
        assert_eq!(config.application_name, "a&b");
    }

    #[test]
    fn hosts_of_every_kind() {
        let config = parse("postgresql://u@h1,h2:1,[::1]:2,%2Fvar%2Frun%2Fpg:3/d").unwrap();
        let socket = Host::Unix("/var/run/pg".into());
        assert_eq!(config.hosts, [(tcp("h1"), 5432), (tcp("h2"), 1), (tcp("::1"), 2), (socket, 3)]);
        let config = parse("postgres://u@/d?host=/tmp&port=9").unwrap();
        assert_eq!(config.hosts, [(Host::Unix("/tmp".into()), 9)]);
        assert_eq!(parse("postgres://u@").unwrap().hosts, [(tcp("localhost"), 5432)]);
    }

    #[test]
    fn herokus_url_works_as_it_is() {
        let url = "postgres://abc:0f%21x@ec2-1.compute.example.com:5432/d8r82722?sslmode=require";
        let config = parse(url).unwrap();
        assert_eq!(config.ssl_mode, SslMode::Require);
        assert_eq!(config.dbname(), "d8r82722");
    }

    #[test]
    fn parameters_of_tls() {
        let config =
            parse("postgres://u@h/?sslmode=verify_ca&sslrootcert=/ca.pem&sslcert=c&sslkey=k")
                .unwrap();
        assert_eq!(config.ssl_mode, SslMode::VerifyCa);
        assert_eq!(config.ssl_root_cert, Some(RootCertificates::File("/ca.pem".into())));
        assert_eq!(parse("postgres://u@h/?ssl=true").unwrap().ssl_mode, SslMode::VerifyFull);
    }

    #[test]
    fn secrets_stay_out_of_errors_and_debug() {
        let error = parse("postgres://u:s3cret@h:port/d").unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        let config = parse("postgres://u:s3cret@h/d?sslpassword=s3cret").unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        assert_eq!(config.address(), "h:5432");
    }
}
