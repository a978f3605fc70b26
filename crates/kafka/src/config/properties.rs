//! Java client properties -> [`ClientConfig`] and [`ProducerSettings`].
//!
//! In: a map of names and values as users know them. Out: settings, notes about what needs nothing,
//! or every problem at once. Never here: defaults of the connector, `producer.override.` prefixes.
//! Source: Kafka 4.3 documentation, "Producer Configs".

use std::{collections::BTreeMap, time::Duration};

use super::{
    ClientConfig, Pem, Secret,
    catalog::{self, Handling},
    security::security,
    url,
};
use crate::{Compression, KafkaError, ProducerSettings};

/// A cluster and how to write to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// How to reach the cluster.
    pub client: ClientConfig,
    /// How to produce.
    pub producer: ProducerSettings,
    /// Properties that were accepted and need nothing.
    pub notes: Vec<Note>,
}

/// A property that was accepted and needs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The property.
    pub name: String,
    /// Why it needs nothing.
    pub reason: String,
}

/// One known property, for reference pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyHelp {
    /// Its name.
    pub name: &'static str,
    /// `supported`, `accepted`, `restricted` or `refused`.
    pub handling: &'static str,
    /// Why, unless it is supported.
    pub reason: &'static str,
}

/// All properties we know, with what becomes of them.
pub fn known_properties() -> impl Iterator<Item = PropertyHelp> {
    catalog::CATALOG.iter().map(|(name, handling)| {
        let (handling, reason) = match handling {
            Handling::Supported => ("supported", ""),
            Handling::Unneeded(reason) => ("accepted", *reason),
            Handling::Only(_, reason, _) => ("restricted", *reason),
            Handling::Refused(reason, _) => ("refused", *reason),
        };
        PropertyHelp { name, handling, reason }
    })
}

impl ClientConfig {
    /// From Java client properties, `bootstrap.servers` among them.
    ///
    /// Errors: the first problem; [`KafkaSettings::from_properties`] tells all.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, KafkaError> {
        match KafkaSettings::from_properties(properties) {
            Ok(settings) => Ok(settings.client),
            Err(mut problems) => Err(problems.swap_remove(0)),
        }
    }
}

impl KafkaSettings {
    /// A client with the default way to produce.
    pub fn new(client: ClientConfig) -> Self {
        Self { client, producer: ProducerSettings::default(), notes: Vec::new() }
    }

    /// From Java client properties, `bootstrap.servers` among them.
    ///
    /// Errors: every problem, at least one.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, Vec<KafkaError>> {
        let mut settings = Self::new(ClientConfig::plaintext(Vec::<String>::new()));
        settings.apply(properties)?;
        if settings.client.bootstrap.is_empty() {
            return Err(vec![invalid(
                "bootstrap.servers",
                "it is missing",
                "set host:port,host2:port",
            )]);
        }
        Ok(settings)
    }

    /// Lays `properties` over what is there, for instance over a client made from a URL.
    ///
    /// Errors: every problem, at least one; then nothing was changed.
    pub fn apply(&mut self, properties: &BTreeMap<String, String>) -> Result<(), Vec<KafkaError>> {
        let mut problems = Vec::new();
        let mut changed = self.clone();
        for (name, value) in properties {
            match catalog::handling(name) {
                None => problems.push(unknown(name)),
                Some(Handling::Supported) => {}
                Some(Handling::Unneeded(reason)) => {
                    changed.notes.push(Note { name: name.clone(), reason: reason.into() });
                }
                Some(Handling::Only(allowed, reason, fix)) => {
                    if !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value.trim())) {
                        problems.push(refused(name, reason, fix));
                    }
                }
                Some(Handling::Refused(reason, fix)) => problems.push(refused(name, reason, fix)),
            }
        }
        let reader = Reader { properties };
        for step in [connection, production, security] {
            problems.extend(step(&reader, &mut changed).err());
        }
        if problems.is_empty() {
            *self = changed;
            Ok(())
        } else {
            Err(problems)
        }
    }
}

/// Values by name, parsed.
pub(super) struct Reader<'a> {
    pub(super) properties: &'a BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.properties.get(name).map(|value| value.trim())
    }

    pub(super) fn not_empty(&self, name: &str) -> Option<&'a str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str, low: i64, high: i64) -> Result<Option<i64>, KafkaError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse::<i64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => {
                let reason = format!("`{text}` is not a whole number from {low} to {high}");
                Err(invalid(name, &reason, "write a number in that range"))
            }
        }
    }

    fn millis(&self, name: &str, field: &mut Duration) -> Result<(), KafkaError> {
        if let Some(number) = self.number(name, 1, i64::from(i32::MAX))? {
            *field = Duration::from_millis(number.unsigned_abs());
        }
        Ok(())
    }

    fn bytes(&self, name: &str, field: &mut usize) -> Result<(), KafkaError> {
        if let Some(number) = self.number(name, 1, i64::from(i32::MAX))? {
            *field = usize::try_from(number).unwrap_or(usize::MAX);
        }
        Ok(())
    }

    pub(super) fn pem(&self, text: &str, file: &str) -> Option<Pem> {
        let text = self.not_empty(text).map(|text| Pem::Text(Secret::new(text)));
        text.or_else(|| self.not_empty(file).map(|path| Pem::File(path.into())))
    }
}

fn connection(reader: &Reader<'_>, settings: &mut KafkaSettings) -> Result<(), KafkaError> {
    let client = &mut settings.client;
    if let Some(list) = reader.text("bootstrap.servers") {
        let addresses = list.split(',').map(str::trim).filter(|address| !address.is_empty());
        client.bootstrap = addresses
            .map(|address| {
                // Java knows listener names in front of an address: `SASL_SSL://host:port`.
                let address = address.split_once("://").map_or(address, |(_, rest)| rest);
                url::host_and_port(address)
            })
            .collect::<Result<_, _>>()
            .map_err(|error| {
                invalid("bootstrap.servers", &error.to_string(), "set host:port,host2:port")
            })?;
    }
    if let Some(client_id) = reader.not_empty("client.id") {
        client.client_id = client_id.into();
    }
    reader.millis("request.timeout.ms", &mut client.request_timeout)?;
    settings.producer.request_timeout = client.request_timeout;
    reader.millis("default.api.timeout.ms", &mut client.api_timeout)?;
    reader.millis("metadata.max.age.ms", &mut client.metadata_max_age)?;
    reader.millis("socket.connection.setup.timeout.ms", &mut client.connect_timeout)?;
    if let Some(bytes) = reader.number("fetch.max.bytes", 1024, i64::from(i32::MAX))? {
        client.fetch_bytes_max = i32::try_from(bytes).unwrap_or(i32::MAX);
    }
    Ok(())
}

fn production(reader: &Reader<'_>, settings: &mut KafkaSettings) -> Result<(), KafkaError> {
    let producer = &mut settings.producer;
    reader.bytes("batch.size", &mut producer.batch_bytes_max)?;
    reader.bytes("max.request.size", &mut producer.request_bytes_max)?;
    reader.millis("transaction.timeout.ms", &mut producer.transaction_timeout)?;
    reader.millis("max.block.ms", &mut producer.init_timeout)?;
    let in_flight = "max.in.flight.requests.per.connection";
    if let Some(number) = reader.number(in_flight, 1, i64::from(i32::MAX))? {
        // Brokers remember five batches per producer and partition; more would break order.
        producer.in_flight_max = usize::try_from(number.min(5)).unwrap_or(5);
    }
    match reader.text("acks") {
        None => {}
        Some("all" | "-1") => producer.acks_all = true,
        Some("1") => producer.acks_all = false,
        Some(_) => {
            let fix = "set all (1 is possible with delivery.guarantee=at_least_once)";
            return Err(invalid("acks", "a commit must know that its records are stored", fix));
        }
    }
    let gzip = reader.number("compression.gzip.level", -1, 9)?.filter(|level| *level > 0);
    let zstd = reader.number("compression.zstd.level", -131_072, 22)?;
    producer.compression = match reader.text("compression.type") {
        None => return Ok(()),
        Some("none" | "") => Compression::None,
        Some("gzip") => {
            Compression::Gzip { level: gzip.and_then(|level| u32::try_from(level).ok()) }
        }
        Some("snappy") => Compression::Snappy,
        Some("lz4") => Compression::Lz4,
        Some("zstd") => {
            Compression::Zstd { level: zstd.and_then(|level| i32::try_from(level).ok()) }
        }
        Some(other) => {
            let reason = format!("`{other}` is not a codec");
            return Err(invalid(
                "compression.type",
                &reason,
                "use none, gzip, snappy, lz4 or zstd",
            ));
        }
    };
    Ok(())
}

fn unknown(name: &str) -> KafkaError {
    let nearest = catalog::nearest(name).map(Into::into);
    KafkaError::UnknownProperty { name: name.into(), nearest }
}

pub(super) fn refused(name: &str, reason: &str, fix: &str) -> KafkaError {
    KafkaError::RefusedProperty { name: name.into(), reason: reason.into(), fix: fix.into() }
}

pub(super) fn invalid(name: &str, reason: &str, fix: &str) -> KafkaError {
    KafkaError::InvalidProperty { name: name.into(), reason: reason.into(), fix: fix.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SaslConfig, ScramHash};

    fn read(pairs: &[(&str, &str)]) -> Result<KafkaSettings, Vec<KafkaError>> {
        let mut map: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        map.entry("bootstrap.servers".into()).or_insert_with(|| "h:9092".into());
        KafkaSettings::from_properties(&map)
    }

    #[test]
    fn a_producer_configuration_as_users_have_it_is_taken_as_it_is() {
        let settings = read(&[
            ("bootstrap.servers", "SASL_SSL://a:9093, b:9093"),
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"p\";"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", "/etc/ca.pem"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "5"),
            ("acks", "all"),
            ("linger.ms", "100"),
            ("batch.size", "32768"),
            ("enable.idempotence", "true"),
        ])
        .unwrap();
        assert_eq!(settings.client.bootstrap, ["a:9093", "b:9093"]);
        assert_eq!(settings.producer.compression, Compression::Zstd { level: Some(5) });
        assert_eq!(settings.producer.batch_bytes_max, 32_768);
        assert!(matches!(
            settings.client.sasl,
            Some(SaslConfig::Scram { hash: ScramHash::Sha512, .. })
        ));
        assert_eq!(settings.client.tls.unwrap().trusted, Some(Pem::File("/etc/ca.pem".into())));
        assert_eq!(settings.notes.len(), 1, "linger.ms needs nothing");
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let problems = read(&[
            ("bootstrap.serverz", "x"),
            ("acks", "0"),
            ("transactional.id", "mine"),
            ("ssl.engine.factory.class", "com.example.Mine"),
            ("request.timeout.ms", "soon"),
        ])
        .unwrap_err();
        let codes: Vec<_> = problems.iter().map(KafkaError::code).collect();
        assert_eq!(codes, ["KA001", "KA003", "KA003", "KA002", "KA002"]);
        assert!(problems[0].to_string().contains("nearest known: `bootstrap.servers`"));
    }

    #[test]
    fn key_stores_of_java_are_refused_with_the_way_to_convert_them() {
        let problems =
            read(&[("security.protocol", "SSL"), ("ssl.truststore.location", "/etc/t.jks")])
                .unwrap_err();
        assert!(problems[0].to_string().contains("ssl.truststore.type"), "{}", problems[0]);
        let problems =
            read(&[("security.protocol", "SSL"), ("ssl.keystore.type", "JKS")]).unwrap_err();
        assert!(problems[0].to_string().contains("keytool"), "{}", problems[0]);
    }

    #[test]
    fn settings_of_an_identity_provider_are_refused_by_name() {
        let problems = read(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.token.endpoint.url", "https://idp.example/token"),
            ("sasl.oauthbearer.client.credentials.client.id", "me"),
        ])
        .unwrap_err();
        let text: String = problems.iter().map(ToString::to_string).collect();
        assert!(text.contains("sasl.oauthbearer.token.endpoint.url"), "{text}");
        assert!(text.contains("client.credentials.client.id"), "{text}");
    }

    #[test]
    fn a_secret_never_appears_in_debug_output_or_errors() {
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"hunter2\";";
        let settings = read(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", jaas),
        ])
        .unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        let problems = read(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.jaas.config", jaas),
        ])
        .unwrap_err();
        assert!(!problems[0].to_string().contains("hunter2"), "{}", problems[0]);
    }

    #[test]
    fn an_empty_endpoint_identification_switches_host_names_off() {
        let settings =
            read(&[("security.protocol", "SSL"), ("ssl.endpoint.identification.algorithm", "")])
                .unwrap();
        assert!(settings.client.tls.unwrap().any_host_name);
    }
}
