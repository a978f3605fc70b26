//! Heroku's Kafka: `KAFKA_URL` and three PEM variables.
//!
//! In: the values (reading the environment is the caller's). Out: a [`ClientConfig`]. Source: Heroku
//! Dev Center, "Apache Kafka on Heroku", connecting clients.

use super::{ClientConfig, Identity, Pem, Secret};
use crate::KafkaError;

/// The values of Heroku's variables.
#[derive(Clone, Debug)]
pub struct HerokuKafka<'a> {
    /// `KAFKA_URL`: `kafka+ssl://host:9096,kafka+ssl://…`.
    pub url: &'a str,
    /// `KAFKA_CLIENT_CERT`: PEM.
    pub client_cert: Option<&'a str>,
    /// `KAFKA_CLIENT_CERT_KEY`: PEM.
    pub client_cert_key: Option<&'a str>,
    /// `KAFKA_TRUSTED_CERT`: PEM.
    pub trusted_cert: Option<&'a str>,
}

impl ClientConfig {
    /// From Heroku's variables. With `trusted_cert` only that certificate is trusted and host names
    /// are not compared: the brokers' certificates do not carry them.
    ///
    /// Errors: a URL that cannot be read; only one of certificate and key.
    pub fn from_heroku(variables: &HerokuKafka<'_>) -> Result<Self, KafkaError> {
        let mut config = Self::from_url(variables.url)?;
        let identity = match (variables.client_cert, variables.client_cert_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Identity {
                certificates: Pem::Text(Secret::new(certificate)),
                key: Pem::Text(Secret::new(key)),
            }),
            (Some(_), None) => return Err(alone("KAFKA_CLIENT_CERT", "KAFKA_CLIENT_CERT_KEY")),
            (None, Some(_)) => return Err(alone("KAFKA_CLIENT_CERT_KEY", "KAFKA_CLIENT_CERT")),
        };
        if identity.is_none() && variables.trusted_cert.is_none() {
            return Ok(config);
        }
        let tls = config.tls.get_or_insert_default();
        tls.identity = identity;
        if let Some(trusted) = variables.trusted_cert {
            tls.trusted = Some(Pem::Text(Secret::new(trusted)));
            tls.any_host_name = true;
        }
        Ok(config)
    }
}

fn alone(present: &str, missing: &str) -> KafkaError {
    KafkaError::Certificate {
        what: present.into(),
        reason: format!("{missing} is not set"),
        fix: format!("set {missing} too: a client certificate and its key belong together"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_trusted_certificate_counts_and_host_names_do_not() {
        let variables = HerokuKafka {
            url: "kafka+ssl://a.example:9096,kafka+ssl://b.example:9096",
            client_cert: Some("C"),
            client_cert_key: Some("K"),
            trusted_cert: Some("T"),
        };
        let config = ClientConfig::from_heroku(&variables).unwrap();
        assert_eq!(config.bootstrap, ["a.example:9096", "b.example:9096"]);
        let tls = config.tls.unwrap();
        assert!(tls.any_host_name);
        assert_eq!(tls.trusted, Some(Pem::Text(Secret::new("T"))));
        assert!(tls.identity.is_some());
    }

    #[test]
    fn a_certificate_without_its_key_names_the_missing_variable() {
        let variables = HerokuKafka {
            url: "kafka+ssl://a.example:9096",
            client_cert: Some("C"),
            client_cert_key: None,
            trusted_cert: None,
        };
        let error = ClientConfig::from_heroku(&variables).unwrap_err();
        assert!(error.to_string().contains("KAFKA_CLIENT_CERT_KEY is not set"), "{error}");
    }
}
