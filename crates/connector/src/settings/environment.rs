//! What the environment says about source and store, taken once at the edge.
//!
//! In: variables. Out: [`Environment`]. Never: read anywhere else.
//! Source: Heroku, "Heroku Postgres" (`DATABASE_URL`) and "Apache Kafka on Heroku" (`KAFKA_*`).

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
    /// `KAFKA_PREFIX`: begins every topic name on a shared cluster.
    pub kafka_prefix: Option<String>,
}

impl Environment {
    /// Asks for each variable by name; empty counts as not set.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        Self {
            database_url: get("DATABASE_URL"),
            kafka_url: get("KAFKA_URL"),
            kafka_client_cert: get("KAFKA_CLIENT_CERT"),
            kafka_client_cert_key: get("KAFKA_CLIENT_CERT_KEY"),
            kafka_trusted_cert: get("KAFKA_TRUSTED_CERT"),
            kafka_prefix: get("KAFKA_PREFIX"),
        }
    }

    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}
