//! Where Kafka is, how to get in, and how to produce.
//!
//! In: `tributary.store.url`, `bootstrap.servers` and the Java client's properties, plain and as `producer.override.*`
//! (which win, as in Connect). Out: [`KafkaSettings`]. Source: Kafka documentation, "Producer Configs".

use std::collections::BTreeMap;

use kafka::{ClientConfig, Compression, HerokuKafka, KafkaError, KafkaSettings};

use super::Note;
use super::environment::Environment;
use super::problem::Problem;
use super::values::Values;

const OVERRIDE: &str = "producer.override.";

/// Reads the store; `None` after a problem. Properties that need nothing become notes.
pub(super) fn read(
    values: &mut Values<'_>,
    environment: &Environment,
    client_id: &str,
) -> Option<(KafkaSettings, Vec<Note>)> {
    values.exclusive("bootstrap.servers", "tributary.store.url");
    let properties = properties(values);
    let mut settings = base(values, environment, &properties)?;
    // ADR 0005: events are text that repeats itself, and the brokers' disks are what a drain waits for.
    settings.producer.compression = Compression::Lz4;
    if !client_id.is_empty() {
        client_id.clone_into(&mut settings.client.client_id);
    }
    if let Err(errors) = settings.apply(&properties) {
        for error in &errors {
            refuse(values, error);
        }
        return None;
    }
    let notes = std::mem::take(&mut settings.notes);
    let notes =
        notes.into_iter().map(|note| Note { key: typed(values, &note.name), reason: note.reason });
    let notes = notes.collect();
    Some((settings, notes))
}

/// A client without properties, from whichever place says where Kafka is.
fn base(
    values: &mut Values<'_>,
    environment: &Environment,
    properties: &BTreeMap<String, String>,
) -> Option<KafkaSettings> {
    let client = if let Some(url) = values.given("tributary.store.url") {
        // Heroku's certificates belong to Heroku's Kafka; another store has its own.
        match environment.kafka_url.as_deref() {
            Some(known) if known.trim() == url => from_environment(environment, url),
            _ => ClientConfig::from_url(url),
        }
    } else if properties.contains_key("bootstrap.servers") {
        Ok(ClientConfig::plaintext(Vec::<String>::new()))
    } else if let Some(url) = environment.kafka_url.as_deref() {
        from_environment(environment, url)
    } else {
        values.problems.push(Problem::new(
            "CF005",
            "bootstrap.servers",
            "nothing says where Kafka is",
            "pass --store kafka://host:9092, or set `bootstrap.servers`, or set KAFKA_URL",
        ));
        return None;
    };
    match client {
        Ok(client) => Some(KafkaSettings::new(client)),
        Err(error) => {
            let key = if values.given("tributary.store.url").is_some() {
                "tributary.store.url"
            } else {
                "KAFKA_URL"
            };
            let (why, fix) = parts(&error);
            values.problems.push(Problem::new("CF011", key, why, fix));
            None
        }
    }
}

fn from_environment(environment: &Environment, url: &str) -> Result<ClientConfig, KafkaError> {
    ClientConfig::from_heroku(&HerokuKafka {
        url,
        client_cert: environment.kafka_client_cert.as_deref(),
        client_cert_key: environment.kafka_client_cert_key.as_deref(),
        trusted_cert: environment.kafka_trusted_cert.as_deref(),
    })
}

/// The Java client's properties among the keys.
fn properties(values: &Values<'_>) -> BTreeMap<String, String> {
    let plain = |key: &str| {
        ["bootstrap.servers", "client.id", "security.protocol"].contains(&key)
            || key.starts_with("ssl.")
            || key.starts_with("sasl.")
    };
    let given = values.pairs().filter(|(key, _)| plain(key));
    let overrides =
        values.pairs().filter_map(|(key, value)| Some((key.strip_prefix(OVERRIDE)?, value)));
    given.chain(overrides).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The key as the user typed it.
fn typed(values: &Values<'_>, property: &str) -> String {
    let overridden = format!("{OVERRIDE}{property}");
    let is_overridden = values.pairs().any(|(key, _)| key == overridden);
    if is_overridden { overridden } else { property.to_owned() }
}

fn refuse(values: &mut Values<'_>, error: &KafkaError) {
    let problem = problem(error, "producer", |name| typed(values, name));
    values.problems.push(problem);
}

/// The problem with a property of a `client`, under the key that `typed` gives for its name.
pub(super) fn problem(error: &KafkaError, client: &str, typed: impl Fn(&str) -> String) -> Problem {
    let (KafkaError::UnknownProperty { name, .. }
    | KafkaError::InvalidProperty { name, .. }
    | KafkaError::RefusedProperty { name, .. }) = error
    else {
        let (why, fix) = parts(error);
        return Problem::new("CF011", &typed("bootstrap.servers"), why, fix);
    };
    let key = typed(name);
    let prefix = key.strip_suffix(name.as_str()).unwrap_or_default();
    match error {
        KafkaError::UnknownProperty { nearest, .. } => {
            let nearest = nearest.as_ref().map(|nearest| format!("{prefix}{nearest}"));
            let fix = match &nearest {
                Some(nearest) => format!("write `{nearest}` if that is meant, or remove it"),
                None => "remove it".to_owned(),
            };
            let why = format!("the Kafka {client} has no such property");
            Problem { nearest, ..Problem::new("CF001", &key, why, fix) }
        }
        KafkaError::InvalidProperty { reason, fix, .. } => Problem::new("CF011", &key, reason, fix),
        KafkaError::RefusedProperty { reason, fix, .. } => Problem::new("CF002", &key, reason, fix),
        other => Problem::new("CF011", &key, other.to_string(), "correct the value"),
    }
}

/// Reason and fix of an error whose text carries both.
fn parts(error: &KafkaError) -> (String, String) {
    let text = error.to_string();
    let text = text.split_once("] ").map_or(text.as_str(), |(_, rest)| rest);
    match text.split_once("\n  fix: ") {
        Some((why, fix)) => (why.to_owned(), fix.to_owned()),
        None => (text.to_owned(), "correct the value".to_owned()),
    }
}
