//! A handle of one cluster: brokers, topics and leaders, asked when needed and remembered.
//!
//! In: a [`ClientConfig`]. Out: descriptions, interned [`Topic`]s, leaders. Never here: producing,
//! reading; those have connections of their own. Source: Kafka protocol guide, `Metadata`.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kafka_protocol::{
    ResponseError,
    messages::{
        MetadataRequest, MetadataResponse, TopicName, metadata_request::MetadataRequestTopic,
        metadata_response::MetadataResponseTopic,
    },
    protocol::StrBytes,
};
use tokio::time::Instant;

use crate::{
    ClientConfig, KafkaError,
    answer::{self, Subject},
    codes::ErrorCode,
    connection::Connection,
    pool::{Opener, Pool},
    tls,
    topic::{Broker, PartitionDescription, Topic, TopicDescription, TopicPartitionId},
    wire::Api,
};

/// Times a question is put to another broker after the one asked broke down.
const ASK_TIMES_MAX: usize = 3;

/// A handle of one cluster; cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    opener: Arc<Opener>,
    control: Pool,
    metadata: Mutex<Metadata>,
}

#[derive(Default)]
struct Metadata {
    brokers: Vec<Broker>,
    topics: HashMap<String, Known>,
    next_topic_index: usize,
}

struct Known {
    description: TopicDescription,
    /// `None`: to be asked again before its leaders are used.
    asked_at: Option<Instant>,
}

/// What the cluster says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub cluster_id: Option<String>,
    /// Node id of the controller (without `ZooKeeper`: of some broker that forwards to it).
    pub controller: Option<i32>,
    /// Its brokers.
    pub brokers: Vec<Broker>,
    /// Finalized level of the feature `transaction.version`: 2 is TV2 of KIP-890; `None`: a broker
    /// that does not know the feature.
    pub transaction_version: Option<i16>,
    /// Finalized features with their levels, by name.
    pub features: BTreeMap<String, i16>,
    /// Versions the asked broker speaks, (lowest, highest), by api key.
    pub api_versions: BTreeMap<i16, (i16, i16)>,
}

impl Client {
    /// Connects to the first bootstrap server that answers and learns the brokers.
    ///
    /// Errors: [`KafkaError::NoBroker`] with the last attempt's failure; unusable certificates.
    pub async fn connect(config: ClientConfig) -> Result<Self, KafkaError> {
        let tls = match &config.tls {
            Some(tls) => Some(tls::client(tls).await?),
            None => None,
        };
        let opener = Arc::new(Opener { config, tls });
        let control = Pool::new(Arc::clone(&opener));
        let client = Self(Arc::new(Inner { opener, control, metadata: Mutex::default() }));
        client.ask_metadata(Some(&[])).await?;
        Ok(client)
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &ClientConfig {
        &self.0.opener.config
    }

    /// A set of connections for one user of its own.
    pub(crate) fn pool(&self) -> Pool {
        Pool::new(Arc::clone(&self.0.opener))
    }

    /// The connections for questions that are answered at once.
    pub(crate) fn control(&self) -> &Pool {
        &self.0.control
    }

    /// What the cluster says of itself, asked now.
    pub async fn cluster(&self) -> Result<ClusterDescription, KafkaError> {
        let response = self.ask_metadata(Some(&[])).await?;
        let connection = self.any_broker().await?;
        let versions = connection.versions();
        let features: BTreeMap<String, i16> = versions
            .finalized_features
            .iter()
            .map(|feature| (feature.name.to_string(), feature.max_version_level))
            .collect();
        Ok(ClusterDescription {
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller: Some(response.controller_id.0).filter(|id| *id >= 0),
            brokers: self.metadata().brokers.clone(),
            transaction_version: features.get("transaction.version").copied(),
            features,
            api_versions: versions
                .api_keys
                .iter()
                .map(|api| (api.api_key, (api.min_version, api.max_version)))
                .collect(),
        })
    }

    /// One topic, asked now; `None` if it does not exist.
    ///
    /// Errors: [`KafkaError::NotAuthorized`], [`KafkaError::Broker`] for an impossible name.
    pub async fn topic(&self, name: &str) -> Result<Option<TopicDescription>, KafkaError> {
        self.refresh(&[name]).await?;
        Ok(self.metadata().topics.get(name).map(|known| known.description.clone()))
    }

    /// All topics we may see, asked now.
    pub async fn topics(&self) -> Result<Vec<TopicDescription>, KafkaError> {
        let response = self.ask_metadata(None).await?;
        let mut metadata = self.metadata();
        let found = response.topics.iter().filter(|topic| topic.error_code == 0);
        Ok(found.map(|topic| metadata.learn(topic)).collect())
    }

    /// A topic as it was last seen, asked now only if it was never seen.
    pub(crate) async fn known_topic(&self, name: &str) -> Result<TopicDescription, KafkaError> {
        let known = self.metadata().topics.get(name).map(|known| known.description.clone());
        match known {
            Some(description) => Ok(description),
            None => self
                .topic(name)
                .await?
                .ok_or_else(|| KafkaError::TopicMissing { topic: name.into() }),
        }
    }

    /// The address of each partition's leader. Asks the cluster about topics unknown, forgotten, or
    /// known for longer than `metadata.max.age.ms`.
    ///
    /// Errors: [`KafkaError::NoLeader`], [`KafkaError::TopicMissing`].
    pub(crate) async fn leaders(
        &self,
        partitions: &[&TopicPartitionId],
    ) -> Result<Vec<String>, KafkaError> {
        let stale = self.metadata().stale(partitions, self.config().metadata_max_age);
        if !stale.is_empty() {
            let names: Vec<&str> = stale.iter().map(String::as_str).collect();
            self.refresh(&names).await?;
        }
        let metadata = self.metadata();
        partitions.iter().map(|partition| metadata.leader(partition)).collect()
    }

    /// `host:port` of a broker by its node id.
    pub(crate) fn address_of(&self, broker: i32) -> Result<String, KafkaError> {
        let metadata = self.metadata();
        let found = metadata.brokers.iter().find(|known| known.id == broker);
        found.map(address).ok_or_else(|| KafkaError::ConnectionLost {
            broker: broker.to_string(),
            reason: "the cluster does not list it".into(),
        })
    }

    /// What was known of these topics' leaders proved wrong: ask again before the next use.
    pub(crate) fn forget_leaders<'a>(&self, topics: impl IntoIterator<Item = &'a str>) {
        let mut metadata = self.metadata();
        for topic in topics {
            if let Some(known) = metadata.topics.get_mut(topic) {
                known.asked_at = None;
            }
        }
    }

    async fn refresh(&self, names: &[&str]) -> Result<(), KafkaError> {
        let response = self.ask_metadata(Some(names)).await?;
        let mut metadata = self.metadata();
        for topic in &response.topics {
            let name: &str = topic.name.as_ref().map_or("", |name| name);
            match ErrorCode::check(topic.error_code) {
                Some(code) if code.is(ResponseError::UnknownTopicOrPartition) => {
                    metadata.topics.remove(name);
                }
                // Some partitions have no leader: that is said partition by partition.
                Some(code) if !code.is(ResponseError::LeaderNotAvailable) => {
                    return Err(answer::refused("Metadata", Subject::Topic(name), code, None));
                }
                _ => drop(metadata.learn(topic)),
            }
        }
        Ok(())
    }

    /// Asks for brokers and topics (`None`: all), and remembers the brokers.
    async fn ask_metadata(&self, names: Option<&[&str]>) -> Result<MetadataResponse, KafkaError> {
        let topic = |name: &&str| {
            let name = TopicName(StrBytes::from_string((*name).to_owned()));
            MetadataRequestTopic::default().with_name(Some(name))
        };
        let request = MetadataRequest::default()
            .with_topics(names.map(|names| names.iter().map(topic).collect()))
            .with_allow_auto_topic_creation(false);
        let response = self.ask(&request).await?;
        let brokers = response.brokers.iter().map(|broker| Broker {
            id: broker.node_id.0,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.as_ref().map(ToString::to_string),
        });
        self.metadata().brokers = brokers.collect();
        Ok(response)
    }

    /// Puts a question to any broker, and to another one if that breaks down. Only for requests that
    /// may be repeated.
    pub(crate) async fn ask<R: Api>(&self, request: &R) -> Result<R::Response, KafkaError> {
        let mut times = 1;
        loop {
            let connection = self.any_broker().await?;
            match connection.request(request, self.config().request_timeout).await {
                Err(KafkaError::ConnectionLost { .. } | KafkaError::RequestTimedOut { .. })
                    if times < ASK_TIMES_MAX =>
                {
                    times += 1;
                }
                answer => return answer,
            }
        }
    }

    /// A connection to a broker that answers: known ones first, then the bootstrap servers.
    pub(crate) async fn any_broker(&self) -> Result<Arc<Connection>, KafkaError> {
        let mut addresses: Vec<String> = self.metadata().brokers.iter().map(address).collect();
        for bootstrap in &self.config().bootstrap {
            if !addresses.contains(bootstrap) {
                addresses.push(bootstrap.clone());
            }
        }
        let mut last = None;
        for address in &addresses {
            match self.0.control.get(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        let source = last.unwrap_or(KafkaError::InvalidUrl { reason: "it names no broker".into() });
        let bootstrap = self.config().bootstrap_text();
        Err(KafkaError::NoBroker { bootstrap, source: Arc::new(source) })
    }

    fn metadata(&self) -> MutexGuard<'_, Metadata> {
        // Nothing panics while it is held; if something did, what is stored is still a cache.
        self.0.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.config().bootstrap_text())
    }
}

/// `host:port`, brackets around an IPv6 address.
pub(crate) fn address(broker: &Broker) -> String {
    host_port(&broker.host, broker.port)
}

pub(crate) fn host_port(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl Metadata {
    /// Remembers a topic. Its handle stays the same while its id and partition count do.
    fn learn(&mut self, topic: &MetadataResponseTopic) -> TopicDescription {
        let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        let mut partitions: Vec<PartitionDescription> = topic
            .partitions
            .iter()
            .map(|partition| PartitionDescription {
                partition: partition.partition_index,
                leader: Some(partition.leader_id.0).filter(|leader| *leader >= 0),
                replicas: partition.replica_nodes.iter().map(|id| id.0).collect(),
                in_sync_replicas: partition.isr_nodes.iter().map(|id| id.0).collect(),
            })
            .collect();
        partitions.sort_by_key(|partition| partition.partition);
        let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX).max(1);
        let id = *topic.topic_id.as_bytes();
        let known = self.topics.get(&name).map(|known| &known.description.topic);
        let handle = match known {
            Some(handle) if handle.id() == id && handle.partition_count() == count => {
                handle.clone()
            }
            _ => {
                self.next_topic_index += 1;
                Topic::new(self.next_topic_index - 1, name.clone(), id, count)
            }
        };
        let is_internal = topic.is_internal;
        let description = TopicDescription { topic: handle, is_internal, partitions };
        let known = Known { description: description.clone(), asked_at: Some(Instant::now()) };
        self.topics.insert(name, known);
        description
    }

    fn stale(&self, partitions: &[&TopicPartitionId], age_max: std::time::Duration) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for partition in partitions {
            let name = partition.topic().name();
            let asked_at = self.topics.get(name).and_then(|known| known.asked_at);
            let is_fresh = asked_at.is_some_and(|asked_at| asked_at.elapsed() < age_max);
            if !is_fresh && !names.iter().any(|known| known == name) {
                names.push(name.into());
            }
        }
        names
    }

    fn leader(&self, partition: &TopicPartitionId) -> Result<String, KafkaError> {
        let topic = partition.topic().name();
        let Some(known) = self.topics.get(topic) else {
            return Err(KafkaError::TopicMissing { topic: topic.into() });
        };
        let index = usize::try_from(partition.partition()).unwrap_or(usize::MAX);
        let leader = known.description.partitions.get(index).and_then(|found| found.leader);
        let broker = self.brokers.iter().find(|broker| Some(broker.id) == leader);
        broker.map(address).ok_or_else(|| KafkaError::NoLeader {
            topic: topic.into(),
            partition: partition.partition(),
        })
    }
}
