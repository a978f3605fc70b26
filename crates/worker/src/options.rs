//! What a worker is started with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use connector::settings::{Environment, InvalidSettings, Settings};
use connector::spec::Spec;
use kafka::ClientConfig;

use crate::seal::{self, SealKey};
use crate::view::Member;
use crate::wanted::Config;

/// Partitions of the config topic: more than there will be workers, few enough to be read in an instant.
pub const PARTITIONS: i32 = 48;
/// How long a worker may be silent before its connectors run elsewhere.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// What a worker is started with. It holds secrets, and so cannot be printed.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Workers of one group share its connectors.
    pub group: String,
    /// This worker's name in the group, the same after a restart: static membership goes by it. `None`: where its API is reached.
    pub worker_id: Option<String>,
    /// Where its API is heard.
    pub listen: SocketAddr,
    /// Where other machines reach its API. `None`: where it is heard, or this machine's name if that is everywhere.
    pub advertised_url: Option<String>,
    /// Where the group's topics are.
    pub client: ClientConfig,
    /// The same as keys of a connector's configuration, for connectors that do not name a Kafka of their own.
    pub store_keys: Config,
    /// What the environment of the process says.
    pub environment: Environment,
    /// What secrets are sealed with in the config topic; `None`: they stay in clear.
    pub seal_key: Option<SealKey>,
    /// Partitions of the config topic, when it is made.
    pub partitions: i32,
    /// Replicas of the group's topics, when they are made; -1: the broker's default.
    pub replication_factor: i16,
    /// How long this worker may be silent before its connectors run elsewhere.
    pub session_timeout: Duration,
}

impl WorkerOptions {
    /// This worker as others know it, once its API is heard at an address.
    pub fn member(&self, address: SocketAddr) -> Member {
        let reached = if address.ip().is_unspecified() {
            let uname = rustix::system::uname();
            format!("{}:{}", uname.nodename().to_string_lossy(), address.port())
        } else {
            address.to_string()
        };
        Member {
            id: self.worker_id.clone().unwrap_or_else(|| reached.clone()),
            url: self.advertised_url.clone().unwrap_or_else(|| format!("http://{reached}")),
        }
    }

    /// The topic of what is wanted.
    pub fn configs_topic(&self) -> String {
        format!("{}-configs", self.group)
    }

    /// The topic of what is told.
    pub fn status_topic(&self) -> String {
        format!("{}-status", self.group)
    }

    /// The settings of one of this group's connectors.
    ///
    /// Errors: every problem of its configuration at once.
    pub fn settings(&self, name: &str, config: &Config) -> Result<Settings, InvalidSettings> {
        seal::expect_opened(config)?;
        Settings::resolve(&self.spec(name, config), &self.environment)
    }

    /// What the user wrote and what goes without saying here: the group, and where Kafka is.
    pub fn spec(&self, name: &str, config: &Config) -> Spec {
        let mut whole: BTreeMap<String, String> = config.clone();
        if !names_a_store(config) {
            for (key, value) in &self.store_keys {
                whole.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        whole.insert("tributary.group".to_owned(), self.group.clone());
        Spec { name: Some(name.to_owned()), config: whole }
    }
}

fn names_a_store(config: &Config) -> bool {
    ["tributary.store.url", "bootstrap.servers", "producer.override.bootstrap.servers"]
        .iter()
        .any(|key| config.contains_key(*key))
}
