//! Store URLs: `kafka://h:9092,h2:9092`, `kafka+ssl://h:9096,kafka+ssl://h2:9096`.
//!
//! In: the text. Out: addresses and whether TLS is meant. Never here: user names; a URL ends in too
//! many logs for a password.

use super::{ClientConfig, TlsConfig};
use crate::KafkaError;

const PORT: u16 = 9092;

impl ClientConfig {
    /// Reads a list of addresses, each with its scheme or all behind one. Without a port: 9092.
    ///
    /// Errors: [`KafkaError::InvalidUrl`] for another scheme, mixed schemes, a path, credentials.
    pub fn from_url(url: &str) -> Result<Self, KafkaError> {
        let mut is_tls = None;
        let mut bootstrap = Vec::new();
        for part in url.trim().split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let address = match part.split_once("://") {
                Some((scheme, address)) => {
                    let part_is_tls = scheme_is_tls(scheme)?;
                    if is_tls.is_some_and(|is_tls| is_tls != part_is_tls) {
                        return Err(invalid("it mixes kafka:// and kafka+ssl://"));
                    }
                    is_tls = Some(part_is_tls);
                    address
                }
                None => part,
            };
            bootstrap.push(host_and_port(address)?);
        }
        if bootstrap.is_empty() {
            return Err(invalid("it names no broker"));
        }
        let Some(is_tls) = is_tls else {
            return Err(invalid("it has no scheme"));
        };
        let mut config = Self::plaintext(bootstrap);
        config.tls = is_tls.then(TlsConfig::default);
        Ok(config)
    }
}

fn scheme_is_tls(scheme: &str) -> Result<bool, KafkaError> {
    match scheme {
        "kafka" => Ok(false),
        "kafka+ssl" => Ok(true),
        other => Err(invalid(&format!("its scheme is `{other}`"))),
    }
}

/// `host`, `host:port` or `[v6]:port` -> `host:port`.
pub(super) fn host_and_port(address: &str) -> Result<String, KafkaError> {
    let address = address.trim_end_matches('/');
    if address.contains('@') {
        return Err(invalid(
            "it carries credentials; put them into sasl.mechanism and sasl.jaas.config",
        ));
    }
    if address.contains(['/', '?', '#']) {
        return Err(invalid("there is something behind the port; options are properties"));
    }
    let ends_in_port = !address.ends_with(']') && address.contains(':');
    let Some((host, port)) = address.rsplit_once(':').filter(|_| ends_in_port) else {
        if address.is_empty() {
            return Err(invalid("a host is empty"));
        }
        return Ok(format!("{address}:{PORT}"));
    };
    if host.is_empty() || (host.contains(':') && !host.starts_with('[')) {
        return Err(invalid(&format!("`{address}` is not host:port ([…] around an IPv6 address)")));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(format!("{host}:{port}")),
        _ => Err(invalid(&format!("`{port}` is not a port"))),
    }
}

fn invalid(reason: &str) -> KafkaError {
    KafkaError::InvalidUrl { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_one_scheme_or_one_each() {
        for (url, bootstrap, is_tls) in [
            ("kafka://h:9092", vec!["h:9092"], false),
            ("kafka://h,h2:9093", vec!["h:9092", "h2:9093"], false),
            ("kafka+ssl://a:1, kafka+ssl://b:2", vec!["a:1", "b:2"], true),
            ("kafka://[::1]:9092/", vec!["[::1]:9092"], false),
            ("kafka://[::1]", vec!["[::1]:9092"], false),
        ] {
            let config = ClientConfig::from_url(url).unwrap();
            assert_eq!(
                (config.bootstrap, config.tls.is_some()),
                (bootstrap.iter().map(ToString::to_string).collect(), is_tls),
                "{url}"
            );
        }
    }

    #[test]
    fn a_url_that_cannot_be_meant_is_refused_and_says_why() {
        for (url, why) in [
            ("h:9092", "no scheme"),
            ("", "no broker"),
            ("postgres://h", "`postgres`"),
            ("kafka://h,kafka+ssl://h2", "mixes"),
            ("kafka://user:secret@h:9092", "credentials"),
            ("kafka://h:9092/topic", "behind the port"),
            ("kafka://h:x", "`x` is not a port"),
            ("kafka://::1", "IPv6"),
        ] {
            let text = ClientConfig::from_url(url).unwrap_err().to_string();
            assert!(text.contains(why), "{url}: {text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
