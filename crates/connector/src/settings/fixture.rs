//! Settings for unit tests.

use super::{Environment, Settings};
use crate::spec::Spec;

/// What a Debezium configuration with `pairs` and no more than it needs comes to.
pub(crate) fn settings(pairs: &[(&str, &str)]) -> Settings {
    let base = [
        ("name", "shop"),
        ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
        ("database.hostname", "db"),
        ("database.user", "cdc"),
        ("database.dbname", "shop"),
        ("topic.prefix", "p"),
        ("bootstrap.servers", "k:9092"),
    ];
    let config = base.iter().chain(pairs).map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let spec = Spec { name: None, config: config.collect() };
    Settings::resolve(&spec, &Environment::default()).unwrap()
}
