//! What users write: connector JSON, single settings, URLs, client properties.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use connector::settings::keys::SECTIONS;
use connector::settings::{Environment, InvalidSettings, Settings};
use connector::spec::Spec;
use kafka::{ClientConfig, KafkaSettings};
use postgres::ConnectionConfig;

/// What `${env:…}` leads to; no message may have it.
const SECRET: &str = "Zx7-Secret-Qq3";

/// Any text is a connector, or a list of problems that does not tell what a reference led to.
pub(crate) fn connector_json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(spec) = Spec::from_json(text) {
        resolve(&spec);
    }
}

/// Any value of any key beside a working configuration.
///
/// Shape: `u8` section · `u8` key in it · value.
pub(crate) fn setting(bytes: &[u8]) {
    let Some((&[section, key], value)) = bytes.split_first_chunk::<2>() else { return };
    let Ok(value) = std::str::from_utf8(value) else { return };
    let section = &SECTIONS[usize::from(section) % SECTIONS.len()];
    let key = &section.keys[usize::from(key) % section.keys.len()];
    let mut config = BASE.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let spec = |config: &BTreeMap<_, _>| Spec { name: None, config: config.clone() };
    for name in named(key.name) {
        BTreeMap::insert(&mut config, name.clone(), value.to_owned());
        resolve(&spec(&config));
        config.remove(&name);
    }
}

const BASE: [(&str, &str); 7] = [
    ("name", "shop"),
    ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
    ("database.hostname", "db"),
    ("database.user", "cdc"),
    ("database.dbname", "shop"),
    ("topic.prefix", "p"),
    ("bootstrap.servers", "k:9092"),
];

/// A key, or one of those that its pattern stands for.
fn named(pattern: &str) -> Vec<String> {
    let Some((before, after)) = pattern.split_once('<') else { return vec![pattern.to_owned()] };
    let after = after.split_once('>').map_or("", |(_, after)| after);
    ["s.t", "3", "SHA-256"]
        .iter()
        .flat_map(|name| named(after).into_iter().map(move |rest| format!("{before}{name}{rest}")))
        .collect()
}

fn resolve(spec: &Spec) {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    if spec.config.values().any(|value| reads_a_file(value)) {
        return;
    }
    let environment = ENVIRONMENT.get_or_init(|| {
        Environment::from_lookup(|name| name.starts_with('P').then(|| SECRET.to_owned()))
    });
    if let Err(InvalidSettings { problems }) = Settings::resolve(spec, environment) {
        assert!(!problems.is_empty());
        let typed = format!("{spec:?}");
        for problem in &problems {
            let told = format!("{problem} {problem:?}");
            assert!(!told.contains(SECRET) || typed.contains(SECRET), "{told}");
        }
    }
}

/// What a file holds is no part of the input, and some never end.
fn reads_a_file(value: &str) -> bool {
    ["${file:", "${dir:", "${directory:"].iter().any(|begin| value.contains(begin))
}

/// Any text is where a database is, or an error; the password is in neither.
pub(crate) fn postgres_url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for parse in
        [ConnectionConfig::parse, ConnectionConfig::from_url, ConnectionConfig::from_keywords]
    {
        if let Ok(config) = parse(text) {
            let again = config.clone().with_password(SECRET).with_sslpassword(SECRET);
            assert!(!format!("{again:?} {}", again.address()).contains(SECRET));
            assert!(!config.hosts().is_empty());
        }
    }
}

/// Any properties are a client, or problems.
///
/// Shape: `u8` · text. 0: a URL; 1: lines of `name=value`; else the number of a known property, and its value.
pub(crate) fn kafka_properties(bytes: &[u8]) {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    let names = NAMES.get_or_init(|| kafka::config::known_properties().map(|it| it.name).collect());
    let Some((&number, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut properties = BTreeMap::from([("bootstrap.servers".to_owned(), "h:9092".to_owned())]);
    match number {
        0 => {
            if let Ok(config) = ClientConfig::from_url(text) {
                assert!(config.bootstrap.iter().all(|address| address.contains(':')));
            }
            return;
        }
        1 => properties.extend(
            text.lines()
                .filter_map(|line| line.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        number => {
            let name = names[usize::from(number - 2) % names.len()];
            properties.insert(name.to_owned(), text.to_owned());
            // Without these nobody looks at the others.
            for (name, value) in
                [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "SCRAM-SHA-256")]
            {
                properties.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
    }
    match KafkaSettings::from_properties(&properties) {
        Ok(settings) => assert!(!settings.client.bootstrap.is_empty()),
        Err(problems) => assert!(!problems.is_empty()),
    }
}
