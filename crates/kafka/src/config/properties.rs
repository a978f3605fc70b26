//! Java client properties -> [`ClientConfig`] and [`ProducerSettings`].
//!
//! In: a map of names and values as users know them. Out: settings, notes about what needs nothing,
//! or every problem at once. Never here: defaults of the connector, `producer.override.` prefixes.
//! Source: Kafka 4.3 documentation, "Producer Configs".

use std::{collections::BTreeMap, time::Duration};

use super::{
    ClientConfig, Identity, OauthToken, Pem, SaslConfig, ScramHash, Secret, TlsConfig,
    catalog::{self, Handling},
    jaas, url,
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
struct Reader<'a> {
    properties: &'a BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.properties.get(name).map(|value| value.trim())
    }

    fn not_empty(&self, name: &str) -> Option<&'a str> {
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

    fn pem(&self, text: &str, file: &str) -> Option<Pem> {
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

fn security(reader: &Reader<'_>, settings: &mut KafkaSettings) -> Result<(), KafkaError> {
    let client = &mut settings.client;
    let names_login = reader.not_empty("sasl.jaas.config").is_some()
        || reader.not_empty("sasl.oauthbearer.token").is_some();
    let protocol = reader.not_empty("security.protocol").map(str::to_ascii_uppercase);
    let (wants_tls, wants_sasl) = match protocol.as_deref() {
        None => (client.tls.is_some(), names_login || client.sasl.is_some()),
        Some("PLAINTEXT") => (false, false),
        Some("SSL") => (true, false),
        Some("SASL_PLAINTEXT") => (false, true),
        Some("SASL_SSL") => (true, true),
        Some(_) => {
            let fix = "use PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL";
            return Err(invalid("security.protocol", "there is no such protocol", fix));
        }
    };
    for (prefix, is_wanted) in [("ssl.", wants_tls), ("sasl.", wants_sasl)] {
        for name in reader.properties.keys().filter(|name| !is_wanted && name.starts_with(prefix)) {
            let reason = "security.protocol does not use it".into();
            settings.notes.push(Note { name: name.clone(), reason });
        }
    }
    client.tls = if wants_tls { Some(tls(reader, client.tls.take())?) } else { None };
    client.sasl = match (wants_sasl, client.sasl.take()) {
        (false, _) => None,
        (true, Some(kept)) if !names_login && reader.text("sasl.mechanism").is_none() => Some(kept),
        (true, _) => Some(sasl(reader)?),
    };
    Ok(())
}

fn tls(reader: &Reader<'_>, base: Option<TlsConfig>) -> Result<TlsConfig, KafkaError> {
    let mut tls = base.unwrap_or_default();
    let trusted = reader.pem("ssl.truststore.certificates", "ssl.truststore.location");
    require_pem_type(reader, "ssl.truststore", matches!(trusted, Some(Pem::File(_))))?;
    tls.trusted = trusted.or(tls.trusted);
    let store = reader.not_empty("ssl.keystore.location").map(|path| Pem::File(path.into()));
    let chain = reader.pem("ssl.keystore.certificate.chain", "ssl.keystore.location");
    require_pem_type(reader, "ssl.keystore", store.is_some())?;
    let key = reader.pem("ssl.keystore.key", "ssl.keystore.location");
    match (chain, key) {
        (Some(certificates), Some(key)) => tls.identity = Some(Identity { certificates, key }),
        (None, None) => {}
        (Some(_), None) => {
            return Err(invalid(
                "ssl.keystore.key",
                "it is missing beside ssl.keystore.certificate.chain",
                "set both",
            ));
        }
        (None, Some(_)) => {
            return Err(invalid(
                "ssl.keystore.certificate.chain",
                "it is missing beside ssl.keystore.key",
                "set both",
            ));
        }
    }
    match reader.text("ssl.endpoint.identification.algorithm") {
        None => {}
        Some("") => tls.any_host_name = true,
        Some(name) if name.eq_ignore_ascii_case("https") => tls.any_host_name = false,
        Some(_) => {
            let name = "ssl.endpoint.identification.algorithm";
            return Err(invalid(
                name,
                "there is no such algorithm",
                "use https, or leave it empty to accept any host name",
            ));
        }
    }
    Ok(tls)
}

/// A store file without a type is a JKS for Java; say so instead of failing on its bytes.
fn require_pem_type(reader: &Reader<'_>, store: &str, is_file: bool) -> Result<(), KafkaError> {
    let name = format!("{store}.type");
    if is_file && reader.text(&name).is_none() {
        let reason = "without it the store is a Java key store (JKS), which is not read";
        return Err(invalid(&name, reason, "convert the store to PEM and set it to PEM"));
    }
    Ok(())
}

fn sasl(reader: &Reader<'_>) -> Result<SaslConfig, KafkaError> {
    let mechanism = reader.not_empty("sasl.mechanism").unwrap_or("GSSAPI").to_ascii_uppercase();
    let hash = match mechanism.as_str() {
        "PLAIN" => None,
        "SCRAM-SHA-256" => Some(ScramHash::Sha256),
        "SCRAM-SHA-512" => Some(ScramHash::Sha512),
        "OAUTHBEARER" => return oauth(reader),
        "GSSAPI" => {
            let fix = "set it to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER (without it Java means GSSAPI, Kerberos)";
            return Err(invalid("sasl.mechanism", "Kerberos (GSSAPI) is not built in", fix));
        }
        _ => {
            let fix = "use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER";
            return Err(invalid("sasl.mechanism", "there is no such mechanism", fix));
        }
    };
    let mut options =
        jaas_options(reader, if hash.is_some() { "ScramLoginModule" } else { "PlainLoginModule" })?;
    let (Some(username), Some(password)) = (options.remove("username"), options.remove("password"))
    else {
        let fix = "write …LoginModule required username=\"…\" password=\"…\";";
        return Err(invalid("sasl.jaas.config", "username or password is missing", fix));
    };
    let password = Secret::new(password);
    Ok(match hash {
        None => SaslConfig::Plain { username, password },
        Some(hash) => SaslConfig::Scram { hash, username, password },
    })
}

fn jaas_options(reader: &Reader<'_>, module: &str) -> Result<BTreeMap<String, String>, KafkaError> {
    let fix = format!("write org.apache.kafka.common.security.….{module} required …;");
    let Some(text) = reader.not_empty("sasl.jaas.config") else {
        return Err(invalid("sasl.jaas.config", "it is missing", &fix));
    };
    let entry = jaas::parse(text).map_err(|reason| invalid("sasl.jaas.config", &reason, &fix))?;
    if entry.module.rsplit('.').next() != Some(module) {
        let reason = format!("its login module is not {module}, which sasl.mechanism asks for");
        return Err(invalid("sasl.jaas.config", &reason, &fix));
    }
    Ok(entry.options)
}

fn oauth(reader: &Reader<'_>) -> Result<SaslConfig, KafkaError> {
    const TOKEN_URL: &str = "sasl.oauthbearer.token.endpoint.url";
    const LIFETIME: &str = "unsecuredLoginLifetimeSeconds";
    let options = match reader.not_empty("sasl.jaas.config") {
        None => BTreeMap::new(),
        Some(_) => jaas_options(reader, "OAuthBearerLoginModule")?,
    };
    let with_prefix = |prefix: &str| -> Vec<(String, String)> {
        let stripped = options.iter().filter_map(|(name, value)| {
            name.strip_prefix(prefix).map(|name| (name.to_owned(), value.clone()))
        });
        stripped.collect()
    };
    let mut extensions = with_prefix("unsecuredLoginExtension_");
    extensions.extend(with_prefix("extension_"));
    let claims = with_prefix("unsecuredLoginStringClaim_");
    let token = if let Some(token) = reader.not_empty("sasl.oauthbearer.token") {
        OauthToken::Given(Secret::new(token))
    } else if let Some(address) = reader.not_empty(TOKEN_URL) {
        let Some(path) = address.strip_prefix("file://") else {
            let fix = "let a helper keep a token file fresh and name it as file:///path";
            return Err(refused(TOKEN_URL, "tokens are not fetched over HTTP", fix));
        };
        OauthToken::File(path.into())
    } else if !claims.is_empty() {
        let seconds = options.get(LIFETIME).map_or(Ok(3600), |text| text.parse::<u32>());
        let seconds = seconds.map_err(|_| {
            invalid(
                "sasl.jaas.config",
                "unsecuredLoginLifetimeSeconds is not a number of seconds",
                "write whole seconds",
            )
        })?;
        OauthToken::Unsecured { claims, lifetime: Duration::from_secs(seconds.into()) }
    } else {
        let fix = "set sasl.oauthbearer.token, or sasl.oauthbearer.token.endpoint.url=file:///path";
        return Err(invalid("sasl.mechanism", "OAUTHBEARER has no token", fix));
    };
    Ok(SaslConfig::OauthBearer { token, extensions })
}

fn unknown(name: &str) -> KafkaError {
    let nearest = catalog::nearest(name).map(Into::into);
    KafkaError::UnknownProperty { name: name.into(), nearest }
}

fn refused(name: &str, reason: &str, fix: &str) -> KafkaError {
    KafkaError::RefusedProperty { name: name.into(), reason: reason.into(), fix: fix.into() }
}

fn invalid(name: &str, reason: &str, fix: &str) -> KafkaError {
    KafkaError::InvalidProperty { name: name.into(), reason: reason.into(), fix: fix.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
