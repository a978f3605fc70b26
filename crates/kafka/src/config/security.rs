//! `security.protocol`, `ssl.*` and `sasl.*` -> how connections are secured.
//!
//! In: the properties. Out: TLS and login of a [`crate::ClientConfig`]. Never here: reading the files
//! they name. Source: Kafka 4.3 documentation, `SslConfigs`, `SaslConfigs`; KIP-651 (PEM).

use std::{collections::BTreeMap, time::Duration};

use super::{
    Identity, OauthToken, Pem, SaslConfig, ScramHash, Secret, TlsConfig, jaas,
    properties::{KafkaSettings, Note, Reader, invalid, refused},
};
use crate::KafkaError;

pub(super) fn security(
    reader: &Reader<'_>,
    settings: &mut KafkaSettings,
) -> Result<(), KafkaError> {
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
