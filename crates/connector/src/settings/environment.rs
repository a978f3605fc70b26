//! What the environment says about source and store, taken once at the edge.
//!
//! In: variables. Out: [`Environment`]. Never: read anywhere else. Other variables are looked up where the configuration refers to
//! them by `${env:NAME}`.
//! Source: Heroku, "Heroku Postgres" (`DATABASE_URL`) and "Apache Kafka on Heroku" (`KAFKA_*`).

use std::sync::Arc;

use super::identity::prefixed;

/// Variables that name source and store when the configuration does not.
#[derive(Clone, Default)]
pub struct Environment {
    /// `DATABASE_URL`.
    pub database_url: Option<String>,
    /// `KAFKA_URL`: one or more `kafka://` or `kafka+ssl://` URLs, comma-separated.
    pub kafka_url: Option<String>,
    /// `KAFKA_CLIENT_CERT`: PEM text.
    pub kafka_client_cert: Option<String>,
    /// `KAFKA_CLIENT_CERT_KEY`: PEM text.
    pub kafka_client_cert_key: Option<String>,
    /// `KAFKA_TRUSTED_CERT`: PEM text.
    pub kafka_trusted_cert: Option<String>,
    /// `KAFKA_PREFIX`: begins every name on a shared cluster.
    pub kafka_prefix: Option<String>,
    lookup: Lookup,
}

/// How a variable is looked up.
type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

#[derive(Clone, Default)]
struct Lookup(Option<Arc<Variables>>);

impl Environment {
    /// Asks for each variable by name; empty counts as not set.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        Self {
            database_url: get("DATABASE_URL"),
            kafka_url: get("KAFKA_URL"),
            kafka_client_cert: get("KAFKA_CLIENT_CERT"),
            kafka_client_cert_key: get("KAFKA_CLIENT_CERT_KEY"),
            kafka_trusted_cert: get("KAFKA_TRUSTED_CERT"),
            kafka_prefix: get("KAFKA_PREFIX"),
            lookup: Lookup(Some(Arc::new(lookup))),
        }
    }

    /// A topic, a group or a transactional id as it is called on this cluster: with `KAFKA_PREFIX` in front, once.
    pub fn prefixed(&self, name: &str) -> String {
        prefixed(self.kafka_prefix.as_deref().unwrap_or_default(), name)
    }

    /// A variable that the configuration refers to.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.lookup.0.as_ref().and_then(|lookup| lookup(name))
    }

    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}
